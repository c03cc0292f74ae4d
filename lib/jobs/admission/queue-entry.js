import { draining, overloaded, upstreamsUnavailable } from '../errors.js';
import { planOf } from '../execution/cache-policy.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('./types.js').Submission} Submission */

/**
 * Moves a job into the queue: checks for room, then a shared answer or a place in the pipeline. Both
 * placements use it. Main thread. `close()` refuses all jobs except child jobs.
 */
export class QueueEntry {
  #provider;
  #waitMs;
  #cacheOptions;
  #pipeline;
  #lifecycle;
  #cache;
  #store;
  #memory;
  #closed = false;

  /** @param {import('./types.js').AdmissionDeps} deps */
  constructor({ options, pipeline, lifecycle, cache, store, memory }) {
    this.#provider = options.provider;
    this.#waitMs = options.admissionWaitMs;
    this.#cacheOptions = options.cache;
    this.#pipeline = pipeline;
    this.#lifecycle = lifecycle;
    this.#cache = cache;
    this.#store = store;
    this.#memory = memory;
  }

  /** Whether new jobs are refused. */
  get closed() {
    return this.#closed;
  }

  close() {
    this.#closed = true;
  }

  /**
   * @param {import('../execution/cache-policy.js').CachePlan | undefined} plan
   * @returns {boolean} whether a job of this plan begins an answer that others may share
   */
  begins(plan) {
    return plan !== undefined && this.#cache.begins(plan);
  }

  /**
   * @param {JobRecord} record
   * @param {Pick<Submission, 'access' | 'signal'>} submission
   * @throws {import('../../internal/util/http-error.js').HttpError} if this process accepts no job now
   */
  checkRoom({ part }, { access, signal }) {
    const ofPart = part !== undefined;
    if (this.#closed && !ofPart) throw draining();
    if (!ofPart) this.#store?.file.checkRoom();
    this.#memory?.check('jobs', access.principal);
    signal?.throwIfAborted();
  }

  /**
   * @param {JobRecord} record
   * @param {CheckedRequest} request its own
   * @param {Pick<Submission, 'access' | 'cacheControl'>} submission
   */
  planOf({ model, part }, request, { access, cacheControl }) {
    // An answer that jobs share has one choice.
    if (part !== undefined || (request.n ?? 1) > 1) return undefined;
    return planOf(request, { model, access, cacheControl }, this.#cacheOptions);
  }

  /**
   * Queues a job, or the answer that it begins, or lets it share an answer.
   * @param {JobRecord} record
   * @param {import('../execution/cache-policy.js').CachePlan | undefined} plan
   * @param {import('../../internal/util/abort.js').Abortable | undefined} signal
   * @param {object} take each reserves the resources of such a job; throws if refused
   * @param {() => void} take.alone the job has its own answer
   * @param {(answer: import('../execution/shared-answer.js').SharedAnswer) => void} take.reserve
   * @param {() => void} take.share
   * @returns {Promise<void> | undefined} resolves when the job exists; undefined: it already exists
   */
  enter(record, plan, signal, { alone, reserve, share }) {
    if (plan === undefined) {
      alone();
      return this.enqueue(record, signal, () => this.#lifecycle.accept(record));
    }
    const enqueue = async (/** @type {JobRecord} */ answer, /** @type {() => void} */ onAccepted) =>
      this.enqueue(answer, undefined, onAccepted);
    return this.#cache.serve(record, plan, { signal, reserve, share, enqueue });
  }

  /**
   * Resolves when the record is in the queue.
   * @param {JobRecord} record
   * @param {import('../../internal/util/abort.js').Abortable | undefined} signal
   * @param {() => void} onAccepted called once it is queued, before dispatch; not called after the
   *   wait was aborted
   * @returns {Promise<void> | undefined} resolves when the record is in the queue; undefined: it already is
   */
  enqueue(record, signal, onAccepted) {
    const { abort, part } = record;
    // A child job waits, and its workflow decides on retries.
    const waitMs = part === undefined ? (this.#provider.unavailableMs?.(record.model) ?? 0) : 0;
    if (waitMs > 0) throw upstreamsUnavailable(waitMs);
    let isQueued = false;
    const queued = this.#pipeline.place(record, {
      signal: abort,
      onAccepted: () => {
        // Room may become free after the wait was aborted: the queue then drops the record.
        if (abort.aborted) return;
        onAccepted();
        isQueued = true;
      },
    });
    if (isQueued && record.accepted) return undefined;
    return this.#whenQueued(record, signal, Promise.resolve(queued));
  }

  /**
   * @param {JobRecord} record
   * @param {import('../../internal/util/abort.js').Abortable | undefined} signal
   * @param {Promise<unknown>} queued
   */
  async #whenQueued(record, signal, queued) {
    const { abort, part } = record;
    // From here on only the lifecycle ends an accepted job; this signal no longer does.
    const giveUp = (/** @type {unknown} */ reason) => {
      if (!record.accepted) abort.abort(reason);
    };
    const waits = part === undefined && !record.accepted;
    const timer = waits ? setTimeout(() => giveUp(overloaded()), this.#waitMs) : undefined;
    const release = whenAborted(signal, () => giveUp(signal?.reason));
    try {
      await queued;
    } catch (/** @type {any} */ error) {
      throw error?.code === 'ERR_PIPELINE_CLOSED' ? draining() : error;
    } finally {
      clearTimeout(timer);
      release();
    }
    if (!record.accepted) abort.throwIfAborted();
  }
}
