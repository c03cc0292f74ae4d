/**
 * Frees what has expired in a native store, when it has, a bounded number at a time. It keeps
 * neither the process nor the store alive, and ends with the store.
 */

/** Entries that are freed in one go: well below a millisecond. */
const PER_CALL = 1000;

export class Reclaimer {
  #store;
  #nowMs;
  #deadlines;
  /** When it comes next. */
  #atMs = Infinity;
  /** Calls that off. */
  #cancel = () => {};

  /**
   * @param {object} store the native one
   * @param {() => number} nowMs
   * @param {import('../../internal/time/timers.js').Deadlines} deadlines
   */
  constructor(store, nowMs, deadlines) {
    this.#store = new WeakRef(store);
    this.#nowMs = nowMs;
    this.#deadlines = deadlines;
  }

  /** @param {number} ttlMs of something that has come to the store; Infinity: it stays */
  expect(ttlMs) {
    if (ttlMs !== Infinity && this.#nowMs() + ttlMs < this.#atMs) {
      this.#schedule(this.#nowMs() + ttlMs);
    }
  }

  /** Something may have come to the store that was not told of. */
  look() {
    this.#reclaim();
  }

  /** @param {number} atMs Infinity: never */
  #schedule(atMs) {
    this.#cancel();
    this.#atMs = atMs;
    const waitMs = atMs - this.#nowMs();
    this.#cancel = this.#deadlines.start(waitMs, () => this.#reclaim(), { background: true });
  }

  #reclaim() {
    const store = /** @type {any} */ (this.#store.deref());
    if (store !== undefined) this.#schedule(store.reclaim(PER_CALL, this.#nowMs()));
  }
}
