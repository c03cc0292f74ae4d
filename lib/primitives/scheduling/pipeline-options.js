/**
 * A Pipeline's options, checked, and the types of its requests and results.
 */
import { randomUUID } from 'node:crypto';
import { typeError } from '../../internal/util/errors.js';
import {
  checkBoolean,
  checkClock,
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';
import { RetryPolicy } from './retry-policy.js';

const OPTIONS = Object.freeze([
  'process',
  'maxBatchSize',
  'idleFlushMs',
  'maxWaitMs',
  'maxConcurrency',
  'incomingCapacity',
  'processingCapacity',
  'resultsCapacity',
  'discardResults',
  'retry',
  'clock',
]);

/**
 * The request's own `request_id`, or a generated string.
 * @template Request
 * @typedef {Request extends {request_id: infer Id} ? Id : string} RequestId
 */

/**
 * The result of `process` for one request. A string means `{text}`, an Error `{error}`.
 * @template Request
 * @template {{text: string}} Result
 * @typedef {string | Error | (Result & {request_id?: RequestId<Request>})
 *   | {error: unknown, request_id?: RequestId<Request>}} ProcessResult
 */

/**
 * @template {object | string} [Request=object | string]
 * @template {{text: string}} [Result={text: string}]
 * @typedef {object} PipelineOptions
 * @property {(batch: Request[], options: {signal: AbortSignal}) =>
 *   Awaitable<ProcessResult<Request, Result>[] | AsyncIterable<ProcessResult<Request, Result>>>
 *   } process takes a batch; returns (a promise of) an array with one result for each request, in the
 *   same order, or an async iterable of results in any order, in which a result without `request_id`
 *   belongs to the first request without a result. An Error, or an object with `error`, fails its
 *   request only. `signal` is aborted once the signals of all requests of the batch are
 * @property {number} [maxBatchSize] maximum requests in a batch; default 8
 * @property {number} [idleFlushMs] an open batch is dispatched after this time without a new request;
 *   default 100
 * @property {number} [maxWaitMs] longest wait of the first request of a batch for others;
 *   default Infinity
 * @property {number} [maxConcurrency] maximum concurrent calls of `process`; default 5
 * @property {number} [incomingCapacity] maximum requests in the incoming queue; default 100
 * @property {number} [processingCapacity] maximum batches in the processing queue; default 10
 * @property {number} [resultsCapacity] maximum unread results; default 16384. Beyond this, finished
 *   batches keep their slot until a reader of `results()` catches up: a pipeline whose results are
 *   never read stops, with the defaults about 200 requests later. `stats().blocked`
 *   counts these batches
 * @property {boolean} [discardResults] stores no results, for a pipeline whose `results()` is never
 *   read; default false. Failures are dropped too: handle them in `process` or watch `stats()`
 * @property {import('./retry-policy.js').RetryOptions<Request>} [retry]
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * @template T
 * @typedef {T | PromiseLike<T>} Awaitable
 */

/**
 * @template Request
 * @template {{text: string}} Result
 * @typedef {Result & {request_id: RequestId<Request>}} Success
 */
/**
 * @template Request
 * @typedef {{request_id: RequestId<Request>, error: unknown}} Failure
 */

/**
 * @typedef {object} SubmitOptions
 * @property {AbortSignal} [signal] withdraws the request until it is in a call of `process`
 * @property {() => void} [onAccepted] called when the request is in the incoming queue, always before
 *   `process` receives it
 */

/**
 * Current counts; those of the native stages include every event delivered so far.
 * @typedef {object} PipelineStats
 * @property {number} waiting requests that wait for the incoming queue
 * @property {number} incoming requests in the incoming queue
 * @property {number} batching requests in the open batch
 * @property {number} processing requests in the processing queue
 * @property {number} processingBatches batches in the processing queue
 * @property {number} retrying requests waiting for their next attempt
 * @property {number} inFlight batches that hold a slot
 * @property {number} running requests in a call of `process`
 * @property {number} blocked batches that hold a slot only because `results` is over
 *   `resultsCapacity`: the pipeline stops until results are read
 * @property {number} results results waiting to be read
 * @property {number} resultsCapacity
 * @property {number} accepted requests accepted so far
 * @property {number} completed accepted requests with a text
 * @property {number} failed accepted requests with an error, aborts included
 */

/**
 * One request in a pipeline.
 * @template Request
 * @template {{text: string}} Result
 * @typedef {object} Entry
 * @property {number} item its number in the native pipeline
 * @property {Request} request
 * @property {RequestId<Request>} id
 * @property {number} attempt the current or next one, from 1
 * @property {AbortSignal | undefined} signal
 * @property {() => void} release removes its listener from the signal
 * @property {(() => void) | undefined} onAbortRunning called on an abort during a call of `process`
 * @property {EntryHandler<Request, Result>} handler
 */
/**
 * Callbacks for a request's caller. `onSettled` is called once for an accepted request, and
 * `onRefused` once for any other.
 * @template Request
 * @template {{text: string}} Result
 * @typedef {object} EntryHandler
 * @property {(id: RequestId<Request>) => void} onAccepted
 * @property {(error: unknown) => void} onRefused
 * @property {(result: Success<Request, Result> | Failure<Request>, failed: boolean) => void} onSettled
 * @property {(reason: unknown) => void} [onAborted] on an abort in any phase
 */

/**
 * @template {object | string} Request
 * @template {{text: string}} Result
 * @param {PipelineOptions<Request, Result>} options
 */
export function checkPipelineOptions(options) {
  const given = checkOptions('options', options, OPTIONS);
  /** @type {PipelineOptions<Request, Result>['process']} */
  const process = checkFunction('process', given.process);
  /** @type {RetryPolicy<Request>} */
  const retry = new RetryPolicy(given.retry);
  return {
    process,
    retry,
    discardResults: checkBoolean('discardResults', given.discardResults, false),
    resultsCapacity: checkInteger('resultsCapacity', given.resultsCapacity, { fallback: 16384 }),
    clock: checkClock('clock', given.clock),
    stages: {
      maxBatchSize: checkInteger('maxBatchSize', given.maxBatchSize, { fallback: 8 }),
      idleFlushMs: checkMs('idleFlushMs', given.idleFlushMs, { fallback: 100 }),
      maxWaitMs: checkMs('maxWaitMs', given.maxWaitMs, { fallback: Infinity, infinite: true }),
      maxConcurrency: checkInteger('maxConcurrency', given.maxConcurrency, { fallback: 5 }),
      incomingCapacity: checkInteger('incomingCapacity', given.incomingCapacity, { fallback: 100 }),
      processingCapacity: checkInteger('processingCapacity', given.processingCapacity, {
        fallback: 10,
      }),
    },
  };
}

/**
 * The request passed to `process`. A request without an id gets one; a plain object is copied for this; other
 * objects are passed on unchanged.
 * @template {object | string} Request
 * @param {Request} request
 * @returns {{request: Request, id: RequestId<Request>}}
 */
export function identify(request) {
  /** @type {any} TypeScript cannot follow the conditional type of the id */
  const own = request;
  if (typeof own === 'string') return { request, id: /** @type {any} */ (randomUUID()) };
  if (typeof own !== 'object' || own === null || Array.isArray(own)) {
    throw typeError('request takes an object or a string');
  }
  if (own.request_id !== undefined) return { request: own, id: own.request_id };
  /** @type {any} */
  const id = randomUUID();
  const prototype = Object.getPrototypeOf(own);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return { request: plain ? { ...own, request_id: id } : own, id };
}
