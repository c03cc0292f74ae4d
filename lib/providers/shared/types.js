/**
 * Types of the provider interface. A provider turns requests into answers; the gateway schedules the
 * requests and forwards the answers. This file has no code.
 *
 * Rules for providers:
 * - Text is pulled. While `next()` is not called, it stops reading its upstream.
 * - `return()` on its iterator, or an abort of the signal, stops it at once and frees its
 *   resources.
 * - It yields whole characters; any division into chunks is fine, and each chunk counts as a token
 *   unless it reports its own usage.
 */

/**
 * @typedef {object} ProviderRequest
 * @property {string} id the job's id
 * @property {string} [prompt] one of this, `promptIds` and `messages` is set
 * @property {number[]} [promptIds] a prompt as token ids; only with the feature `token_prompts`
 * @property {import('./messages.js').ChatMessage[]} [messages] as the caller gave them, parts, calls
 *   and results of tools included
 * @property {string} model never empty: the provider's default is filled in
 * @property {number} [maxTokens]
 * @property {'max_tokens' | 'max_completion_tokens'} [limitName] the caller's name of that limit;
 *   default `max_tokens`
 * @property {number} [temperature]
 * @property {string[]} [stop] the text ends before the first of these strings
 * @property {number} [n] as the caller gave it
 * @property {object} [metadata] the job's own
 * @property {Record<string, any>} [body] the members of the upstream call's body that the gateway does
 *   not interpret, as the caller gave them: `tools`, `response_format`, `seed`, ...
 * @property {AbortSignal} signal aborted when this job is no longer needed
 */

/**
 * The end of a request. All members are optional: the default reason is "stop", and the gateway
 * counts usage that the provider does not report.
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

/**
 * A call for embeddings.
 * @typedef {object} EmbeddingCall
 * @property {string} model
 * @property {(string | number[])[]} inputs texts, or tokens
 * @property {Record<string, unknown>} body further members of the upstream's request
 */

/**
 * @typedef {object} EmbeddingAnswer
 * @property {(number[] | string)[]} embeddings in the order of the inputs; a string is base64 of
 *   float32 in little-endian order
 * @property {number} [promptTokens] default: estimated
 * @property {string} [model] default: the one asked for
 */

/** @typedef {import('../../internal/native/relay-types.js').RelayHub} RelayHub */

/**
 * @typedef {object} Provider
 * @property {string} name
 * @property {{id: string}[]} models the first is the default; empty: any model is passed on
 * @property {boolean} [takesAnyModel] true: a job may also name an unlisted model
 * @property {boolean} takesBatches whether a call takes several requests: generateBatch() (true) or
 *   generate() (false)
 * @property {boolean} enforcesMaxTokens false: the gateway ends the job at the maxTokens-th chunk
 * @property {readonly import('./features.js').Feature[]} [features] what it takes; a request that needs
 *   another feature is refused. Default: `tools`, `images`, `audio` and `files`
 * @property {(request: ProviderRequest, options: {signal: AbortSignal}) =>
 *   AsyncIterable<string, ProviderEnd | undefined | void>} [generate]
 * @property {(requests: ProviderRequest[], options: {signal: AbortSignal}) =>
 *   AsyncIterator<BatchEvent> & AsyncIterable<BatchEvent>} [generateBatch] the signal aborts
 *   when no request of the batch is needed any more
 * @property {(requests: ProviderRequest[], to: {hub: RelayHub, handles: number[],
 *   siblings: number[][], onError: (index: number, error: Error) => void}) => Promise<void>} [relay] if given, replaces the
 *   other two: the answers reach the jobs' logs without passing through JavaScript. The hub ends the
 *   jobs; `onError` is called for each failed one. Resolves after the last event of all of them
 * @property {(call: EmbeddingCall, options: {signal: AbortSignal}) => Promise<EmbeddingAnswer>} [embed]
 *   makes embeddings; a rejection with `retryable` is retried. Default: it makes none
 * @property {() => Promise<void>} [ready] does in advance the set-up of the first request;
 *   gateway.listen() awaits it, and rejects if it rejects
 * @property {() => Promise<void>} [close] ends running requests and frees all resources
 */

export {};
