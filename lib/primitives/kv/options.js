/** Options of changes to a KvStore. */
import { rangeError } from '../../internal/util/errors.js';
import { checkTable } from '../../internal/util/option-table.js';
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
 * The limits of a store.
 * @type {readonly import('../../internal/util/option-table.js').OptionRow[]}
 */
export const KV_LIMIT_ROWS = Object.freeze([
  {
    path: 'maxKeys',
    type: 'integer',
    unit: 'keys',
    max: 2 ** 31,
    default: 1_000_000,
    help: 'keys of the store; expired keys do not count',
  },
  {
    path: 'maxKeyBytes',
    type: 'integer',
    unit: 'bytes',
    max: MIB,
    default: 1024,
    help: 'size of one key as UTF-8',
  },
  {
    path: 'maxValueBytes',
    type: 'integer',
    unit: 'bytes',
    max: 256 * MIB,
    default: MIB,
    help: 'size of one value, as UTF-8 or JSON where it is no buffer',
  },
  {
    path: 'maxBytes',
    type: 'integer',
    unit: 'bytes',
    default: 256 * MIB,
    help: 'size of all keys and values of the store',
  },
  {
    path: 'maxPinnedBytes',
    type: 'integer',
    unit: 'bytes',
    min: 0,
    defaultText: 'as `maxBytes`',
    help: 'replaced values that open snapshots still show; beyond it nothing is set',
  },
]);

/**
 * @param {import('./kv-store.js').KvStoreOptions} given
 * @returns {import('./errors.js').KvLimits}
 */
export function checkLimits({ clock: _, ...given }) {
  const limits = checkTable('options', KV_LIMIT_ROWS, given);
  const { maxPinnedBytes = limits.maxBytes } = limits;
  return /** @type {import('./errors.js').KvLimits} */ ({ ...limits, maxPinnedBytes });
}

/**
 * @typedef {import('./errors.js').KvLimits & {maxKeysPerPrincipal: number,
 *   maxBytesPerPrincipal: number}} KvSpaceLimits
 */

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
