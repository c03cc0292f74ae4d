import { EventEmitter } from 'node:events';
import { HttpError } from '../../internal/util/http-error.js';
import { endpoints } from '../policy/config.js';
import { IdempotencyCache, checkIdempotencyKey } from './idempotency.js';
import { JobRecord } from '../job.js';
import { checkFeatures } from './features.js';
import { checkJobRequest } from '../request.js';
import { chooseModel } from './model-selection.js';
import { TurnMoved, draining, jobNotFound, overloaded, upstreamsUnavailable } from '../errors.js';
import { fromInterpreted, fromJobRequest } from '../checked-request.js';
import { planOf } from '../execution/cache-policy.js';
import { whenAborted } from '../../internal/util/abort.js';
import { whenReady } from '../../internal/util/when-ready.js';

/**
 * @typedef {object} Answer response to a submission, replayed for its key
 * @property {string} id
 * @property {number} createdAt Unix seconds
 * @property {import('../job.js').CacheResult} [cache] absent when its answer is not shared
 */

/**
 * @typedef {object} Submission
 * @property {Readonly<import('../policy/config.js').Access>} access of the job's caller
 * @property {string} [idempotencyKey]
 * @property {string} [cacheControl] a `Cache-Control` header
 * @property {string} [endpoint] endpoint of the request; default that of jobs
 * @property {import('../../internal/util/abort.js').Abortable} [signal] gives up waiting for room; ignored with a key, because other
 *   requests may wait for its outcome
 * @property {number} [near] handle of a job whose reactor it shares
 * @property {unknown} [face] plain JSON of the route that interpreted the request; kept in
 *   `record.extra.face`, also in the data file. The log of such a job is never trimmed
 */

/**
 * A request in the format of another API, and its submission.
 * @typedef {import('../checked-request.js').InterpretedRequest & Submission & {fingerprint?: unknown}}
 *   InterpretedSubmission `fingerprint`: what a repeated request with the same idempotency key must be
 *   equal to, as JSON: the path and the body
 */

/**
 * @typedef {object} Outcome of an interpreted request
 * @property {JobRecord} record
 * @property {boolean} replayed the key was known
 * @property {QuotaEntry[]} entries amounts reserved now and remaining
 */

/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */

/**
 * @typedef {object} SubmittedJob
 * @property {Answer} answer
 * @property {JobRecord} [record] of a job that this call made
 * @property {boolean} replayed whether the key was known
 * @property {QuotaEntry[]} entries amounts reserved now and remaining
 */

/**
 * As `#make` takes it.
 * @typedef {Submission & {part?: import('../job.js').Part,
 *   covered?: import('../rate-limits/reservations.js').Covered,
 *   used?: import('./idempotency.js').UsedKey}} OwnSubmission
 */

/**
 * A job that exists now, or one that does not, because its key has an answer already.
 * @typedef {{record: JobRecord, known?: Answer}} Admitted
 */

/**
 * @typedef {object} ChildSubmission
 * @property {Submission['access']} access
 * @property {import('../job.js').Part} part
 * @property {AbortSignal} signal not aborted yet
 * @property {import('../rate-limits/reservations.js').Covered} covered the reservation of its
 *   operation
 */

/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/**
 * Interface of conversation turns for admission.
 * @typedef {object} TurnsPort
 * @property {(record: JobRecord, signal?: import('../../internal/util/abort.js').Abortable) =>
 *   Promise<CheckedRequest>} begin resolves with the request for the provider,
 *   the history included
 * @property {(record: JobRecord) => void} rollback undoes `begin`
 * @property {(record: JobRecord) => void} [decided] in a deployment: the admission has an outcome
 */

/**
 * Interface of billing for admission.
 * @typedef {object} BillingPort
 * @property {(request: CheckedRequest, model: string) =>
 *   CheckedRequest} bounded the request, with a token limit if it is priced
 * @property {(record: JobRecord, request: CheckedRequest,
 *   access: Readonly<import('../policy/config.js').Access>,
 *   how?: {answer?: JobRecord, cached?: boolean}) => void} hold throws an HttpError 402
 * @property {(record: JobRecord) => void} releaseHold of a job that was not placed
 * @property {(record: JobRecord) => void} voidJob of a job that was placed, then refused
 */

/**
 * What child jobs take from a deployment, outside the scripts of jobs.
 * @typedef {object} PartCharges
 * @property {Pick<import('../rate-limits/shared-reservations.js').SharedReservations, 'forPart'>} reservations
 * @property {CallsPort} calls
 */

