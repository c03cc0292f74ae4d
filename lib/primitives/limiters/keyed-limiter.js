/**
 * The base class of the limiters by key: argument checks, times, and results, over a native limiter.
 */
import { deadlinesOf } from '../../internal/time/timers.js';
import { rangeError } from '../../internal/util/errors.js';
import {
  checkClock,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';
import { AcquireQueue } from './acquire-queue.js';
import { waitSeconds, writeTime } from './time.js';

const NS_PER_MS = 1e6;
const KEYS_MAX = 2 ** 31;
/** Layout of the numbers shared with the native side: native/addon/bindings/limits/limiter_wrap.h. */
const NUMBERS = 5;

/** Options that every limiter takes. */
export const LIMITER_OPTIONS = Object.freeze(['maxKeys', 'maxWaiting', 'clock']);
const ALLOW_OPTIONS = Object.freeze(['cost', 'now']);
const ACQUIRE_OPTIONS = Object.freeze(['cost', 'signal']);

/** @typedef {import('./acquire-queue.js').LimitResult} LimitResult */
/**
 * @typedef {object} AllowOptions
 * @property {number} [cost] an integer from 0; default 1. 0 only reads: always allowed
 * @property {number | bigint} [now] seconds, or nanoseconds as a BigInt, of the clock shared by all
 *   calls with a `now`; default: the limiter's own clock
 */
/**
 * @typedef {object} AcquireOptions
 * @property {number} [cost] an integer from 0 to the limit; default 1
 * @property {AbortSignal} [signal] removes the caller from the queue
 */
/**
 * @typedef {object} NativeLimiter
 * @property {(key: string, cost: number) => boolean} allow
 * @property {(key: string) => boolean} reset
 * @property {() => number} size
 */
/**
 * @typedef {object} LimiterOptions
 * @property {number} [maxKeys] default 1,000,000
 * @property {number} [maxWaiting] maximum waiting callers of `acquire`, over all keys; default
 *   100,000
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * @param {{maxKeys?: number}} options
 * @returns {number}
 */
export function maxKeysOf(options) {
  return checkInteger('maxKeys', options.maxKeys, { max: KEYS_MAX, fallback: 1_000_000 });
}

/** Base class of TokenBucketLimiter, FixedWindowLimiter and SlidingWindowLimiter. */
export class KeyedLimiter {
  #native;
  #clock;
  #limit;
  #numbers = new Float64Array(new ArrayBuffer(NUMBERS * Float64Array.BYTES_PER_ELEMENT));
  #queue;

  /**
   * @param {new (numbers: Float64Array, maxKeys: number, ...own: number[]) => NativeLimiter} Native
   * @param {LimiterOptions} options
   * @param {number} limit
   * @param {number[]} own further arguments of the native class
   */
  constructor(Native, options, limit, own) {
    this.#native = new Native(this.#numbers, maxKeysOf(options), ...own);
    this.#clock = checkClock('clock', options.clock);
    this.#limit = limit;
    this.#queue = new AcquireQueue({
      attempt: (key, cost) => {
        const result = this.#allow(key, cost, undefined);
        return { result, waitMs: this.#numbers[3] / NS_PER_MS };
      },
      timers: deadlinesOf(this.#clock),
      maxWaiting: checkInteger('maxWaiting', options.maxWaiting, { fallback: 100_000 }),
    });
  }

  /**
   * Keys held in memory: those with unexpired usage, and expired ones not yet swept.
   * @returns {number}
   */
  get size() {
    return this.#native.size();
  }

  /**
   * Number of waiting callers of `acquire`.
   * @returns {number}
   */
  get waiting() {
    return this.#queue.size;
  }

  /**
   * Takes `cost` for `key` in full or not at all: a denial costs nothing.
   * Waiting callers of `acquire` have no precedence.
   * @param {string} key compared as UTF-8
   * @param {AllowOptions} [options]
   * @returns {LimitResult}
   */
  allow(key, options) {
    checkString('key', key);
    if (options === undefined) return this.#allow(key, 1, undefined);
    const { cost, now } = checkOptions('options', options, ALLOW_OPTIONS);
    return this.#allow(key, checkInteger('cost', cost, { min: 0, fallback: 1 }), now);
  }

  /**
   * Takes `cost` for `key` as soon as it can be taken in full. Callers with the same key are served
   * in order of arrival; a pending call keeps the process alive.
   * @param {string} key
   * @param {AcquireOptions} [options]
   * @returns {Promise<LimitResult>} with `allowed: true`
   * @throws {RangeError} the cost is above the limit, so it could never be taken
   * @throws {SluiceError} ERR_LIMITER_FULL: `maxWaiting` callers wait already
   * @throws the signal's reason: nothing was taken
   */
  async acquire(key, options) {
    checkString('key', key);
    const given = checkOptions('options', options, ACQUIRE_OPTIONS);
    const cost = checkInteger('cost', given.cost, { min: 0, fallback: 1 });
    const signal = checkSignal('signal', given.signal);
    if (cost > this.#limit) {
      throw rangeError(`cost takes an integer up to the limit, ${this.#limit}, not ${cost}`);
    }
    return this.#queue.acquire(key, cost, signal);
  }

  /**
   * Resets the usage of `key`, and serves its callers of `acquire`.
   * @param {string} key
   * @param {{now?: number | bigint}} [options] see `allow`
   * @returns {boolean} whether the key had unexpired usage
   */
  reset(key, options) {
    checkString('key', key);
    const { now } = checkOptions('options', options, ['now']);
    writeTime(this.#numbers, now, this.#clock);
    const counted = this.#native.reset(key);
    this.#queue.wake(key);
    return counted;
  }

  /**
   * @param {string} key
   * @param {number} cost
   * @param {number | bigint | undefined} now
   * @returns {LimitResult}
   */
  #allow(key, cost, now) {
    const numbers = this.#numbers;
    writeTime(numbers, now, this.#clock);
    const allowed = this.#native.allow(key, cost);
    return {
      allowed,
      remaining: numbers[2],
      limit: this.#limit,
      retryAfter: waitSeconds(numbers[3], now),
      resetAfter: waitSeconds(numbers[4], now),
    };
  }
}
