/**
 * A cache bounded by entries, by size and by time, that calls a loader once for any number of
 * callers.
 *
 * Which entries stay is decided natively (lib/primitives/cache/lru-ttl-table.js). Main thread only; ends with garbage
 * collection.
 */
import { types } from 'node:util';
import { serialize } from 'node:v8';
import { deadlinesOf } from '../../internal/time/timers.js';
import { abortReason, typeError } from '../../internal/util/errors.js';
import { Flight } from './single-flight.js';
import { LruTtlTable } from './lru-ttl-table.js';
import {
  checkClock,
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
  checkSignal,
} from '../../internal/util/validate.js';

/** A Map holds 2^24 keys at the most, deleted ones that it has not yet cleared away included. */
const ENTRIES_MAX = 2 ** 23;
/** A century. */
const TTL_MS_MAX = 100 * 365 * 24 * 3600 * 1000;

/** @typedef {import('./lru-ttl-table.js').EvictReason} EvictReason */

/**
 * @template K, V
 * @typedef {object} LruTtlCacheOptions at least one of `maxEntries` and `maxBytes`
 * @property {number} [maxEntries] default 8388608, which is also the most
 * @property {number} [maxBytes] of the sizes of all entries
 * @property {number} [ttlMs] how old an entry may become; default Infinity
 * @property {number} [loadTimeoutMs] how long a loader may take; default 60000
 * @property {(key: K, value: V, reason: EvictReason) => void} [onEvict] told, once, of every value
 *   that the cache held or was to hold and no longer does. Called when the cache is in its new
 *   state, so it may use it; what it throws becomes an uncaught exception
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

/**
 * @typedef {object} EntryOptions
 * @property {number} [ttlMs] default: the cache's; 0 is alive for this very moment
 * @property {number} [size] in bytes. With `maxBytes`: by default those of a string as UTF-8, of a
 *   buffer or of a view of one, and of any other value what a structured clone of it takes, which
 *   is worked out: give large objects theirs. What cannot be cloned must be given one. Without
 *   `maxBytes`: by default 0
 */

/**
 * @template K, V
 * @typedef {object} FetchOptions those of the caller who starts the load count
 * @property {AbortSignal} [signal] of this caller alone
 * @property {number} [ttlMs] of the entry
 * @property {number | ((value: V, key: K) => number)} [size] of the entry
 * @property {number} [timeoutMs] default: the cache's `loadTimeoutMs`; Infinity for none
 */

/**
 * Lookups are the calls of `get` and `fetch`: hits + misses + joins. `has`, `peek` and iteration
 * are none.
 * @typedef {object} CacheMetrics
 * @property {number} hits found alive
 * @property {number} misses not found, or expired; a `fetch` that started a load
 * @property {number} joins a `fetch` that joined a load under way
 * @property {number} evictions entries dropped, or not taken, for want of room
 * @property {number} expirations entries dropped because they had expired
 */

/**
 * @template [K=any]
 * @template [V=any]
 */
export class LruTtlCache {
  /** @type {LruTtlTable<K, V>} */
  #table;
  /** @type {Map<K, Flight<V>>} those whose result is to be stored */
  #flights = new Map();
  #sized;
  #ttlMs;
  #loadTimeoutMs;
  #deadlines;

