import native from '../../internal/native/addon.js';

const { layout } = native.LruTtlTable;
const { WORDS, SIZE, TTL_MS, KEEP_MS, NOW_MS, FRESH_MS, LAST_MS, TOO_LARGE } = layout;
const { SLOT, LOGGED, REMOVED, REMOVED_AT, REMOVED_MAX, LOG_AT, LOOKUPS_MAX } = layout;
const { NO_SLOT, JOIN } = layout;
const NS_PER_MS = 1e6;
/** Entries of the log that are not slots. */
const MISS = NO_SLOT;

/** @type {('evicted' | 'expired')[]} by the numbers of the native side */
const REASONS = [];
REASONS[layout.EVICTED] = 'evicted';
REASONS[layout.EXPIRED] = 'expired';

/** @typedef {'evicted' | 'expired' | 'deleted' | 'cleared' | 'replaced'} EvictReason */

/**
 * Keys and values in the slots of a native table, which selects the entries to evict.
 *
 * The native side (native/core/cache/lru_ttl_table.h) has recency, expiry, sizes and counts, and never
 * sees a key or a value. A successful lookup is passed to it only as an entry of a log, which is
 * passed on before any operation depends on it. Evicted values are reported by `tellGone`, which the owner
 * calls after each change, once its own state is consistent. Main thread only; ends with garbage
 * collection.
 *
 * An entry is fresh for its time to live, then kept for `keepMs` as a stale one.
 * @template K, V
 */
export class LruTtlTable {
  #native;
  #storeNative;
  #readClock;
  #words = new Uint32Array(WORDS);
  #numbers = new Float64Array(this.#words.buffer);
  /** Lookups in the log. */
  #logged = 0;
  /** @type {Map<K, number>} the slot of each entry; the following arrays are indexed by slot */
  #slots = new Map();
  /** @type {(K | undefined)[]} */
  #keys = [];
  /** @type {(V | undefined)[]} */
  #values = [];
  /** @type {number[]} the last moment at which the entry is fresh */
  #freshMs = [];
  /** @type {number[]} the last moment at which it is kept */
  #lastMs = [];
  /** @type {{key: K, value: V, reason: EvictReason}[]} not yet reported */
  #gone = [];
  #telling = false;
  #onGone;
  #clock;
  /** Whether an entry with an expiry was ever stored; until then no call reads the clock. */
  #timed = false;

  /**
   * @param {object} options
   * @param {number} options.maxEntries
   * @param {number} options.maxBytes
   * @param {import('../../internal/time/clock.js').ManualClock} [options.clock] absent: the monotonic clock
   * @param {((key: K, value: V, reason: EvictReason) => void) | undefined} options.onGone
   */
  constructor({ maxEntries, maxBytes, clock, onGone }) {
    this.#clock = clock;
    this.#onGone = onGone;
    this.#native = new native.LruTtlTable(maxEntries, maxBytes, this.#words);
    /** @type {() => void} */
    this.#storeNative = this.#native.store;
    /** @type {() => void} */
    this.#readClock = this.#native.readClock;
  }

