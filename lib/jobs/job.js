import { AbortState } from '../internal/util/abort.js';
import { randomId } from '../internal/util/random-id.js';

/** @typedef {import('./request.js').JobStatus} JobStatus */
/** @typedef {'hit' | 'miss' | 'join'} CacheResult */
/** @typedef {import('../providers/shared/types.js').Route} Route */

/**
 * Marks a job of a workflow: lists and GET do not show it, and its workflow decides on retries and purge.
 * @typedef {object} Part
 * @property {import('../streams/types.js').CopyTarget} copyTo
 */

/**
 * A record's share of the memory budget of its JobTable, and the time of its end.
 * @typedef {{requestBytes: number, retainedBytes: number, endedAt: number}} Held
 */

/**
 * A record whose answer other jobs share: see SharedAnswer.
 * @typedef {JobRecord & {members: Set<JobRecord>}} AnswerRecord
 */

/**
 * A job's reservation of its limits: see Reservations.
 * @typedef {object} ReservationHold
 * @property {import('../primitives/limiters/quota-lease.js').QuotaEntry[]} entries
 * @property {(tokens: number) => void | Promise<void>} settle settles at actual use. A promise resolves once this
 *   is known to other processes, or Redis has not answered
 * @property {() => void | Promise<void>} release returns everything
 */

/**
 * `answer` returns the body to replay for the key.
 * @typedef {{name: string, fingerprint: string, answer: () => object}} KeyOfJob
 */

/**
 * One member per component, plain JSON.
 * @typedef {Record<string, unknown>} JobExtra
 */

/**
 * One call of the provider for a record. `endMs` is set if the record continues after it; the last call
 * ends with the record.
 * @typedef {{startMs: number, endMs?: number}} ProviderCall
 */

/**
 * The id of the log of a job's further answer.
 * @param {string} id of the job
 * @param {number} choice from 1
 */
export const choiceId = (id, choice) => `${id}.${choice}`;

/**
 * @param {Pick<JobRecord, 'cache'>} record
 * @returns {boolean} whether it uses another job's answer
 */
export const isCached = ({ cache }) => cache === 'hit' || cache === 'join';

/** One for all records: most have neither siblings nor peers. @type {readonly never[]} */
const NONE = Object.freeze([]);

