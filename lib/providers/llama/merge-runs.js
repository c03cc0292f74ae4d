import { linkSignals } from '../../internal/util/abort.js';

/** @typedef {import('../shared/types.js').ProviderRequest} ProviderRequest */
/** @typedef {import('../shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('../shared/types.js').BatchEvent} BatchEvent */
/** @typedef {import('../shared/types.js').AnswerPiece} AnswerPiece */
/** @typedef {AsyncGenerator<AnswerPiece, ProviderEnd | undefined, void>} Generation */

/** @param {BatchEvent} event */
const isLast = (event) => 'end' in event || 'error' in event;

/** @param {unknown} error */
const asError = (error) => (error instanceof Error ? error : new Error(String(error)));

/**
 * Merges several runs into the iterator that `generateBatch` returns. Main thread only; ends when
 * every run has ended, or at once on return() or an abort.
 *
 * Each run is the async generator of one request. The next piece of a run is requested only after
 * the consumer has taken the previous one, so a consumer that stops pulling stops all runs, one piece ahead.
 * @param {ProviderRequest[]} requests
 * @param {AbortSignal[]} signals each aborts the whole batch
 * @param {(request: ProviderRequest, signal: AbortSignal) => Generation} start creates one run; its
 *   signal aborts when its request, the batch or the iteration ends, and the run must then settle
 *   all its waits
 * @returns {AsyncIterator<BatchEvent> & AsyncIterable<BatchEvent>}
 */
export function mergeRuns(requests, signals, start) {
  return new MergedRuns(requests, signals, start);
}

/** @implements {AsyncIterator<BatchEvent>} */
class MergedRuns {
  /** @type {({generation: Generation, link: ReturnType<typeof linkSignals>} | undefined)[]} */
  #runs;
  /** Events not requested yet, at most one per run. @type {BatchEvent[]} */
  #ready = [];
  /** Runs whose text was taken, to pull at the next next(). @type {number[]} */
  #taken;
  /** Pending calls of next(). @type {((result: IteratorResult<BatchEvent>) => void)[]} */
  #waiters = [];
  #live;

  /**
   * @param {ProviderRequest[]} requests
   * @param {AbortSignal[]} signals
   * @param {(request: ProviderRequest, signal: AbortSignal) => Generation} start
   */
  constructor(requests, signals, start) {
    this.#live = requests.length;
    this.#runs = requests.map((request) => {
      const link = linkSignals([request.signal, ...signals]);
      return { generation: start(request, link.signal), link };
    });
    this.#taken = requests.map((_request, index) => index);
    this.#runs.forEach((run, index) => {
      const drop = () => this.#drop(index);
      if (run?.link.signal.aborted) drop();
      else run?.link.signal.addEventListener('abort', drop, { once: true });
    });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<BatchEvent>>} */
  next() {
    const taken = this.#taken;
    this.#taken = [];
    for (const index of taken) this.#pull(index);
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#hand();
    });
  }

  /**
   * Resolves when every run has freed its resources.
   * @returns {Promise<IteratorResult<BatchEvent>>}
   */
  async return() {
    const ends = this.#runs.map((run) => run?.generation.return(undefined));
    for (const run of this.#runs) run?.link.abort();
    await Promise.allSettled(ends);
    return { done: true, value: undefined };
  }

  /** @param {number} index */
  #pull(index) {
    const run = this.#runs[index];
    if (run === undefined) return;
    run.generation.next().then(
      ({ done, value }) => {
        if (this.#runs[index] === undefined) return;
        if (done) this.#finish({ index, end: value ?? {} });
        else this.#put({ index, ...(typeof value === 'string' ? { text: value } : value) });
      },
      (error) => {
        if (this.#runs[index] !== undefined) this.#finish({ index, error: asError(error) });
      },
    );
  }

  /** @param {BatchEvent} event */
  #put(event) {
    this.#ready.push(event);
    this.#hand();
  }

  /** @param {BatchEvent} event the last of its run */
  #finish(event) {
    this.#runs[event.index]?.link.unlink();
    this.#runs[event.index] = undefined;
    this.#live -= 1;
    this.#put(event);
  }

  /**
   * Ends a run that is no longer needed and drops its pending event; it emits nothing more.
   * @param {number} index
   */
  #drop(index) {
    const run = this.#runs[index];
    if (run === undefined) return;
    this.#runs[index] = undefined;
    this.#live -= 1;
    this.#ready = this.#ready.filter((event) => event.index !== index);
    // No reader is left to receive an error of its clean-up.
    run.generation.return(undefined).catch(() => {});
    this.#hand();
  }

  #hand() {
    while (this.#waiters.length > 0) {
      const event = this.#ready.shift();
      if (event === undefined && this.#live > 0) return;
      const waiter = this.#waiters.shift();
      if (event !== undefined && !isLast(event)) this.#taken.push(event.index);
      waiter?.(event ? { done: false, value: event } : { done: true, value: undefined });
    }
  }
}
