import { setTimeout as sleep } from 'node:timers/promises';
import { attempts } from '../../primitives/kv/attempts.js';
import { finish } from '../../internal/util/steps.js';
import { SluiceError } from '../../internal/util/errors.js';
import { checkFunction } from '../../internal/util/validate.js';
import { conflictAt, keyTooLong, valueTooLong } from '../../primitives/kv/errors.js';
import { checkKey, nextNumber } from '../../primitives/kv/values.js';
import {
  ANY_VERSION,
  KEEP_TTL,
  checkCompareAndSet,
  checkDelete,
  checkIncrement,
  checkRetries,
  checkSet,
  checkTouch,
} from '../../primitives/kv/options.js';
import { checkScan, cursorBehind } from '../../primitives/kv/scan.js';
import { SharedKvTransaction, control } from './transaction.js';
import { byteLengthOf, encodedNow, rangeOf, shownEntry, ttlToWire, valueOf } from './wire.js';
import { KvSpaceScripts, noReads } from './space.js';

/** @typedef {import('./space.js').Change} Change */
/** @typedef {import('./space.js').Committed} Committed */

/**
 * Access for the gateway that users of `shared.kv()` do not have.
 * @typedef {object} SharedKvControl
 * @property {(kv: SharedKv<any>, key: string, change: Omit<Change, 'key'>, expected: number) =>
 *   Promise<Committed | undefined>} change makes one change; undefined: the value for `add` is not an integer.
 *   Throws ERR_CONFLICT with the version of the key, ERR_KV_FULL
 * @property {(kv: SharedKv<any>, key: string, value: any, options: {ttlMs: number, expected: number}) =>
 *   Promise<Committed>} set as the method, with checked options
 * @property {(kv: SharedKv<any>) => Promise<void>} clear deletes all keys
 * @property {(kv: SharedKv<any>, key: string) => Promise<number>} versionOf a key; 0: absent
 * @property {(kv: SharedKv<any>, options: import('../../primitives/kv/scan.js').KvScanOptions,
 *   maxBytes: number) => Promise<import('../../primitives/kv/scan.js').KvPage<any>>} scan as the method, with a
 *   page of up to `maxBytes` of values; at least one item
 * @property {<T>(kv: SharedKv<any>, work: (tx: SharedKvTransaction<any>) => Promise<T>,
 *   options: {retries: number, isReadLate?: boolean,
 *   done?: (result: T, tx: SharedKvTransaction<any>) => void}) => Promise<T>} transact as `transaction`; `done` is
 *   called after the commit: versions are available. `isReadLate: false`: one that has written nothing shows the
 *   state at its last read, and is no conflict when that has changed since
 */
/** @type {SharedKvControl} */
export let sharedKvControl;

/** Longest wait after a conflict; waits are random, so that conflicting calls separate. */
const WAIT_MS_MAX = 25;
/** Keys that one call deletes. */
const CLEARED_AT_ONCE = 1000;

/**
 * A key-value store in Redis: made by `openRedis(...)`'s `kv()`, and shared by all processes that open the
 * same store. Methods, errors and limits are those of `KvStore`; each returns a promise, `size` and `version`
 * as well. A call rejects with `ERR_REDIS_...` if Redis does not execute it; with `uncertain: true` Redis may have
 * executed it. Main thread; ends with `close()` of the object that `openRedis` returned.
 * @template [V=import('../../primitives/kv/values.js').KvValue]
 */
export class SharedKv {
  #store;
  #scripts;
  #limits;

