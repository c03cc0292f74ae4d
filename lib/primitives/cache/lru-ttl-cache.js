import { deadlinesOf } from '../../internal/time/timers.js';
import { abortReason } from '../../internal/util/errors.js';
import { checkFunction, checkMs, checkOptions, checkSignal } from '../../internal/util/validate.js';
import {
  ENTRY_OPTIONS,
  FETCH_OPTIONS,
  checkCacheOptions,
  checkSize,
  keepMsOf,
  sizeOf,
  spansOf,
} from './cache-options.js';
import { LruTtlTable } from './lru-ttl-table.js';
import { Flight } from './single-flight.js';

/**
 * @import {CacheMetrics, EntryOptions, FetchOptions, LoadOptions, Loader, LruTtlCacheOptions}
 *   from './cache-options.js'
 */

/**
 * A cache bounded by entries, by size and by time, that calls a loader once for any number of callers.
 * A native table decides which entries stay. Main thread only; ends with garbage collection.
 * @template [K=unknown]
 * @template [V=unknown]
 */
export class LruTtlCache {
  /** @type {LruTtlTable<K, V>} */
  #table;
  /** @type {Map<K, Flight<V>>} loads whose result is to be stored */
  #flights = new Map();
  /** @type {WeakSet<Flight<V>>} loads whose error was reported */
  #reported = new WeakSet();
  #stale = 0;
  #sized;
  #spans;
  #loadTimeoutMs;
  #onRefreshError;
  #deadlines;

  /** @param {LruTtlCacheOptions<K, V>} options */
  constructor(options) {
    const { sized, spans, loadTimeoutMs, onRefreshError, ...table } = checkCacheOptions(options);
    this.#sized = sized;
    this.#spans = spans;
    this.#loadTimeoutMs = loadTimeoutMs;
    this.#onRefreshError = onRefreshError;
    this.#deadlines = deadlinesOf(table.clock);
    this.#table = new LruTtlTable(table);
  }

  /** Number of entries, including stale ones and expired ones not removed yet. */
  get size() {
    return this.#table.size;
  }

  /** The sum of their sizes. */
  get bytes() {
    return this.#table.bytes;
  }

  /** @returns {CacheMetrics} */
  get metrics() {
    const [hits, misses, joins, evictions, expirations] = this.#table.counts();
    return { hits, misses, joins, evictions, expirations };
  }

