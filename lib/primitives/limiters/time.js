/**
 * Times and waits of the limiters, between JavaScript and the native side.
 *
 * The native side counts in integer nanoseconds. Seconds since 1970 as nanoseconds are beyond 2^53,
 * so a time is passed as whole seconds and remaining nanoseconds, without rounding.
 */
import { checkBigInt, checkNumber } from '../../internal/util/validate.js';

const NS_PER_S = 1e9;
const NS_PER_S_BIG = 1_000_000_000n;
/** Nanoseconds up to this value, and differences of two, fit 63 bits. */
const NOW_S_MAX = 4e9;
const NOW_NS_MAX = BigInt(NOW_S_MAX) * NS_PER_S_BIG;
/** Below this value, doubles of seconds are exact to a nanosecond. */
const FINE_S_MAX = 2 ** 20;

/**
 * Writes the time of a request to places 0 (whole seconds) and 1 (nanoseconds). NaN has the native
 * side read the monotonic clock.
 * @param {Float64Array} numbers
 * @param {number | bigint | undefined} now seconds, or nanoseconds as a BigInt; default: `clock`'s
 * @param {import('../../internal/time/clock.js').ManualClock | undefined} clock
 */
export function writeTime(numbers, now, clock) {
  if (typeof now === 'number') {
    checkNumber('now', now, { min: -NOW_S_MAX, max: NOW_S_MAX, unit: 'seconds' });
    numbers[0] = Math.floor(now);
    numbers[1] = nanosOf(now);
    return;
  }
  if (now === undefined && clock === undefined) {
    numbers[0] = NaN;
    return;
  }
  const ns =
    now === undefined ? /** @type {NonNullable<typeof clock>} */ (clock).nowNs() : checkNowNs(now);
  numbers[0] = Number(ns / NS_PER_S_BIG);
  numbers[1] = Number(ns % NS_PER_S_BIG);
}

/** @param {unknown} now */
function checkNowNs(now) {
  if (typeof now !== 'bigint') {
    checkNumber('now', now, { min: -NOW_S_MAX, max: NOW_S_MAX, unit: 'seconds' });
  }
  return checkBigInt('now', now, { min: -NOW_NS_MAX, max: NOW_NS_MAX });
}

/**
 * A wait in seconds, such that the request is granted at `now + wait`, computed in doubles. From a
 * million seconds on, where doubles are coarser than nanoseconds (238 ns for seconds since 1970),
 * it is longer by up to two steps of a double: `now` may itself be a rounded number of milliseconds.
 * @param {number} waitNs Infinity: never
 * @param {number | bigint | undefined} now as given by the caller
 * @returns {number}
 */
export function waitSeconds(waitNs, now) {
  let wait = waitNs / NS_PER_S;
  if (typeof now !== 'number' || waitNs === 0 || waitNs === Infinity) return wait;
  const step = Math.abs(now + wait) * Number.EPSILON;
  if (Math.abs(now) >= FINE_S_MAX) wait += 1.5 * step;
  while (nanosBetween(now, now + wait) < waitNs) wait += step;
  return wait;
}

/**
 * The first double of seconds that is not before a time.
 * @param {number} whole seconds
 * @param {number} nanos after them
 * @returns {number}
 */
export function secondsAt(whole, nanos) {
  let seconds = whole + nanos / NS_PER_S;
  while (nanosBetween(whole, seconds) < nanos) seconds += Math.abs(seconds) * Number.EPSILON;
  return seconds;
}

/** @param {number} from seconds @param {number} to seconds */
function nanosBetween(from, to) {
  return (Math.floor(to) - Math.floor(from)) * NS_PER_S + (nanosOf(to) - nanosOf(from));
}

/** @param {number} seconds */
function nanosOf(seconds) {
  return Math.round((seconds - Math.floor(seconds)) * NS_PER_S);
}
