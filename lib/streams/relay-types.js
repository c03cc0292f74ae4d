/**
 * Upstream calls whose text goes to the jobs' logs by itself, as types. This file has no code.
 */

/**
 * @typedef {object} RelayTarget
 * @property {number} idleMs longest silence of the upstream while there is room for its text
 * @property {number[]} jobs their handles, by the upstream's index of the answer
 */

/**
 * @typedef {object} RelayPost
 * @property {string} url
 * @property {string[]} headers `name: value`
 * @property {string} body
 */

/** @typedef {RelayTarget & RelayPost} RelayRequest */

/**
 * @typedef {object} RelayedCall
 * @property {Promise<RelayOutcome | null>} done when nothing more will be said of any of the jobs;
 *   null when the hub was closed before
 * @property {() => void} abort closes the connection: answers that have not ended fail
 */

/**
 * What became of it; native/core/upstream/relay_outcome.h says what the names mean.
 * @typedef {object} RelayOutcome
 * @property {'none' | 'status' | 'content_type' | 'invalid' | 'reported' | 'incomplete' | 'stalled'
 *   | 'unreachable' | 'disconnected' | 'protocol' | 'encoding' | 'finish' | 'unsupported'} failure
 * @property {number} status
 * @property {boolean} body_whole
 * @property {string} text
 * @property {string} code
 * @property {string} type
 * @property {string} location
 * @property {string} retry_after
 * @property {string} retry_after_ms
 * @property {(number | null)[]} failed by index: the entries of any kind that came before it failed;
 *   null for an answer that did not
 */

export {};
