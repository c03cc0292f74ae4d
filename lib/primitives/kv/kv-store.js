import { attempts } from './attempts.js';
import { finish, finishNow } from '../../internal/util/steps.js';
import native from '../../internal/native/addon.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { steadyUnixClock, wallClock } from '../../internal/time/clock.js';
import { checkClock, checkFunction } from '../../internal/util/validate.js';
import { conflictAt, failureOf, isConflict } from './errors.js';
import { ExpiryTimer } from './expiry.js';
import { checkKey, decodeEntry, encodeValue, nextNumber } from './values.js';
import {
  KEEP_TTL,
  checkCompareAndSet,
  checkDelete,
  checkIncrement,
  checkLimits,
  checkRetries,
  checkSet,
  checkStoreOptions,
  checkTouch,
} from './options.js';
import { Pool } from './pool.js';
import { checkScan, decodePage } from './scan.js';
import { KvSnapshot } from './snapshot.js';
import { KvTransaction, control } from './transaction.js';
import { Watches } from './watch.js';

/** @typedef {import('../../internal/util/errors.js').SluiceError} SluiceError */

/** Repetitions of a synchronous transaction whose entries expire meanwhile. */
const NOW_RETRIES = 100;

/**
 * Access of the gateway to its store, beyond the public interface of KvStore.
 * @typedef {object} StoreControl
 * @property {(file: any, options: import('./options.js').KvStoreOptions) => KvStore<any>} load returns
 *   the store of an open data file that is not started yet, without entries expired in Unix time.
 *   Its versions continue after the last one written. Must not be changed before `persist`. Throws
 *   ERR_DATA_CORRUPT
 * @property {(store: KvStore<any>, file: any) => void} persist writes every later change to a started
 *   data file
 * @property {(store: KvStore<any>) => number} writtenVersion the version up to which all changes are
 *   in the data file; 0 without one
 * @property {<T>(store: KvStore<any>, work: (tx: KvTransaction<any>) => T,
 *   options?: TransactNowOptions<T>) => T} transactNow runs a transaction synchronously, and repeats
 *   `work` when an entry expires meanwhile. Throws ERR_KV_FULL and the errors of `work`
 * @property {(store: KvStore<any>) => number} heldBytes returns the bytes of all keys and values in
 *   memory, including replaced ones that open snapshots and transactions reference
 * @property {(store: KvStore<any>) => number} watchBytes returns the unread bytes of keys and values
 *   in all watches
 */
/**
 * @template T
 * @typedef {object} TransactNowOptions
 * @property {(result: T, tx: KvTransaction<any>) => void} [done] called after the commit: versions
 *   are known
 * @property {import('./errors.js').KvShare} [share] contains every written key
 */
/** @type {StoreControl} */
export let storeControl;

/**
 * An ordered key-value store in memory, with versions, times to live, snapshots, watches and
 * optimistic transactions. `V` is the type of its values.
 *
 * All methods except `transaction` are synchronous, and may also be awaited. Main thread only; ends
 * with garbage collection.
 * @template [V=import('./values.js').KvValue]
 */
export class KvStore {
  #native;
  #limits;
  #nowMs;
  /** Difference between Unix time and the store's time. */
  #toUnixMs;
  #expiry;
  #watches = new Watches();
  #transactions;
  #snapshots;

