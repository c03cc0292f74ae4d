/** What is told of logs outside of JavaScript: on the wire, and by the command line. */

/** @param {number} ms */
function seconds(ms) {
  return ms / 1000;
}

/**
 * @param {import('../../primitives/logs/log-parser.js').TopError} error
 * @returns {{template: string, count: number, first_at: number, last_at: number, sample: string}}
 *   times in Unix seconds
 */
export function wireTopError({ template, count, firstMs, lastMs, sample }) {
  return { template, count, first_at: seconds(firstMs), last_at: seconds(lastMs), sample };
}