  /** @param {LruTtlCacheOptions<K, V>} options */
  constructor(options) {
    const given = checkOptions('options', options);
    if (given.maxEntries === undefined && given.maxBytes === undefined) {
      throw typeError('options takes maxEntries, maxBytes or both: a cache needs a bound');
    }
    const max = ENTRIES_MAX;
    const maxEntries = checkInteger('maxEntries', given.maxEntries, { max, fallback: max });
    const fallback = Number.MAX_SAFE_INTEGER;
    const maxBytes = checkInteger('maxBytes', given.maxBytes, { fallback });
    this.#sized = given.maxBytes !== undefined;
    this.#ttlMs = checkTtl(given.ttlMs, Infinity);
    this.#loadTimeoutMs = checkMs('loadTimeoutMs', given.loadTimeoutMs, {
      fallback: 60_000,
      infinite: true,
    });
    /** @type {LruTtlCacheOptions<K, V>['onEvict']} */
    const onGone =
      given.onEvict === undefined ? undefined : checkFunction('onEvict', given.onEvict);
    const clock = checkClock('clock', given.clock);
    this.#deadlines = deadlinesOf(clock);
    this.#table = new LruTtlTable({ maxEntries, maxBytes, clock, onGone });
  }

  /** Entries, including expired ones that nothing has removed yet. */
  get size() {
    return this.#table.size;
  }

  /** The sum of their sizes. */
  get bytes() {
    return this.#table.bytes;
  }

  /** @returns {CacheMetrics} */
  get metrics() {
    return this.stats();
  }

  /** @returns {CacheMetrics} the same as `metrics` */
  stats() {
    const [hits, misses, joins, evictions, expirations] = this.#table.counts();
    return { hits, misses, joins, evictions, expirations };
  }

  /**
   * The value, which becomes the most recent one. An expired one is removed.
   * @param {K} key compared as a Map does
   * @returns {V | undefined} undefined also for a value that is undefined: ask `has`
   */
  get(key) {
    const slot = this.#table.find(key);
    if (slot === undefined) {
      this.#table.logMiss();
      return undefined;
    }
    this.#table.logHit(slot);
    return this.#table.valueAt(slot);
  }

  /**
   * As `get`, but nobody notices: neither recency nor metrics change, nothing is removed.
   * @param {K} key
   * @returns {V | undefined}
   */
  peek(key) {
    const slot = this.#table.peek(key);
    return slot === undefined ? undefined : this.#table.valueAt(slot);
  }

  /**
   * Whether there is a value alive. Changes nothing, as `peek`.
   * @param {K} key
   * @returns {boolean}
   */
  has(key) {
    return this.#table.peek(key) !== undefined;
  }

  /**
   * Stores a value as the most recent one; its age counts from now. To make room, first what has
   * expired goes, then what is least recent. A value larger than `maxBytes` is not stored (it is
   * told as evicted), and the key has no value then. A load under way for this key will not be
   * stored any more.
   * @param {K} key
   * @param {V} value
   * @param {EntryOptions} [options]
   * @returns {this}
   */
  set(key, value, options) {
    const given = options === undefined ? {} : checkOptions('options', options);
    const size = this.#sizeOf(value, given.size);
    const ttlMs = checkTtl(given.ttlMs, this.#ttlMs);
    this.#flights.delete(key);
    this.#table.store(key, value, size, ttlMs);
    this.#table.tellGone();
    return this;
  }

  /**
   * Removes a value. A load under way for this key will not be stored any more.
   * @param {K} key
   * @returns {boolean} whether there was one alive
   */
  delete(key) {
    this.#flights.delete(key);
    const existed = this.#table.delete(key);
    this.#table.tellGone();
    return existed;
  }

  /** Removes everything; no load under way will be stored. Metrics stay. */
  clear() {
    this.#flights.clear();
    this.#table.clear();
    this.#table.tellGone();
  }

  /**
   * Removes what has expired.
   * @returns {number} how many
   */
  purgeStale() {
    const count = this.#table.purge();
    this.#table.tellGone();
    return count;
  }

  /**
   * The pairs alive, the most recent first: the keys as of the first step, without those that go
   * meanwhile. Recency and metrics do not change.
   * @returns {Generator<[K, V], undefined, undefined>}
   */
  *entries() {
    for (const key of this.#table.keysByRecency()) {
      const slot = this.#table.peek(key);
      if (slot !== undefined) yield [key, this.#table.valueAt(slot)];
    }
  }

  /** @returns {Generator<K, undefined, undefined>} the keys of `entries()` */
  *keys() {
    for (const [key] of this.entries()) yield key;
  }

  /** @returns {Generator<V, undefined, undefined>} the values of `entries()` */
  *values() {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  /**
   * The value, from the cache, from a load under way, or from a load that this call starts; the
   * result of a load is stored.
   *
   * A caller whose signal is aborted leaves alone. When the last one leaves, the loader's signal is
   * aborted, and the next call starts afresh. A failure is shared by all who joined, and not
   * stored. After `set`, `delete` or `clear` the callers still get their value, but it is not
   * stored, and the next call starts afresh.
   * @param {K} key
   * @param {(key: K, options: {signal: AbortSignal}) => V | PromiseLike<V>} loader
   * @param {FetchOptions<K, V>} [options]
   * @returns {Promise<V>}
   * @throws {SluiceError} ERR_LOAD_TIMEOUT: the loader took too long; its signal was aborted
   * @throws the signal's reason; it is no lookup when the signal was aborted before the call
   * @throws what the loader threw
   */
  async fetch(key, loader, options) {
    checkFunction('loader', loader);
    const given = checkOptions('options', options);
    const ttlMs = checkTtl(given.ttlMs, this.#ttlMs);
    const timeoutMs = checkMs('timeoutMs', given.timeoutMs, {
      fallback: this.#loadTimeoutMs,
      infinite: true,
    });
    const { size } = given;
    if (size !== undefined && typeof size !== 'function') checkSize(size);
    const signal = checkSignal('signal', given.signal);
    if (signal?.aborted) throw abortReason(signal);
    const slot = this.#table.find(key);
    if (slot !== undefined) {
      this.#table.logHit(slot);
      return this.#table.valueAt(slot);
    }
    const underway = this.#flights.get(key);
    if (underway !== undefined) {
      this.#table.logJoin();
      return underway.join(signal);
    }
    this.#table.logMiss();
    return this.#load(key, { loader, signal, ttlMs, timeoutMs, size });
  }

  /**
   * @param {K} key
   * @param {object} how
   * @param {(key: K, options: {signal: AbortSignal}) => V | PromiseLike<V>} how.loader
   * @param {AbortSignal | undefined} how.signal
   * @param {number} how.ttlMs
   * @param {number} how.timeoutMs
   * @param {FetchOptions<K, V>['size']} how.size
   * @returns {Promise<V>}
   */
  #load(key, { loader, signal, ttlMs, timeoutMs, size }) {
    let isCurrent = false;
    /** @type {Flight<V>} */
    const flight = new Flight({
      load: (loadSignal) => loader(key, { signal: loadSignal }),
      timeoutMs,
      deadlines: this.#deadlines,
      onEnd: () => {
        isCurrent = this.#flights.get(key) === flight;
        if (isCurrent) this.#flights.delete(key);
      },
      onLoaded: (value) => {
        if (!isCurrent) return;
        const given = typeof size === 'function' ? size(value, key) : size;
        this.#table.store(key, value, this.#sizeOf(value, given), ttlMs);
        this.#table.tellGone();
      },
    });
    this.#flights.set(key, flight);
    const joined = flight.join(signal);
    flight.begin();
    return joined;
  }

  /**
   * @param {V} value
   * @param {number | undefined} given
   * @returns {number}
   */
  #sizeOf(value, given) {
    if (given !== undefined) return checkSize(given);
    if (!this.#sized) return 0;
    if (typeof value === 'string') return Buffer.byteLength(value);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return value.byteLength;
    try {
      return serialize(value).byteLength;
    } catch {
      throw typeError(
        'size takes an integer: with maxBytes, a value that cannot be cloned needs one',
      );
    }
  }
}

/**
 * @param {unknown} value
 * @param {number} fallback
 */
function checkTtl(value, fallback) {
  return value === undefined
    ? fallback
    : checkMs('ttlMs', value, { max: TTL_MS_MAX, infinite: true });
}

/** @param {unknown} value */
function checkSize(value) {
  return checkInteger('size', value, { min: 0 });
}
