/**
 * An operation in a list of all principals.
 * @typedef {object} LatestOperation
 * @property {string} id
 * @property {string} principal
 * @property {import('../../jobs/request.js').JobStatus} status
 * @property {number} attempt
 * @property {number} createdAtMs Unix time
 * @property {Record<string, number>} counts of a workflow: its nodes by status
 */

/** @typedef {Omit<LatestOperation, 'counts'> & {data?: any}} KnownOperation of this process */

/**
 * @param {KnownOperation[]} operations oldest first
 * @param {number} limit
 * @returns {LatestOperation[]} the last ones, newest first
 */
export const latestIn = (operations, limit) => operations.slice(-limit).reverse().map(latestOf);

/** @param {KnownOperation} operation @returns {LatestOperation} */
export function latestOf({ id, principal, status, attempt, createdAtMs, data }) {
  return { id, principal, status, attempt, createdAtMs, counts: data?.counts?.() ?? {} };
}
