/**
 * Upstream calls that a hub makes by itself, as types. This file has no code.
 */

/**
 * @typedef {object} RelayRequest
 * @property {string} url
 * @property {string[]} headers `name: value`
 * @property {string} body
 * @property {number} idleMs longest silence of the upstream while there is room for its text
 * @property {number[]} jobs their handles, by the upstream's index of the answer
 * @property {number[]} deltasMax likewise: the pieces after which a job ends by its length
 */

/**
 * What became of it; native/core/upstream/relay_outcome.h says what the names mean.
 * @typedef {object} RelayOutcome
 * @property {'none' | 'status' | 'content_type' | 'invalid' | 'reported' | 'incomplete' | 'stalled'
 *   | 'unreachable' | 'disconnected' | 'protocol'} failure
 * @property {number} status
 * @property {boolean} body_whole
 * @property {string} text
 * @property {string} code
 * @property {string} retry_after
 * @property {string} retry_after_ms
 * @property {(number | null)[]} failed by index: the pieces that came before it failed; null for
 *   an answer that did not
 */

export {};
