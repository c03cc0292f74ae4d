/**
 * Time moved by hand, for tests: `new Pipeline({ clock: new ManualClock(), ... })`.
 *
 * Everything made with one clock shares it, and nothing of it happens except within `advanceMs`
 * (or at once, for what needs no time to pass).
 */
import { SluiceError } from '../util/errors.js';
import { kSchedule } from '../util/symbols.js';
import { checkMs } from '../util/validate.js';

/** Kept in nanoseconds, as the native side does, so that no sum of fractions drifts. */
const NS_PER_MS = 1e6;
/** 90 days: nanoseconds stay exact integers below 2^53. */
const SPAN_MS_MAX = 90 * 24 * 3600 * 1000;

/**
 * Something that a clock drives.
 * @typedef {object} ClockSource
 * @property {() => number} nextDeadlineMs when it next has something to do; Infinity for never
 * @property {(ms: number) => void} advanceTo does everything due at or before `ms`
 */

export class ManualClock {
  #nowNs = 0;
  #advancing = false;
  /** @type {ClockSource[]} */
  #sources = [];

  /**
   * Milliseconds since the clock was made.
   * @returns {number}
   */
  nowMs() {
    return this.#nowNs / NS_PER_MS;
  }

  /**
   * Moves time on by `ms` (fractions allowed). What falls due on the way happens before this
   * returns, in order of due time, each at its own `nowMs()`.
   * @param {number} ms
   * @throws {SluiceError} ERR_CLOCK_BUSY when called from something that this clock has fired
   */
  advanceMs(ms) {
    checkMs('ms', ms, { max: SPAN_MS_MAX });
    if (this.#advancing) {
      throw new SluiceError('ERR_CLOCK_BUSY', 'advanceMs was called while the clock is advancing');
    }
    this.#advancing = true;
    try {
      this.#advanceTo(this.#nowNs + Math.round(ms * NS_PER_MS));
    } finally {
      this.#advancing = false;
    }
  }

  /** @param {number} targetNs */
  #advanceTo(targetNs) {
    for (;;) {
      let earliestNs = Infinity;
      /** @type {ClockSource | undefined} */
      let earliest;
      for (const source of this.#sources) {
        const dueNs = Math.round(source.nextDeadlineMs() * NS_PER_MS);
        if (dueNs < earliestNs) {
          earliestNs = dueNs;
          earliest = source;
        }
      }
      if (earliest === undefined || earliestNs > targetNs) break;
      this.#nowNs = Math.max(this.#nowNs, earliestNs);
      earliest.advanceTo(this.nowMs());
    }
    this.#nowNs = targetNs;
    for (const source of this.#sources) source.advanceTo(this.nowMs());
  }

  /**
   * @param {ClockSource} source driven for as long as the clock lives
   */
  [kSchedule](source) {
    this.#sources.push(source);
  }
}

/**
 * @param {ManualClock} [clock]
 * @returns {() => number} Unix time in milliseconds, which goes on as the clock does if there is one
 */
export function wallClock(clock) {
  if (clock === undefined) return Date.now;
  const offsetMs = Date.now() - clock.nowMs();
  return () => offsetMs + clock.nowMs();
}

/**
 * @param {ManualClock} [clock]
 * @returns {() => number} milliseconds of the monotonic clock, or of the one given
 */
export function monotonicClock(clock) {
  return clock === undefined ? () => performance.now() : () => clock.nowMs();
}

/**
 * @param {ManualClock} [clock]
 * @returns {() => number} Unix time in milliseconds, taken when the process began and going on with
 *   the monotonic clock; or the time of the clock given
 */
export function steadyUnixClock(clock) {
  if (clock !== undefined) return () => clock.nowMs();
  return () => performance.timeOrigin + performance.now();
}
