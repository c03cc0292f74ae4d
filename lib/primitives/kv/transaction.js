import { SluiceError } from '../../internal/util/errors.js';
import { conflictAt, conflictOfReads, failureOf, isConflict } from './errors.js';
import { checkKey, decodeEntry, encodeValue, nextNumber, versionOf } from './values.js';
import {
  ANY_VERSION,
  KEEP_TTL,
  checkDelete,
  checkIncrement,
  checkSet,
  checkTouch,
} from './options.js';
import { checkScan, decodePage } from './scan.js';

/**
 * Access of KvStore and KvNamespace to a transaction, beyond its public interface.
 * @typedef {object} TransactionControl
 * @property {(tx: KvTransaction<any>, share?: import('./errors.js').KvShare) => number} commit returns
 *   the shortest time to live among the writes, in milliseconds. The `share` contains every written
 *   key. Throws ERR_CONFLICT, for which `isConflict` is true, and ERR_KV_FULL
 * @property {(tx: KvTransaction<any>, key: string) => number} versionOf a written key, after the
 *   commit
 * @property {(tx: KvTransaction<any>, error: unknown) => boolean} isConflict whether the error reports
 *   a change to data that this transaction has read
 * @property {(tx: KvTransaction<any>) => void} end frees its memory; every later call throws
 */
/** @type {TransactionControl} */
export let control;

/**
 * One optimistic transaction, passed to the function of `store.transaction`: records its reads, and
 * buffers its writes until the commit. Main thread only; ends when `store.transaction` settles, and
 * throws ERR_TRANSACTION_ENDED from then on.
 * @template [V=import('./values.js').KvValue]
 */
export class KvTransaction {
  /** @type {any} undefined once it has ended */
  #native;
  #pool;
  #limits;
  #nowMs;
  /** @type {SluiceError | undefined} the conflict of an earlier read, which every later read throws */
  #conflict;
  #shortestTtlMs = Infinity;

  static {
    control = {
      commit: (tx, share) => tx.#commit(share),
      versionOf: (tx, key) => tx.#open().versionOf(key),
      isConflict: (tx, error) => error !== undefined && error === tx.#conflict,
      end: (tx) => tx.#end(),
    };
  }

