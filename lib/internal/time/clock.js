/** Manual time for tests, and readings of the clocks that the package uses. */
import { SluiceError, rangeError } from '../util/errors.js';
import { SCHEDULE } from '../util/symbols.js';
import { checkMs } from '../util/validate.js';

const NS_PER_MS = 1e6;
const NS_PER_MS_BIG = 1_000_000n;
/** A century. */
const SPAN_MS_MAX = 100 * 365 * 24 * 3600 * 1000;
/** 146 years: the native side takes times below 2^62 ns. */
const NOW_NS_MAX = 2n ** 62n - 1n;

/**
 * An object driven by a clock.
 * @typedef {object} ClockSource
 * @property {() => bigint | undefined} nextDeadlineNs the time of its next action; undefined: none
 * @property {(ns: bigint) => void} advanceTo runs all actions due at or before `ns`
 */

/**
 * @param {number} ms finite
 * @returns {bigint} the nearest nanosecond, exact for times of any size
 */
export function nsFromMs(ms) {
  const whole = Math.trunc(ms);
  return BigInt(whole) * NS_PER_MS_BIG + BigInt(Math.round((ms - whole) * NS_PER_MS));
}

/**
 * @param {bigint} ns
 * @returns {number} milliseconds, rounded to a double
 */
function msFromNs(ns) {
  if (ns <= Number.MAX_SAFE_INTEGER) return Number(ns) / NS_PER_MS;
  return Number(ns / NS_PER_MS_BIG) + Number(ns % NS_PER_MS_BIG) / NS_PER_MS;
}

/**
 * Time moved by hand, for tests: `new Pipeline({ clock: new ManualClock(), ... })`.
 *
 * Objects created with the same clock share its time. All their actions after a wait happen within `advanceMs`.
 * Time is kept in whole nanoseconds, so sums of fractions do not drift, in up to 146 years.
 */
export class ManualClock {
  #nowNs = 0n;
  #advancing = false;
  /** @type {ClockSource[]} */
  #sources = [];

  /**
   * Milliseconds since the creation of the clock. Beyond 104 days (2^53 ns) fractions are rounded to what a
   * double can hold; `nowNs()` stays exact.
   * @returns {number}
   */
  nowMs() {
    return msFromNs(this.#nowNs);
  }

  /**
   * Nanoseconds since the creation of the clock.
   * @returns {bigint}
   */
  nowNs() {
    return this.#nowNs;
  }

  /**
   * Advances time by `ms`, rounded to the nearest nanosecond. All actions that become due
   * run before this returns, in order of due time, each at its own `nowMs()`.
   * @param {number} ms fractions allowed; up to a century
   * @throws {RangeError} the clock would go beyond 146 years
   * @throws {SluiceError} ERR_CLOCK_BUSY if called from an action of this clock
   */
  advanceMs(ms) {
    checkMs('ms', ms, { max: SPAN_MS_MAX });
    if (this.#advancing) {
      throw new SluiceError('ERR_CLOCK_BUSY', 'advanceMs was called while the clock is advancing');
    }
    const targetNs = this.#nowNs + nsFromMs(ms);
    if (targetNs > NOW_NS_MAX) throw rangeError('ms takes a span that ends within 146 years');
    this.#advancing = true;
    try {
      this.#advanceTo(targetNs);
    } finally {
      this.#advancing = false;
    }
  }

  /** @param {bigint} targetNs */
  #advanceTo(targetNs) {
    for (;;) {
      let earliestNs = targetNs;
      /** @type {ClockSource | undefined} */
      let earliest;
      for (const source of this.#sources) {
        const dueNs = source.nextDeadlineNs();
        if (dueNs === undefined || dueNs > earliestNs) continue;
        if (dueNs === earliestNs && earliest !== undefined) continue;
        earliestNs = dueNs;
        earliest = source;
      }
      if (earliest === undefined) break;
      if (earliestNs > this.#nowNs) this.#nowNs = earliestNs;
      earliest.advanceTo(this.#nowNs);
    }
    this.#nowNs = targetNs;
    for (const source of this.#sources) source.advanceTo(targetNs);
  }

  /**
   * @param {ClockSource} source driven for as long as the clock lives
   */
  [SCHEDULE](source) {
    this.#sources.push(source);
  }
}

/**
 * @param {ManualClock} [clock]
 * @returns {() => number} Unix time in milliseconds, advanced by the clock if given
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
 * @returns {() => number} Unix time in milliseconds, read at the start of the process and advanced by
 *   the monotonic clock; or the time of the clock given
 */
export function steadyUnixClock(clock) {
  if (clock !== undefined) return () => clock.nowMs();
  return () => performance.timeOrigin + performance.now();
}
