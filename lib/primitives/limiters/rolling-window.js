import native from '../../internal/native/addon.js';
import { checkInteger, checkNumber, checkOptions } from '../../internal/util/validate.js';

/** The largest time of a Date, in both directions. */
const TIME_MS_MAX = 8.64e15;
const FINITE = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE, unit: 'a number' };

/**
 * @param {string} name
 * @param {unknown} value
 * @param {number} [fallback]
 */
function checkTime(name, value, fallback) {
  return checkInteger(name, value, { min: -TIME_MS_MAX, max: TIME_MS_MAX, fallback });
}

/**
 * Counts and sums events in a window of `windowMs` that moves with the events' own time. An event at
 * `t` lies in the window of `now` when `now - windowMs < t <= now`. Events may come out of order; one
 * outside the newest event's window is ignored.
 *
 * Counts are exact while the window holds at most `maxEntries` different milliseconds. Beyond that,
 * neighbouring milliseconds are merged, which makes the window's edge inexact by a few of them. State is
 * native, and every call is synchronous; ends with garbage collection.
 */
export class RollingWindow {
  #native;

  /**
   * @param {object} options
   * @param {number} options.windowMs in whole milliseconds
   * @param {number} [options.maxEntries] default 100000; at most 32 bytes of memory each
   */
  constructor(options) {
    const { windowMs, maxEntries } = checkOptions('options', options, ['windowMs', 'maxEntries']);
    this.#native = new native.RollingWindow(
      checkInteger('windowMs', windowMs, { max: TIME_MS_MAX }),
      checkInteger('maxEntries', maxEntries, { min: 2, max: 1e7, fallback: 100_000 }),
    );
  }

  /**
   * @param {number} timestampMs an integer, since a fixed origin
   * @param {number} [value] added to the sum; default 1
   * @returns {boolean} false: the event was too old and was ignored
   */
  add(timestampMs, value = 1) {
    if (!Number.isFinite(value)) checkNumber('value', value, FINITE);
    return this.#native.add(checkTime('timestampMs', timestampMs), value);
  }

  /**
   * Events in (nowMs - windowMs, nowMs].
   * @param {number} [nowMs] default: the newest event's time. For an earlier time, events outside
   *   the newest event's window may be missing
   * @returns {number}
   */
  count(nowMs) {
    return this.#totals(nowMs)[0];
  }

  /**
   * The sum of these events' values.
   * @param {number} [nowMs] as in `count`
   * @returns {number}
   */
  sum(nowMs) {
    return this.#totals(nowMs)[1];
  }

  /** @param {number | undefined} nowMs */
  #totals(nowMs) {
    const newest = this.#native.newestMs();
    const now = checkTime('nowMs', nowMs, Number.isNaN(newest) ? 0 : newest);
    return this.#native.totals(now);
  }
}
