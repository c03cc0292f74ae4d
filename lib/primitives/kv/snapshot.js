/**
 * A KvStore as it was at one moment, over the native snapshot. Time stands still in it: what was
 * there then stays, whatever its time to live. Main thread only; ends with `release`, or with
 * garbage collection.
 */
import native from '../../internal/native/addon.js';
import { SluiceError } from '../../internal/util/errors.js';
import { checkScan, decodePage } from './scan.js';
import { checkKey, decodeEntry } from './values.js';

/** Made by `store.snapshot()`. */
export class KvSnapshot {
  /** @type {any} undefined once released */
  #native;
  #version;

  /**
   * @param {object} store the native one
   * @param {number} nowMs
   */
  constructor(store, nowMs) {
    this.#native = new native.KvSnapshot(store, nowMs);
    this.#version = /** @type {number} */ (this.#native.version());
  }

  /** The version of the last change that it has seen. */
  get version() {
    return this.#version;
  }

  /**
   * @param {string} key
   * @returns {import('./values.js').KvEntry | undefined}
   * @throws {SluiceError} ERR_SNAPSHOT_RELEASED
   */
  get(key) {
    return decodeEntry(this.#open().get(checkKey('key', key)));
  }

  /**
   * @param {import('./scan.js').KvScanOptions} [options]
   * @returns {import('./scan.js').KvPage}
   * @throws {SluiceError} ERR_SNAPSHOT_RELEASED
   */
  scan(options) {
    const { limit, range } = checkScan(options);
    return decodePage(this.#open().scan(limit, ...range));
  }

  /** Lets go of what only this snapshot still holds. Does nothing the second time. */
  release() {
    this.#native?.release();
    this.#native = undefined;
  }

  #open() {
    if (this.#native === undefined) {
      throw new SluiceError('ERR_SNAPSHOT_RELEASED', 'the snapshot has been released');
    }
    return this.#native;
  }
}
