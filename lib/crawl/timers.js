/** Time for a crawl: the monotonic clock, or one that is moved by hand. */
import { kSchedule } from '../symbols.js';

/**
 * @typedef {object} Timers
 * @property {() => number} nowMs
 * @property {(delayMs: number, callback: () => void) => () => void} after calls back once, unless
 *   the returned function is called before; a delay of Infinity never does
 */

/** The longest that setTimeout takes; a longer wait comes early and is begun anew by its owner. */
const kDelayMsMax = 2 ** 31 - 1;

/** @type {Timers} */
const realTimers = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    if (delayMs === Infinity) return () => {};
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), kDelayMsMax));
    return () => clearTimeout(timer);
  },
};

/** @type {WeakMap<object, Timers>} */
const manual = new WeakMap();

/**
 * @param {import('../clock.js').ManualClock} clock
 * @returns {Timers}
 */
function manualTimers(clock) {
  /** @type {Set<{dueMs: number, callback: () => void}>} */
  const waiting = new Set();
  const nextDeadlineMs = () => Math.min(...[...waiting].map(({ dueMs }) => dueMs), Infinity);
  clock[kSchedule]({
    nextDeadlineMs,
    advanceTo(ms) {
      const due = [...waiting].filter(({ dueMs }) => dueMs <= ms);
      for (const timer of due.sort((a, b) => a.dueMs - b.dueMs)) {
        // One may have taken back another.
        if (waiting.delete(timer)) timer.callback();
      }
    },
  });
  return {
    nowMs: () => clock.nowMs(),
    after(delayMs, callback) {
      if (delayMs === Infinity) return () => {};
      const timer = { dueMs: clock.nowMs() + Math.max(delayMs, 0), callback };
      waiting.add(timer);
      return () => waiting.delete(timer);
    },
  };
}

/**
 * @param {import('../clock.js').ManualClock} [clock] absent: real time
 * @returns {Timers} one set for each clock
 */
export function timersOf(clock) {
  if (clock === undefined) return realTimers;
  let timers = manual.get(clock);
  if (timers === undefined) {
    timers = manualTimers(clock);
    manual.set(clock, timers);
  }
  return timers;
}
