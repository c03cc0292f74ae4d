import native from '../../internal/native/addon.js';
import { EventKind, manualReactor, sharedReactor } from '../../internal/native/reactor.js';
import { whenAborted } from '../../internal/util/abort.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import { checkFunction, checkOptions, checkSignal } from '../../internal/util/validate.js';
import { checkPipelineOptions, identify } from './pipeline-options.js';
import { callProcess } from './process-call.js';
import { DirectSlots } from './direct-slots.js';
import { ResultQueue } from './result-queue.js';

/**
 * @import {Entry, EntryHandler, Failure, PipelineOptions, PipelineStats, RequestId, SubmitOptions,
 *   Success} from './pipeline-options.js'
 * @import {Outcome} from './process-call.js'
 */

/** Handler of a request without a waiting caller. */
const NOBODY = Object.freeze({ onAccepted() {}, onRefused() {}, onSettled() {} });

function closedError() {
  return new SluiceError('ERR_PIPELINE_CLOSED', 'The pipeline is closed; the request was refused');
}

/**
 * Accepts requests, calls `process` with batches of them, and returns results. A bounded incoming queue,
 * a debounce batcher, a bounded processing queue and a limit on concurrent calls each wait for the
 * next stage.
 *
 * Queues, batches, slots and timers are native and run on a reactor; JavaScript calls `process` and
 * keeps the promises. With batches of one and a free slot, a request without a reason to wait skips
 * the reactor: it is dispatched once the current callback has returned. Main thread only. Ends with `close()`;
 * pending requests keep the process alive.
 * @template {object | string} [Request=object | string]
 * @template {{text: string}} [Result={text: string}] what `process` gives for a request
 */
export class Pipeline {
  #native;
  #reactor;
  #machine;
  #process;
  #retry;
  #discard;
  #resultsCapacity;
  /** @type {ResultQueue<Success<Request, Result> | Failure<Request>>} */
  #results;
  /** @type {Map<number, Entry<Request, Result>>} */
  #entries = new Map();
  #lastItem = 0;
  #slots;
  #processOne;
  /** Entries in the native stages, including those whose dispatch is in transit. */
  #waiting = 0;
  /** Batches in a call of `process`, and direct batches about to begin one. */
  #inFlight = 0;
  /** Accepted or waiting requests; they keep the process alive. */
  #open = 0;
  #running = 0;
  #accepted = 0;
  #completed = 0;
  #failed = 0;
  /** @type {Promise<void> | undefined} */
  #closing;
  /** @type {() => void} */
  #onClosed = () => {};

  /**
   * @param {PipelineOptions<Request, Result>} options
   * @param {{processOne?: (request: Request) => Promise<unknown> | undefined}} [internal] `processOne`: like
   *   `process`, of a pipeline without results, for requests of `place` that are dispatched at once. Resolves with
   *   an error, or undefined
   */
  constructor(options, { processOne } = {}) {
    const { process, retry, discardResults, resultsCapacity, clock, stages } =
      checkPipelineOptions(options);
    this.#process = process;
    this.#retry = retry;
    this.#discard = discardResults;
    this.#resultsCapacity = resultsCapacity;
    this.#results = new ResultQueue(resultsCapacity);
    this.#reactor = clock === undefined ? sharedReactor() : manualReactor(clock);
    this.#machine = this.#reactor.register((kind, a, b) => this.#onEvent(kind, a, b));
    this.#native = new native.Pipeline(this.#reactor.native, this.#machine, stages);
    // Under a manual clock all effects happen in the order of the reactor.
    const isDirect = stages.maxBatchSize === 1 && clock === undefined;
    this.#slots = new DirectSlots(isDirect ? stages.maxConcurrency : 0, this.#native);
    this.#processOne = processOne;
  }

