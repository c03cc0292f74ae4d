/** Errors of a KvStore, made from the status codes of the native store. */
import { nativeNumbers } from '../../internal/native/numbers.js';
import { SluiceError, rangeError } from '../../internal/util/errors.js';

/** Instead of a version the native side returns -1 - status. */
const Status = nativeNumbers('enums.KvStatus', [
  'CONFLICT',
  'KEY_TOO_LONG',
  'VALUE_TOO_LONG',
  'KEYS_FULL',
  'BYTES_FULL',
  'PINNED_FULL',
  'SHARE_KEYS_FULL',
  'SHARE_BYTES_FULL',
]);

/**
 * @typedef {object} KvLimits
 * @property {number} maxKeys
 * @property {number} maxKeyBytes
 * @property {number} maxValueBytes
 * @property {number} maxBytes
 * @property {number} maxPinnedBytes
 */

/**
 * Limits of the keys with a prefix, in addition to those of the store.
 * @typedef {object} KvShare
 * @property {string} prefix
 * @property {number} maxKeys
 * @property {number} maxBytes
 * @property {{prefix: string, maxKeys: number, maxBytes: number}} area that contains the share, with
 *   limits of its own
 */

/** @param {number} answer */
export function isConflict(answer) {
  return -1 - answer === Status.CONFLICT;
}

/**
 * @param {string} key
 * @param {number | undefined} version the current one; 0: the key is absent; undefined: the key exists
 *   and has no version yet
 */
export function conflictAt(key, version) {
  const state = version === 0 ? 'is absent' : version ? `has version ${version}` : 'is there';
  const message = `the key ${state}; another version was expected`;
  return new SluiceError('ERR_CONFLICT', message, { key, version });
}

/** Conflict of a transaction. */
export function conflictOfReads() {
  const message = 'data that the transaction read has changed before its commit';
  return new SluiceError('ERR_CONFLICT', message);
}

/** The message of ERR_KV_FULL by limit. @type {Readonly<Record<string, string>>} */
const FULL = Object.freeze({
  maxKeys: 'the store has no room for another key',
  maxBytes: 'the store has no room for the value',
  maxPinnedBytes: 'snapshots and transactions reference too many replaced values',
  maxKeysPerPrincipal: 'the principal has reached its limit of keys',
  maxBytesPerPrincipal: 'the principal has reached its limit of bytes',
});

/**
 * @param {string} limit its name
 * @param {number | undefined} value
 */
export function storeFull(limit, value) {
  return new SluiceError('ERR_KV_FULL', `${FULL[limit]}: ${limit} is ${value}`, { limit });
}

/** @param {{maxKeyBytes: number}} limits */
export function keyTooLong({ maxKeyBytes }) {
  return rangeError(`key takes up to ${maxKeyBytes} bytes of UTF-8 (maxKeyBytes)`);
}

/** @param {{maxValueBytes: number}} limits */
export function valueTooLong({ maxValueBytes }) {
  return rangeError(`value takes up to ${maxValueBytes} bytes (maxValueBytes)`);
}

/**
 * @param {number} answer below 0, but not a conflict
 * @param {KvLimits} limits
 * @param {KvShare} [share]
 */
export function failureOf(answer, limits, share) {
  const { maxKeys, maxBytes } = share?.area ?? limits;
  switch (-1 - answer) {
    case Status.KEY_TOO_LONG:
      return keyTooLong(limits);
    case Status.VALUE_TOO_LONG:
      return valueTooLong(limits);
    case Status.KEYS_FULL:
      return storeFull('maxKeys', maxKeys);
    case Status.BYTES_FULL:
      return storeFull('maxBytes', maxBytes);
    case Status.PINNED_FULL:
      return storeFull('maxPinnedBytes', limits.maxPinnedBytes);
    case Status.SHARE_KEYS_FULL:
      return storeFull('maxKeysPerPrincipal', share?.maxKeys);
    default:
      return storeFull('maxBytesPerPrincipal', share?.maxBytes);
  }
}
