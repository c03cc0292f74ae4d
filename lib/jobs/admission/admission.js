import { EventEmitter } from 'node:events';
import { HttpError } from '../../internal/util/http-error.js';
import { endpoints } from '../policy/config.js';
import { IdempotencyCache, checkIdempotencyKey } from './idempotency.js';
import { JobRecord } from '../job.js';
import { checkFeatures } from './features.js';
import { checkJobRequest } from '../request.js';
import { chooseModel } from './model-selection.js';
import { LocalPlacement } from './local-placement.js';
import { QueueEntry } from './queue-entry.js';
import { SharedPlacement } from './shared-placement.js';
import { jobNotFound } from '../errors.js';
import { fromInterpreted, fromJobRequest } from '../checked-request.js';
import { whenReady } from '../../internal/util/when-ready.js';

/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./types.js').AdmissionDeps} AdmissionDeps */
/** @typedef {import('./types.js').Answer} Answer */
/** @typedef {import('./types.js').ChildSubmission} ChildSubmission */
/** @typedef {import('./types.js').InterpretedSubmission} InterpretedSubmission */
/** @typedef {import('./types.js').Admitted} Admitted */
/** @typedef {import('./types.js').Outcome} Outcome */
/** @typedef {import('./types.js').Submission} Submission */
/** @typedef {import('./types.js').OwnSubmission} OwnSubmission */
/** @typedef {import('./types.js').SubmittedJob} SubmittedJob */

/**
 * Events of admission: `admitted` for each job, `refused` for each valid request without a place.
 * @typedef {{admitted: [record: JobRecord], refused: [error: HttpError, record: JobRecord]}} Events
 */

/** @param {JobRecord} record @returns {Answer} */
function answerFor({ id, createdAtMs, cache }) {
  return { id, createdAt: Math.floor(createdAtMs / 1000), cache };
}

/**
 * Turns a request into a queued job, all or nothing. Main thread. `close()` ends it.
 *
 * Validates the request, answers known idempotency keys, resolves the model, reserves limits and
 * credit, takes a shared answer from the cache if the request permits one, and otherwise waits for
 * room in the queue. A refused request leaves no job and no reservation, and its key is released.
 * @extends {EventEmitter<Events>}
 */
export class Admission extends EventEmitter {
  /** @type {IdempotencyCache<Answer>} */
  #answers;
  #entry;
  #local;
  #deployed;
  #shared;
  #billing;
  #provider;
  #lifecycle;
  #directory;
  #turns;
  #webhookOf;
  #context;
  #nowMs;
  #pending = 0;

