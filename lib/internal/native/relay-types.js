/**
 * The upstream calls of a hub for a provider, as types. The hub (lib/streams) and the providers share
 * them, without importing each other. This file has types only.
 */

/**
 * @typedef {object} RelayTarget
 * @property {number} idleMs longest silence of the upstream while there is room for its text
 * @property {number[]} jobs their handles, by the upstream's index of the answer; of one shard
 * @property {boolean} [oneAnswer] the jobs are the choices of one answer: they end together, the first
 *   of them last and with the usage of the call. Default false: they are separate answers
 * @property {string[]} [stops] the text of an answer ends before the first of these that is complete,
 *   even if the upstream continues
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
 * @property {(onDone: (outcome: RelayOutcome | null) => void) => void} whenDone calls back once, never at
 *   once, when no more of the jobs' events come from this call; with null if the hub was closed before. For
 *   one callback, which must not throw
 * @property {() => void} abort closes the connection: open answers fail
 */

/**
 * The outcome of a call; native/core/upstream/relay_outcome.h defines the values.
 * @typedef {object} RelayOutcome
 * @property {'none' | 'status' | 'content_type' | 'invalid' | 'reported' | 'incomplete' | 'stalled'
 *   | 'unreachable' | 'disconnected' | 'protocol' | 'encoding' | 'finish'
 *   | 'choices'} failure
 * @property {number} status
 * @property {boolean} body_whole
 * @property {string} text
 * @property {string} code
 * @property {string} type
 * @property {string} location
 * @property {string} retry_after
 * @property {string} retry_after_ms
 * @property {(number | null)[]} failed by index: the entries of any kind before the failure; null for
 *   an answer that did not fail
 */

/**
 * The end of a transfer: complete, a broken connection, invalid HTTP, or silence for `idleMs`.
 * @typedef {'whole' | 'broken' | 'protocol' | 'silent'} TransferEnd
 */

/**
 * The head of an answer: its status, and the relevant headers, as sent.
 * @typedef {{status: number, contentType?: string, retryAfter?: string, retryAfterMs?: string,
 *   location?: string, contentEncoding?: string}} AnswerHead
 */

/**
 * The input of a call that an HTTP client in JavaScript makes: the head, the body piece by piece, the
 * end. The client reads the next piece after the hub has consumed the previous one, so that time in
 * which the jobs have no room does not count as silence of the upstream.
 * @typedef {object} AnswerFeed
 * @property {boolean} over whether the hub accepts no more input: the client closes the connection, unless the
 *   body has ended
 * @property {(onOver: () => void) => void} whenOver calls back once when the call is over; immediately if
 *   it is
 * @property {(head: AnswerHead) => void} head
 * @property {(bytes: Uint8Array) => Promise<void> | undefined} bytes passes a piece on; await a returned promise
 *   before the next piece
 * @property {(kind: TransferEnd, name?: string) => void} end `name` of the error
 */

/**
 * The part of a hub that a provider uses.
 * @typedef {object} RelayHub
 * @property {boolean} makesCalls whether `relay` works; `relayFed` always does
 * @property {(handle: number) => number} shardOf shard of a job; the jobs of one call must have the same
 * @property {(request: RelayRequest) => RelayedCall} relay makes a call; its text goes to the jobs'
 *   logs
 * @property {(target: RelayTarget, feed: (answer: AnswerFeed) => void) => RelayedCall} relayFed the
 *   same for a call made by the caller; `feed` must not throw
 */

export {};
