/** Usage as rows of the data file, and back. Pure functions. */

/**
 * Usage of one or more jobs.
 * @typedef {object} Counts
 * @property {number} requests all requests
 * @property {number} prompt_tokens of requests with an answer of their own
 * @property {number} completion_tokens
 * @property {number} cached_requests requests that shared another job's answer
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
 * @param {string} [jobId] the job of this usage: nothing is added if it was counted before.
 *   Default: usage of several jobs
 * @returns {(string | import('./sqlite.js').Column[])[]} changes that add it to the totals
 */
export function usageChanges(row, jobId) {
  const { hour, principal, model, cost } = row;
  const counts = COUNTS.map((name) => row[name]);
  const changes = ['add_usage', [jobId, hour, principal, model, ...counts, cost]];
  changes.push('seal_usage', [hour, principal, model]);
  if (jobId !== undefined) changes.push('count_job', [jobId]);
  return changes;
}
