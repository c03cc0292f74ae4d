/** What the native side answers in place of a version, as errors. */
import { SluiceError, rangeError } from '../../internal/util/errors.js';

/** -1 - KvStatus of native/core/kv/store.h. */
const CONFLICT = -2;
const KEY_TOO_LONG = -3;
const VALUE_TOO_LONG = -4;
const KEYS_FULL = -5;
const BYTES_FULL = -6;
const PINNED_FULL = -7;
const SHARE_KEYS_FULL = -8;

/**
 * @typedef {object} KvLimits
 * @property {number} maxKeys
 * @property {number} maxKeyBytes
 * @property {number} maxValueBytes
 * @property {number} maxBytes
 * @property {number} maxPinnedBytes
 */

/**
 * What somebody may use of a store: the keys with a prefix.
 * @typedef {object} KvShare
 * @property {string} prefix
 * @property {number} maxKeys
 * @property {number} maxBytes
 * @property {{prefix: string, maxKeys: number, maxBytes: number}} area that it is a part of, with
 *   limits of its own
 */

/** @param {number} answer */
export function isConflict(answer) {
  return answer === CONFLICT;
}

/**
 * @param {string} key
 * @param {number | undefined} version that it has; 0: it is not there; undefined: it is there, and
 *   has none yet
 */
export function conflictAt(key, version) {
  const state = version === 0 ? 'is not there' : version ? `has version ${version}` : 'is there';
  return new SluiceError('ERR_CONFLICT', `the key ${state}, which is not what was expected`, {
    key,
    version,
  });
}

/** Of a transaction. */
export function conflictOfReads() {
  const message = 'something that the transaction has read changed before it could commit';
  return new SluiceError('ERR_CONFLICT', message);
}

/**
 * @param {string} limit
 * @param {number | undefined} value
 * @param {string} what
 */
function full(limit, value, what) {
  return new SluiceError('ERR_KV_FULL', `${what}: ${limit} is ${value}`, { limit });
}

/**
 * @param {number} answer below 0, and no conflict
 * @param {KvLimits} limits
 * @param {KvShare} [share]
 */
export function failureOf(answer, limits, share) {
  const { maxKeys, maxBytes } = share?.area ?? limits;
  switch (answer) {
    case KEY_TOO_LONG:
      return rangeError(`key takes up to ${limits.maxKeyBytes} bytes of UTF-8 (maxKeyBytes)`);
    case VALUE_TOO_LONG:
      return rangeError(`value takes up to ${limits.maxValueBytes} bytes (maxValueBytes)`);
    case KEYS_FULL:
      return full('maxKeys', maxKeys, 'the store has no room for another key');
    case BYTES_FULL:
      return full('maxBytes', maxBytes, 'the store has no room for so many bytes');
    case PINNED_FULL:
      return full(
        'maxPinnedBytes',
        limits.maxPinnedBytes,
        'snapshots hold on to too much that has been replaced',
      );
    case SHARE_KEYS_FULL:
      return full('maxKeysPerPrincipal', share?.maxKeys, 'there are as many keys as there may be');
    default:
      return full(
        'maxBytesPerPrincipal',
        share?.maxBytes,
        'there are as many bytes as there may be',
      );
  }
}
