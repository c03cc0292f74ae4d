/**
 * One optimistic transaction of a KvStore, over the native one, which remembers reads and keeps
 * writes back. Main thread only; ends when `store.transaction` settles.
 */
import native from '../../internal/native/addon.js';
import { SluiceError } from '../../internal/util/errors.js';
import { conflictAt, conflictOfReads, failureOf, isConflict } from './errors.js';
import { ANY_VERSION, checkDelete, checkSet } from './options.js';
import { checkScan, decodePage } from './scan.js';
import { checkKey, decodeEntry, encodeValue, versionOf } from './values.js';

/** `tx[kHead](key)`: what there is of a key, without reading its value. */
export const kHead = Symbol('sluice.kv.head');
/** Methods for the store alone. */
export const kIsConflict = Symbol('sluice.kv.isConflict');
export const kCommit = Symbol('sluice.kv.commit');
export const kVersionOf = Symbol('sluice.kv.versionOf');
export const kEnd = Symbol('sluice.kv.end');

/** What `store.transaction` gives to its function. */
export class KvTransaction {
  /** @type {any} undefined once it has ended */
  #native;
  #limits;
  #nowMs;
  /** @type {SluiceError | undefined} what a read threw: nothing can be read any more */
  #conflict;
  #shortestTtlMs = Infinity;

  /**
   * @param {object} store the native one
   * @param {import('./errors.js').KvLimits} limits
   * @param {() => number} nowMs
   */
  constructor(store, limits, nowMs) {
    this.#native = new native.KvTransaction(store);
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /**
   * What the store has now, or what this transaction has written. The key is watched from the first
   * read on, also if it is not there, and reads alike however often.
   * @param {string} key
   * @returns {import('./values.js').KvEntry | undefined} `version` is undefined for own writes
   * @throws {SluiceError} ERR_CONFLICT when something that was read before has changed: both would
   *   never have been so at one time, and the transaction could not commit
   */
  get(key) {
    checkKey('key', key);
    return decodeEntry(this.#read((tx) => tx.get(key, this.#nowMs())));
  }

  /**
   * As `get`, without the value.
   * @param {string} key
   * @returns {{bytes: number, version: number, expiresAt: number | undefined} | undefined} `bytes` of
   *   the value, as text or as they are
   */
  [kHead](key) {
    checkKey('key', key);
    const head = this.#read((tx) => tx.head(key, this.#nowMs()));
    if (head === undefined) return undefined;
    const [bytes, version, expiresAtMs] = head;
    const expiresAt = expiresAtMs === Infinity ? undefined : expiresAtMs;
    return { bytes, version: versionOf(version), expiresAt };
  }

  /**
   * As `store.scan`, own writes included. What was read is watched as a whole: a key that comes to
   * it is a conflict, too.
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage} `version` is undefined for own writes
   * @throws {SluiceError} ERR_CONFLICT, as `get`
   */
  scan(options) {
    const { limit, range } = checkScan(options);
    return decodePage(this.#read((tx) => tx.scan(limit, this.#nowMs(), ...range)));
  }

  /**
   * Sets a key when the transaction commits; its time to live runs from then on. Reads nothing
   * without a condition.
   * @param {string} key
   * @param {import('./values.js').KvValue} value taken as it is now
   * @param {import('./options.js').KvSetOptions} [options]
   * @throws {SluiceError} ERR_CONFLICT when the condition fails; ERR_KV_FULL
   */
  set(key, value, options) {
    checkKey('key', key);
    const { ttlMs, expected } = checkSet(options);
    const [data, kind] = encodeValue(value);
    this.#require(key, expected);
    const answer = this.#open().set(key, data, kind, ttlMs);
    if (answer < 0) throw failureOf(answer, this.#limits);
    this.#shortestTtlMs = Math.min(this.#shortestTtlMs, ttlMs);
  }

  /**
   * Deletes a key, if it is there, when the transaction commits. Reads nothing without a condition.
   * @param {string} key
   * @param {import('./options.js').KvDeleteOptions} [options]
   * @throws {SluiceError} ERR_CONFLICT when the condition fails
   */
  delete(key, options) {
    checkKey('key', key);
    this.#require(key, checkDelete(options));
    this.#open().erase(key);
  }

  /**
   * Whether an error is this transaction's own.
   * @param {unknown} error
   */
  [kIsConflict](error) {
    return error !== undefined && error === this.#conflict;
  }

  /**
   * @param {import('./errors.js').KvShare} [share] where all lies that was written
   * @returns {number} the shortest time to live that began
   * @throws {SluiceError} ERR_CONFLICT, for which `kIsConflict` says so; ERR_KV_FULL
   */
  [kCommit](share) {
    const nowMs = this.#nowMs();
    const { prefix, maxKeys, maxBytes, area } = share ?? {};
    const [of, all] = [area?.prefix, [area?.maxKeys, area?.maxBytes]];
    const answer = this.#open().commit(nowMs, prefix, maxKeys, maxBytes, of, ...all);
    if (isConflict(answer)) {
      this.#conflict ??= conflictOfReads();
      throw this.#conflict;
    }
    if (answer < 0) throw failureOf(answer, this.#limits, share);
    return this.#shortestTtlMs;
  }

  /**
   * After the commit.
   * @param {string} key that was set
   * @returns {number}
   */
  [kVersionOf](key) {
    return this.#open().versionOf(key);
  }

  /** No use of it any more. */
  [kEnd]() {
    this.#native = undefined;
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
