/** The results of a run. Types only. */

/**
 * @typedef {object} RuleResult
 * @property {string} id of the rule
 * @property {string} title
 * @property {'passed' | 'failed' | 'skipped'} status
 * @property {string} [reason] reason of the failure or skip
 * @property {import('./sources.js').Quote} source the source of the rule
 * @property {number} durationMs
 */

/**
 * @typedef {object} Report
 * @property {string} url
 * @property {string} adapter
 * @property {number} timeoutMs of each wait
 * @property {RuleResult[]} results
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

export {};