/**
 * Billing of calls that are charged like a job, for admission; see `CallBilling`.
 * @typedef {object} CallsPort
 * @property {(record: JobRecord, request: CheckedRequest,
 *   access: Readonly<import('../policy/config.js').Access>) => void | Promise<void>} hold throws an HttpError
 * @property {(record: JobRecord) => void | Promise<void>} release
 */

/**
 * Interface of webhooks for admission.
 * @typedef {object} WebhooksPort
 * @property {(request: CheckedRequest, within: string) => object | undefined} ofRequest checks
 *   `webhook_url`, and returns plain JSON to keep with the job, if it has one; throws an HttpError. `within`:
 *   prefix of the member's name
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

/** An answer that a job was to share is gone before that. */
class AnswerGone extends Error {}

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
  #shared;
  #parts;
  #charges;
  #memory;
  #directory;
  #turns;
  #webhooks;
  #context;
  #nowMs;
  #closed = false;
  #pending = 0;

  /**
   * @param {object} deps
   * @param {AdmissionOptions} deps.options
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../primitives/scheduling/pipeline.js').Pipeline<JobRecord>} deps.pipeline
   * @param {import('../execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../job-directory.js').JobDirectory} deps.directory
   * @param {import('../execution/answer-cache.js').AnswerCache} deps.cache
   * @param {import('../rate-limits/reservations.js').Reservations} deps.reservations
   * @param {BillingPort} deps.billing
   * @param {TurnsPort} deps.turns
   * @param {() => unknown} [deps.context] the context of the current request for traces; default: none
   * @param {WebhooksPort} [deps.webhooks] default: no job may have a `webhook_url`
   * @param {import('../storage/job-store.js').JobStore} [deps.store] default: jobs are in memory
   *   only
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default:
   *   none
   * @param {import('../shared-jobs-port.js').SharedJobsPort} [deps.shared] default: jobs belong to this
   *   process alone
   * @param {import('../shared-parts.js').SharedParts} [deps.parts] with `shared`: takes the place of
   *   `reservations` and of the holds of `billing`
   * @param {PartCharges} [deps.charges] with `shared`: of child jobs
   * @param {() => boolean} [deps.hasPrincipals] whether callers are distinguished; default no
   */
  constructor(deps) {
    super();
    const { options, store, shared } = deps;
    this.#answers = new IdempotencyCache({
      ...options.idempotency,
      hasPrincipals: deps.hasPrincipals,
      memory: deps.memory,
      nowMs: deps.nowMs,
      file: store,
      kept: deps.shared === undefined,
      find: shared && ((used) => shared.known(used)),
    });
    this.#store = store;
    this.#nowMs = deps.nowMs;
    this.#shared = deps.shared;
    this.#parts = deps.parts;
    this.#charges = deps.charges;
    this.#memory = deps.memory;
    this.#directory = deps.directory;
    this.#turns = deps.turns;
    this.#webhooks = deps.webhooks;
    this.#context = deps.context;
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

  /** Bytes held by the idempotency keys. */
  get keyBytes() {
    return this.#answers.bytes;
  }

  /** Number of requests that are not decided yet. */
  get pending() {
    return this.#pending;
  }

  /** Refuses new jobs; known keys are still answered. */
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
   * @returns {Promise<SubmittedJob>}
   * @throws {HttpError}
   */
  async submit(body, submission) {
    return this.admit(body, submission);
  }

  /**
   * As `submit`, which always makes a promise.
   * @param {unknown} body parsed JSON
   * @param {Submission} submission
   * @returns {SubmittedJob | Promise<SubmittedJob>} a promise where there is something to wait for
   * @throws {HttpError}
   */
  admit(body, submission) {
    return this.#once(fromJobRequest(checkJobRequest(body)), submission, body);
  }

  /**
   * Submits a request that a route has divided into the members that the gateway interprets and
   * those that it passes.
   * @param {InterpretedSubmission} submission
   * @returns {Promise<Outcome>}
   * @throws {HttpError} 404 `job_not_found` where the job of a known key is gone
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
   * @param {unknown} fingerprint as JSON, what repeated requests with the same key must be equal to
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
      // A turn may have to wait for that of the job of this very key.
      const looksFirst = this.#closed || request.conversation_id !== undefined;
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
   * Takes back a job whose request is refused after its admission: it leaves no job and no charge, and
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
   * Makes a job of a request, and finds a place for it.
   * @param {CheckedRequest} request
   * @param {OwnSubmission} submission
   * @param {QuotaEntry[]} entries receives the reserved amounts
   * @returns {Admitted | Promise<Admitted>} a promise where there is something to wait for
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
    const webhook = this.#webhooks?.ofRequest(request, face === undefined ? '' : 'sluice.');
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
   * @param {Answer} [known] of its key, if another request has made the job
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
   * @returns {Promise<Answer | undefined | void> | undefined} undefined: the job has its place. Else a promise of the
   *   answer of its key, if another request has made the job
   */
  #placed(record, request, submission, entries) {
    const alone = request.conversation_id === undefined;
    if (this.#shared !== undefined && record.part === undefined) {
      return alone
        ? this.#placeShared(record, request, submission, entries)
        : this.#placeTurn(record, request, submission, entries);
    }
    const charges = this.#charges;
    const place = (/** @type {CheckedRequest} */ whole) =>
      charges === undefined
        ? this.#placeAgain(record, whole, submission, entries)
        : this.#placePart(record, whole, submission, charges);
    if (alone) return place(request);
    return this.#turns.begin(record, submission.signal).then((whole) => {
      checkFeatures(this.#provider, whole);
      return place(whole);
    });
  }

  /**
   * Places a job that this process alone knows; once more where a limit or credit refuses it.
   * @param {JobRecord} record
   * @param {CheckedRequest} request whole
   * @param {OwnSubmission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<void> | undefined} undefined: the job has its place
   */
  #placeAgain(record, request, submission, entries) {
    const again = async (/** @type {any} */ error) => {
      if (error?.status !== 429 && error?.status !== 402) throw error;
      // A client may read its job's terminal event, written by the reactor, before this thread
      // has released the job's reservation.
      await this.#hub.barrier();
      await this.#place(record, request, submission, entries);
    };
    let placing;
    try {
      placing = this.#place(record, request, submission, entries)?.catch(again);
    } catch (error) {
      placing = again(error);
    }
    if (placing === undefined && record.written === undefined) return undefined;
    return Promise.resolve(placing).then(() => {
      if (record.written !== undefined) return this.#written(record);
    });
  }

  /**
   * Places a child job of a deployment: this process alone knows it, and what it takes is in Redis.
   * @param {JobRecord} record
   * @param {CheckedRequest} request
   * @param {Submission & {covered?: import('../rate-limits/reservations.js').Covered}} submission
   * @param {PartCharges} charges
   */
  async #placePart(record, request, submission, charges) {
    const { access, signal, endpoint = endpoints.jobs, covered } = submission;
    this.#checkRoom(record, submission);
    const whose = { access, model: record.model, endpoint };
    record.reservation = await charges.reservations.forPart(request, whose, covered);
    try {
      await charges.calls.hold(record, request, access);
      this.#checkRoom(record, submission);
      record.request = this.#billing.bounded(request, record.model);
      await this.#enqueue(record, signal, () => this.#lifecycle.accept(record));
    } catch (error) {
      await charges.calls.release(record);
      await record.reservation?.release();
      throw error;
    }
  }

  /**
   * As `#placeShared`, for the turn of a conversation.
   * @param {JobRecord} record
   * @param {CheckedRequest} request without the history
   * @param {Submission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<Answer | undefined>}
   */
  async #placeTurn(record, request, submission, entries) {
    try {
      for (;;) {
        record.request = request;
        const whole = await this.#turns.begin(record, submission.signal);
        checkFeatures(this.#provider, whole);
        try {
          return await this.#placeShared(record, whole, submission, entries);
        } catch (error) {
          if (!(error instanceof TurnMoved)) throw error;
        }
      }
    } finally {
      this.#turns.decided?.(record);
    }
  }

  /**
   * Makes a job known to the other processes, with all that it takes, and places it here.
   * @param {JobRecord} record
   * @param {CheckedRequest} request whole
   * @param {Submission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<Answer | undefined>} the answer of its key, if another request has made the job
   */
  async #placeShared(record, request, submission, entries) {
    const shared = /** @type {import('../shared-jobs-port.js').SharedJobsPort} */ (this.#shared);
    const { access, endpoint = endpoints.jobs } = submission;
    const plan = this.#planOf(record, request, submission);
    let begins = plan !== undefined && this.#cache.begins(plan);
    for (;;) {
      this.#checkRoom(record, submission);
      record.request = this.#billing.bounded(request, record.model);
      const own = begins ? 'begins' : 'shares';
      /** @type {import('../shared-parts.js').AdmittedHow} */
      const how = { request, access, endpoint, answer: plan === undefined ? 'alone' : own };
      const known = await shared.admit(record, this.#lifecycle.limitsOf(record), {
        asked: this.#parts?.ask(record, how) ?? {},
        taken: (results) => this.#parts?.taken(record, results, how),
        refused: (name, refusal) =>
          /** @type {Error} */ (this.#parts?.refused(record, name, refusal, how)),
      });
      if (known !== undefined) return known;
      try {
        await this.#enter(record, plan, submission.signal, {
          alone: () => {},
          share: () => {},
          reserve: (answer) => {
            if (!begins) throw new AnswerGone();
            this.#parts?.begun(record, answer);
          },
        });
        entries.push(...(record.reservation?.entries ?? []));
        await shared.placed(record);
        return undefined;
      } catch (error) {
        const retracted = shared.retract(record);
        if (!(error instanceof AnswerGone)) throw error;
        // It takes more than it did.
        await retracted;
        begins = true;
      }
    }
  }

  /**
   * Resolves when the acknowledged job is on the disk.
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
   * @param {CheckedRequest} request its own
   * @param {Submission & {covered?: import('../rate-limits/reservations.js').Covered}} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<void> | undefined} resolves when the job exists; undefined: it does already
   */
  #place(record, request, submission, entries) {
    const { access, signal, endpoint, covered } = submission;
    const { model, part } = record;
    const ofPart = part !== undefined;
    this.#checkRoom(record, submission);
    const plan = this.#planOf(record, request, submission);
    const whose = { access, model, endpoint: endpoint ?? endpoints.jobs };
    const how = { shared: plan !== undefined, patient: ofPart, covered };
    record.reservation = this.#reservations.forJob(request, whose, how);
    entries.push(...(record.reservation?.entries ?? []));
    // The provider gets the request limited to the hold; limits and cache use the original request.
    record.request = this.#billing.bounded(request, model);
    const undo = (/** @type {unknown} */ error) => {
      record.reservation?.release();
      this.#billing.releaseHold(record);
      entries.length = 0;
      throw error;
    };
    try {
      return this.#enter(record, plan, signal, {
        alone: () => this.#billing.hold(record, request, access),
        reserve: (answer) => {
          answer.reservation = this.#reservations.forAnswer(request, whose, record.reservation);
          entries.push(...(answer.reservation?.entries ?? []));
          this.#billing.hold(record, request, access, { answer });
        },
        share: () => this.#billing.hold(record, request, access, { cached: true }),
      })?.catch(undo);
    } catch (error) {
      return undo(error);
    }
  }

  /**
   * @param {JobRecord} record
   * @param {Pick<Submission, 'access' | 'signal'>} submission
   * @throws {HttpError} where this process takes no job now
   */
  #checkRoom({ part }, { access, signal }) {
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
  #planOf({ model, part }, request, { access, cacheControl }) {
    // An answer that jobs share has one choice.
    if (part !== undefined || (request.n ?? 1) > 1) return undefined;
    return planOf(request, { model, access, cacheControl }, this.#cacheOptions);
  }

  /**
   * Puts a job, or the answer that it begins, into the queue, or lets it share an answer.
   * @param {JobRecord} record
   * @param {import('../execution/cache-policy.js').CachePlan | undefined} plan
   * @param {import('../../internal/util/abort.js').Abortable | undefined} signal
   * @param {object} take each takes what such a job takes; throws if refused
   * @param {() => void} take.alone its answer is its own
   * @param {(answer: import('../execution/shared-answer.js').SharedAnswer) => void} take.reserve
   * @param {() => void} take.share
   * @returns {Promise<void> | undefined} resolves when the job exists; undefined: it does already
   */
  #enter(record, plan, signal, { alone, reserve, share }) {
    if (plan === undefined) {
      alone();
      return this.#enqueue(record, signal, () => this.#lifecycle.accept(record));
    }
    const enqueue = async (/** @type {JobRecord} */ answer, /** @type {() => void} */ onAccepted) =>
      this.#enqueue(answer, undefined, onAccepted);
    return this.#cache.serve(record, plan, { signal, reserve, share, enqueue });
  }

  /**
   * Resolves when the record is in the queue.
   * @param {JobRecord} record
   * @param {import('../../internal/util/abort.js').Abortable | undefined} signal
   * @param {() => void} onAccepted called once it is queued, before dispatch; not called after the
   *   wait was aborted
   * @returns {Promise<void> | undefined} resolves when the record is in the queue; undefined: it is already
   */
  #enqueue(record, signal, onAccepted) {
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
    // From here on the lifecycle ends an accepted job, not this signal.
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
