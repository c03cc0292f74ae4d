/**
 * Counts what happened within a span of time, by the time of the events themselves. The state is
 * native; every call is synchronous. Ends with garbage collection.
 */
import native from '../../internal/native/addon.js';
import { checkInteger, checkOptions } from '../../internal/util/validate.js';

const kTimeMsMax = 8.64e15;

/**
 * @param {string} name
 * @param {unknown} value
 * @param {number} [fallback]
 */
function checkTime(name, value, fallback) {
  return checkInteger(name, value, { min: -kTimeMsMax, max: kTimeMsMax, fallback });
}

/**
 * A window of `windowMs` that moves with the time of the events. An event at `t` is in the window
 * of `now` when `now - windowMs < t <= now`: one that is exactly a window old is out, one of this
 * very millisecond is in. Events may come out of order; one that is already outside of the window
 * of the newest is not taken.
 *
 * Counts are exact while the window holds at most `maxEntries` different milliseconds. Beyond that,
 * neighbours are put together, which blurs the window's edge by a few of them.
 */
export class RollingWindow {
  #native;

  /**
   * @param {object} options
   * @param {number} options.windowMs in whole milliseconds
   * @param {number} [options.maxEntries] default 100000; memory is 32 bytes each at most
   */
  constructor(options) {
    const { windowMs, maxEntries } = checkOptions('RollingWindow', options);
    this.#native = new native.RollingWindow(
      checkInteger('windowMs', windowMs, { max: kTimeMsMax }),
      checkInteger('maxEntries', maxEntries, { min: 2, max: 1e7, fallback: 100_000 }),
    );
  }

  /**
   * @param {number} timestampMs an integer, of whichever origin
   * @param {number} [value] what it adds to the sum; default 1
   * @returns {boolean} false when it is too old to be taken
   */
  add(timestampMs, value = 1) {
    if (typeof value !== 'number') checkInteger('value', value);
    return this.#native.add(checkTime('timestampMs', timestampMs), value);
  }

  /**
   * How many events lie in (nowMs - windowMs, nowMs].
   * @param {number} [nowMs] default: the newest event's time. Of times before that, what has left
   *   the newest event's window may be forgotten already
   * @returns {number}
   */
  count(nowMs) {
    return this.#totals(nowMs)[0];
  }

  /**
   * The sum of their values.
   * @param {number} [nowMs] as of `count`
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
