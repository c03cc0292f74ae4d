/** Options of a KvStore and of its calls, checked. Unknown ones are refused by name. */
import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkBoolean, checkInteger, checkKnown, checkMs } from '../../internal/util/validate.js';

/** For the native side: whatever version there is, or none. */
export const ANY_VERSION = -1;
/** For the native side, in place of a version. */
const NOT_THERE = 0;
/** For the native side, in place of a time to live: the end that the key has. */
export const KEEP_TTL = -1;
const MIB = 2 ** 20;
/** A century. */
const TTL_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/**
 * @typedef {object} KvStoreOptions
 * @property {number} [maxKeys] default 1,000,000; expired keys do not count
 * @property {number} [maxKeyBytes] of one key as UTF-8; default 1024
 * @property {number} [maxValueBytes] of one value, as UTF-8 or JSON where it is no buffer; default
 *   1 MiB
 * @property {number} [maxBytes] of all keys and values in the store; default 256 MiB
 * @property {number} [maxPinnedBytes] of replaced values that open snapshots still show; default as
 *   `maxBytes`. Beyond it nothing is set until a snapshot is released
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: Unix time as of the
 *   start of the process, going on monotonically
 */
/**
 * @typedef {object} KvSetOptions
 * @property {number} [ttlMs] time to live in milliseconds; 0: for this very moment; default
 *   Infinity, also where the key had one before
 * @property {boolean} [keepTtl] the key keeps the end that it has; a new key gets none
 * @property {number} [ifVersion] only if the key has this version; 0: if it is not there
 * @property {boolean} [ifAbsent] only if the key is not there; an expired key is not
 */
/**
 * @typedef {object} KvTouchOptions
 * @property {number} [ttlMs] time to live from now on, in milliseconds; default Infinity
 * @property {number} [ifVersion] only if the key has this version
 */
/**
 * @typedef {object} KvIncrementOptions
 * @property {number} [ttlMs] of a key that is not there yet; a key that is there keeps its end.
 *   Default Infinity
 */
/**
 * @typedef {object} KvDeleteOptions
 * @property {number} [ifVersion] only if the key has this version
 */

const LIMITS = /** @type {const} */ ([
  'maxKeys',
  'maxKeyBytes',
  'maxValueBytes',
  'maxBytes',
  'maxPinnedBytes',
]);

/**
 * @param {KvStoreOptions | undefined} options
 * @returns {KvStoreOptions}
 */
export function checkStoreOptions(options) {
  return checkKnown('options', options, [...LIMITS, 'clock']);
}

/**
 * @param {KvStoreOptions} given
 * @param {string} [prefix] of the names in errors
 * @returns {import('./errors.js').KvLimits}
 */
export function checkLimits(given, prefix = '') {
  /**
   * @param {typeof LIMITS[number]} name
   * @param {{min?: number, max?: number, fallback: number}} range
   */
  const limit = (name, range) => checkInteger(prefix + name, given[name], range);
  const maxBytes = limit('maxBytes', { fallback: 256 * MIB });
  return {
    maxKeys: limit('maxKeys', { max: 2 ** 31, fallback: 1_000_000 }),
    maxKeyBytes: limit('maxKeyBytes', { max: MIB, fallback: 1024 }),
    maxValueBytes: limit('maxValueBytes', { max: 256 * MIB, fallback: MIB }),
    maxBytes,
    maxPinnedBytes: limit('maxPinnedBytes', { min: 0, fallback: maxBytes }),
  };
}

/**
 * @typedef {import('./errors.js').KvLimits & {maxKeysPerPrincipal: number,
 *   maxBytesPerPrincipal: number}} KvPartitionLimits
 */

/**
 * @param {Partial<KvPartitionLimits>} given
 * @param {string} prefix of the names in errors
 * @returns {KvPartitionLimits}
 */
export function checkPartitionLimits(given, prefix) {
  /**
   * @param {'maxKeysPerPrincipal' | 'maxBytesPerPrincipal'} name
   * @param {number} fallback
   */
  const share = (name, fallback) => checkInteger(prefix + name, given[name], { fallback });
  return {
    ...checkLimits(given, prefix),
    maxKeysPerPrincipal: share('maxKeysPerPrincipal', 100_000),
    maxBytesPerPrincipal: share('maxBytesPerPrincipal', 64 * MIB),
  };
}

/**
 * @param {unknown} value
 * @returns {number} for the native side
 */
function checkTtl(value) {
  return checkMs('ttlMs', value, { max: TTL_MS_MAX, fallback: Infinity, infinite: true });
}

/**
 * The end of what is set.
 * @param {KvSetOptions} given
 * @returns {number} for the native side
 */
function checkEnd({ ttlMs, keepTtl }) {
  if (!checkBoolean('keepTtl', keepTtl, false)) return checkTtl(ttlMs);
  if (ttlMs !== undefined) throw rangeError('options takes ttlMs or keepTtl, not both');
  return KEEP_TTL;
}

/**
 * @param {KvSetOptions} [options]
 * @returns {{ttlMs: number, expected: number}} for the native side
 */
export function checkSet(options) {
  const given = checkKnown('options', options, ['ttlMs', 'keepTtl', 'ifVersion', 'ifAbsent']);
  const ttlMs = checkEnd(given);
  const isAbsent = checkBoolean('ifAbsent', given.ifAbsent, false);
  if (isAbsent && given.ifVersion !== undefined) {
    throw rangeError('options takes ifVersion or ifAbsent, not both');
  }
  return { ttlMs, expected: isAbsent ? NOT_THERE : checkVersion(given.ifVersion) };
}

/**
 * @param {number} expectedVersion
 * @param {KvSetOptions} [options] of `compareAndSet`
 * @returns {{ttlMs: number, expected: number}} for the native side
 */
export function checkCompareAndSet(expectedVersion, options) {
  const expected = checkInteger('expectedVersion', expectedVersion, { min: 0 });
  return { ttlMs: checkEnd(checkKnown('options', options, ['ttlMs', 'keepTtl'])), expected };
}

/**
 * @param {KvTouchOptions} [options]
 * @returns {{ttlMs: number, expected: number}} for the native side
 */
export function checkTouch(options) {
  const { ttlMs, ifVersion } = checkKnown('options', options, ['ttlMs', 'ifVersion']);
  return { ttlMs: checkTtl(ttlMs), expected: checkVersion(ifVersion) };
}

/**
 * @param {unknown} by
 * @param {KvIncrementOptions} [options]
 * @returns {{by: number, ttlMs: number}}
 */
export function checkIncrement(by, options) {
  const { ttlMs } = checkKnown('options', options, ['ttlMs']);
  if (typeof by !== 'number') throw typeError(`by takes a finite number, not a ${typeof by}`);
  if (!Number.isFinite(by)) throw rangeError(`by takes a finite number, not ${by}`);
  return { by, ttlMs: checkTtl(ttlMs) };
}

/**
 * @param {KvDeleteOptions} [options]
 * @returns {number} the expected version, for the native side
 */
export function checkDelete(options) {
  return checkVersion(checkKnown('options', options, ['ifVersion']).ifVersion);
}

/**
 * @param {{retries?: number} | undefined} options
 * @returns {number}
 */
export function checkRetries(options) {
  const { retries } = checkKnown('options', options, ['retries']);
  return checkInteger('retries', retries, { min: 0, fallback: 0 });
}

/**
 * @param {unknown} value undefined: any
 * @returns {number} for the native side
 */
function checkVersion(value) {
  return checkInteger('ifVersion', value, { min: 0, fallback: ANY_VERSION });
}
