/**
 * Keys and values in the slots of a native table, which decides who stays.
 *
 * The native side (native/core/cache/lru_ttl_table.h) has recency, expiry, sizes and counts, and never
 * sees a key or a value. A lookup that finds its entry alive crosses to it only as a line in a log,
 * taken in before anything depends on it. Main thread only; ends with garbage collection.
 */
import native from '../../internal/native/addon.js';

/** The layout of native/addon/bindings/lru_ttl_table_wrap.h: doubles by doubles, the rest by words. */
const SIZE = 0;
const TTL_MS = 1;
const NOW_MS = 2;
const LAST_MS = 3;
const SLOT = 8;
const LOGGED = 9;
const REMOVED = 10;
const REMOVED_AT = 11;
const REMOVED_MAX = 32;
const LOG_AT = REMOVED_AT + 2 * REMOVED_MAX;
const LOOKUPS_MAX = 1024;
/** An even number, of which doubles can be made. */
const WORDS = LOG_AT + LOOKUPS_MAX + ((LOG_AT + LOOKUPS_MAX) % 2);

/** The native answer for an entry over the limit. */
const TOO_LARGE = -1;
const NO_SLOT = 0xffffffff;
/** In the log, in place of a slot. */
const MISS = NO_SLOT;
const JOIN = NO_SLOT - 1;

/** The reasons of native/core/cache/lru_ttl_table.h. */
const REASONS = /** @type {const} */ (['evicted', 'expired']);

/** @typedef {'evicted' | 'expired' | 'deleted' | 'cleared' | 'replaced'} EvictReason */

/**
 * See the head of this file. What has gone is told in `tellGone`, which whoever changes something
 * calls once its own state is as it should be.
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
  /** @type {Map<K, number>} the slot of each entry; what follows is by slot */
  #slots = new Map();
  /** @type {(K | undefined)[]} */
  #keys = [];
  /** @type {(V | undefined)[]} */
  #values = [];
  /** @type {number[]} the last moment at which the entry is alive */
  #lastMs = [];
  /** @type {{key: K, value: V, reason: EvictReason}[]} not yet told */
  #gone = [];
  #telling = false;
  #onGone;
  #clock;
  /** Whether there was ever an entry that expires; until then nobody asks for the time. */
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

  /** Entries, including expired ones that nothing has removed yet. */
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
   * The slot of an entry alive; an expired one is removed and told.
   * @param {K} key
   * @returns {number | undefined}
   */
  find(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    if (this.#lastMs[slot] === Infinity || !this.#dropExpired(slot, this.#nowMs())) return slot;
    this.tellGone();
    return undefined;
  }

  /**
   * As `find`, but nothing is removed.
   * @param {K} key
   * @returns {number | undefined}
   */
  peek(key) {
    const slot = this.#slots.get(key);
    return slot !== undefined && this.#isAlive(slot) ? slot : undefined;
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
   */
  store(key, value, size, ttlMs) {
    if (ttlMs !== Infinity) this.#timed = true;
    const nowMs = this.#timed ? this.#nowMs() : 0;
    let known = this.#slots.get(key);
    if (known !== undefined && this.#dropExpired(known, nowMs)) known = undefined;
    const words = this.#words;
    const numbers = this.#numbers;
    numbers[SIZE] = size;
    numbers[TTL_MS] = ttlMs;
    numbers[NOW_MS] = nowMs;
    words[SLOT] = known ?? NO_SLOT;
    words[LOGGED] = this.#logged;
    this.#logged = 0;
    this.#storeNative();
    const slot = words[SLOT];
    const lastMs = numbers[LAST_MS];
    // Before the new entry is put down: it may have the slot of one that made room for it.
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
    this.#lastMs[slot] = lastMs;
  }

  /**
   * @param {K} key
   * @returns {boolean} whether there was one alive
   */
  delete(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined || (this.#timed && this.#dropExpired(slot, this.#nowMs()))) return false;
    this.#native.erase(slot);
    this.#forget(slot, 'deleted');
    return true;
  }

  clear() {
    this.#native.clear();
    for (const slot of this.#slots.values()) this.#forget(slot, 'cleared');
  }

  /** @returns {number} how many had expired */
  purge() {
    if (!this.#timed) return 0;
    this.#native.purge(this.#nowMs());
    return this.#native.takeRemoved() > 0 ? this.#forgetRemoved() : 0;
  }

  /** @returns {K[]} the keys of all entries, the most recent one's first */
  keysByRecency() {
    this.#handInLog();
    const slots = /** @type {number[]} */ (this.#native.order());
    return slots.map((slot) => /** @type {K} */ (this.#keys[slot]));
  }

  /** Tells of values that have gone, in order, also of those that go while it is told. */
  tellGone() {
    if (this.#gone.length === 0 || this.#telling) return;
    this.#telling = true;
    for (let i = 0; i < this.#gone.length; i += 1) {
      const { key, value, reason } = this.#gone[i];
      try {
        this.#onGone?.(key, value, reason);
      } catch (error) {
        // The owner's fault must not keep others from being told, nor fail a call that has worked.
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

  /** @param {number} slot */
  #isAlive(slot) {
    const lastMs = this.#lastMs[slot];
    return lastMs === Infinity || this.#nowMs() <= lastMs;
  }

  /** @returns {number} */
  #nowMs() {
    if (this.#clock !== undefined) return this.#clock.nowMs();
    this.#readClock();
    return this.#numbers[NOW_MS];
  }

  /**
   * Removes an entry if it has expired. The native side, which rounds the time, has the last word.
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
   * Forgets those that the native side has removed by itself.
   * @returns {number} how many
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
      // As many as there is room for: there may be more.
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
