/**
 * Cancellable one-shot timers, in real time or under a ManualClock, for JavaScript; the core
 * has its own timers. A pending timer in real time keeps the process alive, unless it is started
 * with `background`.
 */
import { nsFromMs } from './clock.js';
import { SCHEDULE } from '../util/symbols.js';

/** The maximum of setTimeout, about 25 days. */
const WAIT_MS_MAX = 2 ** 31 - 1;

/**
 * `start` calls `callback`, which must not throw, once after `ms`; the returned function cancels
 * the timer. Infinity never fires. In real time a wait beyond 2^31 - 1 ms fires early: check the time
 * again and start another one.
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

/** Timers that a ManualClock fires. Due times are whole nanoseconds, like those of the clock. */
class ManualDeadlines {
  #clock;
  /** @type {Set<{dueNs: bigint, callback: () => void}>} */
  #pending = new Set();

  /** @param {import('./clock.js').ManualClock} clock */
  constructor(clock) {
    this.#clock = clock;
    clock[SCHEDULE]({
      nextDeadlineNs: () => this.#next()?.dueNs,
      advanceTo: (/** @type {bigint} */ ns) => this.#fire(ns),
    });
  }

  /** @type {Deadlines['start']} */
  start(ms, callback) {
    if (ms === Infinity) return () => {};
    const entry = { dueNs: this.#clock.nowNs() + nsFromMs(Math.max(ms, 0)), callback };
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

  /** @param {bigint} nowNs */
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
