/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/**
 * Orphans of this process, or of all processes of a deployment.
 * @typedef {object} OrphansPort
 * @property {(record: JobRecord, request: FaceRequest) => void} add
 * @property {(record: JobRecord) => void} delete removes a job that was joined, answered or purged
 * @property {(principal: string, request: FaceRequest) =>
 *   JobRecord | undefined | Promise<JobRecord | undefined>} take returns the oldest orphan of this request that is
 *   running or has completed, and removes it from the orphans
 */

/** Time after its creation during which a retry may join a job. */
export const AGE_MS_MAX = 10 * 60_000;
const ORPHANS_MAX = 10_000;

/**
 * The part of a request that a retry repeats.
 * @typedef {object} FaceRequest
 * @property {string} path
 * @property {string} digest of the body's bytes
 */

/**
 * @param {string} principal
 * @param {FaceRequest} request
 */
const keyOf = (principal, { path, digest }) => JSON.stringify([principal, path, digest]);

/** @param {JobRecord} record @param {number} nowMs wall-clock time */
const isFresh = ({ createdAtMs }, nowMs) => nowMs - createdAtMs <= AGE_MS_MAX;

/**
 * @param {JobRecord} record an orphan
 * @param {number} nowMs wall-clock time
 * @returns {boolean} whether a retry may join it
 */
export function isJoinable(record, nowMs) {
  return isFresh(record, nowMs) && !['failed', 'cancelled'].includes(record.status);
}

/**
 * Jobs that lost all connections before one received the complete answer. A client whose connection
 * broke sends the same request again, with a count of retries: it then joins the oldest such job, so
 * that the model is not called and paid twice. Main thread only.
 * @implements {OrphansPort}
 */
export class Orphans {
  /** @type {Map<string, Set<JobRecord>>} by request, oldest first */
  #byKey = new Map();
  /** @type {Map<JobRecord, string>} in the order of their departures */
  #keys = new Map();
  #nowMs;

  /** @param {{nowMs?: () => number}} [options] wall-clock time */
  constructor({ nowMs = Date.now } = {}) {
    this.#nowMs = nowMs;
  }

  get size() {
    return this.#keys.size;
  }

  /**
   * @param {JobRecord} record
   * @param {FaceRequest} request
   */
  add(record, request) {
    this.delete(record);
    const key = keyOf(record.principal, request);
    const same = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, same.add(record));
    this.#keys.set(record, key);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > ORPHANS_MAX || !isFresh(oldest, this.#nowMs())) this.delete(oldest);
  }

  /** @param {JobRecord} record that was joined, answered or purged */
  delete(record) {
    const key = this.#keys.get(record);
    if (key === undefined) return;
    this.#keys.delete(record);
    const same = this.#byKey.get(key);
    same?.delete(record);
    if (same?.size === 0) this.#byKey.delete(key);
  }

  /**
   * @param {string} principal
   * @param {FaceRequest} request
   * @returns {JobRecord | undefined} the oldest orphan of this request that is running or has completed; it
   *   is removed from the orphans
   */
  take(principal, request) {
    if (this.#keys.size === 0) return undefined;
    const same = this.#byKey.get(keyOf(principal, request)) ?? [];
    const nowMs = this.#nowMs();
    const usable = [...same].filter((record) => {
      if (isJoinable(record, nowMs)) return true;
      this.delete(record);
      return false;
    });
    const [oldest] = usable.sort((a, b) => a.createdAtMs - b.createdAtMs);
    if (oldest !== undefined) this.delete(oldest);
    return oldest;
  }
}
