/**
 * The jobs a gateway knows: by id, by hub handle, newest first per principal. Main thread only.
 *
 * Text, timing and endings live in the hub; a record holds what the hub has no use for. Finished
 * jobs leave when the hub's retention is over, or earlier, oldest ending first, when there are
 * more than `maxRetainedJobs` of them.
 */
import { randomBytes } from 'node:crypto';

/** @typedef {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} JobStatus */

/** Every status, in the order a job may pass through them. */
export const jobStatuses = Object.freeze(
  /** @type {JobStatus[]} */ (['queued', 'running', 'completed', 'failed', 'cancelled']),
);

/**
 * What makes a job a part of a larger work: nobody else finds it, and whoever runs the work sees to
 * its retries, its end and its purge.
 * @typedef {object} Part
 * @property {import('../streams/types.js').CopyTarget} copyTo
 */

/**
 * What a table keeps: a job, or a work.
 * @typedef {object} Kept
 * @property {string} id
 * @property {string} principal
 * @property {number} handle
 * @property {JobStatus} status
 * @property {any} final
 * @property {boolean} ended
 * @property {any} request
 * @property {Part} [part]
 */

/** One job as the main thread sees it. */
export class JobRecord {
  /**
   * @param {object} fields
   * @param {string} fields.principal
   * @param {string} fields.model
   * @param {import('./request.js').JobRequest} fields.request
   * @param {number} fields.createdAtMs wall-clock time
   */
  constructor({ principal, model, request, createdAtMs }) {
    // 144 random bits: unguessable, and never the same twice.
    this.id = `job_${randomBytes(18).toString('base64url')}`;
    /** What a Pipeline calls its requests by. */
    this.request_id = this.id;
    this.principal = principal;
    this.model = model;
    /** @type {import('./request.js').JobRequest | undefined} gone once the job has ended */
    this.request = request;
    this.metadata = request.metadata;
    this.createdAtMs = createdAtMs;
    /** The hub's number for the job; 0 until it is admitted. */
    this.handle = 0;
    /** Dispatches so far. */
    this.attempts = 0;
    /** When `max_wall_ms` is over, on the monotonic clock; set at admission. */
    this.deadlineMs = Infinity;
    /** @type {JobStatus} */
    this.status = 'queued';
    /** @type {any} the hub's last word on the job, without its text; set when it has ended */
    this.final = undefined;
    /** Why its provider failed, when it did. @type {unknown} */
    this.failure = undefined;
    /** The larger work that it belongs to, if any. @type {Part | undefined} */
    this.part = undefined;
    /** Whether the provider has finished by itself, so that there is no call to abort. */
    this.providerDone = false;
    /**
     * Where its answer comes from when it may be shared: a cached one, one of its own, or one that
     * another job started.
     * @type {import('./execution/answer-cache.js').CacheResult | undefined}
     */
    this.cache = undefined;
    /** @type {import('./execution/shared-answer.js').SharedAnswer | undefined} that answer */
    this.answer = undefined;
    /** @type {Promise<boolean | null> | undefined} whether it is fed by that answer */
    this.following = undefined;
    /**
     * What it has reserved of the limits that it counts against; undefined: none.
     * @type {import('./rate-limits/reservations.js').Reservation | undefined}
     */
    this.reservation = undefined;
    /**
     * The idempotency key of its submission, by the names that it is kept under.
     * @type {import('./admission/idempotency.js').UsedKey & {answer: () => object} | undefined}
     */
    this.usedKey = undefined;
    /**
     * What others need to know of it at its end, also after a restart. Set before it is written.
     * @type {import('./storage/rows.js').JobExtra | undefined}
     */
    this.extra = undefined;
    /** Whether what it used was counted in an earlier process. */
    this.counted = false;
    /** Settles when it is in the data file, where there is one. @type {Promise<void> | undefined} */
    this.written = undefined;
    /** Aborted when the job ends for any other reason: the queues and the provider let go. */
    this.abort = new AbortController();
  }

  /** The jobs that a call of the provider is for. @returns {Iterable<JobRecord>} */
  get jobs() {
    return [this];
  }

