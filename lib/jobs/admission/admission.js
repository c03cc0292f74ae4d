import { EventEmitter } from 'node:events';
import { HttpError } from '../../internal/util/http-error.js';
import { endpoints } from '../policy/config.js';
import { IdempotencyCache, checkIdempotencyKey } from './idempotency.js';
import { JobRecord } from '../job.js';
import { checkJobRequest } from '../request.js';
import { chooseModel } from './model-selection.js';
import { draining, overloaded } from '../errors.js';
import { planOf } from '../execution/cache-policy.js';
import { whenAborted } from '../../internal/util/abort.js';

/**
 * @typedef {object} Answer what a submission is answered with, and answered again under its key
 * @property {string} id
 * @property {number} createdAt Unix seconds
 * @property {import('../job.js').CacheResult} [cache] absent when its answer is not shared
 */

/**
 * @typedef {object} Submission
 * @property {Readonly<import('../policy/config.js').Access>} access whose job it is, and what they may
 * @property {string} [idempotencyKey]
 * @property {string} [cacheControl] a `Cache-Control` header
 * @property {string} [endpoint] by which it came; default that of jobs
 * @property {AbortSignal} [signal] gives up waiting for room; ignored with a key, whose outcome
 *   others may be waiting for
 */

/**
 * @typedef {object} ChildSubmission
 * @property {Submission['access']} access
 * @property {import('../job.js').Part} part
 * @property {AbortSignal} signal not aborted yet
 * @property {import('../rate-limits/reservations.js').Covered} covered what its work has reserved
 */

/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/**
 * Turns of conversations, as admission needs them.
 * @typedef {object} TurnsPort
 * @property {(record: JobRecord, signal?: AbortSignal) => Promise<import('../request.js').JobRequest>}
 *   begin resolves with the request for the provider, the history included
 * @property {(record: JobRecord) => void} rollback undoes `begin`
 */

/**
 * Credits of jobs, as admission needs them.
 * @typedef {object} BillingPort
 * @property {(request: import('../request.js').JobRequest, model: string) =>
 *   import('../request.js').JobRequest} bounded the request with a limit of tokens where it is priced
 * @property {(record: JobRecord, request: import('../request.js').JobRequest,
 *   access: Readonly<import('../policy/config.js').Access>,
 *   how?: {answer?: JobRecord, cached?: boolean}) => void} hold throws an HttpError 402
 * @property {(record: JobRecord) => void} releaseHold of a job that was not placed
 * @property {(record: JobRecord) => void} voidJob of a job that was placed and is refused after all
 */

/**
 * Events of admission: `admitted` for each job, `refused` for each valid request without a place.
 * @typedef {{admitted: [record: JobRecord], refused: [error: HttpError, record: JobRecord]}} Events
 */

/**
 * @typedef {object} AdmissionOptions
 * @property {import('../../providers/shared/types.js').Provider} provider
 * @property {number} admissionWaitMs how long a job waits for room in the queue
 * @property {{ttlMs: number, maxKeys: number}} idempotency
 * @property {import('../execution/cache-policy.js').CachePolicyOptions} cache
 */

/** @param {JobRecord} record @returns {Answer} */
function answerFor({ id, createdAtMs, cache }) {
  return { id, createdAt: Math.floor(createdAtMs / 1000), cache };
}

/**
 * From a request to a job in the queue, all or nothing. Main thread. `close()` ends it.
 *
 * Validates the request, answers known idempotency keys, resolves the model, reserves limits and
 * credit, takes a shared answer from the cache where the request permits one, and waits for room in
 * the queue otherwise. A refused request leaves no job and no reservation, and its key is free again.
 * @extends {EventEmitter<Events>}
 */
export class Admission extends EventEmitter {
  /** @type {IdempotencyCache<Answer>} */
  #answers;
  #cache;
  #cacheOptions;
  #reservations;
  #billing;
  #hub;
  #provider;
  #waitMs;
  #pipeline;
  #lifecycle;
  #store;
  #memory;
  #turns;
  #closed = false;
  #pending = 0;

