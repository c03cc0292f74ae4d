/** What was used as rows of the data file, and back. Pure functions. */

/** @typedef {import('../../services/billing/usage.js').UsageRow} UsageRow */

const kCounts = /** @type {const} */ ([
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
  const counts = Object.fromEntries(kCounts.map((name, i) => [name, rest[i]]));
  return /** @type {any} */ ({ hour, principal, model, ...counts, cost: BigInt(rest.at(-1)) });
}

/**
 * @param {UsageRow} row
 * @param {string} jobId whose it is
 * @returns {import('./sqlite.js').Column[]} the values of `add_usage`
 */
export function usageValues(row, jobId) {
  const { hour, principal, model, cost } = row;
  return [jobId, hour, principal, model, ...kCounts.map((name) => row[name]), cost];
}
