/**
 * What a Pipeline takes and gives, and how it keeps a request, as types. This file has no code.
 */

/**
 * @typedef {object} PipelineOptions
 * @property {(batch: any[], options: {signal: AbortSignal}) => any} process takes a batch; returns
 *   (a promise of) an array with one result per request in the same order, or an async iterable of
 *   results: `{request_id, text}` and `{request_id, error}` in any order; one without an id is for
 *   the first request that has no result yet. In place of an object, a result may be a string or
 *   an Error, which fails that request alone. `signal` is aborted when the signals of all requests
 *   of the batch are
 * @property {number} [maxBatchSize] default 8
 * @property {number} [idleFlushMs] a batch leaves when no new request came for this long; default
 *   100
 * @property {number} [maxWaitMs] the longest that the first request of a batch waits for others;
 *   default Infinity
 * @property {number} [maxConcurrency] calls of `process` at once; default 5
 * @property {number} [incomingCapacity] requests; default 100
 * @property {number} [processingCapacity] batches; default 10
 * @property {number} [resultsCapacity] results waiting to be read; beyond it, finished batches keep
 *   their slot until the reader catches up; default 16384
 * @property {import('./retry-policy.js').RetryOptions} [retry]
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * @typedef {{request_id: any, text: string} & Record<string, any>} Success
 * @typedef {{request_id: any, error: any}} Failure
 */

/**
 * Counts as of now, except those of the native stages, which are as the reactor last left them.
 * @typedef {object} PipelineStats
 * @property {number} waiting requests in line for the incoming queue
 * @property {number} incoming requests in the incoming queue
 * @property {number} batching requests in the open batch
 * @property {number} processing requests in the processing queue
 * @property {number} processingBatches batches in the processing queue
 * @property {number} retrying requests waiting for their next attempt
 * @property {number} inFlight batches that hold a slot
 * @property {number} running requests in a call of `process`
 * @property {number} results results waiting to be read
 * @property {number} accepted requests accepted so far
 * @property {number} completed of these, how many gave a text
 * @property {number} failed and how many an error, aborts included
 */

/**
 * One request on its way.
 * @typedef {object} Entry
 * @property {number} item its number in the native pipeline
 * @property {any} request
 * @property {any} id
 * @property {number} attempt the current or next one, from 1
 * @property {AbortSignal | undefined} signal
 * @property {() => void} release takes it off the signal
 * @property {(() => void) | undefined} onAccepted
 * @property {(() => void) | undefined} onAbortRunning while in a call of `process`
 * @property {(value: {request_id: any}) => void} resolve of submit
 * @property {(error: unknown) => void} reject of submit
 */

export {};
