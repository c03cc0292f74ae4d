/**
 * Admission: from a request to a job in the queue, all or nothing. Main thread.
 *
 * Validates, answers known idempotency keys, resolves the model, reserves what the limits ask for, has
 * the cache answer what may be shared, and waits for room for the rest. What is refused leaves nothing
 * behind: no job, nothing reserved, and its key is free again.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { endpoints } from '../policy/config.js';
import { IdempotencyCache, checkIdempotencyKey } from './idempotency.js';
import { JobRecord } from '../job-table.js';
import { checkJobRequest } from '../request.js';
import { chooseModel } from './model-selection.js';
import { draining, overloaded } from '../errors.js';
import { planOf } from '../execution/cache-policy.js';
import { whenAborted } from '../../internal/util/abort.js';

/**
 * @typedef {object} Answer what a submission is answered with, and answered again under its key
 * @property {string} id
 * @property {number} createdAt Unix seconds
 * @property {import('../execution/answer-cache.js').CacheResult} [cache] absent when its answer is not shared
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
 * @typedef {object} PartSubmission
 * @property {Submission['access']} access
 * @property {import('../job-table.js').Part} part
 * @property {AbortSignal} signal not aborted yet
 * @property {import('../rate-limits/reservations.js').Covered} covered what its work has reserved
 */

/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/** @param {JobRecord} record @returns {Answer} */
function answerFor({ id, createdAtMs, cache }) {
  return { id, createdAt: Math.floor(createdAtMs / 1000), cache };
}

/** See the head of this file. */
export class Admission {
  /** @type {IdempotencyCache<Answer>} */
  #answers;
  #cache;
  #cacheOptions;
  #reservations;
  #credits;
  #told;
  #provider;
  #waitMs;
  #pipeline;
  #activate;
  #onAdmitted;
  #onRefused;
  #store;
  #discard;
  #turns;
  #closed = false;
  #pending = 0;

  /**
   * @param {object} parts
   * @param {import('../../gateway/options.js').CheckedGatewayOptions} parts.options
   * @param {() => number} parts.nowMs
   * @param {import('../../primitives/scheduling/pipeline.js').Pipeline} parts.pipeline
   * @param {import('../execution/answer-cache.js').AnswerCache} parts.cache
   * @param {import('../rate-limits/reservations.js').Reservations} parts.reservations
   * @param {import('../../services/billing/job-billing.js').JobCredits} parts.credits
   * @param {() => Promise<unknown>} parts.told resolves when all endings so far have been heard of
   * @param {(record: JobRecord) => void} parts.activate called when a job is in the queue
   * @param {(record: JobRecord) => void} parts.onAdmitted called when a job exists
   * @param {(error: HttpError, record: JobRecord) => void} parts.onRefused called for a valid
   *   request without a place
   * @param {import('../storage/job-store.js').JobStore} [parts.store] where jobs are written down
   * @param {(record: JobRecord, error: HttpError) => void} parts.discard undoes a job that could
   *   not be
   * @param {import('../../services/conversations/turns.js').Turns} parts.turns
   */
  constructor(parts) {
    const { options, nowMs, pipeline, cache, reservations, credits, told } = parts;
    const { activate, onAdmitted, onRefused, store, discard, turns } = parts;
    this.#answers = new IdempotencyCache({ ...options.idempotency, nowMs, file: store });
    this.#store = store;
    this.#discard = discard;
    this.#turns = turns;
    this.#cache = cache;
    this.#cacheOptions = options.cache;
    this.#reservations = reservations;
    this.#credits = credits;
    this.#told = told;
    this.#provider = options.provider;
    this.#waitMs = options.admissionWaitMs;
    this.#pipeline = pipeline;
    this.#activate = activate;
    this.#onAdmitted = onAdmitted;
    this.#onRefused = onRefused;
  }

  /** Requests that are neither jobs yet nor refused. */
  get pending() {
    return this.#pending;
  }

  /** From now on nothing is admitted; known keys are answered still. */
  close() {
    this.#closed = true;
    this.#turns.close();
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
   * @param {PartSubmission} submission
   * @returns {Promise<JobRecord>}
   * @throws {HttpError}
   */
  submitPart(body, submission) {
    const endpoint = endpoints.workflows;
    return this.#admit(checkJobRequest(body), { ...submission, endpoint }, []);
  }

  /**
   * @param {import('../request.js').JobRequest} request
   * @param {Submission & {part?: import('../job-table.js').Part,
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
        // A client may hear of its job's end, from the reactor, before this thread does: what that
        // one held is free again.
        await this.#told();
        await place();
      });
      await this.#written(record);
    } catch (error) {
      this.#turns.release(record);
      if (error instanceof HttpError) this.#onRefused(error, record);
      throw error;
    } finally {
      this.#pending -= 1;
    }
    this.#onAdmitted(record);
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
      this.#credits.release(record);
      this.#discard(record, error);
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
    if (!ofPart) this.#store?.checkRoom();
    signal?.throwIfAborted();
    const plan = ofPart
      ? undefined
      : planOf(request, { model, access, cacheControl }, this.#cacheOptions);
    const whose = { access, model, endpoint: endpoint ?? endpoints.jobs };
    const how = { shared: plan !== undefined, patient: ofPart, covered };
    record.reservation = this.#reservations.forJob(request, whose, how);
    entries.push(...(record.reservation?.entries ?? []));
    // The provider is asked for no more than is held; limits and the cache go by what was asked.
    record.request = this.#credits.bounded(request, model);
    try {
      if (plan === undefined) {
        this.#credits.hold(record, request, access);
        await this.#wait(record, signal);
        this.#activate(record);
        return;
      }
      await this.#cache.serve(record, plan, {
        signal,
        reserve: (answer) => {
          answer.reservation = this.#reservations.forAnswer(request, whose, record.reservation);
          entries.push(...(answer.reservation?.entries ?? []));
          this.#credits.hold(record, request, access, { answer });
        },
        share: () => this.#credits.hold(record, request, access, { cached: true }),
        enqueue: (answer) => this.#wait(answer),
      });
    } catch (error) {
      record.reservation?.release();
      this.#credits.retract(record);
      entries.length = 0;
      throw error;
    }
  }

  /**
   * Resolves when the record is in the queue.
   * @param {JobRecord} record
   * @param {AbortSignal} [signal]
   */
  async #wait(record, signal) {
    const { abort, part } = record;
    // A job that has been dispatched exists, and ends as all do: it is not to be stopped from here.
    const giveUp = (/** @type {unknown} */ reason) => {
      if (record.handle === 0) abort.abort(reason);
    };
    const timer =
      part === undefined ? setTimeout(() => giveUp(overloaded()), this.#waitMs) : undefined;
    const release = whenAborted(signal, () => giveUp(signal?.reason));
    try {
      await this.#pipeline.submit(record, { signal: abort.signal });
    } catch (/** @type {any} */ error) {
      throw error?.code === 'ERR_PIPELINE_CLOSED' ? draining() : error;
    } finally {
      clearTimeout(timer);
      release();
    }
    // Room came in the same moment as the end of patience, and that was told first.
    if (record.handle === 0) abort.signal.throwIfAborted();
  }
}