  static {
    sharedKvControl = {
      change: (kv, key, change, expected) => kv.#tryChange(key, change, expected),
      set: (kv, key, value, { ttlMs, expected }) =>
        kv.#set(key, encodedNow(value), ttlMs, expected),
      clear: (kv) => kv.#clear(),
      versionOf: async (kv, key) => (await kv.#read(key, false))?.version ?? 0,
      scan: (kv, options, maxBytes) => kv.#scan(checkScan(options), maxBytes),
      transact: (kv, work, options) => kv.#transact(work, options),
    };
  }

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {import('./store.js').KvStoreInRedis} deps.store
   * @param {import('../../primitives/kv/errors.js').KvLimits} deps.limits
   * @param {string} [deps.space] of its keys, without `/`; default: the empty one
   * @param {import('./space.js').SpaceLimits} [deps.share] limits of the space
   */
  constructor({ calls, store, limits, space = '', share }) {
    this.#store = store;
    this.#limits = limits;
    this.#scripts = new KvSpaceScripts({ calls, store: store.name, space, limits, share });
  }

  /** Number of keys. @returns {Promise<number>} */
  get size() {
    return this.#store.figures().then(({ keys }) => keys);
  }

  /** The version of the last change. @returns {Promise<number>} */
  get version() {
    return this.#store.figures().then(({ version }) => version);
  }

  /**
   * @returns {Promise<{keys: number, bytes: number, pinnedBytes: number, snapshots: number}>} the totals in Redis;
   *   the last two are 0
   */
  async stats() {
    const { keys, bytes } = await this.#store.figures();
    return { keys, bytes, pinnedBytes: 0, snapshots: 0 };
  }

  /**
   * @template [T=V]
   * @param {string} key
   * @returns {Promise<import('../../primitives/kv/values.js').KvEntry<T> | undefined>}
   */
  async get(key) {
    return shownEntry(await this.#read(checkKey('key', key)));
  }

  /**
   * @param {string} key any well-formed string
   * @param {V} value copied at the call
   * @param {import('../../primitives/kv/options.js').KvSetOptions} [options]
   * @returns {Promise<number>} its version: higher than all before it
   * @throws {SluiceError} ERR_CONFLICT with the current `version` of the key (0: absent) if a
   *   condition fails; ERR_KV_FULL with the `limit`. The call then has no effect
   */
  async set(key, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkSet(options);
    return (await this.#set(key, encodedNow(value), ttlMs, expected)).version;
  }

  /**
   * Like `set` with `ifVersion`, for callers that expect conflicts.
   * @param {string} key
   * @param {number} expectedVersion 0: the key is absent
   * @param {V} value
   * @param {{ttlMs?: number, keepTtl?: boolean}} [options] as for `set`
   * @returns {Promise<number | undefined>} the new version; undefined, without effect, if the key has
   *   another version
   */
  async compareAndSet(key, expectedVersion, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkCompareAndSet(expectedVersion, options);
    try {
      return (await this.#set(key, encodedNow(value), ttlMs, expected)).version;
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /**
   * Adds to a number; an absent key counts as 0.
   * @param {string} key
   * @param {number} [by] default 1; may be negative
   * @param {import('../../primitives/kv/options.js').KvIncrementOptions} [options]
   * @returns {Promise<number>} the sum
   * @throws {SluiceError} ERR_NOT_A_NUMBER if the key has another kind of value; ERR_KV_FULL. The
   *   call then has no effect
   */
  async increment(key, by = 1, options) {
    checkKey('key', key);
    const step = checkIncrement(by, options);
    if (Number.isSafeInteger(step.by)) {
      const sum = await this.#addInteger(key, step);
      if (sum !== undefined) return sum;
    }
    for (;;) {
      const entry = await this.get(key);
      const sum = nextNumber(key, entry, step.by);
      const ttlMs = entry === undefined ? step.ttlMs : KEEP_TTL;
      try {
        await this.#set(key, encodedNow(sum), ttlMs, entry?.version ?? 0);
        return sum;
      } catch (error) {
        // Another process changed the key first.
        if (!isConflict(error)) throw error;
      }
    }
  }

  /**
   * Changes the time to live of an existing key. Its value stays; it gets a new version.
   * @param {string} key
   * @param {import('../../primitives/kv/options.js').KvTouchOptions} [options]
   * @returns {Promise<number | undefined>} its version; undefined: the key is absent
   * @throws {SluiceError} ERR_CONFLICT, see `set`
   */
  async touch(key, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkTouch(options);
    const { version } = await this.#change(key, { op: 'touch', ttl: ttlToWire(ttlMs) }, expected);
    return version === 0 ? undefined : version;
  }

  /**
   * @param {string} key
   * @param {import('../../primitives/kv/options.js').KvDeleteOptions} [options]
   * @returns {Promise<boolean>} whether the key existed
   * @throws {SluiceError} ERR_CONFLICT, see `set`
   */
  async delete(key, options) {
    checkKey('key', key);
    const { version } = await this.#change(key, { op: 'delete' }, checkDelete(options));
    return version !== 0;
  }

  /**
   * A page of keys and values in their present state. A key that exists from the first page to the last
   * one is in exactly one page, despite other writes meanwhile.
   * @template [T=V]
   * @param {import('../../primitives/kv/scan.js').KvScanOptions} [options]
   * @returns {Promise<import('../../primitives/kv/scan.js').KvPage<T>>}
   */
  async scan(options) {
    return this.#scan(checkScan(options));
  }

  /**
   * @param {import('../../primitives/kv/scan.js').CheckedScan} scan
   * @param {number} [maxBytes] limit of bytes of values, for a page with more than one item
   * @returns {Promise<import('../../primitives/kv/scan.js').KvPage<any>>}
   */
  async #scan({ reverse, keysOnly, request }, maxBytes) {
    if (this.#store.feed.ready !== undefined) await this.#store.feed.ready;
    const limit = Number(request[0]);
    const bytes = maxBytes === Infinity ? undefined : maxBytes;
    const read = { reverse, values: !keysOnly, limit, maxBytes: bytes };
    const page = await this.#scripts.scan(rangeOf(request), read);
    const { isMore, entries } = /** @type {NonNullable<typeof page>} */ (page);
    const items = entries.map(({ key, entry: { version, kind, data } }) => ({
      key,
      version,
      ...(!keysOnly && { value: valueOf(/** @type {Buffer} */ (data), kind) }),
    }));
    const last = items.at(-1);
    const cursor = isMore && last ? cursorBehind(last.key, reverse) : undefined;
    return /** @type {any} */ ({ items, cursor });
  }

  /**
   * Future changes by all processes, as an async iterator that ends with `return()`, with its
   * `signal`, or when its reader falls too far behind. Later calls of this store wait until the iterator sees
   * changes.
   * @template [T=V]
   * @param {import('../../primitives/kv/watch.js').KvWatchOptions} [options]
   * @returns {AsyncIterableIterator<import('../../primitives/kv/watch.js').KvChange<T>>} rejects with
   *   ERR_WATCH_OVERFLOW when more than `capacity` changes, or `capacityBytes`, are unread, and if changes
   *   were missed while Redis was away
   */
  watch(options) {
    return this.#store.watches.add(this.#store.feed, options);
  }

  /**
   * Redis has no snapshots.
   * @returns {Promise<never>}
   * @throws {SluiceError} ERR_NOT_SUPPORTED
   */
  async snapshot() {
    const message = 'a store in Redis has no snapshots: use a transaction';
    throw new SluiceError('ERR_NOT_SUPPORTED', message);
  }

  /**
   * Runs `work`, then makes all of its writes or none. Other callers are not
   * locked out: if a key that it has read (or found absent, or scanned) has changed by then, or
   * expired, the writes are discarded. Methods of `tx` return promises.
   * @template T
   * @param {(tx: SharedKvTransaction<V>) => T | Promise<T>} work called again for each retry
   * @param {{retries?: number}} [options] `retries`: number of retries after a conflict;
   *   default 0
   * @returns {Promise<T>} the result of `work`
   * @throws {SluiceError} ERR_CONFLICT, ERR_KV_FULL; and errors of `work`
   */
  async transaction(work, options) {
    checkFunction('work', work);
    const retries = checkRetries(options);
    return this.#transact(work, { retries });
  }

  /**
   * @template T
   * @param {(tx: SharedKvTransaction<any>) => T | Promise<T>} work
   * @param {{retries: number, isReadLate?: boolean,
   *   done?: (result: T, tx: SharedKvTransaction<any>) => void}} options
   * @returns {Promise<T>}
   */
  async #transact(work, { retries, isReadLate = true, done }) {
    if (this.#store.feed.ready !== undefined) await this.#store.feed.ready;
    const begin = () =>
      new SharedKvTransaction({
        scripts: this.#scripts,
        limits: this.#limits,
        nowMs: this.#store.nowMs,
        onCommitted: (ends) => this.#store.expect(ends),
      });
    const pause = (/** @type {number} */ failed) =>
      sleep(Math.random() * Math.min(failed, WAIT_MS_MAX));
    const run = async (/** @type {SharedKvTransaction<any>} */ tx) => {
      const result = await work(tx);
      await control.commit(tx, { isReadLate });
      done?.(result, tx);
      return result;
    };
    return finish(attempts({ retries, begin, control, pause }, run));
  }

  async #clear() {
    if (this.#store.feed.ready !== undefined) await this.#store.feed.ready;
    while ((await this.#scripts.clear(CLEARED_AT_ONCE)) > 0);
  }

  /**
   * @param {string} key
   * @param {boolean} [values]
   */
  async #read(key, values = true) {
    if (this.#store.feed.ready !== undefined) await this.#store.feed.ready;
    const answer = await this.#scripts.read([key], { values });
    return answer?.entries[0];
  }

  /**
   * @param {string} key
   * @param {[data: string | Buffer, kind: number]} value
   * @param {number} ttlMs
   * @param {number} expected
   */
  async #set(key, [data, kind], ttlMs, expected) {
    // A wrong version is reported before a full store, as in memory.
    if (!this.#fits(key, data) && expected !== ANY_VERSION) {
      const version = (await this.#read(key))?.version ?? 0;
      if (version !== expected) throw conflictAt(key, version);
    }
    if (Buffer.byteLength(key) > this.#limits.maxKeyBytes) throw keyTooLong(this.#limits);
    if (!this.#fits(key, data)) throw valueTooLong(this.#limits);
    return this.#change(key, { op: 'set', data, kind, ttl: ttlToWire(ttlMs) }, expected);
  }

  /**
   * @param {string} key
   * @param {string | Buffer} data
   */
  #fits(key, data) {
    const { maxKeyBytes, maxValueBytes } = this.#limits;
    return Buffer.byteLength(key) <= maxKeyBytes && byteLengthOf(data) <= maxValueBytes;
  }

  /**
   * @param {string} key
   * @param {{by: number, ttlMs: number}} step
   * @returns {Promise<number | undefined>} the sum; undefined: the value or the sum is not an integer
   */
  async #addInteger(key, { by, ttlMs }) {
    const [data, kind] = encodedNow(by);
    if (!this.#fits(key, data)) return undefined;
    const answer = await this.#tryChange(key, { op: 'add', data, kind, ttl: ttlToWire(ttlMs) });
    return answer && Number(answer.sum);
  }

  /**
   * @param {string} key
   * @param {Omit<Change, 'key'>} change
   * @param {number} expected version of the key
   */
  async #change(key, change, expected) {
    const done = await this.#tryChange(key, change, expected);
    return /** @type {NonNullable<typeof done>} */ (done);
  }

  /**
   * @param {string} key
   * @param {Omit<Change, 'key'>} change
   * @param {number} [expected] version of the key
   * @returns {Promise<Committed | undefined>} undefined: the value for `add` is not an integer
   */
  async #tryChange(key, change, expected = ANY_VERSION) {
    const reads = noReads();
    if (expected === 0) reads.keys.set(key, undefined);
    else if (expected !== ANY_VERSION) reads.keys.set(key, { ...NO_ENTRY, version: expected });
    if (this.#store.feed.ready !== undefined) await this.#store.feed.ready;
    const answer = await this.#scripts.commit(reads, [{ key, ...change }]);
    if (answer.status === 'CONFLICT') throw conflictAt(key, answer.version);
    if (answer.status === 'FULL') throw this.#scripts.full(answer.limit);
    if (answer.status === 'OTHER') return undefined;
    const [done] = answer.changes;
    this.#store.expect([done.endMs]);
    return done;
  }
}

const NO_ENTRY = Object.freeze({ kind: 0, bytes: 0, endMs: Infinity });

/** @param {any} error */
function isConflict(error) {
  return error?.code === 'ERR_CONFLICT';
}
