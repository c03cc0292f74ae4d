/**
 * Requests in, batches to `process`, results out: a bounded incoming queue, a debounce batcher, a
 * processing queue and a fixed number of calls at once, each waiting for the next.
 *
 * Queues, batches, slots and timers are native and run on a reactor; this side calls `process`,
 * takes in what comes of it, and holds the promises. Main thread only. Ends with `close()`; work
 * under way keeps the process alive.
 */
import { randomUUID } from 'node:crypto';
import native from '../../internal/native/addon.js';
import { whenAborted } from '../../internal/util/abort.js';
import { callProcess } from './process-call.js';
import { SluiceError, abortReason, typeError } from '../../internal/util/errors.js';
import { EventKind, manualReactor, sharedReactor } from '../../internal/native/reactor.js';
import { ResultQueue } from './result-queue.js';
import { RetryPolicy } from './retry-policy.js';
import { kDiscardResults } from '../../internal/util/symbols.js';
import {
  checkClock,
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
  checkSignal,
} from '../../internal/util/validate.js';

/** @typedef {import('./pipeline-types.js').PipelineOptions} PipelineOptions */
/** @typedef {import('./pipeline-types.js').PipelineStats} PipelineStats */
/** @typedef {import('./pipeline-types.js').Success} Success */
/** @typedef {import('./pipeline-types.js').Failure} Failure */
/** @typedef {import('./pipeline-types.js').Entry} Entry */

/**
 * The request as `process` sees it. One without an id gets one, in a copy where that is possible
 * without changing what kind of object it is.
 * @param {unknown} request
 * @returns {{request: any, id: any}}
 */
function identify(request) {
  if (typeof request === 'string') return { request, id: randomUUID() };
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw typeError('request takes an object or a string');
  }
  const own = /** @type {any} */ (request);
  if (own.request_id !== undefined) return { request: own, id: own.request_id };
  const id = randomUUID();
  const prototype = Object.getPrototypeOf(own);
  const plain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return { request: plain ? { ...own, request_id: id } : own, id };
}

function closedError() {
  return new SluiceError('ERR_PIPELINE_CLOSED', 'The pipeline is closed; the request was refused');
}

/** See the head of this file. */
export class Pipeline {
  #native;
  #reactor;
  #machine;
  #process;
  #retry;
  #discard;
  /** @type {ResultQueue<Success | Failure>} */
  #results;
  /** @type {Map<number, Entry>} */
  #entries = new Map();
  #lastItem = 0;
  #running = 0;
  #accepted = 0;
  #completed = 0;
  #failed = 0;
  /** @type {Promise<void> | undefined} */
  #closing;
  /** @type {() => void} */
  #onClosed = () => {};

