import { faceOf } from '../ids.js';
import { Retained } from '../../../jobs/retained.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */

/**
 * The bounds of the stored responses: beyond a bound, the oldest response of the principal with the most is
 * deleted. The latest one is always kept. Main thread; lives as long as its lifecycle.
 */
export class StoredResponses {
  /** @type {Retained<JobRecord>} */
  #ended = new Retained();
  /** @type {Map<JobRecord, number>} */
  #bytes = new Map();
  #totalBytes = 0;
  /** @type {WeakSet<JobRecord>} */
  #evicted = new WeakSet();
  #lifecycle;
  #limits;

  /**
   * @param {import('../../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle
   * @param {{maxCount: number, maxBytes: number}} limits
   */
  constructor(lifecycle, limits) {
    this.#lifecycle = lifecycle;
    this.#limits = limits;
    lifecycle.on('ended', (record) => this.#add(record));
    lifecycle.on('restored', (record) => this.#add(record));
    lifecycle.on('purged', (record) => this.#forget(record));
  }

  /** @param {JobRecord} record @returns {boolean} whether it is no longer readable */
  isEvicted(record) {
    return this.#evicted.has(record);
  }

  /** @param {JobRecord} record ended */
  #add(record) {
    const face = faceOf(record, 'responses');
    if (face?.store !== true) return;
    const bytes = Buffer.byteLength(JSON.stringify(face)) + (record.final.log_bytes ?? 0);
    this.#ended.add(record);
    this.#bytes.set(record, bytes);
    this.#totalBytes += bytes;
    const { maxCount, maxBytes } = this.#limits;
    while (this.#ended.size > 1 && (this.#ended.size > maxCount || this.#totalBytes > maxBytes)) {
      const oldest = /** @type {JobRecord} */ (this.#ended.oldestOfMost());
      if (oldest === record) break;
      this.#evict(oldest);
    }
  }

  /** @param {JobRecord} record */
  #evict(record) {
    this.#forget(record);
    this.#evicted.add(record);
    // A call whose response ended in this turn of the event loop still reads it.
    setImmediate(() => this.#lifecycle.erase(record));
  }

  /** @param {JobRecord} record */
  #forget(record) {
    this.#totalBytes -= this.#bytes.get(record) ?? 0;
    this.#bytes.delete(record);
    this.#ended.delete(record);
  }
}
