/**
 * The key-value store of a gateway: one for all uses and all principals. Each use has an area of it,
 * with limits of its own, and in that each principal the keys below a prefix of its own, which it
 * never sees. With a data file it is there as it was left, and every change goes there in the order
 * in which it was made. Main thread only; ends with garbage collection.
 */
import { createHash } from 'node:crypto';
import { KvStore } from './kv-store.js';
import { kTransactNow } from '../../internal/util/symbols.js';
import { cursorBehind } from './scan.js';
import { kHead, kVersionOf } from './transaction.js';
import { rangeError } from '../../internal/util/errors.js';
import { wallClock } from '../../internal/time/clock.js';

const NAME_MAX = 128;
/** The area, the name, `#` or nothing before it, and a `/` behind each. */
const PREFIX_MAX = NAME_MAX + 32;
/** Each area sees to its limits; none of them is to be in the way of another. */
export const STORE_LIMITS = Object.freeze({
  maxKeys: 2 ** 31,
  maxBytes: Number.MAX_SAFE_INTEGER,
  maxPinnedBytes: Number.MAX_SAFE_INTEGER,
  maxValueBytes: 256 * 2 ** 20,
  maxKeyBytes: 2 ** 20,
});
/** Comes behind every key. */
const LAST = '\u{10ffff}';
/** JSON of the values in one answer; a page that would have more is cut, and goes on behind its cursor. */
export const ANSWER_BYTES_MAX = 4 * 2 ** 20;
const PART = 16;

/**
 * @param {string} principal
 * @returns {string} no other principal's, and no other's beginning: there is one `/` in it
 */
function prefixOf(principal) {
  const whole = principal.isWellFormed();
  const name = encodeURIComponent(principal.toWellFormed());
  if (whole && name.length <= NAME_MAX) return `${name}/`;
  // Half of a surrogate pair has no UTF-8: all of them would be one.
  const bytes = Buffer.from(principal, whole ? 'utf8' : 'utf16le');
  return `#${createHash('sha256').update(bytes).digest('base64url')}/`;
}

/** @param {any} value of an item */
function sizeOf(value) {
  if (value instanceof Uint8Array) return value.length;
  return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
}

/**
 * @param {any} value
 * @returns {number} bytes of it in a JSON answer
 */
export function jsonBytesOf(value) {
  if (value instanceof Uint8Array) return Math.ceil(value.length / 3) * 4;
  return Buffer.byteLength(JSON.stringify(value));
}

/** See the head of this file. */
export class KvSpaces {
  #store;
  #unixMs;
  #file;

  /**
   * @param {import('../../internal/time/clock.js').ManualClock} [clock]
   * @param {import('../../jobs/storage/job-store.js').JobStore} [file] undefined: everything is in memory
   */
  constructor(clock, file) {
    this.#file = file;
    this.#store = file === undefined ? new KvStore({ ...STORE_LIMITS, clock }) : file.openKv();
    const wall = wallClock(clock);
    this.#unixMs = (/** @type {number} */ ms) =>
      clock === undefined ? ms : ms - clock.nowMs() + wall();
  }