  /** Whether the queue, or the answer that it joins, has accepted it: it has a log. */
  get accepted() {
    return this.handle !== 0;
  }

  /** It is dispatched, for the first time or once more. */
  beginAttempt() {
    this.attempts += 1;
    this.status = 'running';
  }

  /**
   * It has ended: it costs what it used. What was never dispatched used nothing, and the tokens of a
   * shared answer are the answer's.
   */
  settleReservation() {
    const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } =
      this.final?.usage ?? {};
    const used = this.attempts === 0 || this.answer !== undefined ? 0 : prompt + completion;
    this.reservation?.settle(used);
  }

  /** Whether the job has its terminal event. */
  get ended() {
    return this.final !== undefined;
  }
}

/**
 * See the head of this file.
 * @template {Kept} [T=JobRecord]
 */
export class JobTable {
  /** @type {Map<string, T>} in the order of creation */
  #byId = new Map();
  /** @type {Map<number, T>} */
  #byHandle = new Map();
  /** @type {Set<T>} in the order of their endings */
  #finished = new Set();
  #maxRetainedJobs;
  #onEvict;

  /**
   * @param {object} options
   * @param {number} options.maxRetainedJobs
   * @param {(record: T) => void} options.onEvict called for each job that the bound drops
   */
  constructor({ maxRetainedJobs, onEvict }) {
    this.#maxRetainedJobs = maxRetainedJobs;
    this.#onEvict = onEvict;
  }

  /** Jobs known, finished ones included. */
  get size() {
    return this.#byId.size;
  }

  /** @param {T} record with its handle set */
  add(record) {
    this.#byId.set(record.id, record);
    this.#byHandle.set(record.handle, record);
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {T | undefined} undefined for somebody else's job and for a part of a work, too
   */
  get(id, principal) {
    const record = this.#byId.get(id);
    return record?.principal === principal && record.part === undefined ? record : undefined;
  }

  /**
   * @param {number} handle
   * @returns {T | undefined}
   */
  byHandle(handle) {
    return this.#byHandle.get(handle);
  }

  /**
   * Records a job's ending, and drops the oldest finished ones beyond the bound.
   * @param {T} record
   * @param {any} state the hub's snapshot, without text
   */
  finish(record, state) {
    record.final = state;
    record.status = state.status;
    // The prompt may be large and nobody asks for it again.
    record.request = undefined;
    this.#finished.add(record);
    for (const oldest of this.#finished) {
      if (this.#finished.size <= this.#maxRetainedJobs) break;
      this.delete(oldest);
      this.#onEvict(oldest);
    }
  }

  /** @param {T} record that has ended and goes on */
  revive(record) {
    record.final = undefined;
    this.#finished.delete(record);
  }

  /** @param {T} record */
  delete(record) {
    this.#byId.delete(record.id);
    this.#byHandle.delete(record.handle);
    this.#finished.delete(record);
  }

  /**
   * @param {string} principal
   * @returns {T[]} all that one caller has, child jobs included
   */
  of(principal) {
    return [...this.#byId.values()].filter((record) => record.principal === principal);
  }

  /** @returns {T[]} those without a terminal event */
  active() {
    return [...this.#byId.values()].filter((record) => !record.ended);
  }

  /**
   * A page, newest first.
   * @param {object} query
   * @param {string} query.principal
   * @param {number} query.limit
   * @param {JobStatus} [query.status]
   * @param {string} [query.after] id of the last job of the page before
   * @returns {{page: T[], hasMore: boolean} | undefined} undefined: `after` is unknown
   */
  list({ principal, limit, status, after }) {
    const newestFirst = [...this.#byId.values()].reverse();
    let start = 0;
    if (after !== undefined) {
      start = newestFirst.findIndex((r) => r.id === after && r.principal === principal) + 1;
      if (start === 0) return undefined;
    }
    const page = [];
    for (let i = start; i < newestFirst.length; i += 1) {
      const record = newestFirst[i];
      if (record.principal !== principal || record.part !== undefined) continue;
      if (status !== undefined && record.status !== status) continue;
      if (page.length === limit) return { page, hasMore: true };
      page.push(record);
    }
    return { page, hasMore: false };
  }
}
