import { createHash } from 'node:crypto';
import { KvStore, storeControl } from './kv-store.js';
import { cursorBehind } from './scan.js';
import { control } from './transaction.js';
import { conflictAt, valueTooLong } from './errors.js';
import { finishNow } from '../../internal/util/steps.js';
import { rangeError } from '../../internal/util/errors.js';
import { wallClock } from '../../internal/time/clock.js';
import { jsonOf } from './values.js';

const NAME_MAX = 128;
/** A prefix consists of the partition, `/`, the name with an optional `#`, and `/`. */
const PREFIX_MAX = NAME_MAX + 32;
/** Limits of the whole store, so large that the limits of the partitions apply first. */
export const STORE_LIMITS = Object.freeze({
  maxKeys: 2 ** 31,
  maxBytes: Number.MAX_SAFE_INTEGER,
  maxPinnedBytes: Number.MAX_SAFE_INTEGER,
  maxValueBytes: 256 * 2 ** 20,
  maxKeyBytes: 2 ** 20,
});
/** Sorts behind every key. */
const LAST = '\u{10ffff}';
/** Bytes of JSON of the values in one answer; a larger page is cut, and continues after its cursor. */
export const ANSWER_BYTES_MAX = 4 * 2 ** 20;
/** Items read at once if each may be large. */
const PART = 16;
/** Keys deleted in one transaction. */
const CLEARED_AT_ONCE = 1000;
/** Items that `items` reads at once. */
const PAGE = 1000;
/** Bytes of unread changes that one watch may hold. */
export const WATCH_BYTES = 4 * 2 ** 20;

/**
 * @param {string} principal
 * @returns {string} unique, without a `/`
 */
export function spaceOf(principal) {
  const whole = principal.isWellFormed();
  const name = encodeURIComponent(principal.toWellFormed());
  if (whole && name.length <= NAME_MAX) return name;
  // UTF-8 has no form for lone surrogates: all of them would map to one name.
  const bytes = Buffer.from(principal, whole ? 'utf8' : 'utf16le');
  return `#${createHash('sha256').update(bytes).digest('base64url')}`;
}

/** @param {any} value of an item */
function sizeOf(value) {
  if (value instanceof Uint8Array) return value.length;
  return Buffer.byteLength(typeof value === 'string' ? value : jsonOf(value));
}

/**
 * @param {any} value
 * @returns {number} bytes of it in a JSON answer
 */
export function jsonBytesOf(value) {
  if (value instanceof Uint8Array) return Math.ceil(value.length / 3) * 4;
  return Buffer.byteLength(JSON.stringify(value));
}

/**
 * The key-value store of a gateway: one store for all uses and all principals. Each use has a
 * partition with its own limits, in which each principal has a namespace: the keys with
 * a prefix that callers never see. With a data file it survives restarts, and every change is written
 * in order. Main thread only; ends with garbage collection.
 */
export class KvNamespaces {
  #store;
  #unixMs;
  #file;
  #closing = new AbortController();

  /**
   * @param {import('../../internal/time/clock.js').ManualClock} [clock]
   * @param {{kv: KvStore<any>, checkRoom: () => void, synced: () => Promise<void>}} [file] a data file;
   *   undefined: everything is in memory
   */
  constructor(clock, file) {
    this.#file = file;
    this.#store = file?.kv ?? new KvStore({ ...STORE_LIMITS, clock });
    const wall = wallClock(clock);
    this.#unixMs = (/** @type {number} */ ms) =>
      clock === undefined ? ms : ms - clock.nowMs() + wall();
  }

