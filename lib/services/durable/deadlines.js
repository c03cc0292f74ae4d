/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * @typedef {object} Deadline
 * @property {KvNamespace} space
 * @property {string} path
 * @property {number | null} ttlMs null: the time is fixed
 * @property {number} unixMs time of expiry
 * @property {number} storedMs the same, at the last write
 */

/** An access is stored when it moves the deadline by this share of the time to live. */
const STORED_SHARE = 0.1;
/** Interval of the search for expired streams. */
const SWEEP_MS = 1000;

/**
 * The times at which streams expire. An access moves a deadline in memory; now and then it is stored, so
 * that reads do not write. Calls `onSweep` every second while there are deadlines. Main thread.
 */
export class Deadlines {
  #unixMs;
  #timers;
  #onSweep;
  /** @type {Map<string, Deadline>} */
  #all = new Map();
  /** @type {(() => void) | undefined} */
  #cancel;
  #closed = false;

  /**
   * @param {object} deps
   * @param {() => number} deps.unixMs
   * @param {import('../../internal/time/timers.js').Deadlines} deps.timers
   * @param {() => void} deps.onSweep
   */
  constructor({ unixMs, timers, onSweep }) {
    this.#unixMs = unixMs;
    this.#timers = timers;
    this.#onSweep = onSweep;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @param {import('./head.js').Head} head as stored
   */
  set(space, path, { ttlMs, deadlineMs }) {
    if (deadlineMs === null) return;
    const deadline = { space, path, ttlMs, unixMs: deadlineMs, storedMs: deadlineMs };
    this.#all.set(space.prefix + path, deadline);
    this.#sweepLater();
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   */
  delete(space, path) {
    this.#all.delete(space.prefix + path);
  }

  /** @param {KvNamespace} space whose streams were deleted */
  clear(space) {
    for (const [key, deadline] of this.#all) {
      if (deadline.space.prefix === space.prefix) this.#all.delete(key);
    }
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {boolean} whether the stream has expired
   */
  isOver(space, path) {
    const deadline = this.#all.get(space.prefix + path);
    return deadline !== undefined && this.#unixMs() >= deadline.unixMs;
  }

  /**
   * Moves the deadline of a stream that has a reader, in memory.
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {Deadline | undefined} undefined: it is fixed
   */
  extend(space, path) {
    const deadline = this.#all.get(space.prefix + path);
    if (deadline === undefined || deadline.ttlMs === null) return undefined;
    deadline.unixMs = this.#unixMs() + deadline.ttlMs;
    return deadline;
  }

  /**
   * Moves the deadline of a stream that is read.
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {number | undefined} the new deadline if it should be stored
   */
  touch(space, path) {
    const deadline = this.extend(space, path);
    if (deadline === undefined) return undefined;
    const { unixMs, storedMs, ttlMs } = deadline;
    if (unixMs - storedMs < STORED_SHARE * Number(ttlMs)) return undefined;
    deadline.storedMs = unixMs;
    return unixMs;
  }

  /** @returns {Deadline[]} expired streams */
  over() {
    const nowMs = this.#unixMs();
    return [...this.#all.values()].filter(({ unixMs }) => nowMs >= unixMs);
  }

  close() {
    this.#closed = true;
    this.#cancel?.();
  }

  #sweepLater() {
    if (this.#cancel !== undefined || this.#closed || this.#all.size === 0) return;
    const sweep = () => {
      this.#cancel = undefined;
      this.#onSweep();
      this.#sweepLater();
    };
    this.#cancel = this.#timers.start(SWEEP_MS, sweep, { background: true });
  }
}