  /** @param {PipelineOptions} options */
  constructor(options) {
    const given = checkOptions('options', options);
    const clock = checkClock('clock', given.clock);
    /** @type {PipelineOptions['process']} */
    this.#process = checkFunction('process', given.process);
    this.#retry = new RetryPolicy(given.retry);
    this.#discard = /** @type {any} */ (given)[kDiscardResults] === true;
    this.#results = new ResultQueue(
      checkInteger('resultsCapacity', given.resultsCapacity, { fallback: 16384 }),
    );
    const limits = {
      maxBatchSize: checkInteger('maxBatchSize', given.maxBatchSize, { fallback: 8 }),
      idleFlushMs: checkMs('idleFlushMs', given.idleFlushMs, { fallback: 100 }),
      maxWaitMs: checkMs('maxWaitMs', given.maxWaitMs, { fallback: Infinity, infinite: true }),
      maxConcurrency: checkInteger('maxConcurrency', given.maxConcurrency, { fallback: 5 }),
      incomingCapacity: checkInteger('incomingCapacity', given.incomingCapacity, { fallback: 100 }),
      processingCapacity: checkInteger('processingCapacity', given.processingCapacity, {
        fallback: 10,
      }),
    };
    this.#reactor = clock === undefined ? sharedReactor() : manualReactor(clock);
    this.#machine = this.#reactor.register((kind, a, b) => this.#onEvent(kind, a, b));
    this.#native = new native.Pipeline(this.#reactor.native, this.#machine, limits);
  }

  /**
   * Hands in a request. The signal also works later: until the request is in a call of `process`
   * an abort takes it out, and its result is `{request_id, error}` with the signal's reason.
   * @param {object | string} request `request_id` names its result; without one a unique one is
   *   made up, and `process` sees it in a copy of a plain object (others are passed on as they are)
   * @param {{signal?: AbortSignal, onAccepted?: () => void}} [options] `onAccepted` is called when
   *   the request is in the incoming queue, always before `process` gets it
   * @returns {Promise<{request_id: any}>} resolves when the request is in the incoming queue
   * @throws {SluiceError} ERR_PIPELINE_CLOSED
   * @throws the signal's reason, when it is aborted before the request is in the incoming queue
   */
  async submit(request, options) {
    const identified = identify(request);
    const { onAccepted, ...given } = checkOptions('options', options);
    const signal = checkSignal('signal', given.signal);
    if (onAccepted !== undefined) checkFunction('onAccepted', onAccepted);
    if (this.#closing !== undefined) throw closedError();
    if (signal?.aborted) throw abortReason(signal);
    const item = ++this.#lastItem;
    return new Promise((resolve, reject) => {
      this.#entries.set(item, {
        item,
        ...identified,
        attempt: 1,
        signal,
        release: whenAborted(signal, () => this.#onAbort(item)),
        onAbortRunning: undefined,
        onAccepted,
        resolve,
        reject,
      });
      if (this.#entries.size === 1) this.#reactor.ref();
      this.#native.submit(item);
      this.#reactor.settle();
    });
  }

  /**
   * One result for each accepted request, in the order they come about. Readers compete; leaving a
   * loop frees that reader only. Ends when the pipeline is closed and every result is read.
   * @returns {AsyncIterableIterator<Success | Failure>}
   */
  results() {
    return this.#results.iterate();
  }

  /**
   * Refuses further requests and those still waiting to be accepted, sends the open batch off at
   * once, and waits for all accepted work.
   * @returns {Promise<void>} the same promise every time
   */
  close() {
    this.#closing ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      this.#reactor.ref();
      // From here on no more comes in than the stages hold: nobody must read for close to end.
      this.#results.unbound();
      this.#native.close();
    });
    this.#reactor.settle();
    return this.#closing;
  }

  /** @returns {PipelineStats} */
  stats() {
    const [waiting, incoming, batching, processing, processingBatches, retrying, inFlight] =
      /** @type {number[]} */ (this.#native.counts());
    return {
      waiting,
      incoming,
      batching,
      processing,
      processingBatches,
      retrying,
      inFlight,
      running: this.#running,
      results: this.#results.size,
      accepted: this.#accepted,
      completed: this.#completed,
      failed: this.#failed,
    };
  }

  /**
   * @param {number} kind
   * @param {any} a
   * @param {any} b
   */
  #onEvent(kind, a, b) {
    switch (kind) {
      case EventKind.PIPELINE_ACCEPTED:
        this.#accepted += 1;
        this.#onAccepted(this.#entryOf(a));
        break;
      case EventKind.PIPELINE_DISPATCH:
        void this.#run(
          a,
          b.map((/** @type {number} */ item) => this.#entryOf(item)),
        );
        break;
      case EventKind.PIPELINE_REMOVED:
        this.#onRemoved(this.#entryOf(a), b === 1);
        break;
      case EventKind.PIPELINE_CLOSED:
        this.#native.dispose();
        this.#reactor.unregister(this.#machine);
        this.#reactor.unref();
        this.#results.end();
        this.#onClosed();
        break;
    }
  }

  /** @param {number} item */
  #entryOf(item) {
    return /** @type {Entry} */ (this.#entries.get(item));
  }

  /** @param {Entry} entry */
  #onAccepted(entry) {
    try {
      entry.onAccepted?.();
      entry.resolve({ request_id: entry.id });
    } catch (error) {
      entry.reject(error);
    }
  }

  /** @param {number} item */
  #onAbort(item) {
    const { onAbortRunning } = this.#entryOf(item);
    if (onAbortRunning !== undefined) {
      onAbortRunning();
      return;
    }
    this.#native.abort(item);
    this.#reactor.settle();
  }

  /**
   * @param {Entry} entry
   * @param {boolean} wasAccepted
   */
  #onRemoved(entry, wasAccepted) {
    const { signal } = entry;
    const error = signal?.aborted ? abortReason(signal) : closedError();
    if (wasAccepted) {
      this.#settle(entry, { error });
    } else {
      this.#forget(entry);
      entry.reject(error);
    }
  }

  /**
   * Calls `process` with one batch and gives its slot back when all of it is settled.
   * @param {number} batch
   * @param {Entry[]} dispatched
   */
  async #run(batch, dispatched) {
    // An abort may have crossed the dispatch on its way: such a request is not sent either.
    const entries = dispatched.filter((entry) => !entry.signal?.aborted);
    for (const entry of dispatched) {
      if (entry.signal?.aborted) this.#settle(entry, { error: abortReason(entry.signal) });
    }
    if (entries.length > 0) await this.#callProcess(entries);
    this.#native.batchDone(batch);
    this.#reactor.settle();
  }

  /** @param {Entry[]} entries */
  async #callProcess(entries) {
    /** @type {AbortController | undefined} */
    let controller;
    const onAbortRunning = () => {
      if (entries.every((entry) => entry.signal?.aborted)) controller?.abort();
    };
    for (const entry of entries) entry.onAbortRunning = onAbortRunning;
    this.#running += entries.length;
    /** @type {{entry: Entry, error: unknown}[]} */
    const retries = [];
    await callProcess({
      process: this.#process,
      requests: entries.map((entry) => entry.request),
      ids: entries.map((entry) => entry.id),
      signal: () => {
        if (controller === undefined) {
          controller = new AbortController();
          onAbortRunning();
        }
        return controller.signal;
      },
      settle: (index, outcome) => {
        const entry = entries[index];
        this.#running -= 1;
        entry.onAbortRunning = undefined;
        const final = this.#final(entry, outcome);
        if (final === undefined) retries.push({ entry, error: /** @type {any} */ (outcome).error });
        else this.#settle(entry, final);
      },
      room: () => this.#results.room(),
    });
    if (retries.length > 0) this.#retryLater(retries);
  }

  /**
   * The outcome as it stands, or undefined when the request is to be tried again.
   * @param {Entry} entry
   * @param {import('./process-call.js').Outcome} outcome
   */
  #final(entry, outcome) {
    if (!('error' in outcome)) return outcome;
    if (entry.signal?.aborted) return outcome;
    try {
      return this.#retry.allows(entry.attempt, outcome.error) ? undefined : outcome;
    } catch (error) {
      return { error };
    }
  }

  /**
   * What failed together is tried again together, after one delay.
   * @param {{entry: Entry, error: unknown}[]} retries
   */
  #retryLater(retries) {
    const { attempt } = retries[0].entry;
    const errors = retries.map((each) => each.error);
    /** @type {number[]} */
    const items = [];
    let delayMs = 0;
    for (const { entry, error } of retries) {
      if (entry.signal?.aborted) {
        this.#settle(entry, { error: abortReason(entry.signal) });
        continue;
      }
      try {
        if (items.length === 0) delayMs = this.#retry.delayMs(attempt, errors);
        entry.attempt = attempt + 1;
        this.#retry.announce(entry.request, { attempt: attempt + 1, delayMs, error });
        items.push(entry.item);
      } catch (thrown) {
        this.#settle(entry, { error: thrown });
      }
    }
    // Before the batch is done, so that a close does not find all work done in between.
    if (items.length > 0) this.#native.retry(items, delayMs);
  }

  /**
   * @param {Entry} entry
   * @param {import('./process-call.js').Outcome} outcome
   */
  #settle(entry, outcome) {
    this.#forget(entry);
    if ('error' in outcome) this.#failed += 1;
    else this.#completed += 1;
    if (this.#discard) return;
    this.#results.push(
      'error' in outcome
        ? { request_id: entry.id, error: outcome.error }
        : Object.assign(outcome.result, { request_id: entry.id }),
    );
  }

  /** @param {Entry} entry */
  #forget(entry) {
    entry.release();
    this.#entries.delete(entry.item);
    if (this.#entries.size === 0) this.#reactor.unref();
  }
}
