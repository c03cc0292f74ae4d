/** Ids of directly dispatched batches begin here; those of the native side never reach this value. */
const DIRECT_BATCHES = 2 ** 52;

/**
 * The slots of batches that skip the native stages of a Pipeline. The native side is informed about them before it
 * counts slots itself. Main thread only.
 */
export class DirectSlots {
  #max;
  #native;
  #last = DIRECT_BATCHES;
  /** Batches whose slots the native side does not count. @type {Set<number>} */
  #uncounted = new Set();

  /**
   * @param {number} max maximum concurrent batches; 0: none may skip the stages
   * @param {any} pipeline the native one
   */
  constructor(max, pipeline) {
    this.#max = max;
    this.#native = pipeline;
  }

  /** Slots in use that the native side does not count. */
  get uncounted() {
    return this.#uncounted.size;
  }

  /**
   * @param {number} inUse slots, of all batches
   * @returns {number | undefined} a new batch with its own slot; undefined: no slot is free
   */
  take(inUse) {
    if (inUse >= this.#max) return undefined;
    const batch = ++this.#last;
    this.#uncounted.add(batch);
    return batch;
  }

  /** Makes the native side count these slots. */
  count() {
    if (this.#uncounted.size === 0) return;
    this.#native.hold([...this.#uncounted]);
    this.#uncounted.clear();
  }

  /**
   * @param {number} batch an ended batch of any kind
   * @returns {boolean} whether the native side was informed
   */
  free(batch) {
    if (this.#uncounted.delete(batch)) return false;
    this.#native.batchDone(batch);
    return true;
  }
}
