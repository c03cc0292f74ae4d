/** Options of a KvStore and of its calls, checked. Unknown ones are refused by name. */
import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkBoolean, checkInteger, checkMs, checkOptions } from '../../internal/util/validate.js';
import { checkTable } from '../../internal/util/option-table.js';

/** For the native side: any version, or none. */
export const ANY_VERSION = -1;
/** For the native side: the version of an absent key. */
const NOT_THERE = 0;
/** For the native side, as a time to live: keeps the current expiry of the key. */
export const KEEP_TTL = -1;
const MIB = 2 ** 20;
/** A century. */
const TTL_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/**
 * @typedef {object} KvStoreOptions
 * @property {number} [maxKeys] default 1,000,000; expired keys do not count
 * @property {number} [maxKeyBytes] of one key as UTF-8; default 1024
 * @property {number} [maxValueBytes] of one value, as UTF-8 or JSON unless it is a buffer; default
 *   1 MiB
 * @property {number} [maxBytes] of all keys and values in the store; default 256 MiB
 * @property {number} [maxPinnedBytes] of replaced values that open snapshots reference; default as
 *   `maxBytes`. Beyond it writes are refused until a snapshot is released
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: Unix time at the
 *   start of the process, advanced monotonically
 */
/**
 * @typedef {object} KvSetOptions
 * @property {number} [ttlMs] time to live in milliseconds; 0: until the clock moves; default Infinity,
 *   also for a key that expired before
 * @property {boolean} [keepTtl] the key keeps its expiry; a new key does not expire
 * @property {number} [ifVersion] only if the key has this version; 0: if it is absent
 * @property {boolean} [ifAbsent] only if the key is absent; an expired key counts as absent
 */
/**
 * @typedef {object} KvTouchOptions
 * @property {number} [ttlMs] new time to live, in milliseconds; default Infinity
 * @property {number} [ifVersion] only if the key has this version
 */
/**
 * @typedef {object} KvIncrementOptions
 * @property {number} [ttlMs] of a new key; an existing key keeps its expiry. Default Infinity
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
    help: 'size of one value, as UTF-8 or JSON unless it is a buffer',
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
    help: 'size of replaced values that open snapshots still need; beyond this no value can be set',
  },
]);

/**
 * @param {KvStoreOptions | undefined} options
 * @returns {KvStoreOptions}
 */
export function checkStoreOptions(options) {
  return checkOptions('options', options, [...KV_LIMIT_ROWS.map(({ path }) => path), 'clock']);
}

/**
 * @param {KvStoreOptions} given
 * @returns {import('./errors.js').KvLimits}
 */
export function checkLimits({ clock: _, ...given }) {
  const limits = checkTable('KvStore', KV_LIMIT_ROWS, given);
  const { maxPinnedBytes = limits.maxBytes } = limits;
  return /** @type {import('./errors.js').KvLimits} */ ({ ...limits, maxPinnedBytes });
}

/**
 * @typedef {import('./errors.js').KvLimits & {maxKeysPerPrincipal: number,
 *   maxBytesPerPrincipal: number}} KvPartitionLimits
 */

/**
 * Limits of a partition whose service bounds the number and the size of its values itself.
 * @param {{maxBytes: number, maxBytesPerPrincipal: number, maxKeyBytes: number}} limits
 * @returns {KvPartitionLimits}
 */
export function byteLimits(limits) {
  const any = Number.MAX_SAFE_INTEGER;
  return {
    ...limits,
    ...{ maxKeys: any, maxKeysPerPrincipal: any, maxPinnedBytes: any, maxValueBytes: any },
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
 * The time to live of a `set`.
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
  const given = checkOptions('options', options, ['ttlMs', 'keepTtl', 'ifVersion', 'ifAbsent']);
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
  return { ttlMs: checkEnd(checkOptions('options', options, ['ttlMs', 'keepTtl'])), expected };
}

/**
 * @param {KvTouchOptions} [options]
 * @returns {{ttlMs: number, expected: number}} for the native side
 */
export function checkTouch(options) {
  const { ttlMs, ifVersion } = checkOptions('options', options, ['ttlMs', 'ifVersion']);
  return { ttlMs: checkTtl(ttlMs), expected: checkVersion(ifVersion) };
}

/**
 * @param {unknown} by
 * @param {KvIncrementOptions} [options]
 * @returns {{by: number, ttlMs: number}}
 */
export function checkIncrement(by, options) {
  const { ttlMs } = checkOptions('options', options, ['ttlMs']);
  if (typeof by !== 'number') throw typeError(`by takes a finite number, not a ${typeof by}`);
  if (!Number.isFinite(by)) throw rangeError(`by takes a finite number, not ${by}`);
  return { by, ttlMs: checkTtl(ttlMs) };
}

/**
 * @param {KvDeleteOptions} [options]
 * @returns {number} the expected version, for the native side
 */
export function checkDelete(options) {
  return checkVersion(checkOptions('options', options, ['ifVersion']).ifVersion);
}

/**
 * @param {{retries?: number} | undefined} options
 * @returns {number}
 */
export function checkRetries(options) {
  const { retries } = checkOptions('options', options, ['retries']);
  return checkInteger('retries', retries, { min: 0, fallback: 0 });
}

/**
 * @param {unknown} value undefined: any version
 * @returns {number} for the native side
 */
function checkVersion(value) {
  return checkInteger('ifVersion', value, { min: 0, fallback: ANY_VERSION });
}
