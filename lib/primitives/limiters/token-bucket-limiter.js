import native from '../../internal/native/addon.js';
import { checkInteger, checkNumber, checkOptions } from '../../internal/util/validate.js';
import { KeyedLimiter, LIMITER_OPTIONS } from './keyed-limiter.js';

/** The native side's bounds for a rate. */
const RATE_MIN = 1e-9;
const RATE_MAX = 1e12;

const OPTIONS = Object.freeze(['capacity', 'refillPerSecond', ...LIMITER_OPTIONS]);

/**
 * @typedef {object} TokenBucketOptions
 * @property {number} capacity an integer from 1: tokens in a full bucket, the initial state of a key
 * @property {number} refillPerSecond tokens, fractions allowed; interpreted as the simplest fraction that
 *   equals the number, so 0.1 is exactly one in ten seconds
 * @property {number} [maxKeys] default 1,000,000. Keys with a full bucket are removed. Beyond
 *   `maxKeys` with partly used buckets, the fullest of a few is also removed, and from then
 *   on an unknown key starts with as many tokens missing as that one: it may have to wait for
 *   tokens that it still had, but no key ever gets more
 * @property {number} [maxWaiting] maximum waiting callers of `acquire`, over all keys; default
 *   100,000
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * A token bucket for each key: up to `capacity` at once, `refillPerSecond` in the long run, exact to
 * the nanosecond. State is native; ends with garbage collection.
 */
export class TokenBucketLimiter extends KeyedLimiter {
  /** @param {TokenBucketOptions} options */
  constructor(options) {
    const given = checkOptions('options', options, OPTIONS);
    const capacity = checkInteger('capacity', given.capacity);
    const rate = checkNumber('refillPerSecond', given.refillPerSecond, {
      min: RATE_MIN,
      max: RATE_MAX,
      unit: 'tokens',
    });
    super(native.TokenBucket, given, capacity, [capacity, rate]);
  }
}
