import native from '../../internal/native/addon.js';
import { checkChoice, checkInteger, checkMs, checkOptions } from '../../internal/util/validate.js';
import { KeyedLimiter, LIMITER_OPTIONS } from './keyed-limiter.js';

const NS_PER_MS = 1e6;
const YEAR_MS = 366 * 24 * 3600 * 1000;
/** A log of a million requests takes 16 to 32 MB for one key. */
const LOG_LIMIT_MAX = 1_000_000;

const FIXED_OPTIONS = Object.freeze(['limit', 'windowMs', ...LIMITER_OPTIONS]);
const SLIDING_OPTIONS = Object.freeze([...FIXED_OPTIONS, 'variant']);

/**
 * @typedef {object} FixedWindowOptions
 * @property {number} limit an integer from 1: maximum per window
 * @property {number} windowMs windows begin at its multiples on the limiter's clock
 * @property {number} [maxKeys] default 1,000,000. Keys without unexpired usage are removed.
 *   Beyond `maxKeys` with unexpired usage, the one of a few that expires first is also removed,
 *   and from then on an unknown key starts with the usage of that one: no key ever
 *   gets more through a removal
 * @property {number} [maxWaiting] maximum waiting callers of `acquire`, over all keys; default
 *   100,000
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */
/**
 * @typedef {FixedWindowOptions & {variant?: 'log' | 'counter'}} SlidingWindowOptions `log`, the
 *   default, is exact and keeps up to `limit` (then at most 1,000,000) times for each key. `counter`
 *   keeps two numbers: it assumes that the requests of the previous window were spread evenly
 */

/** @param {FixedWindowOptions} given @param {number} [max] */
function windowOf(given, max) {
  const limit = checkInteger('limit', given.limit, { max });
  const windowMs = checkMs('windowMs', given.windowMs, { min: 1, max: YEAR_MS });
  return { limit, windowNs: Math.round(windowMs * NS_PER_MS) };
}

/**
 * `limit` in each window, for each key; up to twice the limit around a boundary between windows.
 * State is native; ends with garbage collection.
 */
export class FixedWindowLimiter extends KeyedLimiter {
  /** @param {FixedWindowOptions} options */
  constructor(options) {
    const given = checkOptions('options', options, FIXED_OPTIONS);
    const { limit, windowNs } = windowOf(given);
    super(native.FixedWindow, given, limit, [limit, windowNs]);
  }
}

/**
 * `limit` in the `windowMs` up to now, for each key. State is native; ends with garbage collection.
 */
export class SlidingWindowLimiter extends KeyedLimiter {
  /** @param {SlidingWindowOptions} options */
  constructor(options) {
    const given = checkOptions('options', options, SLIDING_OPTIONS);
    const variant = checkChoice('variant', given.variant, ['log', 'counter'], 'log');
    const isLog = variant === 'log';
    const { limit, windowNs } = windowOf(given, isLog ? LOG_LIMIT_MAX : undefined);
    super(isLog ? native.SlidingLog : native.SlidingCounter, given, limit, [limit, windowNs]);
  }
}