  /**
   * @param {object} deps
   * @param {AdmissionOptions} deps.options
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../primitives/scheduling/pipeline.js').Pipeline<JobRecord>} deps.pipeline
   * @param {import('../execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../execution/answer-cache.js').AnswerCache} deps.cache
   * @param {import('../rate-limits/reservations.js').Reservations} deps.reservations
   * @param {BillingPort} deps.billing
   * @param {TurnsPort} deps.turns
   * @param {import('../storage/job-store.js').JobStore} [deps.store] default: jobs are in memory only
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default: none
   * @param {() => boolean} [deps.hasPrincipals] whether callers are told apart; default no
   */
  constructor(deps) {
    super();
    const { options, store } = deps;
    this.#answers = new IdempotencyCache({
      ...options.idempotency,
      hasPrincipals: deps.hasPrincipals,
      memory: deps.memory,
      nowMs: deps.nowMs,
      file: store,
    });
    this.#store = store;
    this.#memory = deps.memory;
    this.#turns = deps.turns;
    this.#lifecycle = deps.lifecycle;
    this.#cache = deps.cache;
    this.#cacheOptions = options.cache;
    this.#reservations = deps.reservations;
    this.#billing = deps.billing;
    this.#hub = deps.hub;
    this.#provider = options.provider;
    this.#waitMs = options.admissionWaitMs;
    this.#pipeline = deps.pipeline;
  }

  /** Bytes that the idempotency keys take. */
  get keyBytes() {
    return this.#answers.bytes;
  }

  /** Requests that are neither jobs yet nor refused. */
  get pending() {
    return this.#pending;
  }

  /** Refuses new jobs from now on; known keys are still answered. */
  close() {
    this.#closed = true;
  }

  /**
   * Erases the answers of idempotency keys.
   * @param {(key: {principal: string, jobId: string}) => boolean} matches
   * @returns {string[]} the names of the keys in the data file
   */
  forgetKeys(matches) {
    return this.#answers.erase(({ principal, answer }) => matches({ principal, jobId: answer.id }));
  }

  /**
   * @param {unknown} body parsed JSON
   * @param {Submission} submission
   * @returns {Promise<{answer: Answer, replayed: boolean, entries: QuotaEntry[]}>} `replayed`: the
   *   key was known; `entries`: what was reserved now, and what is left
   * @throws {HttpError}
   */
  async submit(body, submission) {
    const request = checkJobRequest(body);
    const { idempotencyKey, access } = submission;
    /** @type {QuotaEntry[]} */
    const entries = [];
    if (idempotencyKey === undefined) {
      const record = await this.#admit(request, submission, entries);
      return { answer: answerFor(record), replayed: false, entries };
    }
    const key = checkIdempotencyKey(idempotencyKey);
    const admit = async (/** @type {import('./idempotency.js').UsedKey} */ used) =>
      answerFor(await this.#admit(request, { ...submission, signal: undefined, used }, entries));
    const outcome = await this.#answers.answer(access.principal, key, body, admit);
    return { ...outcome, entries };
  }

  /**
   * A job that is part of a work, which was admitted itself: it waits for room until its signal is
   * aborted, comes in while the gateway drains, and has an answer of its own.
   * @param {unknown} body
   * @param {ChildSubmission} submission
   * @returns {Promise<JobRecord>}
   * @throws {HttpError}
   */
  submitChild(body, submission) {
    const endpoint = endpoints.workflows;
    return this.#admit(checkJobRequest(body), { ...submission, endpoint }, []);
  }

  /**
   * @param {import('../request.js').JobRequest} request
   * @param {Submission & {part?: import('../job.js').Part,
   *   covered?: import('../rate-limits/reservations.js').Covered,
   *   used?: import('./idempotency.js').UsedKey}} submission
   * @param {QuotaEntry[]} entries filled with what was reserved
   * @returns {Promise<JobRecord>}
   */
  async #admit(request, submission, entries) {
    const { access, part, used } = submission;
    const { principal } = access;
    const model = chooseModel(this.#provider, access, request.model);
    const record = new JobRecord({ principal, model, request, createdAtMs: Date.now() });
    record.part = part;
    if (used !== undefined) record.usedKey = { ...used, answer: () => answerFor(record) };
    this.#pending += 1;
    try {
      const alone = request.conversation_id === undefined;
      // What is no turn is placed before its submitter goes on.
      const whole = alone ? request : await this.#turns.begin(record, submission.signal);
      const place = () => this.#place(record, whole, submission, entries);
      await place().catch(async (error) => {
        if (error?.status !== 429 && error?.status !== 402) throw error;
        // A client may read its job's ending, written by the reactor, before this thread has
        // released the reservation of that job.
        await this.#hub.barrier();
        await place();
      });
      await this.#written(record);
    } catch (error) {
      this.#turns.rollback(record);
      if (error instanceof HttpError) this.emit('refused', error, record);
      throw error;
    } finally {
      this.#pending -= 1;
    }
    this.emit('admitted', record);
    return record;
  }

  /**
   * What is acknowledged is on the disk.
   * @param {JobRecord} record
   */
  async #written(record) {
    try {
      await record.written;
    } catch (/** @type {any} */ error) {
      this.#billing.voidJob(record);
      this.#lifecycle.rollbackJob(record, error);
      throw error;
    }
  }

  /**
   * @param {JobRecord} record
   * @param {import('../request.js').JobRequest} request its own
   * @param {Submission & {covered?: import('../rate-limits/reservations.js').Covered}} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<void>} resolves when the job exists
   */
  async #place(record, request, { access, cacheControl, signal, endpoint, covered }, entries) {
    const { model, part } = record;
    const ofPart = part !== undefined;
    if (this.#closed && !ofPart) throw draining();
    if (!ofPart) this.#store?.file.checkRoom();
    this.#memory?.check('jobs', access.principal);
    signal?.throwIfAborted();
    const plan = ofPart
      ? undefined
      : planOf(request, { model, access, cacheControl }, this.#cacheOptions);
    const whose = { access, model, endpoint: endpoint ?? endpoints.jobs };
    const how = { shared: plan !== undefined, patient: ofPart, covered };
    record.reservation = this.#reservations.forJob(request, whose, how);
    entries.push(...(record.reservation?.entries ?? []));
    // The provider is asked for no more than is held; limits and the cache go by what was asked.
    record.request = this.#billing.bounded(request, model);
    try {
      if (plan === undefined) {
        this.#billing.hold(record, request, access);
        await this.#enqueue(record, signal, () => this.#lifecycle.accept(record));
        return;
      }
      await this.#cache.serve(record, plan, {
        signal,
        reserve: (answer) => {
          answer.reservation = this.#reservations.forAnswer(request, whose, record.reservation);
          entries.push(...(answer.reservation?.entries ?? []));
          this.#billing.hold(record, request, access, { answer });
        },
        share: () => this.#billing.hold(record, request, access, { cached: true }),
        enqueue: (answer, onAccepted) => this.#enqueue(answer, undefined, onAccepted),
      });
    } catch (error) {
      record.reservation?.release();
      this.#billing.releaseHold(record);
      entries.length = 0;
      throw error;
    }
  }

  /**
   * Resolves when the record is in the queue.
   * @param {JobRecord} record
   * @param {AbortSignal | undefined} signal
   * @param {() => void} onAccepted called when it is in, before it is dispatched; not after the wait
   *   was given up
   */
  async #enqueue(record, signal, onAccepted) {
    const { abort, part } = record;
    // An accepted job is no longer stopped from here: it ends by its lifecycle.
    const giveUp = (/** @type {unknown} */ reason) => {
      if (!record.accepted) abort.abort(reason);
    };
    const timer =
      part === undefined ? setTimeout(() => giveUp(overloaded()), this.#waitMs) : undefined;
    const release = whenAborted(signal, () => giveUp(signal?.reason));
    try {
      await this.#pipeline.submit(record, {
        signal: abort.signal,
        // Room may have come after the wait was given up: the queue then drops the record.
        onAccepted: () => !abort.signal.aborted && onAccepted(),
      });
    } catch (/** @type {any} */ error) {
      throw error?.code === 'ERR_PIPELINE_CLOSED' ? draining() : error;
    } finally {
      clearTimeout(timer);
      release();
    }
    if (!record.accepted) abort.signal.throwIfAborted();
  }
}