  /**
   * @param {string} name letters; each of another use
   * @param {import('./options.js').KvSpaceLimits} limits
   * @returns {KvArea}
   */
  area(name, limits) {
    return new KvArea(this.#store, `${name}/`, limits);
  }

  /** Bytes of all keys and values, those that open snapshots and transactions keep included. */
  get bytes() {
    const { bytes, pinnedBytes } = this.#store.stats();
    return bytes + pinnedBytes;
  }

  /**
   * To be called before anything is changed that is new.
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 while the disk is full, 503
   */
  checkRoom() {
    this.#file?.checkRoom();
  }

  /**
   * Resolves when what the caller is about to tell somebody is on the disk, so that no crash can
   * take it back; at once where all of it is there already, or there is no data file.
   * @param {number} [version] of the only entry that it is about; default: everything so far
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503: it may not be there yet. It stays in
   *   force, and is written as soon as that is possible
   */
  async synced(version = this.#store.version) {
    if (this.#file === undefined || version <= this.#store.writtenVersion) return;
    await this.#file.synced();
  }

  /**
   * @param {{expiresAt: number | undefined}} entry
   * @returns {number | null} Unix time in seconds; null: it stays
   */
  expiryOf({ expiresAt }) {
    return expiresAt === undefined ? null : Math.round(this.#unixMs(expiresAt)) / 1000;
  }
}

/** The keys of one use. */
export class KvArea {
  #store;
  #prefix;
  #limits;

  /**
   * @param {KvStore} store
   * @param {string} prefix
   * @param {import('./options.js').KvSpaceLimits} limits
   */
  constructor(store, prefix, limits) {
    this.#store = store;
    this.#prefix = prefix;
    this.#limits = limits;
  }

  /**
   * @param {string} principal
   * @returns {KvSpace}
   */
  of(principal) {
    return this.#space(this.#prefix + prefixOf(principal));
  }

  /**
   * Those that hold a key.
   * @returns {Generator<KvSpace>}
   */
  *used() {
    for (let start = this.#prefix; ;) {
      const [found] = this.#store.scan({ prefix: this.#prefix, start, limit: 1 }).items;
      if (found === undefined) return;
      const prefix = found.key.slice(0, found.key.indexOf('/', this.#prefix.length) + 1);
      yield this.#space(prefix);
      start = prefix + LAST;
    }
  }

  /** @param {string} prefix */
  #space(prefix) {
    return new KvSpace(this.#store, prefix, this.#limits, this.#prefix);
  }
}

/** The keys of one principal. Methods and errors are those of a KvStore and of its transactions. */
export class KvSpace {
  #store;
  #prefix;
  #maxKeyBytes;
  #maxValueBytes;
  #share;

  /**
   * @param {KvStore} store
   * @param {string} prefix
   * @param {import('./options.js').KvSpaceLimits} limits
   * @param {string} areaPrefix what its own begins with
   */
  constructor(store, prefix, limits, areaPrefix) {
    this.#store = store;
    this.#prefix = prefix;
    this.#maxKeyBytes = Math.min(limits.maxKeyBytes, STORE_LIMITS.maxKeyBytes - PREFIX_MAX);
    this.#maxValueBytes = limits.maxValueBytes;
    const { maxKeys, maxBytes, maxKeysPerPrincipal, maxBytesPerPrincipal } = limits;
    const area = { prefix: areaPrefix, maxKeys, maxBytes };
    this.#share = { prefix, maxKeys: maxKeysPerPrincipal, maxBytes: maxBytesPerPrincipal, area };
  }

  /** What its keys begin with in the store: no other principal's do. */
  get prefix() {
    return this.#prefix;
  }

  /** @param {string} key */
  get(key) {
    return this.#store.get(this.#full(key));
  }

  /**
   * @param {string} key
   * @param {import('./values.js').KvValue} value
   * @param {import('./options.js').KvSetOptions} options
   * @returns {number} its version
   */
  set(key, value, options) {
    let version = 0;
    this.transactNow(
      (tx) => tx.set(key, value, options),
      (_result, tx) => (version = tx.versionOf(key)),
    );
    return version;
  }

  /**
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} options
   */
  delete(key, options) {
    return this.#store.delete(this.#full(key), options);
  }

  /**
   * A page as it is now, of up to `limit` items and, but for a single larger one, 4 MiB of JSON.
   * @param {{prefix: string, limit: number, cursor?: string}} options
   * @returns {import('./scan.js').KvPage}
   */
  scan({ prefix, limit, cursor }) {
    const items = [];
    let bytes = 0;
    do {
      const page = this.#store.scan({
        prefix: this.#prefix + prefix,
        limit: Math.min(PART, limit - items.length),
        cursor,
      });
      for (const { key, ...rest } of page.items) {
        bytes += jsonBytesOf(rest.value);
        if (bytes > ANSWER_BYTES_MAX && items.length > 0) return { items, cursor };
        items.push({ key: key.slice(this.#prefix.length), ...rest });
        cursor = cursorBehind(key);
      }
      cursor = page.cursor;
    } while (cursor !== undefined && items.length < limit);
    return { items, cursor };
  }

  /**
   * @template T
   * @param {(tx: SpaceTransaction) => T} work
   * @param {(result: T, tx: SpaceTransaction) => void} [done]
   * @param {{limited?: boolean}} [options] `limited: false`: whatever room there is
   * @returns {T}
   */
  transactNow(work, done, { limited = true } = {}) {
    const full = (/** @type {string} */ key) => this.#full(key);
    /** @type {SpaceTransaction} */
    let space;
    return this.#store[kTransactNow](
      (tx) => {
        space = {
          get: (key) => tx.get(full(key)),
          head: (key) => tx[kHead](full(key)),
          set: (key, value, options) => {
            tx.set(full(key), value, options);
            this.#checkValue(value);
          },
          delete: (key) => tx.delete(full(key)),
          versionOf: (key) => tx[kVersionOf](full(key)),
        };
        return work(space);
      },
      { done: (result) => done?.(result, space), share: limited ? this.#share : undefined },
    );
  }

  /** @param {import('./values.js').KvValue} value */
  #checkValue(value) {
    if (sizeOf(value) <= this.#maxValueBytes) return;
    throw rangeError(`value takes up to ${this.#maxValueBytes} bytes (maxValueBytes)`);
  }

  /** @param {string} key */
  #full(key) {
    if (Buffer.byteLength(key) > this.#maxKeyBytes) {
      throw rangeError(`key takes up to ${this.#maxKeyBytes} bytes of UTF-8`);
    }
    return this.#prefix + key;
  }
}

/**
 * @typedef {object} SpaceTransaction
 * @property {(key: string) => import('./values.js').KvEntry | undefined} get
 * @property {(key: string) => {bytes: number, version: number, expiresAt: number | undefined} |
 *   undefined} head as `get`, without the value
 * @property {(key: string, value: any, options: import('./options.js').KvSetOptions) => void} set
 * @property {(key: string) => void} delete
 * @property {(key: string) => number} versionOf
 */
