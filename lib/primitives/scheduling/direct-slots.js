/** Ids of directly dispatched batches begin here; those of the native side never reach this value. */
const DIRECT_BATCHES = 2 ** 52;

/** States of a batch. */
const FREE = 0;
const UNCOUNTED = 1;
const COUNTED = 2;

/**
 * The slots of batches that skip the native stages of a Pipeline. The native side is informed about them before it
 * counts slots itself. Main thread only.
 */
export class DirectSlots {
  #max;
  #native;
  /** Of each batch, whose id is its place behind DIRECT_BATCHES. @type {number[]} */
  #states = [];
  /** Places of batches that have ended. @type {number[]} */
  #free = [];
  #uncounted = 0;

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
    return this.#uncounted;
  }

  /**
   * @param {number} inUse slots, of all batches
   * @returns {number | undefined} a new batch with its own slot; undefined: no slot is free
   */
  take(inUse) {
    if (inUse >= this.#max) return undefined;
    const place = this.#free.pop() ?? this.#states.length;
    this.#states[place] = UNCOUNTED;
    this.#uncounted += 1;
    return DIRECT_BATCHES + place;
  }

  /** Makes the native side count these slots. */
  count() {
    if (this.#uncounted === 0) return;
    /** @type {number[]} */
    const batches = [];
    for (const [place, state] of this.#states.entries()) {
      if (state !== UNCOUNTED) continue;
      this.#states[place] = COUNTED;
      batches.push(DIRECT_BATCHES + place);
    }
    this.#native.hold(batches);
    this.#uncounted = 0;
  }

  /**
   * @param {number} batch an ended batch of any kind
   * @returns {boolean} whether the native side was informed
   */
  free(batch) {
    const place = batch - DIRECT_BATCHES;
    const state = place < 0 ? COUNTED : this.#states[place];
    if (place >= 0) {
      this.#states[place] = FREE;
      this.#free.push(place);
    }
    if (state === UNCOUNTED) {
      this.#uncounted -= 1;
      return false;
    }
    this.#native.batchDone(batch);
    return true;
  }
}