  /**
   * Submits a request, whose result appears in `results()`. An abort before the request is in a
   * call of `process` withdraws it, and its result is `{request_id, error}` with the signal's reason.
   * @param {Request} request `request_id` names its result; by default a unique one is generated, and
   *   for a plain object `process` gets a copy with it
   * @param {SubmitOptions} [options]
   * @returns {Promise<{request_id: RequestId<Request>}>} resolves when the request is in the incoming
   *   queue
   * @throws {SluiceError} ERR_PIPELINE_CLOSED
   * @throws the signal's reason, on an abort before the request is in the incoming queue
   */
  submit(request, options) {
    return new Promise((resolve, reject) => {
      const given = checkOptions('options', options, ['signal', 'onAccepted']);
      const { onAccepted } = given;
      const signal = checkSignal('signal', given.signal);
      if (onAccepted !== undefined) checkFunction('onAccepted', onAccepted);
      this.#enter(request, signal, {
        onAccepted: (id) => {
          onAccepted?.();
          resolve({ request_id: id });
        },
        onRefused: reject,
        onSettled: (result) => {
          if (!this.#discard) this.#results.push(result);
        },
      });
    });
  }

  /**
   * Fast path of `submit` for a request that need not wait. For a pipeline with `processOne`.
   * @param {Request} request with a `request_id`
   * @param {{signal: import('../../internal/util/abort.js').Abortable, onAccepted: () => void}} options
   * @returns {Promise<unknown> | undefined} undefined: it is accepted, and `processOne` gets it once the current
   *   callback has returned, unless the signal aborts before
   * @throws the errors of `onAccepted`
   */
  place(request, { signal, onAccepted }) {
    const isRefused = this.#closing !== undefined || signal.aborted;
    const batch = this.#processOne === undefined || isRefused ? undefined : this.#takeSlot();
    if (batch === undefined) {
      return this.submit(request, { signal: /** @type {any} */ (signal), onAccepted });
    }
    try {
      onAccepted();
    } catch (error) {
      this.#free(batch);
      throw error;
    }
    this.#accepted += 1;
    this.#begin();
    process.nextTick(this.#runOne, batch, request, signal);
    return undefined;
  }

  /** @type {(batch: number, request: Request, signal: import('../../internal/util/abort.js').Abortable) => void} */
  #runOne = (batch, request, signal) => {
    const isAborted = signal.aborted;
    const end = (/** @type {unknown} */ error) => this.#endOne(batch, request, signal, error);
    this.#running += 1;
    try {
      const call = isAborted ? undefined : this.#processOne?.(request);
      if (call === undefined) end(isAborted ? abortReason(signal) : undefined);
      else call.then(end, end);
    } catch (error) {
      end(error);
    }
  };

  /**
   * @param {number} batch
   * @param {Request} request
   * @param {import('../../internal/util/abort.js').Abortable} signal
   * @param {unknown} error undefined: none
   */
  #endOne(batch, request, signal, error) {
    this.#running -= 1;
    if (error === undefined) {
      this.#completed += 1;
      this.#end();
    } else this.#failOne(request, /** @type {any} */ (signal), error);
    this.#free(batch);
  }

  /**
   * Ends a request of `place`, or makes it wait for its next attempt like any other request.
   * @param {Request} request
   * @param {AbortSignal} signal
   * @param {unknown} error
   */
  #failOne(request, signal, error) {
    const entry = this.#entryFor(identify(request), signal, NOBODY);
    const final = this.#final(entry, { error });
    if (final === undefined) this.#retryLater([{ entry, error }]);
    else this.#settle(entry, final);
  }

  /**
   * Submits a request and waits for its result, which does not appear in `results()`.
   * @param {Request} request as in `submit`
   * @param {{signal?: AbortSignal}} [options] an abort rejects at once in any phase; a request in a
   *   call of `process` stays in that call
   * @returns {Promise<Success<Request, Result>>}
   * @throws {SluiceError} ERR_PIPELINE_CLOSED
   * @throws the signal's reason
   * @throws the request's error
   */
  async run(request, options) {
    const signal = checkSignal('signal', checkOptions('options', options, ['signal']).signal);
    return new Promise((resolve, reject) => {
      this.#enter(request, signal, {
        onAccepted: () => {},
        onRefused: reject,
        onAborted: reject,
        onSettled: (result, failed) => {
          if (failed) reject(/** @type {Failure<Request>} */ (result).error);
          else resolve(/** @type {Success<Request, Result>} */ (result));
        },
      });
    });
  }

  /**
   * The results of submitted requests, one each, in order of completion. Readers compete; leaving a
   * loop ends that reader only. Ends when the pipeline is closed and every result is read.
   *
   * The results must be read: see `resultsCapacity`, and `discardResults` and `run` for pipelines
   * without a reader.
   * @returns {AsyncIterableIterator<Success<Request, Result> | Failure<Request>>}
   */
  results() {
    return this.#results.iterate();
  }

  /**
   * Refuses new and not yet accepted requests, dispatches the open batch at once, and
   * waits for all accepted requests.
   * @returns {Promise<void>} the same promise every time
   */
  close() {
    this.#closing ??= new Promise((resolve) => {
      this.#onClosed = resolve;
      this.#reactor.ref();
      // The content of the stages bounds the number of further results, so close needs no reader.
      this.#results.unbound();
      this.#slots.count();
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
      inFlight: inFlight + this.#slots.uncounted,
      running: this.#running,
      blocked: this.#results.blocked,
      results: this.#results.size,
      resultsCapacity: this.#resultsCapacity,
      accepted: this.#accepted,
      completed: this.#completed,
      failed: this.#failed,
    };
  }

  /**
   * @param {Request} request
   * @param {AbortSignal | undefined} signal
   * @param {EntryHandler<Request, Result>} handler
   */
  #enter(request, signal, handler) {
    const identified = identify(request);
    if (this.#closing !== undefined) throw closedError();
    if (signal?.aborted) throw abortReason(signal);
    const entry = this.#entryFor(identified, signal, handler);
    this.#begin();
    const batch = this.#takeSlot();
    if (batch !== undefined) {
      process.nextTick(this.#runEntry, batch, entry);
      this.#accepted += 1;
      this.#onAccepted(entry);
      return;
    }
    this.#slots.count();
    this.#waiting += 1;
    this.#native.submit(entry.item);
    this.#reactor.settle();
  }

  /**
   * @param {{request: Request, id: RequestId<Request>}} identified
   * @param {AbortSignal | undefined} signal
   * @param {EntryHandler<Request, Result>} handler
   * @returns {Entry<Request, Result>} a new one
   */
  #entryFor({ request, id }, signal, handler) {
    const item = ++this.#lastItem;
    const release = signal?.aborted ? () => {} : whenAborted(signal, () => this.#onAbort(item));
    const entry = {
      item,
      request,
      id,
      attempt: 1,
      signal,
      release,
      onAbortRunning: undefined,
      handler,
    };
    this.#entries.set(item, entry);
    return entry;
  }

  /** Counts an open request. */
  #begin() {
    if (this.#open++ === 0) this.#reactor.ref();
  }

  /** Counts the end of such a request. */
  #end() {
    if (--this.#open === 0) this.#reactor.unref();
  }

  /** @param {number} batch of one request, whose slot is given back */
  #free(batch) {
    this.#inFlight -= 1;
    if (this.#slots.free(batch)) this.#reactor.settle();
  }

  /** Runs a request for which a slot is free. @type {(batch: number, entry: Entry<Request, Result>) => void} */
  #runEntry = (batch, entry) => {
    // The request is already counted.
    this.#inFlight -= 1;
    void this.#run(batch, [entry]);
  };

  /** @returns {number | undefined} a batch of one request that need not wait; undefined: it must wait */
  #takeSlot() {
    const batch = this.#waiting === 0 ? this.#slots.take(this.#inFlight) : undefined;
    if (batch !== undefined) this.#inFlight += 1;
    return batch;
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
        this.#waiting -= b.length;
        void this.#run(
          a,
          b.map((/** @type {number} */ item) => this.#entryOf(item)),
        );
        break;
      case EventKind.PIPELINE_REMOVED:
        this.#waiting -= 1;
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
    return /** @type {Entry<Request, Result>} */ (this.#entries.get(item));
  }

  /** @param {Entry<Request, Result>} entry */
  #onAccepted({ handler, id }) {
    try {
      handler.onAccepted(id);
    } catch (error) {
      handler.onRefused(error);
    }
  }

  /** @param {number} item */
  #onAbort(item) {
    const { handler, signal, onAbortRunning } = this.#entryOf(item);
    handler.onAborted?.(abortReason(/** @type {AbortSignal} */ (signal)));
    if (onAbortRunning !== undefined) {
      onAbortRunning();
      return;
    }
    this.#native.abort(item);
    this.#reactor.settle();
  }

  /**
   * @param {Entry<Request, Result>} entry
   * @param {boolean} wasAccepted
   */
  #onRemoved(entry, wasAccepted) {
    const { signal } = entry;
    const error = signal?.aborted ? abortReason(signal) : closedError();
    if (wasAccepted) {
      this.#settle(entry, { error });
    } else {
      this.#forget(entry);
      entry.handler.onRefused(error);
    }
  }

  /**
   * Calls `process` with one batch, and frees its slot when every request is settled.
   * @param {number} batch
   * @param {Entry<Request, Result>[]} dispatched
   */
  async #run(batch, dispatched) {
    this.#inFlight += 1;
    // A request aborted while its dispatch was in transit is not sent, too.
    const entries = dispatched.filter((entry) => !entry.signal?.aborted);
    for (const entry of dispatched) {
      if (entry.signal?.aborted) this.#settle(entry, { error: abortReason(entry.signal) });
    }
    if (entries.length > 0) await this.#callProcess(entries);
    this.#inFlight -= 1;
    if (this.#slots.free(batch)) this.#reactor.settle();
  }

  /** @param {Entry<Request, Result>[]} entries */
  async #callProcess(entries) {
    /** @type {AbortController | undefined} */
    let controller;
    const onAbortRunning = () => {
      if (entries.every((entry) => entry.signal?.aborted)) controller?.abort();
    };
    for (const entry of entries) entry.onAbortRunning = onAbortRunning;
    this.#running += entries.length;
    /** @type {{entry: Entry<Request, Result>, error: unknown}[]} */
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
   * The final outcome, or undefined if the request is retried.
   * @param {Entry<Request, Result>} entry
   * @param {Outcome} outcome
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
   * Requests that failed together are retried together, after one delay.
   * @param {{entry: Entry<Request, Result>, error: unknown}[]} retries
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
    // Before batchDone: otherwise a close in between would find all work done.
    if (items.length === 0) return;
    this.#slots.count();
    this.#waiting += items.length;
    this.#native.retry(items, delayMs);
  }

  /**
   * @param {Entry<Request, Result>} entry
   * @param {Outcome} outcome
   */
  #settle(entry, outcome) {
    this.#forget(entry);
    const failed = 'error' in outcome;
    if (failed) this.#failed += 1;
    else this.#completed += 1;
    const { id, handler } = entry;
    handler.onSettled(
      failed
        ? { request_id: id, error: outcome.error }
        : /** @type {any} fields of `process` */ (
            Object.assign(outcome.result, { request_id: id })
          ),
      failed,
    );
  }

  /** @param {Entry<Request, Result>} entry */
  #forget(entry) {
    entry.release();
    this.#entries.delete(entry.item);
    this.#end();
  }
}
