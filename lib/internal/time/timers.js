/**
 * "Call me in so many milliseconds, unless I say otherwise", in real time or under a ManualClock.
 *
 * For single deadlines of the JavaScript side; what ticks in the core has its own timers. A pending
 * deadline in real time keeps the process alive, unless it is of the `background`.
 */
import { kSchedule } from '../util/symbols.js';

const NS_PER_MS = 1e6;
/** What setTimeout takes, some 25 days. */
const WAIT_MS_MAX = 2 ** 31 - 1;

/**
 * `callback` must not throw; the function returned calls it off; Infinity is never. A wait beyond
 * 2^31 - 1 ms may come early: who waits for longer looks again then.
 * @typedef {{start: (ms: number, callback: () => void, options?: {background?: boolean}) =>
 *   () => void}} Deadlines
 */

/** @type {Deadlines} */
const realTime = {
  start(ms, callback, { background = false } = {}) {
    if (ms === Infinity) return () => {};
    const timer = setTimeout(callback, Math.min(Math.max(ms, 0), WAIT_MS_MAX));
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** See the head of this file. In nanoseconds, as the clock itself: sums of fractions do not drift. */
class ManualDeadlines {
  #clock;
  /** @type {Set<{dueNs: number, callback: () => void}>} */
  #pending = new Set();

  /** @param {import('./clock.js').ManualClock} clock */
  constructor(clock) {
    this.#clock = clock;
    clock[kSchedule]({
      nextDeadlineMs: () => (this.#next()?.dueNs ?? Infinity) / NS_PER_MS,
      advanceTo: (ms) => this.#fire(Math.round(ms * NS_PER_MS)),
    });
  }

  /** @type {Deadlines['start']} */
  start(ms, callback) {
    const dueMs = this.#clock.nowMs() + Math.max(ms, 0);
    const entry = { dueNs: Math.round(dueMs * NS_PER_MS), callback };
    this.#pending.add(entry);
    return () => this.#pending.delete(entry);
  }

  #next() {
    let next;
    for (const entry of this.#pending) {
      if (next === undefined || entry.dueNs < next.dueNs) next = entry;
    }
    return next;
  }

  /** @param {number} nowNs */
  #fire(nowNs) {
    for (let entry = this.#next(); entry && entry.dueNs <= nowNs; entry = this.#next()) {
      this.#pending.delete(entry);
      entry.callback();
    }
  }
}

/** @type {WeakMap<object, ManualDeadlines>} */
const manual = new WeakMap();

/**
 * @param {import('./clock.js').ManualClock} [clock] absent: real time
 * @returns {Deadlines}
 */
export function deadlinesOf(clock) {
  if (clock === undefined) return realTime;
  let deadlines = manual.get(clock);
  if (deadlines === undefined) {
    deadlines = new ManualDeadlines(clock);
    manual.set(clock, deadlines);
  }
  return deadlines;
}
