/** How many entries are freed at once: well below a millisecond. */
const PER_CALL = 1000;

/**
 * Frees the expired entries of a native store when they are due, a bounded number at a time. It
 * keeps neither the process nor the store alive, and ends with the store. Main thread only.
 */
export class ExpiryTimer {
  #store;
  #nowMs;
  #deadlines;
  #watches;
  /** When it fires next. */
  #atMs = Infinity;
  #cancel = () => {};

  /**
   * @param {object} store the native one
   * @param {object} deps
   * @param {() => number} deps.nowMs
   * @param {import('../../internal/time/timers.js').Deadlines} deps.deadlines
   * @param {import('./watch.js').Watches} deps.watches that see what expires
   */
  constructor(store, { nowMs, deadlines, watches }) {
    this.#store = new WeakRef(store);
    this.#nowMs = nowMs;
    this.#deadlines = deadlines;
    this.#watches = watches;
  }

  /** @param {number} ttlMs of an entry that was set; Infinity, or below 0: it has no new end */
  expect(ttlMs) {
    if (ttlMs === Infinity || ttlMs < 0) return;
    const atMs = this.#nowMs() + ttlMs;
    if (atMs < this.#atMs) this.#schedule(atMs);
  }

  /** Frees what is due now, and looks when the next entry is. */
  run() {
    const store = /** @type {any} */ (this.#store.deref());
    if (store === undefined) return;
    this.#schedule(store.reclaim(PER_CALL, this.#nowMs()));
    this.#watches.publish(store);
  }

  /** @param {number} atMs Infinity: never */
  #schedule(atMs) {
    this.#cancel();
    this.#atMs = atMs;
    const waitMs = atMs - this.#nowMs();
    this.#cancel = this.#deadlines.start(waitMs, () => this.run(), { background: true });
  }
}