  /**
   * @param {string} name letters; unique
   * @param {import('./options.js').KvPartitionLimits} limits
   * @returns {KvPartition}
   */
  partition(name, limits) {
    return new KvPartition(this.#store, `${name}/`, limits);
  }

  /** Whether watches may begin. */
  get open() {
    return !this.#closing.signal.aborted;
  }

  /** Bytes of unread changes in all watches. */
  get watchBytes() {
    return storeControl.watchBytes(this.#store);
  }

  /** Bytes of all keys and values, including replaced ones that snapshots and transactions reference. */
  get bytes() {
    return storeControl.heldBytes(this.#store);
  }

  /**
   * All later changes of a principal's keys. Ends when the gateway closes.
   * @param {{prefix: string}} namespace
   * @param {{prefix: string, signal: AbortSignal}} options `signal` also ends it
   * @returns {AsyncGenerator<import('./watch.js').KvChange<any>>} with a data file, each change is on
   *   the disk
   */
  watch(namespace, { prefix, signal }) {
    const changes = this.#store.watch({
      prefix: namespace.prefix + prefix,
      capacityBytes: WATCH_BYTES,
      signal: AbortSignal.any([signal, this.#closing.signal]),
    });
    const synced = () => this.synced();
    return changesOf(changes, { name: namespace.prefix, closing: this.#closing.signal, synced });
  }

  /** Ends every watch. */
  close() {
    this.#closing.abort();
  }

  /**
   * Must be called before a request changes the store.
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 while the disk is full, 503
   */
  checkRoom() {
    this.#file?.checkRoom();
  }

  /**
   * Resolves when the changes are on the disk, so that an answer about them survives a crash. Resolves
   * at once without a data file.
   * @param {number} [version] the last change that must be on the disk; default: all so far
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503: the changes are not
   *   known to be on the disk. They stay in force, and are written as soon as possible
   */
  async synced(version = this.#store.version) {
    if (this.#file === undefined || version <= storeControl.writtenVersion(this.#store)) return;
    await this.#file.synced();
  }

  /**
   * @param {{expiresAt: number | undefined}} entry
   * @returns {number | null} Unix time in seconds; null: the entry does not expire
   */
  expiryOf({ expiresAt }) {
    return expiresAt === undefined ? null : Math.round(this.#unixMs(expiresAt)) / 1000;
  }
}

/**
 * The changes of a watch, with keys relative to one namespace.
 * @param {AsyncIterable<import('./watch.js').KvChange<any>>} changes
 * @param {object} options
 * @param {string} options.name the prefix of the namespace's keys in the store
 * @param {AbortSignal} options.closing ends it without an error
 * @param {() => Promise<void>} [options.synced] awaited before each change is yielded
 * @returns {AsyncGenerator<import('./watch.js').KvChange<any>>}
 */
export async function* changesOf(changes, { name, closing, synced }) {
  try {
    for await (const change of changes) {
      await synced?.();
      yield { ...change, key: change.key.slice(name.length) };
    }
  } catch (error) {
    if (!closing.aborted) throw error;
  }
}

/** The keys of one service of the gateway. */
export class KvPartition {
  #store;
  #prefix;
  #limits;

  /**
   * @param {KvStore<any>} store
   * @param {string} prefix
   * @param {import('./options.js').KvPartitionLimits} limits
   */
  constructor(store, prefix, limits) {
    this.#store = store;
    this.#prefix = prefix;
    this.#limits = limits;
  }

  /**
   * @param {string} principal
   * @returns {KvNamespace}
   */
  of(principal) {
    return this.#namespace(`${this.#prefix}${spaceOf(principal)}/`);
  }

  /**
   * The namespaces with at least one key.
   * @returns {Generator<KvNamespace>}
   */
  *used() {
    for (let start = this.#prefix; ;) {
      const page = this.#store.scan({ prefix: this.#prefix, start, limit: 1, keysOnly: true });
      const [found] = page.items;
      if (found === undefined) return;
      const prefix = found.key.slice(0, found.key.indexOf('/', this.#prefix.length) + 1);
      yield this.#namespace(prefix);
      start = prefix + LAST;
    }
  }

  /** @param {string} prefix */
  #namespace(prefix) {
    return new KvNamespace(this.#store, prefix, this.#limits, this.#prefix);
  }
}

/**
 * @param {import('./options.js').KvPartitionLimits} limits
 * @returns {number} the longest key of a principal in bytes, without its prefix
 */
export const maxKeyBytesOf = ({ maxKeyBytes }) =>
  Math.min(maxKeyBytes, STORE_LIMITS.maxKeyBytes - PREFIX_MAX);

/**
 * @param {string} key
 * @param {number} maxBytes
 * @returns {string} the key
 */
export function checkKeyBytes(key, maxBytes) {
  if (Buffer.byteLength(key) <= maxBytes) return key;
  throw rangeError(`key takes up to ${maxBytes} bytes of UTF-8`);
}

/**
 * The keys of one principal. Methods and errors are those of a KvStore and of its transactions; every
 * change obeys the limits of the partition and of the principal.
 */
export class KvNamespace {
  #store;
  #prefix;
  #maxKeyBytes;
  #maxValueBytes;
  #share;

  /**
   * @param {KvStore<any>} store
   * @param {string} prefix
   * @param {import('./options.js').KvPartitionLimits} limits
   * @param {string} partitionPrefix beginning of the namespace's prefix
   */
  constructor(store, prefix, limits, partitionPrefix) {
    this.#store = store;
    this.#prefix = prefix;
    this.#maxKeyBytes = maxKeyBytesOf(limits);
    this.#maxValueBytes = limits.maxValueBytes;
    const { maxKeys, maxBytes, maxKeysPerPrincipal, maxBytesPerPrincipal } = limits;
    const area = { prefix: partitionPrefix, maxKeys, maxBytes };
    this.#share = { prefix, maxKeys: maxKeysPerPrincipal, maxBytes: maxBytesPerPrincipal, area };
  }

  /** The prefix of its keys in the store, unique per principal. */
  get prefix() {
    return this.#prefix;
  }

  /** The principal's name; `#` and a hash in place of a very long one. */
  get owner() {
    const name = this.#prefix.slice(this.#share.area.prefix.length, -1);
    return name.startsWith('#') ? name : decodeURIComponent(name);
  }

  /** @param {string} key */
  get(key) {
    return this.#store.get(this.#full(key));
  }

  /** @param {string} key @returns {number} 0: it is absent */
  versionOf(key) {
    return this.get(key)?.version ?? 0;
  }

  /**
   * @param {string} key
   * @param {any} value
   * @param {import('./options.js').KvSetOptions} options
   * @returns {import('./port.js').Written}
   */
  put(key, value, options) {
    let version = 0;
    const previous = this.transactNow(
      (tx) => {
        const before = tx.head(key)?.version ?? 0;
        tx.set(key, value, options);
        return before;
      },
      (_result, tx) => (version = tx.versionOf(key)),
    );
    return { version, previous };
  }

  /**
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} options
   */
  delete(key, options) {
    return this.#store.delete(this.#full(key), options);
  }

  /**
   * Adds to a number, changes the time to live of an existing key, or both.
   * @param {string} key
   * @param {{increment?: number, ttlMs?: number, ifVersion?: number}} change with `increment`, `ttlMs`
   *   applies to a new key only
   * @returns {import('./port.js').Changed}
   */
  change(key, { increment, ttlMs, ifVersion }) {
    let version = 0;
    const { previous, value } = this.transactNow(
      (tx) => {
        const before = tx.head(key)?.version ?? 0;
        if (ifVersion !== undefined && before !== ifVersion) throw conflictAt(key, before);
        const sum = increment === undefined ? undefined : tx.increment(key, increment, { ttlMs });
        if (increment === undefined) tx.touch(key, { ttlMs });
        return { previous: before, value: sum };
      },
      (_result, tx) => (version = tx.versionOf(key)),
    );
    return { value, version, previous, expiresAt: this.get(key)?.expiresAt };
  }

  /** Deletes all keys. */
  clear() {
    for (;;) {
      const options = { prefix: this.#prefix, limit: CLEARED_AT_ONCE, keysOnly: true };
      const { items } = this.#store.scan(options);
      if (items.length === 0) return;
      storeControl.transactNow(this.#store, (tx) => items.forEach(({ key }) => tx.delete(key)));
    }
  }

  /**
   * A page of up to `limit` current items and 4 MiB of JSON; a single item may be larger.
   * @param {{prefix: string, limit: number, cursor?: string, reverse?: boolean, keysOnly?: boolean}}
   *   options
   * @returns {import('./scan.js').KvPage<any>}
   */
  scan({ prefix, limit, cursor, reverse, keysOnly = false }) {
    const items = [];
    let bytes = 0;
    do {
      /** @type {import('./scan.js').KvPage<any>} */
      const page = this.#store.scan({
        prefix: this.#prefix + prefix,
        limit: keysOnly ? limit : Math.min(PART, limit - items.length),
        cursor,
        reverse,
        keysOnly,
      });
      for (const { key, ...rest } of page.items) {
        if (!keysOnly) bytes += jsonBytesOf(rest.value);
        if (bytes > ANSWER_BYTES_MAX && items.length > 0) return { items, cursor };
        items.push({ key: key.slice(this.#prefix.length), ...rest });
        cursor = cursorBehind(key, reverse);
      }
      cursor = page.cursor;
    } while (cursor !== undefined && items.length < limit);
    return { items, cursor };
  }

  /**
   * All items with a prefix, read page by page.
   * @param {string} prefix
   * @returns {Generator<import('./scan.js').KvPage<any>['items'][number]>}
   */
  *items(prefix) {
    /** @type {string | undefined} */
    let cursor;
    do {
      const page = this.scan({ prefix, limit: PAGE, cursor });
      yield* page.items;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  /**
   * @template T
   * @param {(tx: NamespaceTransaction) => T} work
   * @param {(result: T, tx: NamespaceTransaction) => void} [done] called after the commit
   * @param {{limited?: boolean}} [options] `limited: false`: ignores the limits
   * @returns {T}
   */
  transactNow(work, done, { limited = true } = {}) {
    /** @type {NamespaceTransaction} */
    let mine;
    /** @param {import('./transaction.js').KvTransaction<any>} tx */
    const run = (tx) => {
      mine = this.#transaction(tx);
      return work(mine);
    };
    return storeControl.transactNow(this.#store, run, {
      done: (result) => done?.(result, mine),
      share: limited ? this.#share : undefined,
    });
  }

  /**
   * See `KvSpace.transact`.
   * @template T
   * @param {(tx: import('./port.js').SpaceTransaction) => Generator<any, T, any>} work
   * @param {(result: T, versionOf: (key: string) => number) => void} done called after the commit
   * @returns {T}
   */
  transact(work, done) {
    return this.transactNow(
      (tx) => finishNow(work({ ...tx, preload() {} })),
      (result, tx) => done(result, tx.versionOf),
    );
  }

  /**
   * @param {import('./transaction.js').KvTransaction<any>} tx
   * @returns {NamespaceTransaction}
   */
  #transaction(tx) {
    return {
      get: (key) => tx.get(this.#full(key)),
      head: (key) => tx.head(this.#full(key)),
      set: (key, value, options) => {
        tx.set(this.#full(key), value, options);
        this.#checkValue(value);
      },
      increment: (key, by, options) => tx.increment(this.#full(key), by, options),
      touch: (key, options) => tx.touch(this.#full(key), options),
      delete: (key) => tx.delete(this.#full(key)),
      versionOf: (key) => control.versionOf(tx, this.#full(key)),
    };
  }

  /** @param {any} value */
  #checkValue(value) {
    if (sizeOf(value) <= this.#maxValueBytes) return;
    throw valueTooLong({ maxValueBytes: this.#maxValueBytes });
  }

  /** @param {string} key */
  #full(key) {
    return this.#prefix + checkKeyBytes(key, this.#maxKeyBytes);
  }
}

/**
 * @typedef {object} NamespaceTransaction
 * @property {(key: string) => import('./values.js').KvEntry<any> | undefined} get
 * @property {(key: string) => import('./values.js').KvHead | undefined} head like `get`, without the value
 * @property {(key: string, value: any, options?: import('./options.js').KvSetOptions) => void} set
 * @property {(key: string, by: number, options?: import('./options.js').KvIncrementOptions) => number}
 *   increment
 * @property {(key: string, options?: import('./options.js').KvTouchOptions) => boolean} touch
 * @property {(key: string) => void} delete
 * @property {(key: string) => number} versionOf
 */
