import { SluiceError } from '../../internal/util/errors.js';
import { checkScan, decodePage } from './scan.js';
import { checkKey, decodeEntry } from './values.js';

/**
 * A KvStore as it was at one moment, made by `store.snapshot()`. Time stands still in it: a key that
 * was there then stays, whatever its time to live. Replaced values that it shows stay in memory until
 * `release`, or until it is collected as garbage. Main thread only.
 * @template [V=import('./values.js').KvValue]
 */
export class KvSnapshot {
  /** @type {any} undefined once released */
  #native;
  #version;
  #pool;

  /**
   * @param {import('./pool.js').Pool<object>} pool of native snapshots
   * @param {number} nowMs
   */
  constructor(pool, nowMs) {
    this.#pool = pool;
    this.#native = pool.take();
    this.#version = /** @type {number} */ (this.#native.take(nowMs));
  }

  /** The version of the last change in it. */
  get version() {
    return this.#version;
  }

  /**
   * @template [T=V]
   * @param {string} key
   * @returns {import('./values.js').KvEntry<T> | undefined}
   * @throws {SluiceError} ERR_SNAPSHOT_RELEASED
   */
  get(key) {
    return decodeEntry(this.#open().get(checkKey('key', key)));
  }

  /**
   * @template [T=V]
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage<T>}
   * @throws {SluiceError} ERR_SNAPSHOT_RELEASED
   */
  scan(options) {
    const scan = checkScan(options);
    return decodePage(this.#open().scan(...scan.request), scan);
  }

  /** Frees at once the memory that only this snapshot holds. Does nothing the second time. */
  release() {
    const released = this.#native;
    if (released === undefined) return;
    this.#native = undefined;
    released.release();
    this.#pool.give(released);
  }

  #open() {
    if (this.#native === undefined) {
      throw new SluiceError('ERR_SNAPSHOT_RELEASED', 'the snapshot has been released');
    }
    return this.#native;
  }
}
