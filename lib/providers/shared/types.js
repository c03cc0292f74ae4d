/**
 * Types of the provider interface. A provider turns requests into answers; the gateway schedules the
 * requests and forwards the answers..
 *
 * Rules for providers:
 * - Answers are pulled. While `next()` is not called, it stops reading its upstream.
 * - `return()` on its iterator, or an abort of the signal, stops it at once and frees its
 *   resources.
 * - Any division into pieces is fine, and each piece counts as a token unless it reports its own usage.
 */

/**
 * A piece of a call of a tool. The pieces of one call have the same `index`, or the same `id`; a piece
 * with neither and without a name continues the last call. Pieces of several calls may alternate: the
 * log gets one call after the other.
 * @typedef {object} CallPiece
 * @property {number} [index] from 0, one per call
 * @property {string} [id] default: made by the gateway
 * @property {string} [name] of the function; once per call
 * @property {string | object} [arguments] the next piece of the arguments' JSON, or all of them as an
 *   object; a call without any gets `{}`
 */

/**
 * A piece of an answer. A string is text. `logprobs` is any JSON of that text; `extra` has further
 * members of the answer, as `{images: [...]}`.
 * @typedef {string | {text: string, logprobs?: unknown} | {reasoning: string} | {refusal: string}
 *   | {tool_call: CallPiece} | {extra: Record<string, unknown>}} AnswerPiece
 */

/**
 * @typedef {object} ProviderRequest
 * @property {string} id the job's id
 * @property {string} [prompt] one of this, `promptIds` and `messages` is set
 * @property {number[]} [promptIds] a prompt as token ids; only with the feature `token_prompts`
 * @property {import('./messages.js').ChatMessage[]} [messages] as the caller gave them, parts, calls
 *   and results of tools included
 * @property {import('./messages.js').ChatMessage[]} [history] of a turn: those of `messages` that are
 *   earlier ones of its conversation
 * @property {string} model never empty: the provider's default is filled in
 * @property {number} [maxTokens]
 * @property {'max_tokens' | 'max_completion_tokens'} [limitName] the caller's name of that limit;
 *   default `max_tokens`
 * @property {number} [temperature]
 * @property {string[]} [stop] the text ends before the first of these strings
 * @property {number} [n] as the caller gave it
 * @property {object} [metadata] the job's own
 * @property {Record<string, unknown>} [body] the members of the upstream call's body that the gateway does
 *   not interpret, as the caller gave them: `tools`, `response_format`, `seed`, ... An integer that no
 *   number holds is an object: its `valueOf()` is the nearest number, its `toString()` has all digits
 * @property {AbortSignal} signal aborted when this job is no longer needed
 */

/**
 * The end of a request. All members are optional: the default reason is "stop", and the gateway
 * counts usage that the provider does not report.
 * @typedef {object} ProviderEnd
 * @property {'stop' | 'length' | 'tool_calls' | 'content_filter'} [reason] `stop` becomes `tool_calls`
 *   where the answer has calls
 * @property {string} [rawReason] the upstream's own finish reason
 * @property {string} [stopSequence] the stop string that ended the text
 * @property {{prompt_tokens: number, completion_tokens: number, [name: string]: unknown}} [usage] further
 *   members are passed on
 */

/**
 * One event of a batch: a piece of an answer, text as `{text}`, or its end; `index` counts into the
 * array of requests. Every request gets one `end` or `error`, unless its signal was aborted.
 * @typedef {{index: number} & (Exclude<AnswerPiece, string> | {end: ProviderEnd} | {error: Error})}
 *   BatchEvent
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
 * @typedef {object} ModelInfo
 * @property {string} id
 * @property {number} created Unix seconds; 0 if unknown
 * @property {string} [ownedBy] default: the provider's name
 */

/**
 * An upstream that did not list its models.
 * @typedef {object} UpstreamProblem
 * @property {string} upstream its name
 * @property {string} address its base URL
 * @property {'refused' | 'unreachable'} problem `refused`: the credentials
 * @property {string} detail a status or a system code; may be empty
 */

/**
 * @typedef {object} UpstreamFigures
 * @property {string} name
 * @property {number} calls
 * @property {number} inFlight
 * @property {boolean} open whether its circuit is open: it gets no calls
 * @property {ReadonlyMap<string, number>} failures by wire code
 */

/**
 * A failure as routing needs it; see `ProviderError`.
 * @typedef {object} CallFailure
 * @property {string} code on the wire
 * @property {boolean} passes whether another attempt may help
 * @property {number} [retryAfterMs]
 */

