/** What was used as rows of the data file, and back. Pure functions. */

/**
 * What one or more jobs have used.
 * @typedef {object} Counts
 * @property {number} requests all of them
 * @property {number} prompt_tokens of those with an answer of their own
 * @property {number} completion_tokens
 * @property {number} cached_requests those that shared another job's answer
 * @property {number} cached_prompt_tokens
 * @property {number} cached_completion_tokens
 * @property {bigint} cost in micro-credits
 */
/** @typedef {Counts & {hour: number, principal: string, model: string}} UsageRow */

const COUNTS = /** @type {const} */ ([
  'requests',
  'prompt_tokens',
  'completion_tokens',
  'cached_requests',
  'cached_prompt_tokens',
  'cached_completion_tokens',
]);

/**
 * @param {any[]} row in the order of the file's columns
 * @returns {UsageRow}
 */
export function namedUsage([hour, principal, model, ...rest]) {
  const counts = Object.fromEntries(COUNTS.map((name, i) => [name, rest[i]]));
  return /** @type {any} */ ({ hour, principal, model, ...counts, cost: BigInt(rest.at(-1)) });
}

/**
 * @param {UsageRow} row
 * @param {string} [jobId] the job that used it: nothing is added when it was counted before. Default:
 *   what is added is of no single job
 * @returns {(string | import('./sqlite.js').Column[])[]} changes that add it to the sums
 */
export function usageChanges(row, jobId) {
  const { hour, principal, model, cost } = row;
  const counts = COUNTS.map((name) => row[name]);
  const changes = ['add_usage', [jobId, hour, principal, model, ...counts, cost]];
  changes.push('seal_usage', [hour, principal, model]);
  if (jobId !== undefined) changes.push('count_job', [jobId]);
  return changes;
}
