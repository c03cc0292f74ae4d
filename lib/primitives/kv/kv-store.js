/**
 * An ordered key-value store in memory, with versions, times to live, snapshots and optimistic
 * transactions; all of it is in the native store (native/core/kv/store.h).
 *
 * All methods but `transaction` answer at once, and may be awaited as well. Main thread only; ends
 * with garbage collection.
 */
import native from '../../internal/native/addon.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { kKeep, kLoad, kTransactNow } from '../../internal/util/symbols.js';
import {
  checkClock,
  checkFunction,
  checkInteger,
  checkOptions,
} from '../../internal/util/validate.js';
import { conflictAt, failureOf, isConflict } from './errors.js';
import { checkDelete, checkLimits, checkSet, checkTtl } from './options.js';
import { Reclaimer } from './expiry.js';
import { checkScan, decodePage } from './scan.js';
import { KvSnapshot } from './snapshot.js';
import { steadyUnixClock, wallClock } from '../../internal/time/clock.js';
import { KvTransaction, kCommit, kEnd, kIsConflict } from './transaction.js';
import { checkKey, decodeEntry, encodeValue } from './values.js';

/**
 * @typedef {object} KvStoreOptions
 * @property {number} [maxKeys] default 1,000,000; those that have expired do not count
 * @property {number} [maxKeyBytes] of one key as UTF-8; default 1024
 * @property {number} [maxValueBytes] of one value, as UTF-8 or JSON where it is no buffer; default
 *   1 MiB
 * @property {number} [maxBytes] of all keys and values that are in the store; default 256 MiB
 * @property {number} [maxPinnedBytes] of those that no longer are, but that snapshots hold on to;
 *   default as `maxBytes`. Beyond it nothing is set until some are released
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: Unix time as of the start of the
 *   process, going on monotonically
 */

/** How often something may expire in the middle of a call. */
const NOW_RETRIES = 100;

export class KvStore {
  #native;
  #limits;
  #nowMs;
  /** What makes Unix time of the store's. */
  #toUnixMs;
  #reclaimer;

