/**
 * The provider interface, as types. A provider turns requests into text; the gateway decides
 * when, and moves the text on. This file has no code.
 *
 * Rules a provider keeps:
 * - Text is pulled. While `next()` is not called, it stops reading its upstream.
 * - `return()` on its iterator, or an abort of the signal, means: stop now and free everything.
 * - It yields whole characters; any division into chunks is fine, and each chunk counts as a token
 *   unless it reports its own usage.
 */

/**
 * @typedef {object} ProviderRequest
 * @property {string} id the job's id
 * @property {string} [prompt] either this or `messages` is set
 * @property {{role: string, content: string}[]} [messages]
 * @property {string} model never empty: the provider's default is filled in
 * @property {number} [maxTokens]
 * @property {number} [temperature]
 * @property {string[]} [stop] the text ends before the first of these
 * @property {object} [metadata] the job's own, passed through
 * @property {AbortSignal} signal aborted when this one job is no longer wanted
 */

/**
 * How a request ended. Everything is optional: the default reason is "stop", and usage is counted
 * by the gateway when the provider does not know it.
 * @typedef {object} ProviderEnd
 * @property {'stop' | 'length'} [reason]
 * @property {{prompt_tokens: number, completion_tokens: number}} [usage]
 */

/**
 * One event of a batch; `index` counts into the array of requests. Every request gets one `end` or
 * `error`, unless its signal was aborted.
 * @typedef {{index: number, text: string, end?: undefined, error?: undefined}
 *   | {index: number, end: ProviderEnd, text?: undefined, error?: undefined}
 *   | {index: number, error: Error, text?: undefined, end?: undefined}} BatchEvent
 */

/** @typedef {import('../../internal/native/relay-types.js').RelayHub} RelayHub */

/**
 * @typedef {object} Provider
 * @property {string} name
 * @property {{id: string}[]} models the first is the default; empty: any model is passed on
 * @property {boolean} [takesAnyModel] true: a job may name a model that is not listed, too
 * @property {boolean} takesBatches whether a call takes several requests: generateBatch() (true) or
 *   generate() (false)
 * @property {boolean} enforcesMaxTokens false: the gateway ends the job at the maxTokens-th chunk
 * @property {(request: ProviderRequest, options: {signal: AbortSignal}) =>
 *   AsyncIterable<string, ProviderEnd | undefined | void>} [generate]
 * @property {(requests: ProviderRequest[], options: {signal: AbortSignal}) =>
 *   AsyncIterator<BatchEvent> & AsyncIterable<BatchEvent>} [generateBatch] the signal is aborted
 *   when no request of the batch is wanted any more
 * @property {(requests: ProviderRequest[], to: {hub: RelayHub, handles: number[],
 *   onError: (index: number, error: Error) => void}) => Promise<void>} [relay] if given, replaces the
 *   other two: has the answers written to the jobs' logs without passing through JavaScript. The hub
 *   ends the jobs; `onError` is called for those that failed. Resolves when no more of their events
 *   come from it
 * @property {() => Promise<void>} [ready] does beforehand what the first request would have to wait
 *   for; gateway.listen() awaits it, and fails as it does
 * @property {() => Promise<void>} [close] ends what still runs and frees everything
 */

export {};
