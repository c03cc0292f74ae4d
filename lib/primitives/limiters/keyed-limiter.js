/**
 * What the limiters with keys have in common: the check of a request, its time, and the answer.
 *
 * The native side counts in integer nanoseconds, this one in seconds. A wait of so many nanoseconds
 * becomes the double nearest to it in seconds, and a `now` in seconds the nearest nanosecond: so
 * `now + retryAfter`, given as the next `now`, is exactly the nanosecond that is meant as long as
 * `now` is below a million seconds, and a wait after an explicit `now` that is larger (seconds
 * since 1970, whose doubles lie 240 ns apart) is made longer by what it takes not to fall short.
 */
import {
  checkClock,
  checkInteger,
  checkNumber,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';

const NS_PER_S = 1e9;
const NS_PER_MS = 1e6;
/** Integer nanoseconds up to here fit 63 bits, differences of two of them as well. */
const NOW_S_MAX = 4e9;
const KEYS_MAX = 2 ** 31;

/**
 * @typedef {object} LimitResult
 * @property {boolean} allowed whether the cost was taken; if not, nothing was
 * @property {number} remaining what could be taken now, after this request
 * @property {number} limit the most that can be taken at once
 * @property {number} retryAfter seconds after which the same request is granted if nobody else
 *   asks; 0 when it was, Infinity when it can never be
 * @property {number} resetAfter seconds after which nothing of what was taken counts any more
 */
/**
 * @typedef {object} AllowOptions
 * @property {number} [cost] an integer from 0; default 1. 0 peeks: it is allowed and takes nothing
 * @property {number} [now] in seconds, of whatever clock all calls with a `now` share; default: the
 *   limiter's own clock
 */

/**
 * The time of a request in nanoseconds; NaN has the native side read the monotonic clock.
 * @param {number | undefined} now in seconds
 * @param {import('../../internal/time/clock.js').ManualClock | undefined} clock
 * @returns {number}
 */
export function nowNs(now, clock) {
  if (now === undefined) return clock === undefined ? NaN : Math.round(clock.nowMs() * NS_PER_MS);
  checkNumber('now', now, { min: -NOW_S_MAX, max: NOW_S_MAX, unit: 'seconds' });
  return Math.round(now * NS_PER_S);
}

/**
 * @param {number} waitNs
 * @param {number | undefined} now what the caller gave, in seconds
 * @returns {number} seconds
 */
export function secondsOf(waitNs, now) {
  let wait = waitNs / NS_PER_S;
  if (now === undefined || waitNs === 0 || waitNs === Infinity) return wait;
  const untilNs = Math.round(now * NS_PER_S) + waitNs;
  while (Math.round((now + wait) * NS_PER_S) < untilNs) {
    wait += Math.abs(now + wait) * Number.EPSILON;
  }
  return wait;
}

/**
 * @param {{maxKeys?: number}} options
 * @returns {number}
 */
export function maxKeysOf(options) {
  return checkInteger('maxKeys', options.maxKeys, { max: KEYS_MAX, fallback: 1_000_000 });
}

export class KeyedLimiter {
  #native;
  #clock;
  #limit;
  #answer;

  /**
   * @param {new (...args: any[]) => any} Native
   * @param {{maxKeys?: number, clock?: import('../../internal/time/clock.js').ManualClock}} options
   * @param {number} limit
   * @param {number[]} own further arguments of the native class
   */
  constructor(Native, options, limit, own) {
    this.#answer = new Float64Array(new ArrayBuffer(3 * Float64Array.BYTES_PER_ELEMENT));
    this.#native = new Native(this.#answer, maxKeysOf(options), ...own);
    this.#clock = checkClock('clock', options.clock);
    this.#limit = limit;
  }

  /**
   * Keys held in memory: those of which something counts, and some others, which go by and by.
   * @returns {number}
   */
  get size() {
    return this.#native.size();
  }

  /**
   * Takes `cost` for `key` if it can be taken in full, and else nothing: a denial costs nothing.
   * @param {string} key compared as UTF-8
   * @param {AllowOptions} [options]
   * @returns {LimitResult}
   */
  allow(key, options) {
    checkString('key', key);
    let cost = 1;
    let now;
    if (options !== undefined) {
      ({ now } = checkOptions('options', options));
      cost = checkInteger('cost', options.cost, { min: 0, fallback: 1 });
    }
    const allowed = this.#native.allow(key, cost, nowNs(now, this.#clock));
    const answer = this.#answer;
    return {
      allowed,
      remaining: answer[0],
      limit: this.#limit,
      retryAfter: secondsOf(answer[1], now),
      resetAfter: secondsOf(answer[2], now),
    };
  }
}
