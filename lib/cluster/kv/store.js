import { ChangeFeed } from './change-feed.js';
import { Watches } from '../../primitives/kv/watch.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { endMsOf } from './wire.js';

/** Expired entries that one call frees. */
const PER_CALL = 1000;
const BACKGROUND = Object.freeze({ background: true });
/** Expired entries that a call frees before it counts the others. */
const BEFORE_COUNT = 100_000;
/** Wait after a failure. */
const AGAIN_MS = 1000;
/** Interval at which a process looks for entries to which others gave a time to live. */
const SWEEP_MS = 60_000;

/**
 * One store in Redis: its watches in this process, and the timer that frees expired entries, also for
 * processes that have ended. Main thread; `close()` ends it.
 */
export class KvStoreInRedis {
  #calls;
  #name;
  #deadlines;
  #nowMs;
  #isClosed = false;
  /** When the timer fires next, in the store's time. */
  #atMs = Infinity;
  #cancel = () => {};

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {string} deps.name its key, without the prefix
   * @param {string} deps.prefix of all keys
   * @param {import('./change-feed.js').Subscribe} deps.subscribe
   */
  constructor({ calls, name, prefix, subscribe }) {
    this.#calls = calls;
    this.#name = name;
    this.#nowMs = () => calls.nowMs();
    this.#deadlines = deadlinesOf(calls.clock);
    this.watches = new Watches();
    this.feed = new ChangeFeed({
      channel: prefix + name,
      subscribe,
      readPosition: () => this.#reclaim(0),
      publish: (flat) => this.watches.publish({ takeChanges: () => flat }),
      onLost: (error) => this.watches.fail(error),
    });
    void this.#run();
  }

  /** Its key, without the prefix. */
  get name() {
    return this.#name;
  }

  /** The time of the store in milliseconds: Redis's, or that of `clock`. */
  get nowMs() {
    return this.#nowMs;
  }

  /** @param {number[]} ends of new or changed entries, in milliseconds of the store's time */
  expect(ends) {
    const first = Math.min(...ends);
    if (first < this.#atMs) this.#schedule(first);
  }

  /**
   * Frees expired entries, and counts the others.
   * @param {{ready?: boolean}} [options] `ready: false`: does not wait until watches see changes
   * @returns {Promise<{keys: number, bytes: number, version: number}>}
   */
  async figures({ ready = true } = {}) {
    if (ready && this.feed.ready !== undefined) await this.feed.ready;
    return this.#reclaim(BEFORE_COUNT);
  }

  /** @param {number} most */
  async #reclaim(most) {
    const answer = await this.#calls.run('kv/reclaim', [this.#name], [most]);
    const [, , end, keys, bytes, version, position, born] = answer;
    return {
      endMs: end === '' ? Infinity : endMsOf(end),
      ...{ keys: Number(keys), bytes: Number(bytes), version: Number(version) },
      ...{ position: Number(position), born: String(born) },
    };
  }

  async #run() {
    this.#atMs = Infinity;
    let [endMs, waitMs] = [Infinity, SWEEP_MS];
    try {
      ({ endMs } = await this.#reclaim(PER_CALL));
    } catch {
      // Redis is away.
      waitMs = AGAIN_MS;
    }
    if (this.#isClosed) return;
    const sweepMs = this.#calls.clock === undefined ? this.#nowMs() + waitMs : Infinity;
    this.#schedule(Math.min(endMs, sweepMs, this.#atMs));
  }

  /** @param {number} endMs end of the first entry to free; Infinity: none */
  #schedule(endMs) {
    if (this.#isClosed) return;
    this.#cancel();
    this.#atMs = endMs;
    const waitMs = endMs - this.#nowMs();
    if (waitMs < 0) void this.#run();
    // An entry exists until the end of its last microsecond.
    else this.#cancel = this.#deadlines.start(waitMs + 0.001, () => void this.#run(), BACKGROUND);
  }

  /** @param {unknown} [reason] error with which watches end */
  close(reason) {
    this.#isClosed = true;
    this.#cancel();
    this.watches.fail(reason);
  }
}
