import { Retained } from './retained.js';
import { requestBytes } from './prompt-tokens.js';

/** @typedef {import('./job.js').JobRecord} JobRecord */
/** @typedef {import('./job.js').Held} Held */
/** @typedef {import('./job.js').Part} Part */
/** @typedef {import('./request.js').JobStatus} JobStatus */

/**
 * A record of the table: a job or an operation.
 * @typedef {object} Kept
 * @property {string} id
 * @property {string} principal
 * @property {number} handle
 * @property {JobStatus} status
 * @property {any} final
 * @property {boolean} ended
 * @property {any} request
 * @property {Part | undefined} [part]
 * @property {number | undefined} [contentBytes] bytes of its content without its log, once it has ended
 * @property {Held | undefined} [held] used only by the table
 */

/** Bytes of a finished job without the entries of its log, in the hub and here. */
const RECORD_BYTES = 2048;

/**
 * The jobs of a gateway: by id, by hub handle, newest first per principal. Main thread only.
 *
 * The hub holds text, timing and endings; a record holds the remaining fields. Finished jobs are
 * removed when the hub's retention ends, or earlier beyond `maxRetainedJobs`: then the oldest
 * finished job of the principal that has most is evicted.
 * @template {Kept} [T=JobRecord]
 */
export class JobTable {
  /** @type {Map<string, T>} in the order of creation */
  #byId = new Map();
  /** @type {Map<number, T>} */
  #byHandle = new Map();
  /** @type {Retained<T>} */
  #finished = new Retained();
  #maxRetainedJobs;
  #onEvict;
  #memory;

  /**
   * @param {object} options
   * @param {number} options.maxRetainedJobs
   * @param {(record: T) => void} options.onEvict called for each job evicted by the bound or the
   *   memory budget
   * @param {import('../internal/util/memory-budget.js').MemoryBudget} [options.memory] default:
   *   none
   */
  constructor({ maxRetainedJobs, onEvict, memory }) {
    this.#maxRetainedJobs = maxRetainedJobs;
    this.#onEvict = onEvict;
    this.#memory = memory;
    memory?.addHolder({
      oldest: (principal) => {
        const record = this.#finished.oldestOf(principal);
        return record?.held?.endedAt;
      },
      evict: (principal) => this.#evict(/** @type {T} */ (this.#finished.oldestOf(principal))),
    });
  }

  /** Number of jobs, including finished ones. */
  get size() {
    return this.#byId.size;
  }

  /** @param {T} record with its handle set */
  add(record) {
    this.#byId.set(record.id, record);
    this.#byHandle.set(record.handle, record);
    const bytes = requestBytes(record.request);
    record.held = { requestBytes: bytes, retainedBytes: 0, endedAt: 0 };
    this.#memory?.count('prompts', record.principal, bytes);
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {T | undefined} also undefined for another principal's job and for a child job
   */
  get(id, principal) {
    const record = this.#byId.get(id);
    return record?.principal === principal && record.part === undefined ? record : undefined;
  }

  /**
   * @param {string} id
   * @returns {T | undefined} of any principal, child jobs included
   */
  byId(id) {
    return this.#byId.get(id);
  }

  /**
   * @param {number} handle
   * @returns {T | undefined}
   */
  byHandle(handle) {
    return this.#byHandle.get(handle);
  }

  /**
   * Records a job's ending. Beyond the bound the oldest finished job of the principal that has most
   * is evicted, so that a busy principal cannot evict the jobs of others.
   * @param {T} record
   * @param {any} state the hub's snapshot, without text
   */
  finish(record, state) {
    record.final = state;
    record.status = state.status;
    // The prompt may be large and is not read again.
    record.request = undefined;
    this.#dropRequest(record);
    // An operation reads the text of its child job, then removes the job.
    if (record.part !== undefined) return;
    this.#finished.add(record);
    this.#retain(record, state);
    while (this.#finished.size > this.#maxRetainedJobs) {
      this.#evict(/** @type {T} */ (this.#finished.oldestOfMost()));
    }
  }

  /** @param {T} record whose request is dropped */
  #dropRequest(record) {
    const { held } = record;
    if (held === undefined) return;
    if (held.requestBytes !== 0) {
      this.#memory?.count('prompts', record.principal, -held.requestBytes);
    }
    held.requestBytes = 0;
  }

  /**
   * @param {T} record
   * @param {any} state
   */
  #retain(record, state) {
    const { held } = record;
    if (held === undefined || this.#memory === undefined) return;
    const { log_bytes: log = 0 } = state;
    held.retainedBytes = RECORD_BYTES + log + (record.contentBytes ?? 0);
    held.endedAt = performance.now();
    this.#memory.retain(record.principal, held.retainedBytes);
  }

  /** @param {T} record that is no longer retained */
  #release(record) {
    const { held } = record;
    if (held === undefined || held.retainedBytes === 0) return;
    this.#memory?.retain(record.principal, -held.retainedBytes);
    held.retainedBytes = 0;
  }

  /** @param {T} record that has ended */
  #evict(record) {
    this.delete(record);
    this.#onEvict(record);
  }

  /** @param {T} record ended one that continues */
  revive(record) {
    record.final = undefined;
    this.#release(record);
    this.#finished.delete(record);
  }

  /** @param {T} record */
  delete(record) {
    this.#byId.delete(record.id);
    this.#byHandle.delete(record.handle);
    this.#finished.delete(record);
    this.#release(record);
    this.#dropRequest(record);
    record.held = undefined;
  }

  /**
   * @param {string} principal
   * @returns {T[]} all records of one caller, including child jobs
   */
  of(principal) {
    return [...this.#byId.values()].filter((record) => record.principal === principal);
  }

  /** @returns {T[]} all records, including child jobs, oldest first */
  all() {
    return [...this.#byId.values()];
  }

  /** @returns {T[]} records without a terminal event */
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