  /** Number of entries, including stale ones and expired ones not removed yet. */
  get size() {
    return /** @type {number} */ (this.#native.size());
  }

  get bytes() {
    return /** @type {number} */ (this.#native.bytes());
  }

  /** @returns {number[]} hits, misses, joins, evictions, expirations */
  counts() {
    this.#handInLog();
    return this.#native.counts();
  }

  /**
   * The slot of a fresh entry. An expired one is removed and reported; a stale one stays.
   * @param {K} key
   * @returns {number | undefined}
   */
  find(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    const freshMs = this.#freshMs[slot];
    if (freshMs === Infinity) return slot;
    const nowMs = this.#nowMs();
    if (nowMs <= freshMs) return slot;
    if (this.#dropExpired(slot, nowMs)) {
      this.tellGone();
      return undefined;
    }
    // Without stale times, the native side's rounding of the time decides.
    return freshMs === this.#lastMs[slot] ? slot : undefined;
  }

  /**
   * Like `find`, without removing the entry.
   * @param {K} key
   * @returns {number | undefined}
   */
  peek(key) {
    const slot = this.#slots.get(key);
    return slot !== undefined && this.remainingMs(key) >= 0 ? slot : undefined;
  }

  /**
   * The slot of an entry that is fresh, or has been stale for at most `staleMs`.
   * @param {K} key
   * @param {number} staleMs
   * @returns {number | undefined}
   */
  peekStale(key, staleMs) {
    const slot = this.#slots.get(key);
    if (slot === undefined || this.#freshMs[slot] === Infinity) return slot;
    const nowMs = this.#nowMs();
    if (nowMs > this.#lastMs[slot]) return undefined;
    // In nanoseconds, so that the difference of two doubles does not decide.
    const staleNs = Math.round((nowMs - this.#freshMs[slot]) * NS_PER_MS);
    return staleNs <= Math.round(staleMs * NS_PER_MS) ? slot : undefined;
  }

  /**
   * The rest of an entry's time to live in milliseconds, negative after its end; -Infinity for an
   * unknown key.
   * @param {K} key
   * @returns {number}
   */
  remainingMs(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined) return -Infinity;
    const freshMs = this.#freshMs[slot];
    return freshMs === Infinity ? Infinity : freshMs - this.#nowMs();
  }

  /**
   * @param {number} slot of an entry
   * @returns {V}
   */
  valueAt(slot) {
    return /** @type {V} */ (this.#values[slot]);
  }

  /** @param {number} slot of an entry that was looked up: it is the most recent one now */
  logHit(slot) {
    this.#log(slot);
  }

  logMiss() {
    this.#log(MISS);
  }

  logJoin() {
    this.#log(JOIN);
  }

  /**
   * Stores a value, or drops both it and the key's former one when it is too large.
   * @param {K} key
   * @param {V} value
   * @param {number} size
   * @param {number} ttlMs
   * @param {number} keepMs time for which it is kept after that
   */
  store(key, value, size, ttlMs, keepMs) {
    if (ttlMs !== Infinity) this.#timed = true;
    const nowMs = this.#timed ? this.#nowMs() : 0;
    let known = this.#slots.get(key);
    if (known !== undefined && this.#dropExpired(known, nowMs)) known = undefined;
    const words = this.#words;
    const numbers = this.#numbers;
    numbers[SIZE] = size;
    numbers[TTL_MS] = ttlMs;
    numbers[KEEP_MS] = keepMs;
    numbers[NOW_MS] = nowMs;
    words[SLOT] = known ?? NO_SLOT;
    words[LOGGED] = this.#logged;
    this.#logged = 0;
    this.#storeNative();
    const slot = words[SLOT];
    const lastMs = numbers[LAST_MS];
    // Before the new entry is recorded, because it may get the slot of an evicted one.
    if (words[REMOVED] > 0) this.#forgetRemoved();
    if (lastMs === TOO_LARGE) {
      this.#refuse(key, value, known);
      return;
    }
    if (known === undefined) {
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
    } else if (!Object.is(this.#values[slot], value)) {
      this.#noteGone(key, this.valueAt(slot), 'replaced');
    }
    this.#values[slot] = value;
    this.#freshMs[slot] = numbers[FRESH_MS];
    this.#lastMs[slot] = lastMs;
  }

  /**
   * @param {K} key
   * @returns {boolean} whether there was a fresh entry
   */
  delete(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined || (this.#timed && this.#dropExpired(slot, this.#nowMs()))) return false;
    const fresh = this.#freshMs[slot] === this.#lastMs[slot] || this.peek(key) !== undefined;
    this.#native.erase(slot);
    this.#forget(slot, 'deleted');
    return fresh;
  }

  clear() {
    this.#native.clear();
    for (const slot of this.#slots.values()) this.#forget(slot, 'cleared');
  }

  /** @returns {number} number of expired entries */
  purge() {
    if (!this.#timed) return 0;
    this.#native.purge(this.#nowMs());
    return this.#native.takeRemoved() > 0 ? this.#forgetRemoved() : 0;
  }

  /** @returns {K[]} the keys of all entries, the most recently used first */
  keysByRecency() {
    this.#handInLog();
    const slots = /** @type {number[]} */ (this.#native.order());
    return slots.map((slot) => /** @type {K} */ (this.#keys[slot]));
  }

  /** Reports evicted values in order, including values evicted during a report. */
  tellGone() {
    if (this.#gone.length === 0 || this.#telling) return;
    this.#telling = true;
    for (let i = 0; i < this.#gone.length; i += 1) {
      const { key, value, reason } = this.#gone[i];
      try {
        this.#onGone?.(key, value, reason);
      } catch (error) {
        // A handler's fault must not suppress other reports, or fail a successful call.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    this.#gone = [];
    this.#telling = false;
  }

  /**
   * @param {K} key
   * @param {V} value
   * @param {number | undefined} known the slot that the native side has freed
   */
  #refuse(key, value, known) {
    const isKnown = known !== undefined && Object.is(this.#values[known], value);
    if (known !== undefined) this.#forget(known, isKnown ? 'evicted' : 'replaced');
    if (!isKnown) this.#noteGone(key, value, 'evicted');
  }

  /** @returns {number} */
  #nowMs() {
    if (this.#clock !== undefined) return this.#clock.nowMs();
    this.#readClock();
    return this.#numbers[NOW_MS];
  }

  /**
   * Removes an entry whose time is over. The native side, which rounds the time, decides.
   * @param {number} slot
   * @param {number} nowMs
   * @returns {boolean}
   */
  #dropExpired(slot, nowMs) {
    if (nowMs <= this.#lastMs[slot] || !this.#native.expire(slot, nowMs)) return false;
    this.#forget(slot, 'expired');
    return true;
  }

  /** @param {number} lookup a slot, MISS or JOIN */
  #log(lookup) {
    this.#words[LOG_AT + this.#logged] = lookup;
    this.#logged += 1;
    if (this.#logged === LOOKUPS_MAX) this.#handInLog();
  }

  #handInLog() {
    if (this.#logged === 0) return;
    this.#native.note(this.#logged);
    this.#logged = 0;
  }

  /**
   * Removes the entries that the native side has evicted.
   * @returns {number} number of removed entries
   */
  #forgetRemoved() {
    const words = this.#words;
    let total = 0;
    do {
      const count = words[REMOVED];
      for (let at = REMOVED_AT; at < REMOVED_AT + 2 * count; at += 2) {
        this.#forget(words[at], REASONS[words[at + 1]]);
      }
      total += count;
      // A full list may be incomplete.
    } while (words[REMOVED] === REMOVED_MAX && this.#native.takeRemoved() > 0);
    return total;
  }

  /**
   * @param {number} slot
   * @param {EvictReason} reason
   */
  #forget(slot, reason) {
    const key = /** @type {K} */ (this.#keys[slot]);
    this.#noteGone(key, this.valueAt(slot), reason);
    this.#slots.delete(key);
    this.#keys[slot] = undefined;
    this.#values[slot] = undefined;
  }

  /**
   * @param {K} key
   * @param {V} value
   * @param {EvictReason} reason
   */
  #noteGone(key, value, reason) {
    if (this.#onGone !== undefined) this.#gone.push({ key, value, reason });
  }
}
