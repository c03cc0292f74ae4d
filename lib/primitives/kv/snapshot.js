import { SluiceError } from '../../internal/util/errors.js';
import { checkScan, decodePage } from './scan.js';
import { checkKey, decodeEntry } from './values.js';

/**
 * The state of a KvStore at one moment, made by `store.snapshot()`. Its time is frozen: entries do
 * not expire in it. Replaced values stay in memory until `release`, or until the snapshot is garbage
 * collected. Main thread only.
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

  /** The version of the last change that it contains. */
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
    return decodePage(this.#open().scan(scan.request), scan);
  }

  /** Frees at once the memory used only by this snapshot. A second call does nothing. */
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
