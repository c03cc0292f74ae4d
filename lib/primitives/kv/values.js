/**
 * Keys and values of a KvStore, in the format of the native side: keys as UTF-8, values as the bytes of
 * a text or of a buffer, with their kind. No object of the caller is kept. Pure functions.
 */
import { randomUUID } from 'node:crypto';
import { types } from 'node:util';
import { SluiceError, rangeError, typeError } from '../../internal/util/errors.js';
import { checkString } from '../../internal/util/validate.js';

/** Text below FIRST_BINARY, bytes from there on: native/addon/bindings/kv/arguments.h. */
const TEXT = 0;
const JSON_TEXT = 1;
const BYTES = 2;
const BUFFER = 3;

/** @param {string} name */
const takes = (name) =>
  `${name} takes ${name === 'value' ? 'a string, a Uint8Array, or ' : ''}a JSON value`;
/** Temporary substitute for -0, which JSON.stringify would write as 0. */
const NEGATIVE_ZERO = `-0 ${randomUUID()}`;

/**
 * A JSON value: null, true and false, finite numbers, arrays and plain objects of such. Members that
 * are undefined are omitted.
 * @typedef {null | boolean | number | string | KvJson[] | {[member: string]: KvJson | undefined}} KvJson
 */
/** @typedef {KvJson | Uint8Array} KvValue a Buffer stays a Buffer */

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string} whether it has only whole characters: UTF-8 cannot encode lone surrogates
 */
export function checkKey(name, value) {
  const key = checkString(name, value);
  if (!key.isWellFormed()) throw rangeError(`${name} takes whole characters, no lone surrogate`);
  return key;
}

/**
 * @param {unknown} value
 * @returns {boolean} whether it is a plain object of any realm
 */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null || Array.isArray(value);
}

/**
 * @param {string} name of the argument
 * @param {unknown} holder
 * @param {string} member
 * @param {unknown} value
 */
function checkMember(name, holder, member, value) {
  const where = member === '' ? '' : ` (in ${JSON.stringify(member.slice(0, 80))})`;
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return;
    case 'number':
      if (Number.isFinite(value)) return;
      throw rangeError(`${takes(name)}, not ${value}${where}`);
    case 'undefined':
      if (member !== '' && !Array.isArray(holder)) return;
      break;
    case 'object':
      if (value === null) return;
      if (!isPlain(value)) throw typeError(`${takes(name)}, not an instance of a class${where}`);
      checkMemberNames(name, value, where);
      return;
  }
  throw typeError(
    `${takes(name)}, not ${value === undefined ? 'undefined' : `a ${typeof value}`}${where}`,
  );
}

/**
 * Refuses members that JSON would drop silently.
 * @param {string} name of the argument
 * @param {object} value an array or a plain object
 * @param {string} where
 */
function checkMemberNames(name, value, where) {
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw typeError(`${takes(name)}, no members named by symbols${where}`);
  }
  if (!Array.isArray(value)) return;
  if (Object.keys(value).length > value.length) {
    throw typeError(`${takes(name)}, no array with members besides its elements${where}`);
  }
}

/**
 * @param {unknown} value
 * @param {string} [name] of the argument
 * @returns {string} JSON of an equal value, -0 included
 * @throws {SluiceError} ERR_INVALID_TYPE or ERR_INVALID_VALUE for a value that JSON cannot hold
 */
export function jsonOf(value, name = 'value') {
  let negativeZeros = false;
  try {
    const text = JSON.stringify(value, function check(member) {
      // The object itself, not the result of its toJSON.
      const own = /** @type {Record<string, unknown>} */ (this)[member];
      checkMember(name, this, member, own);
      if (!Object.is(own, -0)) return own;
      negativeZeros = true;
      return NEGATIVE_ZERO;
    });
    return negativeZeros ? text.replaceAll(`"${NEGATIVE_ZERO}"`, '-0') : text;
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    // A stack overflow, in any realm.
    if (/** @type {any} */ (error)?.name === 'RangeError') {
      throw rangeError(`${takes(name)}: this is nested too deep`);
    }
    if (/** @type {any} */ (error)?.name === 'TypeError') {
      throw typeError(`${takes(name)}, no cycles: ${/** @type {Error} */ (error).message}`);
    }
    throw error;
  }
}

/**
 * @param {unknown} value
 * @returns {[data: string | Uint8Array, kind: number]} for the native side, which copies it
 */
export function encodeValue(value) {
  if (typeof value === 'string' && value.isWellFormed()) return [value, TEXT];
  if (types.isUint8Array(value)) return [value, Buffer.isBuffer(value) ? BUFFER : BYTES];
  return [jsonOf(value), JSON_TEXT];
}

/**
 * @param {number} kind
 * @returns {boolean} whether the bytes of such a value are text
 */
export function isText(kind) {
  return kind < BYTES;
}

/**
 * @param {any} data a string or a Buffer, which becomes the caller's
 * @param {number} kind
 * @returns {any} a value equal to the one that was stored
 */
export function decodeValue(data, kind) {
  switch (kind) {
    case JSON_TEXT:
      return JSON.parse(data);
    case BYTES:
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    default:
      return data;
  }
}

/**
 * An entry without its value.
 * @typedef {object} KvHead
 * @property {number} bytes of the value, as stored
 * @property {number} version undefined for an uncommitted write
 * @property {number | undefined} expiresAt as in `KvEntry`
 */

/**
 * @template [V=KvValue]
 * @typedef {object} KvEntry
 * @property {V} value
 * @property {number} version undefined for an uncommitted write
 * @property {number | undefined} expiresAt the last millisecond at which the entry is visible, by the
 *   store's clock or else in Unix time; undefined: it does not expire
 */

/**
 * @param {[data: any, kind: number, version: number, expiresAtMs: number] | undefined} entry
 * @returns {KvEntry<any> | undefined}
 */
export function decodeEntry(entry) {
  if (entry === undefined) return undefined;
  const [data, kind, version, expiresAtMs] = entry;
  return {
    value: decodeValue(data, kind),
    version: versionOf(version),
    expiresAt: expiresAtMs === Infinity ? undefined : expiresAtMs,
  };
}

/**
 * @param {number} version 0: not committed yet
 * @returns {number}
 */
export function versionOf(version) {
  return /** @type {number} */ (version === 0 ? undefined : version);
}

/**
 * The number that an increment stores.
 * @param {string} key
 * @param {{value: unknown} | undefined} entry of the key; undefined: it is absent
 * @param {number} by
 * @returns {number}
 * @throws {SluiceError} ERR_NOT_A_NUMBER; ERR_INVALID_VALUE if the sum would not be exact or not
 *   finite
 */
export function nextNumber(key, entry, by) {
  const value = entry === undefined ? 0 : entry.value;
  if (typeof value !== 'number') {
    throw new SluiceError('ERR_NOT_A_NUMBER', 'the value of the key is not a number', { key });
  }
  const sum = value + by;
  const whole = Number.isInteger(value) && Number.isInteger(by);
  if (!Number.isFinite(sum) || (whole && !Number.isSafeInteger(sum))) {
    throw rangeError(`by takes a number with an exact sum: ${value} + ${by} has none`);
  }
  return sum;
}
