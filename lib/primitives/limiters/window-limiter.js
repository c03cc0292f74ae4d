/**
 * Limits per window of time for each key, over the native ones: `FixedWindowLimiter`, whose windows
 * begin at multiples of their length, and `SlidingWindowLimiter`, whose window ends now.
 */
import native from '../../internal/native/addon.js';
import { KeyedLimiter } from './keyed-limiter.js';
import { checkChoice, checkInteger, checkMs, checkOptions } from '../../internal/util/validate.js';

const NS_PER_MS = 1e6;
const YEAR_MS = 366 * 24 * 3600 * 1000;
/** A log of so many requests takes 16 to 32 MB for one key. */
const LOG_LIMIT_MAX = 1_000_000;

/**
 * @typedef {object} FixedWindowOptions
 * @property {number} limit an integer from 1: so much in each window
 * @property {number} windowMs windows begin at the multiples of it on the limiter's clock
 * @property {number} [maxKeys] default 1,000,000. Keys of which nothing counts any more are
 *   forgotten. With more than `maxKeys` of which something does, the one of a few that is soonest
 *   to be over is, and from then on a key that the limiter does not know is taken to have used as
 *   much as that one: no key is ever granted more for being forgotten
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */
/**
 * @typedef {FixedWindowOptions & {variant?: 'log' | 'counter'}} SlidingWindowOptions `log`, the
 *   default, is exact and keeps up to `limit` (then at most 1,000,000) times for each key. `counter`
 *   keeps two numbers: it takes the requests of the window before to be spread evenly over it
 */

/** @param {FixedWindowOptions} given @param {number} [max] */
function windowOf(given, max) {
  const limit = checkInteger('limit', given.limit, { max });
  const windowMs = checkMs('windowMs', given.windowMs, { min: 1, max: YEAR_MS });
  return { limit, windowNs: Math.round(windowMs * NS_PER_MS) };
}

export class FixedWindowLimiter extends KeyedLimiter {
  /** @param {FixedWindowOptions} options */
  constructor(options) {
    const given = checkOptions('options', options);
    const { limit, windowNs } = windowOf(given);
    super(native.FixedWindow, given, limit, [limit, windowNs]);
  }
}

export class SlidingWindowLimiter extends KeyedLimiter {
  /** @param {SlidingWindowOptions} options */
  constructor(options) {
    const given = checkOptions('options', options);
    const variant = checkChoice('variant', given.variant, ['log', 'counter'], 'log');
    const isLog = variant === 'log';
    const { limit, windowNs } = windowOf(given, isLog ? LOG_LIMIT_MAX : undefined);
    super(isLog ? native.SlidingLog : native.SlidingCounter, given, limit, [limit, windowNs]);
  }
}
