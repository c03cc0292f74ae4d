/**
 * A token bucket for each key, over the native one: up to `capacity` at once, `refillPerSecond` in
 * the long run, exact to the nanosecond.
 */
import native from '../../internal/native/addon.js';
import { KeyedLimiter } from './keyed-limiter.js';
import { checkInteger, checkNumber, checkOptions } from '../../internal/util/validate.js';

/** The native side's bounds for a rate. */
const RATE_MIN = 1e-9;
const RATE_MAX = 1e12;

/**
 * @typedef {object} TokenBucketOptions
 * @property {number} capacity an integer from 1: tokens in a full bucket, with which a key starts
 * @property {number} refillPerSecond tokens, fractions allowed; taken as the simplest fraction that
 *   the number stands for, so 0.1 is one in ten seconds exactly
 * @property {number} [maxKeys] default 1,000,000. Keys whose bucket is full are forgotten. With
 *   more than `maxKeys` that are not, the fullest of a few is, and from then on a key that the
 *   limiter does not know is taken to lack as many as that one did: it may have to wait for what
 *   it had left, but no key is ever granted more
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

export class TokenBucketLimiter extends KeyedLimiter {
  /** @param {TokenBucketOptions} options */
  constructor(options) {
    const given = checkOptions('options', options);
    const capacity = checkInteger('capacity', given.capacity);
    const rate = checkNumber('refillPerSecond', given.refillPerSecond, {
      min: RATE_MIN,
      max: RATE_MAX,
      unit: 'tokens',
    });
    super(native.TokenBucket, given, capacity, [capacity, rate]);
  }
}