  /** @param {AdmissionDeps} deps */
  constructor(deps) {
    super();
    const { options, store, deployment } = deps;
    this.#answers = new IdempotencyCache({
      ...options.idempotency,
      hasPrincipals: deps.hasPrincipals,
      memory: deps.memory,
      nowMs: deps.nowMs,
      file: store,
      kept: deployment === undefined,
      find: deployment && ((used) => deployment.shared.known(used)),
    });
    this.#entry = new QueueEntry(deps);
    this.#local = new LocalPlacement(this.#entry, deps);
    this.#deployed = deployment && new SharedPlacement(this.#entry, deps, deployment);
    this.#shared = deployment?.shared;
    this.#nowMs = deps.nowMs;
    this.#directory = deps.directory;
    this.#turns = deps.turns;
    this.#webhookOf = deps.webhookOf;
    this.#context = deps.context;
    this.#lifecycle = deps.lifecycle;
    this.#billing = deps.billing;
    this.#provider = options.provider;
  }

  /** Bytes held by the idempotency keys. */
  get keyBytes() {
    return this.#answers.bytes;
  }

  /** Number of undecided requests. */
  get pending() {
    return this.#pending;
  }

  /** Refuses new jobs; known keys are still answered. */
  close() {
    this.#entry.close();
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
   * @returns {Promise<SubmittedJob>}
   * @throws {HttpError}
   */
  async submit(body, submission) {
    return this.admit(body, submission);
  }

  /**
   * Like `submit`, which always returns a promise.
   * @param {unknown} body parsed JSON
   * @param {Submission} submission
   * @returns {SubmittedJob | Promise<SubmittedJob>} a promise only if it must wait
   * @throws {HttpError}
   */
  admit(body, submission) {
    return this.#once(fromJobRequest(checkJobRequest(body)), submission, body);
  }

  /**
   * Submits a request that a route has divided into interpreted members and members for the
   * upstream.
   * @param {InterpretedSubmission} submission
   * @returns {Promise<Outcome>}
   * @throws {HttpError} 404 `job_not_found` if the job of a known key no longer exists
   */
  async submitInterpreted({ request, passed, options, fingerprint, ...submission }) {
    const checked = fromInterpreted({ request, passed, options });
    const outcome = await this.#once(checked, submission, fingerprint);
    const { answer, replayed, entries } = outcome;
    const { principal } = submission.access;
    const record = outcome.record ?? (await this.#directory.find(answer.id, principal));
    if (record === undefined) throw jobNotFound('Idempotency-Key');
    return { record, replayed, entries };
  }

  /**
   * @param {CheckedRequest} request
   * @param {Submission} submission
   * @param {unknown} fingerprint plain JSON; repeated requests with the same key must have an equal one
   * @returns {SubmittedJob | Promise<SubmittedJob>}
   */
  #once(request, submission, fingerprint) {
    const { idempotencyKey, access } = submission;
    /** @type {QuotaEntry[]} */
    const entries = [];
    if (idempotencyKey === undefined) {
      return whenReady(this.#make(request, submission, entries), ({ record }) => {
        return { answer: answerFor(record), record, replayed: false, entries };
      });
    }
    const key = checkIdempotencyKey(idempotencyKey);
    /** @type {Admitted | undefined} */
    let made;
    /** @type {Answer | undefined} */
    let earlier;
    const make = (/** @type {import('./idempotency.js').UsedKey} */ used) => {
      // A turn may have to wait for the turn of the job with this same key.
      const looksFirst = this.#entry.closed || request.conversation_id !== undefined;
      return whenReady(looksFirst ? this.#shared?.known(used) : undefined, (found) => {
        earlier = found;
        if (found !== undefined) return found;
        const own = { ...submission, signal: undefined, used };
        return whenReady(this.#make(request, own, entries), (admitted) => {
          made = admitted;
          return admitted.known ?? answerFor(admitted.record);
        });
      });
    };
    const outcome = this.#answers.take(access.principal, key, fingerprint, make);
    return whenReady(outcome, ({ answer, replayed }) => {
      const isKnown = earlier !== undefined || made?.known !== undefined;
      return {
        answer,
        record: isKnown ? undefined : made?.record,
        replayed: replayed || isKnown,
        entries,
      };
    });
  }

  /**
   * Withdraws a job whose request is refused after its admission: no job and no charge remain, and
   * its key is released.
   * @param {JobRecord} record that this request made
   * @param {HttpError} error the refusal
   */
  takeBack(record, error) {
    if (record.usedKey !== undefined) this.#answers.release(record.usedKey.name);
    this.#billing.voidJob(record);
    this.#lifecycle.rollbackJob(record, error);
    void this.#shared?.retract(record);
  }

  /**
   * Submits a child job of an admitted operation. It waits for room until its signal aborts, is
   * admitted even while the gateway drains, and does not share answers.
   * @param {unknown} body
   * @param {ChildSubmission} submission
   * @returns {Promise<JobRecord>}
   * @throws {HttpError}
   */
  async submitChild(body, submission) {
    const endpoint = endpoints.workflows;
    const request = fromJobRequest(checkJobRequest(body));
    const { record } = await this.#make(request, { ...submission, endpoint }, []);
    return record;
  }

  /**
   * Creates the job of a request, and finds a place for it.
   * @param {CheckedRequest} request
   * @param {OwnSubmission} submission
   * @param {QuotaEntry[]} entries receives the reserved amounts
   * @returns {Admitted | Promise<Admitted>} a promise only if it must wait
   */
  #make(request, submission, entries) {
    const record = this.#recordOf(request, submission);
    this.#pending += 1;
    let placing;
    try {
      placing = this.#placed(record, request, submission, entries);
    } catch (error) {
      throw this.#refused(record, error);
    }
    if (placing === undefined) return this.#admitted(record);
    return placing.then(
      (known) => this.#admitted(record, known || undefined),
      (error) => {
        throw this.#refused(record, error);
      },
    );
  }

  /**
   * @param {CheckedRequest} request
   * @param {OwnSubmission} submission
   * @returns {JobRecord} without a place
   */
  #recordOf(request, { access, part, used, face, near }) {
    const { principal } = access;
    const model = chooseModel(this.#provider, access, request.model);
    checkFeatures(this.#provider, request);
    const webhook = this.#webhookOf(request, face === undefined ? '' : 'sluice.');
    const record = new JobRecord({ principal, model, request, createdAtMs: Date.now() });
    record.submittedMs = this.#nowMs();
    record.trace = this.#context?.();
    record.part = part;
    record.near = near;
    if (face !== undefined) record.extra = { face };
    if (webhook !== undefined) record.extra = { ...record.extra, webhook };
    if (used !== undefined) record.usedKey = { ...used, answer: () => answerFor(record) };
    return record;
  }

  /**
   * @param {JobRecord} record
   * @param {Answer} [known] answer of its key, if another request created the job
   * @returns {Admitted}
   */
  #admitted(record, known) {
    this.#pending -= 1;
    if (known !== undefined) return { record, known };
    this.emit('admitted', record);
    return { record };
  }

  /**
   * @param {JobRecord} record
   * @param {unknown} error
   * @returns {unknown} the same error
   */
  #refused(record, error) {
    this.#pending -= 1;
    this.#turns.rollback(record);
    if (error instanceof HttpError) this.emit('refused', error, record);
    return error;
  }

  /**
   * @param {JobRecord} record
   * @param {CheckedRequest} request
   * @param {OwnSubmission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<Answer | undefined | void> | undefined} undefined: the job has its place. Otherwise a promise
   *   of the answer of its key, if another request created the job
   */
  #placed(record, request, submission, entries) {
    const deployed = this.#deployed;
    const alone = request.conversation_id === undefined;
    if (deployed !== undefined && record.part === undefined) {
      return alone
        ? deployed.place(record, request, submission, entries)
        : deployed.placeTurn(record, request, submission, entries);
    }
    const place = (/** @type {CheckedRequest} */ whole) =>
      deployed === undefined
        ? this.#local.place(record, whole, submission, entries)
        : deployed.placePart(record, whole, submission);
    if (alone) return place(request);
    return this.#turns.begin(record, submission.signal).then((whole) => {
      checkFeatures(this.#provider, whole);
      return place(whole);
    });
  }
}