  /**
   * @param {import('./pool.js').Pool<object>} pool of native transactions
   * @param {import('./errors.js').KvLimits} limits
   * @param {() => number} nowMs
   */
  constructor(pool, limits, nowMs) {
    this.#pool = pool;
    this.#native = pool.take();
    this.#native.begin();
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /**
   * The entry of the store, or the one written by this transaction. The key is watched from the first
   * read on, even if it is absent, and every later read returns the same.
   * @template [T=V]
   * @param {string} key
   * @returns {import('./values.js').KvEntry<T> | undefined} `version` is undefined for own writes
   * @throws {SluiceError} ERR_CONFLICT if data of an earlier read has changed: the two reads would
   *   show different states, and the transaction could not commit
   */
  get(key) {
    checkKey('key', key);
    return decodeEntry(this.#read((tx) => tx.get(key, this.#nowMs())));
  }

  /**
   * Like `get`, without the value, which is not copied.
   * @param {string} key
   * @returns {import('./values.js').KvHead | undefined}
   * @throws {SluiceError} ERR_CONFLICT, see `get`
   */
  head(key) {
    checkKey('key', key);
    const head = this.#read((tx) => tx.head(key, this.#nowMs()));
    if (head === undefined) return undefined;
    const [bytes, version, expiresAtMs] = head;
    const expiresAt = expiresAtMs === Infinity ? undefined : expiresAtMs;
    return { bytes, version: versionOf(version), expiresAt };
  }

  /**
   * Like `store.scan`, own writes included. The whole range counts as read: a key added to it later is a
   * conflict, too.
   * @template [T=V]
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage<T>} `version` is undefined for own writes
   * @throws {SluiceError} ERR_CONFLICT, see `get`
   */
  scan(options) {
    const scan = checkScan(options);
    return decodePage(
      this.#read((tx) => tx.scan(this.#nowMs(), scan.request)),
      scan,
    );
  }

  /**
   * Sets a key at the commit, when its time to live starts. Reads the key only for a condition
   * or `keepTtl`.
   * @param {string} key
   * @param {V} value copied during the call
   * @param {import('./options.js').KvSetOptions} [options]
   * @throws {SluiceError} ERR_CONFLICT if the condition fails; ERR_KV_FULL
   */
  set(key, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkSet(options);
    const [data, kind] = encodeValue(value);
    this.#require(key, expected);
    if (ttlMs === KEEP_TTL) this.#read((tx) => tx.get(key, this.#nowMs()));
    this.#set(key, data, kind, ttlMs);
  }

  /**
   * Adds to a number. An absent key counts as 0. Reads the key.
   * @param {string} key
   * @param {number} [by] default 1; may be negative
   * @param {import('./options.js').KvIncrementOptions} [options]
   * @returns {number} the sum
   * @throws {SluiceError} ERR_CONFLICT, see `get`; ERR_NOT_A_NUMBER; ERR_KV_FULL
   */
  increment(key, by = 1, options) {
    const step = checkIncrement(by, options);
    const entry = this.get(key);
    const sum = nextNumber(key, entry, step.by);
    this.#set(key, ...encodeValue(sum), entry === undefined ? step.ttlMs : KEEP_TTL);
    return sum;
  }

  /**
   * Changes the time to live of a key, which counts from the commit. Reads the key.
   * @param {string} key
   * @param {import('./options.js').KvTouchOptions} [options]
   * @returns {boolean} whether the key exists
   * @throws {SluiceError} ERR_CONFLICT, see `get`; also if the condition fails
   */
  touch(key, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkTouch(options);
    this.#require(key, expected);
    const found = this.#read((tx) => tx.touch(key, ttlMs, this.#nowMs()));
    if (found) this.#shortestTtlMs = Math.min(this.#shortestTtlMs, ttlMs);
    return found;
  }

  /**
   * Deletes a key at the commit; an absent key is ignored. Reads the key only for a condition.
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} [options]
   * @throws {SluiceError} ERR_CONFLICT if the condition fails
   */
  delete(key, options) {
    checkKey('key', key);
    this.#require(key, checkDelete(options));
    this.#open().erase(key);
  }

  /**
   * @param {string} key
   * @param {string | Uint8Array} data
   * @param {number} kind
   * @param {number} ttlMs
   */
  #set(key, data, kind, ttlMs) {
    const answer = this.#open().set(key, data, kind, ttlMs);
    if (answer < 0) throw failureOf(answer, this.#limits);
    if (ttlMs !== KEEP_TTL) this.#shortestTtlMs = Math.min(this.#shortestTtlMs, ttlMs);
  }

  /** @type {(share?: import('./errors.js').KvShare) => number} */
  #commit(share) {
    const { prefix, maxKeys, maxBytes, area } = share ?? {};
    const whole = [area?.prefix, area?.maxKeys, area?.maxBytes];
    const answer = this.#open().commit(this.#nowMs(), prefix, maxKeys, maxBytes, ...whole);
    if (isConflict(answer)) {
      this.#conflict ??= conflictOfReads();
      throw this.#conflict;
    }
    if (answer < 0) throw failureOf(answer, this.#limits, share);
    return this.#shortestTtlMs;
  }

  #end() {
    const ended = this.#open();
    this.#native = undefined;
    ended.end();
    this.#pool.give(ended);
  }

  /**
   * @template T
   * @param {(tx: any) => T} read
   * @returns {T}
   */
  #read(read) {
    const tx = this.#open();
    const answer = read(tx);
    if (tx.doomed()) {
      this.#conflict ??= conflictOfReads();
      throw this.#conflict;
    }
    return answer;
  }

  /**
   * @param {string} key
   * @param {number} expected
   */
  #require(key, expected) {
    if (expected === ANY_VERSION) return;
    const found = this.get(key);
    const version = found === undefined ? 0 : found.version;
    if (version !== expected) throw conflictAt(key, version);
  }

  #open() {
    if (this.#native === undefined) {
      throw new SluiceError('ERR_TRANSACTION_ENDED', 'the transaction has ended');
    }
    return this.#native;
  }
}
