/** Entries freed per call, which takes well below a millisecond. */
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
  /** Time at which it fires next. */
  #atMs = Infinity;
  #cancel = () => {};

  /**
   * @param {object} store the native one
   * @param {object} deps
   * @param {() => number} deps.nowMs
   * @param {import('../../internal/time/timers.js').Deadlines} deps.deadlines
   * @param {import('./watch.js').Watches} deps.watches receive the expired entries
   */
  constructor(store, { nowMs, deadlines, watches }) {
    this.#store = new WeakRef(store);
    this.#nowMs = nowMs;
    this.#deadlines = deadlines;
    this.#watches = watches;
  }

  /** @param {number} ttlMs of a written entry; Infinity or negative: its expiry is unchanged */
  expect(ttlMs) {
    if (ttlMs === Infinity || ttlMs < 0) return;
    const atMs = this.#nowMs() + ttlMs;
    if (atMs < this.#atMs) this.#schedule(atMs);
  }

  /** Frees the entries due now, and schedules the next call. */
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
