/**
 * Keys and values of a KvStore, as the native side keeps them: keys as UTF-8, values as the bytes of
 * a text or of a buffer, with what they were. Nothing of the caller's is kept.
 */
import { types } from 'node:util';
import { SluiceError, rangeError, typeError } from '../../internal/util/errors.js';
import { checkString } from '../../internal/util/validate.js';

/** Text below FIRST_BINARY, bytes from there on: native/addon/bindings/kv_arguments.h. */
const TEXT = 0;
const JSON_TEXT = 1;
const BYTES = 2;
const BUFFER = 3;

const TAKES = 'value takes a string, a Uint8Array, or what JSON can hold';

/**
 * @typedef {null | boolean | number | string | Uint8Array | {[member: string]: any} | any[]} KvValue
 *   a string or a Uint8Array (a Buffer stays one), or what JSON can hold: null, true and false,
 *   finite numbers, arrays and plain objects of such. Members that are undefined are left out
 */

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string} of whole characters: half of one has no UTF-8
 */
export function checkKey(name, value) {
  const key = checkString(name, value);
  if (!key.isWellFormed()) throw rangeError(`${name} takes whole characters, no lone surrogate`);
  return key;
}

/**
 * @param {unknown} value
 * @returns {boolean} whether its members are all there is to it, in any realm
 */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null || Array.isArray(value);
}

/**
 * @param {unknown} holder
 * @param {string} member
 * @param {unknown} value
 */
function checkMember(holder, member, value) {
  const where = member === '' ? '' : ` (in ${JSON.stringify(member.slice(0, 80))})`;
  switch (typeof value) {
    case 'boolean':
    case 'string':
      return;
    case 'number':
      if (Number.isFinite(value)) return;
      throw rangeError(`${TAKES}, not ${value}${where}`);
    case 'undefined':
      if (member !== '' && !Array.isArray(holder)) return;
      break;
    case 'object':
      if (value === null || isPlain(value)) return;
      throw typeError(`${TAKES}, not an instance of a class${where}`);
  }
  throw typeError(
    `${TAKES}, not ${value === undefined ? 'undefined' : `a ${typeof value}`}${where}`,
  );
}

/**
 * @param {unknown} value
 * @returns {string} JSON that gives an equal value
 */
function jsonOf(value) {
  try {
    return JSON.stringify(value, function check(member) {
      // As it is, not as a toJSON of it shows it.
      const own = /** @type {Record<string, unknown>} */ (this)[member];
      checkMember(this, member, own);
      return own;
    });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    // A stack that overflowed, in any realm.
    if (/** @type {any} */ (error)?.name === 'RangeError') {
      throw rangeError(`${TAKES}: this is nested too deep`);
    }
    if (/** @type {any} */ (error)?.name === 'TypeError') {
      throw typeError(`${TAKES}, no cycles: ${/** @type {Error} */ (error).message}`);
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
 * @param {any} data a string or a Buffer, nobody else's
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
 * @typedef {object} KvEntry
 * @property {any} value
 * @property {number} version undefined for what a transaction has yet to commit
 * @property {number | undefined} expiresAt the last millisecond at which it is there, by the store's
 *   clock or else in Unix time; undefined: it stays
 */

/**
 * @param {[data: any, kind: number, version: number, expiresAtMs: number] | undefined} entry
 * @returns {KvEntry | undefined}
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
