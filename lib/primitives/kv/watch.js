/** Watches of a KvStore: bounded queues of its changes, one per reader. Main thread only. */
import { nativeNames } from '../../internal/native/numbers.js';
import { SluiceError, rangeError } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';
import { checkInteger, checkOptions, checkSignal } from '../../internal/util/validate.js';
import { checkKey, decodeEntry } from './values.js';

const CAPACITY_DEFAULT = 1024;
const CAPACITY_BYTES_DEFAULT = 64 * 2 ** 20;
const TYPES = nativeNames('enums.KvChangeKind', ['set', 'delete', 'expire']);
/** Fields of a change in the format of the native side: type, version, key, data, kind, expiresAtMs. */
const FIELDS = 6;

/**
 * @typedef {object} KvWatchOptions
 * @property {string} [key] only changes of this key
 * @property {string} [prefix] only changes of keys with this prefix; default: all
 * @property {number} [capacity] unread changes that the watch holds; default 1024. One more ends it
 *   with ERR_WATCH_OVERFLOW, after the unread changes
 * @property {number} [capacityBytes] unread bytes of keys and values, counted as stored; default
 *   64 MiB. A change beyond it ends the watch like one beyond `capacity`; a single change may be larger
 * @property {AbortSignal} [signal] ends the watch: the next read rejects with its reason
 */
/**
 * A change. `set` has the new `value` and its expiry. `expire` has the version of the expired entry,
 * and is reported when its memory is freed, soon after its expiry; it is omitted for a key that is set
 * again before that.
 * @template [V=import('./values.js').KvValue]
 * @typedef {{type: 'set', key: string, value: V, version: number, expiresAt: number | undefined} |
 *   {type: 'delete' | 'expire', key: string, version: number}} KvChange
 */

/** All watches of one store. It holds neither the store nor its native part. */
export class Watches {
  /** @type {Set<KvWatch<any>>} */
  #open = new Set();
  /** Unread bytes of keys and values in all watches. */
  bytes = 0;