/** One job as the main thread sees it. */
export class JobRecord {
  /**
   * @param {object} fields
   * @param {string} fields.principal
   * @param {string} fields.model
   * @param {import('./checked-request.js').CheckedRequest} fields.request
   * @param {number} fields.createdAtMs wall-clock time
   */
  constructor({ principal, model, request, createdAtMs }) {
    this.id = randomId('job');
    /** Id of the record in a Pipeline. */
    this.request_id = this.id;
    /**
     * Kind of the operation, for the record of another process's operation. @type {'workflow' | 'crawl' |
     * undefined}
     */
    this.kind = undefined;
    this.principal = principal;
    this.model = model;
    /** @type {import('./checked-request.js').CheckedRequest | undefined} removed once the job has ended */
    this.request = request;
    this.metadata = request.metadata;
    this.createdAtMs = createdAtMs;
    /** The hub's number for the job; 0 until it is admitted. */
    this.handle = 0;
    /** Dispatches so far. */
    this.attempts = 0;
    /** Number of this process's first attempt; above 1 for a job taken over. */
    this.firstAttempt = 1;
    /** Whether one of its logs has an entry; known only for jobs that a face waits for. */
    this.begun = false;
    /** Logs of its further answers (`n` over 1), by choice from 1. @type {readonly number[]} */
    this.siblings = NONE;
    /** Handle of a job whose reactor it shares. @type {number | undefined} */
    this.near = undefined;
    /** Jobs of the further prompts of its request. @type {readonly JobRecord[]} */
    this.peers = NONE;
    /** Returns to the queue after a failed attempt. */
    this.requeued = 0;
    /** Context of its submission for traces; undefined: none. @type {unknown} */
    this.trace = undefined;
    /** When its admission began and ended, on the monotonic clock; undefined for a restored job. */
    /** @type {number | undefined} */
    this.submittedMs = undefined;
    /** @type {number | undefined} */
    this.acceptedMs = undefined;
    /** Its own calls of the provider, on the monotonic clock. @type {ProviderCall[]} */
    this.calls = [];
    /** Start of its first attempt in this process, on the monotonic clock. @type {number | undefined} */
    this.startedMs = undefined;
    /** Start of the current attempt, in milliseconds after the first one's. */
    this.attemptOffsetMs = 0;
    /** Its route through the upstreams, while it runs. @type {Route | undefined} */
    this.route = undefined;
    /** @type {string | undefined} */
    this.ownUpstream = undefined;
    /** Deadline by `max_wall_ms` on the monotonic clock; set at admission. */
    this.deadlineMs = Infinity;
    /** Latest time of its purge, on the monotonic clock; set at admission and at its end. */
    this.purgeDueMs = Infinity;
    /** @type {JobStatus} */
    this.status = 'queued';
    /** @type {any} final state from the hub, without text; set when the job has ended */
    this.final = undefined;
    /** Failure of its own call. @type {import('./execution/failure.js').Failure | undefined} */
    this.ownFailure = undefined;
    /**
     * Called with the failure of the call before the ending is written.
     * @type {((failure: import('./execution/failure.js').Failure) => void) | undefined}
     */
    this.onFailed = undefined;
    /** The operation to which it belongs, if any. @type {Part | undefined} */
    this.part = undefined;
    /** Whether the provider has finished by itself; there is no call to abort then. */
    this.providerDone = false;
    /** Source of a shared answer; undefined: the answer is not shared. @type {CacheResult | undefined} */
    this.cache = undefined;
    /** The shared answer. @type {AnswerRecord | undefined} */
    this.answer = undefined;
    /** Whether its log follows the answer's log. @type {Promise<boolean | null> | undefined} */
    this.following = undefined;
    /** Its share of the limits; undefined: no limit applies. @type {ReservationHold | undefined} */
    this.reservation = undefined;
    /**
     * Resolves once its usage is settled in Redis, for a job without a part there. @type {Promise<unknown> |
     * undefined}
     */
    this.settling = undefined;
    /** With Redis, the requests to its parts as JSON; undefined: none. @type {string | undefined} */
    this.asked = undefined;
    /** The idempotency key of its submission. @type {KeyOfJob | undefined} */
    this.usedKey = undefined;
    /**
     * Data of other components (billing, turns) needed when the job ends, also after a restart. Set
     * before the row is written.
     * @type {JobExtra | undefined}
     */
    this.extra = undefined;
    /** Used by its JobTable. @type {Held | undefined} */
    this.held = undefined;
    /** Whether its submission was refused in the end, so that its caller never received its id. */
    this.refused = false;
    /** Whether an earlier process has counted its usage. */
    this.counted = false;
    /** Settles once its row is in the data file, if there is one. @type {Promise<void> | undefined} */
    this.written = undefined;
    /** Aborts when the job ends other than by its provider: queue and provider stop. */
    this.abort = new AbortState();
  }

  /** The jobs that a call of the provider is for. @returns {Iterable<JobRecord>} */
  get jobs() {
    return [this];
  }

  /** Whether the queue, or the answer that it joins, has accepted it: it has a log. */
  get accepted() {
    return this.handle !== 0;
  }

  /** Name of the upstream of its last attempt; undefined: none, or the provider has no names. */
  get upstream() {
    return this.ownUpstream ?? this.answer?.ownUpstream;
  }

  /** Failure of the provider; undefined: it has not failed. */
  get failure() {
    // For a shared answer, the record that calls the provider has it.
    return this.ownFailure ?? this.answer?.ownFailure;
  }

  /** @param {import('./execution/failure.js').Failure} failure of the call, which ends the job */
  failWith(failure) {
    this.ownFailure = failure;
    for (const job of this.jobs) job.onFailed?.(failure);
  }

  /** Counts a dispatch: the first attempt, or a retry. */
  beginAttempt() {
    this.attempts += 1;
    this.status = 'running';
  }

  /**
   * Settles the reservation of an ended job at its actual use. A job that was never dispatched used
   * nothing; the tokens of a shared answer count for the answer.
   */
  settleReservation() {
    const settling = this.reservation?.settle(this.tokensUsed(this.final?.usage));
    if (settling !== undefined) this.settling = settling;
    // It would be kept as long as the job.
    this.reservation = undefined;
  }

  /**
   * @param {{prompt_tokens?: number, completion_tokens?: number}} [usage] at its end
   * @returns {number} tokens that count against its own limits
   */
  tokensUsed({ prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = {}) {
    // A job that was taken over may have tokens though its dispatch was not recorded.
    const reachedModel = this.attempts > 0 || completion > 0;
    return reachedModel && this.answer === undefined ? prompt + completion : 0;
  }

  /** Whether the job has its terminal event. */
  get ended() {
    return this.final !== undefined;
  }
}
