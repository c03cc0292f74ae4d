import { KEEP_TTL } from '../../primitives/kv/options.js';
import { keyTooLong, storeFull, valueTooLong } from '../../primitives/kv/errors.js';
import { byteLengthOf, compareKeys, isInRange, ttlToWire } from './wire.js';

/**
 * A write that waits for the commit.
 * @typedef {{op: 'set', data: string | Buffer, kind: number, ttlMs: number} |
 *   {op: 'touch', ttlMs: number} | {op: 'delete'}} Write
 */

/** The writes of a transaction, the last one of each key. Main thread. */
export class WriteSet {
  #limits;
  /** @type {Map<string, Write>} */
  #writes = new Map();
  /** Bytes of all keys and values in it. */
  #bytes = 0;

  /** @param {import('../../primitives/kv/errors.js').KvLimits} limits of the store */
  constructor(limits) {
    this.#limits = limits;
  }

  get size() {
    return this.#writes.size;
  }

  /** @param {string} key */
  get(key) {
    return this.#writes.get(key);
  }

  /**
   * @param {import('./wire.js').KeyRange} range
   * @param {number} direction 1, or -1 for descending order
   * @returns {string[]} its keys in that order
   */
  keysIn(range, direction) {
    const keys = [...this.#writes.keys()].filter((key) => isInRange(range, key));
    return keys.sort((a, b) => direction * compareKeys(a, b));
  }

  /**
   * @param {string} key
   * @param {string | Buffer} data
   * @throws {RangeError | import('../../internal/util/errors.js').SluiceError} ERR_KV_FULL: all writes together
   *   exceed the limits of the store
   */
  checkSize(key, data) {
    if (Buffer.byteLength(key) > this.#limits.maxKeyBytes) throw keyTooLong(this.#limits);
    if (byteLengthOf(data) > this.#limits.maxValueBytes) throw valueTooLong(this.#limits);
    const bytes = this.#bytes - this.#bytesOf(key) + sizeOf(key, data);
    if (bytes > this.#limits.maxBytes) throw storeFull('maxBytes', this.#limits.maxBytes);
  }

  /**
   * Replaces the write of a key. A `set` that keeps the time to live takes it from an earlier write.
   * @param {string} key
   * @param {Write} write
   */
  put(key, write) {
    const own = this.#writes.get(key);
    this.#bytes -= this.#bytesOf(key);
    if (write.op === 'set' && write.ttlMs === KEEP_TTL && own !== undefined) {
      write = { ...write, ttlMs: own.op === 'delete' ? Infinity : own.ttlMs };
    }
    this.#writes.set(key, write);
    this.#bytes += this.#bytesOf(key);
  }

  /** @returns {import('./space.js').Change[]} in the order of keys */
  changes() {
    const writes = [...this.#writes].sort(([a], [b]) => compareKeys(a, b));
    return writes.map(([key, write]) => ({
      key,
      ...write,
      ttl: write.op === 'delete' ? '' : ttlToWire(write.ttlMs),
    }));
  }

  /** @param {string} key @returns {number} of its write */
  #bytesOf(key) {
    const own = this.#writes.get(key);
    if (own === undefined) return 0;
    return sizeOf(key, own.op === 'set' ? own.data : '');
  }
}

/** @param {string} key @param {string | Buffer} data */
function sizeOf(key, data) {
  return Buffer.byteLength(key) + byteLengthOf(data);
}