  /**
   * @param {any} store the native one
   * @param {KvWatchOptions} [options]
   * @returns {KvWatch<any>}
   */
  add(store, options) {
    const given = checkOptions('options', options, [
      'key',
      'prefix',
      'capacity',
      'capacityBytes',
      'signal',
    ]);
    const { key, prefix } = given;
    if (key !== undefined && prefix !== undefined) {
      throw rangeError('options takes key or prefix, not both');
    }
    if (key !== undefined) checkKey('key', key);
    else if (prefix !== undefined) checkKey('prefix', prefix);
    const capacity = checkInteger('capacity', given.capacity, { fallback: CAPACITY_DEFAULT });
    const capacityBytes = checkInteger('capacityBytes', given.capacityBytes, {
      fallback: CAPACITY_BYTES_DEFAULT,
    });
    const signal = checkSignal('signal', given.signal);
    store.watch(true);
    const watch = new KvWatch({
      matches: (name) => (key === undefined ? name.startsWith(prefix ?? '') : name === key),
      capacity,
      capacityBytes,
      signal,
      onBytes: (bytes) => {
        this.bytes += bytes;
      },
      onEnd: () => {
        this.#open.delete(watch);
        if (this.#open.size === 0) store.watch(false);
      },
    });
    this.#open.add(watch);
    return watch;
  }

  /** The number of open watches. */
  get size() {
    return this.#open.size;
  }

  /**
   * Ends all watches, each after its unread changes.
   * @param {unknown} error of the next read
   */
  fail(error) {
    for (const watch of [...this.#open]) watch.fail(error);
  }

  /**
   * Must be called after every call that may have changed the store.
   * @param {any} store the native one
   */
  publish(store) {
    if (this.#open.size === 0) return;
    const changes = store.takeChanges();
    for (let at = 0; at < changes.length; at += FIELDS) {
      const [type, version, key, data, kind, expiresAtMs] = changes.slice(at, at + FIELDS);
      const name = TYPES[type];
      const bytes = name === 'set' ? key.length + (data.length ?? data.byteLength) : key.length;
      for (const watch of this.#open) {
        if (!watch.matches(key)) continue;
        // Each reader gets its own copy.
        const change =
          name === 'set' ? decodeEntry([data, kind, version, expiresAtMs]) : { version };
        watch.push({ type: name, key, ...change }, bytes);
      }
    }
  }
}

/**
 * The changes of a KvStore from `store.watch()` on, in order: an async iterator. `return()`, or
 * leaving a `for await`, ends it.
 * @template [V=import('./values.js').KvValue]
 * @implements {AsyncIterableIterator<KvChange<V>>}
 */
class KvWatch {
  /** Whether a key is watched. */
  matches;
  #capacity;
  #capacityBytes;
  #onBytes;
  #onEnd;
  #unlisten;
  #ended = false;
  /** Error with which reads reject once the queue is empty. @type {unknown} */
  #error;
  /** @type {{change: KvChange<V>, bytes: number}[]} */
  #queue = [];
  /** Bytes in the queue. */
  #bytes = 0;
  /** @type {{resolve: (step: IteratorResult<KvChange<V>, undefined>) => void, reject: (error: unknown) => void}[]} */
  #readers = [];

  /**
   * @param {object} deps
   * @param {(key: string) => boolean} deps.matches
   * @param {number} deps.capacity
   * @param {number} deps.capacityBytes
   * @param {(bytes: number) => void} deps.onBytes called with the growth of the queue in bytes,
   *   negative when it shrinks
   * @param {AbortSignal} [deps.signal]
   * @param {() => void} deps.onEnd called once
   */
  constructor({ matches, capacity, capacityBytes, signal, onBytes, onEnd }) {
    this.matches = matches;
    this.#capacity = capacity;
    this.#capacityBytes = capacityBytes;
    this.#onBytes = onBytes;
    this.#onEnd = onEnd;
    const abort = () => {
      this.#clear();
      this.#end(signal?.reason);
    };
    this.#unlisten = signal?.aborted ? () => {} : whenAborted(signal, abort);
    if (signal?.aborted) queueMicrotask(abort);
  }

  /**
   * @param {any} change
   * @param {number} bytes of its key and value
   */
  push(change, bytes) {
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: change });
      return;
    }
    const isFull = this.#queue.length >= this.#capacity;
    const isLarge = this.#queue.length > 0 && this.#bytes + bytes > this.#capacityBytes;
    if (!isFull && !isLarge) {
      this.#queue.push({ change, bytes });
      this.#grow(bytes);
      return;
    }
    const limit = isFull ? `${this.#capacity} changes` : `${this.#capacityBytes} bytes of changes`;
    const message = `more than ${limit} wait to be read: read the keys again, and watch from there`;
    this.#end(new SluiceError('ERR_WATCH_OVERFLOW', message));
  }

  /** @param {number} bytes */
  #grow(bytes) {
    this.#bytes += bytes;
    this.#onBytes(bytes);
  }

  /**
   * Ends the watch after the unread changes.
   * @param {unknown} error of the next read
   */
  fail(error) {
    this.#end(error);
  }

  #clear() {
    this.#queue = [];
    this.#grow(-this.#bytes);
  }

  /** @returns {Promise<IteratorResult<KvChange<V>, undefined>>} */
  next() {
    const next = this.#queue.shift();
    if (next !== undefined) {
      this.#grow(-next.bytes);
      return Promise.resolve({ done: false, value: next.change });
    }
    if (!this.#ended) {
      return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    }
    const error = this.#error;
    this.#error = undefined;
    return error === undefined
      ? Promise.resolve({ done: true, value: undefined })
      : Promise.reject(error);
  }

  /** @returns {Promise<IteratorResult<KvChange<V>, undefined>>} */
  return() {
    this.#clear();
    this.#end(undefined);
    this.#error = undefined;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @param {unknown} error of the first read; later reads return `done` */
  #end(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.#unlisten();
    this.#onEnd();
    const [first, ...others] = this.#readers.splice(0);
    if (first === undefined) this.#error = error;
    else if (error === undefined) first.resolve({ done: true, value: undefined });
    else first.reject(error);
    for (const { resolve } of others) resolve({ done: true, value: undefined });
  }
}
