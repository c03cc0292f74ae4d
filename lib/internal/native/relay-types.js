/**
 * The upstream calls that a hub makes for a provider, as types. The hub (lib/streams) and the
 * providers share them, and neither imports the other. This file has no code.
 */

/**
 * @typedef {object} RelayRequest
 * @property {string} url
 * @property {string[]} headers `name: value`
 * @property {string} body
 * @property {number} idleMs longest silence of the upstream while there is room for its text
 * @property {number[]} jobs their handles, by the upstream's index of the answer
 * @property {number[]} deltasMax by the same index: the deltas after which a job ends by its length
 */

/**
 * The outcome of a call; native/core/upstream/relay_outcome.h defines the values.
 * @typedef {object} RelayOutcome
 * @property {'none' | 'status' | 'content_type' | 'invalid' | 'reported' | 'incomplete' | 'stalled'
 *   | 'unreachable' | 'disconnected' | 'protocol'} failure
 * @property {number} status
 * @property {boolean} body_whole
 * @property {string} text
 * @property {string} code
 * @property {string} retry_after
 * @property {string} retry_after_ms
 * @property {(number | null)[]} failed by index: the deltas before the failure; null for an answer
 *   that did not fail
 */

/**
 * @typedef {object} RelayedCall
 * @property {Promise<RelayOutcome | null>} done resolves when no more of the jobs' events come from
 *   this call; null when the hub was closed before
 * @property {() => void} abort closes the connection: answers that have not ended fail
 */

/**
 * The part of a hub that a provider uses.
 * @typedef {object} RelayHub
 * @property {(handles: readonly number[]) => boolean} relays whether `relay` works for one call with
 *   these jobs
 * @property {(request: RelayRequest) => RelayedCall} relay makes a call; its text goes to the jobs'
 *   logs
 */

export {};