  /**
   * @returns {CacheMetrics & {stale: number}} `metrics`, and `stale`: calls of `fetch` that returned a stale
   *   value
   */
  stats() {
    return { ...this.metrics, stale: this.#stale };
  }

  /**
   * Returns the value and marks it as most recently used. A stale value is not returned; an expired one is removed.
   * @param {K} key compared like keys of a Map
   * @returns {V | undefined} undefined also for a stored undefined: use `has` to distinguish them
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
   * Like `get`, without side effects: recency, metrics and entries do not change.
   * @param {K} key
   * @returns {V | undefined}
   */
  peek(key) {
    const slot = this.#table.peek(key);
    return slot === undefined ? undefined : this.#table.valueAt(slot);
  }

  /**
   * Whether `get` would return a value. No side effects, like `peek`.
   * @param {K} key
   * @returns {boolean}
   */
  has(key) {
    return this.#table.peek(key) !== undefined;
  }

  /**
   * The remaining time to live of a value. No side effects, like `peek`.
   * @param {K} key
   * @returns {number} milliseconds; Infinity for a value that does not expire; 0 for an expired, a
   *   stale or a missing one
   */
  getRemainingTTL(key) {
    return Math.max(this.#table.remainingMs(key), 0);
  }

  /**
   * Stores a value as the most recent one; its time to live starts now. To make room, expired entries are removed
   * first, then the least recently used ones. A value larger than `maxBytes` is not stored (it is reported as
   * evicted), and the key then has no value. The result of a running load for this key is not stored.
   * @param {K} key
   * @param {V} value
   * @param {EntryOptions} [options]
   * @returns {this}
   */
  set(key, value, options) {
    const given = checkOptions('options', options, ENTRY_OPTIONS);
    const size = sizeOf(value, given.size, this.#sized);
    const spans = spansOf(given, this.#spans);
    this.#flights.delete(key);
    this.#table.store(key, value, size, spans.ttlMs, keepMsOf(spans));
    this.#table.tellGone();
    return this;
  }

  /**
   * Removes a value. The result of a running load for this key is not stored.
   * @param {K} key
   * @returns {boolean} whether `get` would have returned a value
   */
  delete(key) {
    this.#flights.delete(key);
    const existed = this.#table.delete(key);
    this.#table.tellGone();
    return existed;
  }

  /** Removes all entries; results of running loads are not stored. Metrics stay. */
  clear() {
    this.#flights.clear();
    this.#table.clear();
    this.#table.tellGone();
  }

  /**
   * Removes expired entries; stale ones stay.
   * @returns {number} number of removed entries
   */
  purgeStale() {
    const count = this.#table.purge();
    this.#table.tellGone();
    return count;
  }

  /**
   * The pairs that `get` would return, the most recently used first: the keys at the first step, without those
   * removed since. Recency and metrics do not change.
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
   * Returns the value from the cache, from a running load, or from a load that this call starts and whose
   * result is stored.
   *
   * An aborted signal rejects only its own caller. When the last caller has left, the loader's signal is
   * aborted, and the next call starts a new load. All callers share a failure, which is not stored.
   * After `set`, `delete` or `clear`, the callers of a load still get its value, but it is not stored,
   * and the next call starts a new load.
   *
   * Within `staleWhileRevalidateMs` a stale value is returned at once, and reloaded in the background
   * by one load at a time; within `staleOnErrorMs` it is returned if the load fails. The error then
   * goes to `onRefreshError`.
   * @param {K} key
   * @param {Loader<K, V>} loader
   * @param {FetchOptions<K, V>} [options]
   * @returns {Promise<V>}
   * @throws {SluiceError} ERR_LOAD_TIMEOUT: the load exceeded its time limit; its signal was aborted
   * @throws the signal's reason; a call with an aborted signal does not count as a lookup
   * @throws the loader's error
   */
  async fetch(key, loader, options) {
    checkFunction('loader', loader);
    const given = checkOptions('options', options, FETCH_OPTIONS);
    const spans = spansOf(given, this.#spans);
    const { staleWhileRevalidateMs, staleOnErrorMs } = spans;
    const timeoutMs = checkMs('timeoutMs', given.timeoutMs, {
      fallback: this.#loadTimeoutMs,
      infinite: true,
    });
    const { size } = given;
    if (size !== undefined && typeof size !== 'function') checkSize(size);
    const signal = checkSignal('signal', given.signal);
    if (signal?.aborted) throw abortReason(signal);
    const load = { loader, spans, timeoutMs, size };
    const slot = this.#table.find(key);
    if (slot !== undefined) {
      this.#table.logHit(slot);
      return this.#table.valueAt(slot);
    }
    const stale =
      staleWhileRevalidateMs > 0 ? this.#table.peekStale(key, staleWhileRevalidateMs) : undefined;
    if (stale !== undefined) {
      this.#table.logHit(stale);
      this.#stale += 1;
      const value = this.#table.valueAt(stale);
      this.#refresh(key, load);
      return value;
    }
    let flight = this.#flights.get(key);
    /** @type {Promise<V>} */
    let joined;
    if (flight !== undefined) {
      this.#table.logJoin();
      joined = flight.join(signal);
    } else {
      this.#table.logMiss();
      flight = this.#makeFlight(key, load);
      joined = flight.join(signal);
      flight.begin();
    }
    return staleOnErrorMs > 0
      ? this.#orStale({ key, flight, joined, signal, staleOnErrorMs })
      : joined;
  }

  /**
   * @param {K} key
   * @param {LoadOptions<K, V>} load
   * @returns {Flight<V>} a load to join and begin
   */
  #makeFlight(key, { loader, spans, timeoutMs, size }) {
    let isCurrent = false;
    /** @type {Flight<V>} */
    const flight = new Flight({
      load: (signal) => loader(key, { signal }),
      timeoutMs,
      deadlines: this.#deadlines,
      onEnd: () => {
        isCurrent = this.#flights.get(key) === flight;
        if (isCurrent) this.#flights.delete(key);
      },
      onLoaded: (value) => {
        if (!isCurrent) return;
        const given = typeof size === 'function' ? size(value, key) : size;
        const bytes = sizeOf(value, given, this.#sized);
        this.#table.store(key, value, bytes, spans.ttlMs, keepMsOf(spans));
        this.#table.tellGone();
      },
    });
    this.#flights.set(key, flight);
    return flight;
  }

  /**
   * Loads a value in the background, unless a load is running.
   * @param {K} key
   * @param {LoadOptions<K, V>} load
   */
  #refresh(key, load) {
    if (this.#flights.has(key)) return;
    const flight = this.#makeFlight(key, load);
    // A caller without a signal never leaves, so the load continues when others leave.
    flight.join().catch((error) => this.#report(key, flight, error));
    flight.begin();
  }

  /**
   * The value of a load or, if it fails, a stale one.
   * @param {object} wait
   * @param {K} wait.key
   * @param {Flight<V>} wait.flight
   * @param {Promise<V>} wait.joined
   * @param {AbortSignal | undefined} wait.signal
   * @param {number} wait.staleOnErrorMs
   */
  async #orStale({ key, flight, joined, signal, staleOnErrorMs }) {
    try {
      return await joined;
    } catch (error) {
      if (signal?.aborted) throw error;
      const slot = this.#table.peekStale(key, staleOnErrorMs);
      if (slot === undefined) throw error;
      this.#stale += 1;
      const value = this.#table.valueAt(slot);
      this.#report(key, flight, error);
      return value;
    }
  }

  /**
   * Reports the error of a load, once.
   * @param {K} key
   * @param {Flight<V>} flight
   * @param {unknown} error
   */
  #report(key, flight, error) {
    if (this.#reported.has(flight)) return;
    this.#reported.add(flight);
    try {
      this.#onRefreshError(key, error);
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }
}