/**
 * One call of a job at one upstream. `end` is called once.
 * @typedef {object} RoutedCall
 * @property {string} upstream its name
 * @property {Provider} provider
 * @property {string} model the upstream's name of the model
 * @property {boolean} isTrial whether the upstream's circuit waits for the outcome
 * @property {() => void} onFirstEntry the upstream answers; later calls do nothing
 * @property {(outcome: 'answered' | 'abandoned' | CallFailure) => void} end `abandoned`: the job ended
 *   otherwise
 */

/**
 * The way of one job through upstreams. A round goes over all that may serve it, each once.
 * @typedef {object} Route
 * @property {() => void} beginRound
 * @property {(signal: AbortSignal, options: {again: boolean}) => Promise<RoutedCall | undefined>} next
 *   waits while every upstream that may serve the job is at its `max_concurrency`. `again`: also those
 *   that an earlier round has tried. undefined: none is left in this round, or the signal was aborted
 * @property {() => number} waitMs until one of the upstreams admits a call; 0: one does
 * @property {() => Error} unavailable the failure of a job that no upstream was free for
 */

/**
 * A call of an upstream as a trace sees it.
 * @typedef {object} CallReport
 * @property {Record<string, string>} headers that the call carries
 * @property {(error?: unknown, usage?: {prompt_tokens: number}) => void} end to be called once; `usage`: of
 *   embeddings
 */

/**
 * Reports the start of a call: of the requests with these indexes, at this URL, for this model of the
 * upstream. `provider`: its name; default: that of the provider which the requests were given to.
 * @typedef {(indexes: readonly number[], call: {url: string, model: string, provider?: string}) =>
 *   CallReport} OnCall
 */

/**
 * @typedef {object} Provider
 * @property {string} name
 * @property {{id: string}[]} models the first is the default; empty: any model is passed on
 * @property {boolean} [takesAnyModel] true: a job may also name an unlisted model
 * @property {boolean} takesBatches whether a call takes several requests: generateBatch() (true) or
 *   generate() (false)
 * @property {boolean} enforcesMaxTokens false: the gateway ends the job at the maxTokens-th piece
 * @property {readonly import('./features.js').Feature[]} [features] what it takes; a request that needs
 *   another feature is refused. Default: `tools`, `images`, `audio` and `files`
 * @property {boolean} [takesMessages] whether it takes requests of Anthropic's Messages API as they came,
 *   from the member `anthropic` of the body
 * @property {'chat' | 'text_completion'} [operation] for traces; default `chat`
 * @property {boolean} [reportsCalls] whether it calls `onCall` for each call of its upstream; otherwise an
 *   attempt counts as one call
 * @property {(request: ProviderRequest, options: {signal: AbortSignal, onCall?: OnCall}) =>
 *   AsyncIterable<AnswerPiece, ProviderEnd | undefined | void>} [generate]
 * @property {(requests: ProviderRequest[], options: {signal: AbortSignal}) =>
 *   AsyncIterator<BatchEvent> & AsyncIterable<BatchEvent>} [generateBatch] the signal aborts
 *   when no request of the batch is needed any more
 * @property {(requests: ProviderRequest[], to: {hub: RelayHub, handles: number[],
 *   siblings: number[][], onError: (index: number, error: Error) => void, onCall?: OnCall}) =>
 *   Promise<void>} [relay] if given, replaces the
 *   other two: the answers reach the jobs' logs without passing through JavaScript. The hub ends the
 *   jobs; `onError` is called for each failed one. Resolves after the last event of all of them
 * @property {(call: EmbeddingCall, options: {signal: AbortSignal, onCall?: OnCall}) =>
 *   Promise<EmbeddingAnswer>} [embed]
 *   makes embeddings; a rejection with `retryable` is retried. Default: it makes none
 * @property {(model: string) => Route} [route] if given, replaces all of the above: the calls of a job
 *   go to several providers
 * @property {(model: string) => boolean} [serves] whether a job may name this model; default: by
 *   `models` and `takesAnyModel`
 * @property {(model: string) => number} [unavailableMs] wait until a new job of this model can be
 *   served; 0: none
 * @property {() => Promise<readonly ModelInfo[]>} [listModels] the models for `/v1/models`; default:
 *   `models`. Never rejects
 * @property {() => Promise<UpstreamProblem[]>} [check] asks each upstream for its models
 * @property {number} [maxConcurrency] default of the gateway's option
 * @property {() => UpstreamFigures[]} [figures] of several upstreams, for metrics
 * @property {() => Promise<void>} [ready] does in advance the set-up of the first request;
 *   gateway.listen() awaits it, and rejects if it rejects
 * @property {() => Promise<void>} [close] ends running requests and frees all resources
 */

/**
 * Placeholder for the model of a request without one, if the provider lists no models: the
 * upstream's default. Jobs show this name; a provider that receives it sends no model upstream.
 */
export const UNNAMED_MODEL = 'default';
