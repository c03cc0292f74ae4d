/** Options of changes to a KvStore. */
import { rangeError } from '../../internal/util/errors.js';
import { checkBoolean, checkInteger, checkMs, checkOptions } from '../../internal/util/validate.js';

/** For the native side: whatever version there is, or none. */
export const ANY_VERSION = -1;
/** For the native side, in place of a version. */
const NOT_THERE = 0;
const MIB = 2 ** 20;
/** A century. */
const TTL_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/**
 * @typedef {object} KvSetOptions
 * @property {number} [ttlMs] how long it stays; 0: for this very moment; default Infinity, also
 *   where the key had one before
 * @property {number} [ifVersion] only if the key has this version; 0: if it is not there
 * @property {boolean} [ifAbsent] only if the key is not there; one that has expired is not
 */
/**
 * @typedef {object} KvDeleteOptions
 * @property {number} [ifVersion] only if the key has this version
 */

/**
 * @param {import('./kv-store.js').KvStoreOptions} given
 * @param {string} [prefix] of the names in errors
 * @returns {import('./errors.js').KvLimits}
 */
export function checkLimits(given, prefix = '') {
  /**
   * @param {'maxKeys' | 'maxKeyBytes' | 'maxValueBytes' | 'maxBytes' | 'maxPinnedBytes'} name
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
 *   maxBytesPerPrincipal: number}} KvSpaceLimits
 */

/**
 * @param {Partial<KvSpaceLimits>} given
 * @param {string} prefix of the names in errors
 * @returns {KvSpaceLimits}
 */
export function checkSpaceLimits(given, prefix) {
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
export function checkTtl(value) {
  return checkMs('ttlMs', value, { max: TTL_MS_MAX, fallback: Infinity, infinite: true });
}

/**
 * @param {KvSetOptions} [options]
 * @returns {{ttlMs: number, expected: number}} for the native side
 */
export function checkSet(options) {
  const given = checkOptions('options', options);
  const ttlMs = checkTtl(given.ttlMs);
  const isAbsent = checkBoolean('ifAbsent', given.ifAbsent, false);
  if (isAbsent && given.ifVersion !== undefined) {
    throw rangeError('options takes ifVersion or ifAbsent, not both');
  }
  return { ttlMs, expected: isAbsent ? NOT_THERE : checkVersion('ifVersion', given.ifVersion) };
}

/**
 * @param {KvDeleteOptions} [options]
 * @returns {number} the expected version, for the native side
 */
export function checkDelete(options) {
  return checkVersion('ifVersion', checkOptions('options', options).ifVersion);
}

/**
 * @param {string} name
 * @param {unknown} value undefined: any
 * @returns {number} for the native side
 */
export function checkVersion(name, value) {
  return checkInteger(name, value, { min: 0, fallback: ANY_VERSION });
}