  static {
    storeControl = {
      load: (file, options) => {
        const store = new KvStore(options);
        file.load(store.#native, store.#toUnixMs, store.#nowMs());
        return store;
      },
      persist: (store, file) => {
        store.#native.keep(file.native, store.#toUnixMs);
        store.#expiry.run();
      },
      heldBytes: (store) => store.#native.bytes() + store.#native.pinnedBytes(),
      watchBytes: (store) => store.#watches.bytes,
      writtenVersion: (store) => store.#native.writtenVersion(),
      transactNow: (store, work, options) => store.#transactNow(work, options),
    };
  }

  /** @param {import('./options.js').KvStoreOptions} [options] */
  constructor(options) {
    const given = checkStoreOptions(options);
    const limits = checkLimits(given);
    const clock = checkClock('clock', given.clock);
    this.#limits = limits;
    this.#nowMs = steadyUnixClock(clock);
    this.#toUnixMs = clock === undefined ? 0 : wallClock(clock)() - clock.nowMs();
    const { maxKeys, maxKeyBytes, maxValueBytes, maxBytes, maxPinnedBytes } = limits;
    const store = new native.KvStore(maxKeys, maxKeyBytes, maxValueBytes, maxBytes, maxPinnedBytes);
    this.#native = store;
    this.#transactions = new Pool(() => new native.KvTransaction(store));
    this.#snapshots = new Pool(() => new native.KvSnapshot(store));
    this.#expiry = new ExpiryTimer(store, {
      nowMs: this.#nowMs,
      deadlines: deadlinesOf(clock),
      watches: this.#watches,
    });
  }

  /** Keys in memory, including expired ones that are not freed yet. */
  get size() {
    return /** @type {number} */ (this.#native.size());
  }

  /** The version of the last change. */
  get version() {
    return /** @type {number} */ (this.#native.version());
  }

  /**
   * @returns {{keys: number, bytes: number, pinnedBytes: number, snapshots: number}} the memory in
   *   use; `pinnedBytes`: replaced values that only snapshots and transactions reference
   */
  stats() {
    const store = this.#native;
    return {
      keys: store.size(),
      bytes: store.bytes(),
      pinnedBytes: store.pinnedBytes(),
      snapshots: store.snapshots(),
    };
  }

  /**
   * @template [T=V]
   * @param {string} key
   * @returns {import('./values.js').KvEntry<T> | undefined} `value` is a copy: changing it does not
   *   change the store
   */
  get(key) {
    return decodeEntry(this.#native.get(checkKey('key', key), this.#nowMs()));
  }

  /**
   * @param {string} key any well-formed string
   * @param {V} value copied during the call
   * @param {import('./options.js').KvSetOptions} [options]
   * @returns {number} the new version, higher than all earlier ones
   * @throws {SluiceError} ERR_CONFLICT with the current `version` of the key (0: absent) when a
   *   condition fails; ERR_KV_FULL with the `limit`. The store is then unchanged
   */
  set(key, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkSet(options);
    const answer = this.#set(key, value, ttlMs, expected);
    if (isConflict(answer)) throw this.#conflictAt(key);
    return answer;
  }

  /**
   * Like `set` with `ifVersion`, for callers that expect conflicts.
   * @param {string} key
   * @param {number} expectedVersion 0: the key is absent
   * @param {V} value
   * @param {{ttlMs?: number, keepTtl?: boolean}} [options] as for `set`
   * @returns {number | undefined} the new version; undefined, without a change, when the key has
   *   another version
   */
  compareAndSet(key, expectedVersion, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkCompareAndSet(expectedVersion, options);
    const answer = this.#set(key, value, ttlMs, expected);
    return isConflict(answer) ? undefined : answer;
  }

  /**
   * Adds to a number. An absent key counts as 0.
   * @param {string} key
   * @param {number} [by] default 1; may be negative
   * @param {import('./options.js').KvIncrementOptions} [options]
   * @returns {number} the sum
   * @throws {SluiceError} ERR_NOT_A_NUMBER when the value is not a number; ERR_KV_FULL. The store is
   *   then unchanged
   */
  increment(key, by = 1, options) {
    checkKey('key', key);
    const step = checkIncrement(by, options);
    for (;;) {
      const entry = this.get(key);
      const sum = nextNumber(key, entry, step.by);
      const ttlMs = entry === undefined ? step.ttlMs : KEEP_TTL;
      // The key may have expired in between.
      if (!isConflict(this.#set(key, sum, ttlMs, entry?.version ?? 0))) return sum;
    }
  }

  /**
   * Changes the time to live of an existing key. The value stays; the version changes.
   * @param {string} key
   * @param {import('./options.js').KvTouchOptions} [options]
   * @returns {number | undefined} the new version; undefined: the key is absent
   * @throws {SluiceError} ERR_CONFLICT, see `set`
   */
  touch(key, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkTouch(options);
    const answer = this.#native.touch(key, ttlMs, expected, this.#nowMs());
    if (isConflict(answer)) throw this.#conflictAt(key);
    if (answer < 0) throw failureOf(answer, this.#limits);
    if (answer === 0) return undefined;
    this.#expiry.expect(ttlMs);
    this.#watches.publish(this.#native);
    return answer;
  }

  /**
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} [options]
   * @returns {boolean} whether the key existed
   * @throws {SluiceError} ERR_CONFLICT, see `set`
   */
  delete(key, options) {
    checkKey('key', key);
    const answer = this.#native.erase(key, checkDelete(options), this.#nowMs());
    if (isConflict(answer)) throw this.#conflictAt(key);
    this.#watches.publish(this.#native);
    return answer !== 0;
  }

  /**
   * A page of the current keys and values. A key that exists during the whole scan appears on exactly
   * one page, despite concurrent writes.
   * @template [T=V]
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage<T>}
   */
  scan(options) {
    const scan = checkScan(options);
    return decodePage(this.#native.scan(this.#nowMs(), scan.request), scan);
  }

  /**
   * An async iterator over all later changes. It ends with `return()`, with its `signal`, or when its
   * reader falls too far behind.
   * @template [T=V]
   * @param {import('./watch.js').KvWatchOptions} [options]
   * @returns {AsyncIterableIterator<import('./watch.js').KvChange<T>>} rejects with
   *   ERR_WATCH_OVERFLOW when more than `capacity` changes, or `capacityBytes`, are unread
   */
  watch(options) {
    return this.#watches.add(this.#native, options);
  }

  /**
   * A snapshot of the current state, taken in constant time. Until it is released, replaced values
   * stay in memory, and each write copies the path to its key.
   * @returns {KvSnapshot<V>}
   */
  snapshot() {
    return new KvSnapshot(this.#snapshots, this.#nowMs());
  }

  /**
   * Runs `work`, then applies all of its writes or none (optimistic concurrency). Other callers are
   * not blocked. The commit fails if any key or range read by `work`, absent keys included, has
   * changed or expired since.
   * @template T
   * @param {(tx: KvTransaction<V>) => T | Promise<T>} work called again for each retry
   * @param {{retries?: number}} [options] `retries`: the number of retries after a conflict;
   *   default 0
   * @returns {Promise<T>} the result of `work`
   * @throws {SluiceError} ERR_CONFLICT, ERR_KV_FULL
   * @throws the errors of `work`
   */
  async transaction(work, options) {
    checkFunction('work', work);
    const attemptOptions = { retries: checkRetries(options), begin: () => this.#begin(), control };
    const run = async (/** @type {KvTransaction<V>} */ tx) => {
      const result = await work(tx);
      this.#commit(tx);
      return result;
    };
    return finish(attempts(attemptOptions, run));
  }

  /**
   * @template T
   * @param {(tx: KvTransaction<any>) => T} work
   * @param {TransactNowOptions<T>} [options]
   * @returns {T}
   */
  #transactNow(work, { done, share } = {}) {
    const attemptOptions = { retries: NOW_RETRIES, begin: () => this.#begin(), control };
    const run = (/** @type {KvTransaction<any>} */ tx) => {
      const result = work(tx);
      this.#commit(tx, share);
      done?.(result, tx);
      return result;
    };
    return finishNow(attempts(attemptOptions, run));
  }

  #begin() {
    return /** @type {KvTransaction<V>} */ (
      new KvTransaction(this.#transactions, this.#limits, this.#nowMs)
    );
  }

  /**
   * @param {KvTransaction<any>} tx
   * @param {import('./errors.js').KvShare} [share]
   */
  #commit(tx, share) {
    this.#expiry.expect(control.commit(tx, share));
    this.#native.account();
    this.#watches.publish(this.#native);
  }

  /**
   * @param {string} key
   * @param {unknown} value
   * @param {number} ttlMs
   * @param {number} expected
   * @returns {number} its version, or a conflict
   */
  #set(key, value, ttlMs, expected) {
    const [data, kind] = encodeValue(value);
    const answer = this.#native.set(key, data, kind, ttlMs, expected, this.#nowMs());
    if (answer < 0 && !isConflict(answer)) throw failureOf(answer, this.#limits);
    if (answer > 0) {
      this.#expiry.expect(ttlMs);
      this.#watches.publish(this.#native);
    }
    return answer;
  }

  /** @param {string} key */
  #conflictAt(key) {
    return conflictAt(key, this.get(key)?.version ?? 0);
  }
}
