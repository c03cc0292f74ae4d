/**
 * The key-value store of a gateway: one for all principals, each of whom has the keys below a prefix
 * of its own, and never sees it. Main thread only; ends with garbage collection.
 */
import { createHash } from 'node:crypto';
import { KvStore } from './kv-store.js';
import { kTransactNow } from '../symbols.js';
import { kVersionOf } from './transaction.js';
import { rangeError } from '../errors.js';
import { wallClock } from '../clock.js';

const NAME_MAX = 128;
/** The name, `#` or nothing before it, `/` behind it. */
const PREFIX_MAX = NAME_MAX + 2;
/** Of one page: an answer of many large values is cut, and goes on behind its cursor. */
const PAGE_BYTES = 4 * 2 ** 20;
const PART = 16;

/**
 * @param {string} principal
 * @returns {string} no other principal's, and no other's beginning: there is one `/` in it
 */
function prefixOf(principal) {
  const name = encodeURIComponent(principal.toWellFormed());
  if (name.length <= NAME_MAX) return `${name}/`;
  return `#${createHash('sha256').update(principal).digest('base64url')}/`;
}

/** @param {any} value of an item */
function sizeOf(value) {
  return value instanceof Uint8Array ? value.length : JSON.stringify(value).length;
}

/** See the head of this file. */
export class KvSpaces {
  #store;
  #limits;
  #unixMs;

  /**
   * @param {import('./options.js').KvSpaceLimits} limits
   * @param {import('../clock.js').ManualClock} [clock]
   */
  constructor(limits, clock) {
    const maxKeyBytes = limits.maxKeyBytes + PREFIX_MAX;
    this.#store = new KvStore({ ...limits, maxKeyBytes, clock });
    this.#limits = limits;
    const wall = wallClock(clock);
    this.#unixMs = (/** @type {number} */ ms) =>
      clock === undefined ? ms : ms - clock.nowMs() + wall();
  }

  /**
   * @param {string} principal
   * @returns {KvSpace}
   */
  of(principal) {
    return new KvSpace(this.#store, prefixOf(principal), this.#limits);
  }

  /**
   * @param {{expiresAt: number | undefined}} entry
   * @returns {number | null} Unix time in seconds; null: it stays
   */
  expiryOf({ expiresAt }) {
    return expiresAt === undefined ? null : Math.round(this.#unixMs(expiresAt)) / 1000;
  }
}

/** The keys of one principal. Methods and errors are those of a KvStore and of its transactions. */
export class KvSpace {
  #store;
  #prefix;
  #maxKeyBytes;
  #share;

  /**
   * @param {KvStore} store
   * @param {string} prefix
   * @param {import('./options.js').KvSpaceLimits} limits
   */
  constructor(store, prefix, limits) {
    this.#store = store;
    this.#prefix = prefix;
    this.#maxKeyBytes = limits.maxKeyBytes;
    const { maxKeysPerPrincipal: maxKeys, maxBytesPerPrincipal: maxBytes } = limits;
    this.#share = { prefix, maxKeys, maxBytes };
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
   * A page as it is now, of up to `limit` items and about 4 MiB.
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
        items.push({ key: key.slice(this.#prefix.length), ...rest });
        bytes += sizeOf(rest.value);
      }
      cursor = page.cursor;
    } while (cursor !== undefined && items.length < limit && bytes < PAGE_BYTES);
    return { items, cursor };
  }

  /**
   * @template T
   * @param {(tx: SpaceTransaction) => T} work
   * @param {(result: T, tx: SpaceTransaction) => void} [done]
   * @returns {T}
   */
  transactNow(work, done) {
    const full = (/** @type {string} */ key) => this.#full(key);
    /** @type {SpaceTransaction} */
    let space;
    return this.#store[kTransactNow](
      (tx) => {
        space = {
          get: (key) => tx.get(full(key)),
          set: (key, value, options) => tx.set(full(key), value, options),
          delete: (key) => tx.delete(full(key)),
          versionOf: (key) => tx[kVersionOf](full(key)),
        };
        return work(space);
      },
      { done: (result) => done?.(result, space), share: this.#share },
    );
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
 * @property {(key: string, value: any, options: import('./options.js').KvSetOptions) => void} set
 * @property {(key: string) => void} delete
 * @property {(key: string) => number} versionOf
 */