  /** @param {KvStoreOptions} [options] */
  constructor(options) {
    const given = checkOptions('options', options);
    const limits = checkLimits(given);
    const clock = checkClock('clock', given.clock);
    this.#limits = limits;
    this.#nowMs = steadyUnixClock(clock);
    this.#toUnixMs = clock === undefined ? 0 : wallClock(clock)() - clock.nowMs();
    this.#native = new native.KvStore(
      limits.maxKeys,
      limits.maxKeyBytes,
      limits.maxValueBytes,
      limits.maxBytes,
      limits.maxPinnedBytes,
    );
    this.#reclaimer = new Reclaimer(this.#native, this.#nowMs, deadlinesOf(clock));
  }

  /**
   * The store of a data file, as it was left; what has expired meanwhile, by Unix time, is not in it.
   * Its versions go on behind the last one that was written. Not to be changed before `kKeep`.
   * @param {import('../../jobs/storage/sqlite.js').SqliteStore} file not started yet
   * @param {KvStoreOptions} options
   * @returns {KvStore}
   * @throws {import('../../internal/util/errors.js').SluiceError} ERR_DATA_CORRUPT
   */
  static [kLoad](file, options) {
    const store = new KvStore(options);
    file.load(store.#native, store.#toUnixMs, store.#nowMs());
    return store;
  }

  /**
   * Writes every change to a data file from now on.
   * @param {import('../../jobs/storage/sqlite.js').SqliteStore} file started
   */
  [kKeep](file) {
    this.#native.keep(file.native, this.#toUnixMs);
    this.#reclaimer.look();
  }

  /** The last version that is in the data file, with all before it; 0 where there is none. */
  get writtenVersion() {
    return /** @type {number} */ (this.#native.writtenVersion());
  }

  /** Keys in memory, those that have expired and are yet to be freed included. */
  get size() {
    return /** @type {number} */ (this.#native.size());
  }

  /** The version of the last change. */
  get version() {
    return /** @type {number} */ (this.#native.version());
  }

  /**
   * @returns {{keys: number, bytes: number, pinnedBytes: number, snapshots: number}} what is in
   *   memory; `pinnedBytes` for snapshots and transactions alone
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
   * @param {string} key
   * @returns {import('./values.js').KvEntry | undefined} `value` is yours: changing it changes
   *   nothing in the store
   */
  get(key) {
    return decodeEntry(this.#native.get(checkKey('key', key), this.#nowMs()));
  }

  /**
   * @param {string} key any string of whole characters
   * @param {import('./values.js').KvValue} value taken as it is now
   * @param {import('./options.js').KvSetOptions} [options]
   * @returns {number} its version: higher than all before it
   * @throws {import('../../internal/util/errors.js').SluiceError} ERR_CONFLICT with the `version` that the key has (0: it is not there)
   *   when a condition fails; ERR_KV_FULL with the `limit`. Nothing has changed then
   */
  set(key, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkSet(options);
    const answer = this.#set(key, value, ttlMs, expected);
    if (isConflict(answer)) throw this.#conflictAt(key);
    return answer;
  }

  /**
   * As `set` with `ifVersion`, for those to whom a failure is no surprise.
   * @param {string} key
   * @param {number} expectedVersion 0: the key is not there
   * @param {import('./values.js').KvValue} value
   * @param {{ttlMs?: number}} [options]
   * @returns {number | undefined} the new version; undefined when the key has another version, and
   *   nothing has changed
   */
  compareAndSet(key, expectedVersion, value, options) {
    checkKey('key', key);
    const expected = checkInteger('expectedVersion', expectedVersion, { min: 0 });
    const ttlMs = checkTtl(checkOptions('options', options).ttlMs);
    const answer = this.#set(key, value, ttlMs, expected);
    return isConflict(answer) ? undefined : answer;
  }

  /**
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} [options]
   * @returns {boolean} whether it was there
   * @throws {import('../../internal/util/errors.js').SluiceError} ERR_CONFLICT, as `set`
   */
  delete(key, options) {
    checkKey('key', key);
    const answer = this.#native.erase(key, checkDelete(options), this.#nowMs());
    if (isConflict(answer)) throw this.#conflictAt(key);
    return answer !== 0;
  }

  /**
   * A page of keys and values as they are now. A key that is there from the first page to the last
   * one is in exactly one of them, whatever else is written meanwhile.
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage}
   */
  scan(options) {
    const { limit, range } = checkScan(options);
    return decodePage(this.#native.scan(limit, this.#nowMs(), ...range));
  }

  /**
   * The store as it is now, to be read for as long as it is needed. Taking it copies nothing; while
   * it is there, what is replaced stays in memory, and writes copy the way to their key.
   * @returns {KvSnapshot}
   */
  snapshot() {
    return new KvSnapshot(this.#native, this.#nowMs());
  }

  /**
   * Runs `work`, and then does everything that it has written, or nothing. Nobody is locked out
   * meanwhile: if something that it has read (or found missing, or scanned) has changed by then, or
   * expired, nothing is done.
   * @template T
   * @param {(tx: KvTransaction) => T | Promise<T>} work called again for each retry
   * @param {{retries?: number}} [options] `retries`: how often it is tried again after a conflict;
   *   default 0
   * @returns {Promise<T>} what `work` gave
   * @throws {import('../../internal/util/errors.js').SluiceError} ERR_CONFLICT, ERR_KV_FULL; and what `work` throws
   */
  async transaction(work, options) {
    checkFunction('work', work);
    const retries = checkInteger('retries', checkOptions('options', options).retries, {
      min: 0,
      fallback: 0,
    });
    for (let left = retries; ; left -= 1) {
      const tx = this.#begin();
      try {
        const result = await work(tx);
        this.#reclaimer.expect(tx[kCommit]());
        return result;
      } catch (error) {
        if (left === 0 || !tx[kIsConflict](error)) throw error;
      } finally {
        tx[kEnd]();
      }
    }
  }

  /**
   * A transaction that is over before it is anybody else's turn: at most the time may move on, and
   * let something expire.
   * @template T
   * @param {(tx: KvTransaction) => T} work called again when something has
   * @param {object} [options]
   * @param {(result: T, tx: KvTransaction) => void} [options.done] may ask for the versions
   * @param {import('./errors.js').KvShare} [options.share] where all lies that is written
   * @returns {T}
   * @throws {import('../../internal/util/errors.js').SluiceError} ERR_KV_FULL; and what `work` throws
   */
  [kTransactNow](work, { done, share } = {}) {
    for (let left = NOW_RETRIES; ; left -= 1) {
      const tx = this.#begin();
      try {
        const result = work(tx);
        this.#reclaimer.expect(tx[kCommit](share));
        done?.(result, tx);
        return result;
      } catch (error) {
        if (left === 0 || !tx[kIsConflict](error)) throw error;
      } finally {
        tx[kEnd]();
      }
    }
  }

  #begin() {
    return new KvTransaction(this.#native, this.#limits, this.#nowMs);
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
    if (answer > 0) this.#reclaimer.expect(ttlMs);
    return answer;
  }

  /** @param {string} key */
  #conflictAt(key) {
    return conflictAt(key, this.get(key)?.version ?? 0);
  }
}
