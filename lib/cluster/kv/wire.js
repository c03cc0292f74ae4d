/** Keys, values, times and ranges of a key-value store in the format of its scripts. Pure functions. */
import { decodeValue, encodeValue, isText } from '../../primitives/kv/values.js';
import { KEEP_TTL } from '../../primitives/kv/options.js';

/**
 * An entry in Redis.
 * @typedef {object} StoredEntry
 * @property {number} version
 * @property {number} kind of its value
 * @property {number} bytes of its value
 * @property {number} endMs last millisecond at which it exists; Infinity: no expiry
 * @property {Buffer} [data] the value, if it was read
 */

/**
 * Bounds of a range in the format of ZRANGEBYLEX.
 * @typedef {{from: Buffer, to: Buffer}} KeyRange
 */

const US_PER_MS = 1000;
const FIRST = Buffer.from('-');
const LAST = Buffer.from('+');
const INCLUSIVE = Buffer.from('[');
const EXCLUSIVE = Buffer.from('(');

/** @param {Buffer | string} text microseconds, or `-` for never */
export function endMsOf(text) {
  const us = String(text);
  return us === '-' ? Infinity : Number(us) / US_PER_MS;
}

/** @param {number} ttlMs from the checks of options @returns {string} as the script `commit` takes it */
export function ttlToWire(ttlMs) {
  if (ttlMs === KEEP_TTL) return 'keep';
  return ttlMs === Infinity ? '' : String(ttlMs * US_PER_MS);
}

/** @param {string | Buffer} data @returns {number} */
export function byteLengthOf(data) {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength;
}

/**
 * @param {unknown} value
 * @returns {[data: string | Buffer, kind: number]} encoding of the present value
 */
export function encodedNow(value) {
  const [data, kind] = encodeValue(value);
  return [typeof data === 'string' ? data : Buffer.from(data), kind];
}

/**
 * @param {Uint8Array | string} data as stored
 * @param {number} kind
 * @returns {any} a new value for the caller
 */
export function valueOf(data, kind) {
  if (isText(kind)) return decodeValue(String(data), kind);
  // A Buffer may share its memory with other Buffers.
  const own = Uint8Array.from(/** @type {Uint8Array} */ (data));
  return decodeValue(Buffer.from(own.buffer), kind);
}

/**
 * @param {Buffer[] | null} fields version, kind, bytes, end, and data if it was read
 * @returns {StoredEntry | undefined}
 */
export function entryOf(fields) {
  if (fields === null) return undefined;
  const [version, kind, bytes, end, data] = fields;
  return {
    version: Number(version),
    kind: Number(kind),
    bytes: Number(bytes),
    endMs: endMsOf(end),
    data,
  };
}

/**
 * @param {StoredEntry | undefined} entry with its data
 * @returns {import('../../primitives/kv/values.js').KvEntry<any> | undefined}
 */
export function shownEntry(entry) {
  if (entry === undefined) return undefined;
  const { version, kind, endMs, data } = entry;
  const expiresAt = endMs === Infinity ? undefined : endMs;
  return { value: valueOf(/** @type {Buffer} */ (data), kind), version, expiresAt };
}

/**
 * @param {Buffer} prefix not empty
 * @returns {Buffer} a bound after all keys with the prefix: no byte of UTF-8 is 0xff
 */
function behind(prefix) {
  const next = Buffer.from(prefix);
  next[next.length - 1] += 1;
  return next;
}

/**
 * @param {unknown[]} request of a checked scan: limit, reverse, keysOnly, prefix, start, end, after
 * @returns {KeyRange}
 */
export function rangeOf([, reverse, , prefix, start, end, after]) {
  /** @param {unknown} key */
  const bytes = (key) => (key === undefined ? undefined : Buffer.from(/** @type {string} */ (key)));
  const [low, behindCursor] = [bytes(start), bytes(after)];
  const whole = prefix ? bytes(prefix) : undefined;
  const froms = [whole, low].filter((bound) => bound !== undefined);
  const tos = [whole && behind(whole), bytes(end)].filter((bound) => bound !== undefined);
  if (reverse && behindCursor !== undefined) tos.push(behindCursor);
  froms.sort(Buffer.compare);
  tos.sort(Buffer.compare);
  const [first, last] = [froms.at(-1), tos[0]];
  /** @param {Buffer} mark @param {Buffer} bound */
  const marked = (mark, bound) => Buffer.concat([mark, bound]);
  const to = last === undefined ? LAST : marked(EXCLUSIVE, last);
  if (!reverse && behindCursor !== undefined) {
    const isFurther = first === undefined || Buffer.compare(behindCursor, first) >= 0;
    if (isFurther) return { from: marked(EXCLUSIVE, behindCursor), to };
  }
  return { from: first === undefined ? FIRST : marked(INCLUSIVE, first), to };
}

/**
 * @param {KeyRange} range
 * @param {string} key the last key read
 * @param {boolean} reverse
 * @returns {KeyRange} the part of the range up to this key
 */
export function rangeUpTo({ from, to }, key, reverse) {
  const end = Buffer.concat([INCLUSIVE, Buffer.from(key)]);
  return reverse ? { from: end, to } : { from, to: end };
}

/**
 * @param {KeyRange} range
 * @param {string} key
 */
export function isInRange({ from, to }, key) {
  const bytes = Buffer.from(key);
  /** @param {Buffer} bound */
  const side = (bound) => Buffer.compare(bytes, bound.subarray(1));
  const isAfter =
    from === FIRST || side(from) > 0 || (from[0] === INCLUSIVE[0] && side(from) === 0);
  return isAfter && (to === LAST || side(to) < 0 || (to[0] === INCLUSIVE[0] && side(to) === 0));
}

/** @param {string} a @param {string} b @returns {number} the order of keys by their UTF-8 bytes */
export function compareKeys(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * @param {Buffer} bytes fields with their lengths: `<bytes>:<field>` each
 * @returns {Buffer[]}
 */
export function fieldsOf(bytes) {
  const fields = [];
  for (let at = 0; at < bytes.length;) {
    const colon = bytes.indexOf(':', at);
    const length = Number(bytes.toString('latin1', at, colon));
    const end = colon + 1 + length;
    const isLength = Number.isInteger(length) && length >= 0;
    if (colon < 0 || !isLength || end > bytes.length) return [];
    fields.push(bytes.subarray(colon + 1, end));
    at = end;
  }
  return fields;
}
