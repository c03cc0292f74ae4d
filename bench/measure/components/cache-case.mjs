/**
 * One case of the cache row: node cache-case.mjs sluice|lru-cache|none CASE MILLISECONDS. Prints one
 * line of JSON.
 */
import { LRUCache } from 'lru-cache';
import { LruTtlCache } from '../../../lib/index.js';
import { measureRate } from '../rate.mjs';

const ENTRIES = 10_000;
const CALLERS = 100;
const TTL_MS = 3_600_000;

const [, , kind, operation, ms] = process.argv;

/**
 * The common interface of both caches.
 * @typedef {object} Cache
 * @property {(key: string) => any} get
 * @property {(key: string, value: any) => unknown} set
 */

/** @param {{expires?: boolean}} [options] @returns {Cache} */
function makeCache({ expires = false } = {}) {
  if (kind === 'sluice') {
    return new LruTtlCache({ maxEntries: ENTRIES, ttlMs: expires ? TTL_MS : Infinity });
  }
  return new LRUCache({ max: ENTRIES, ttl: expires ? TTL_MS : 0 });
}

/** @param {number} count @returns {string[]} */
function makeKeys(count) {
  return Array.from({ length: count }, (_, i) => `chat:user:${i * 7919 + 1_000_000}`);
}

/** A small generator of numbers, the same for both. @param {number} seed */
function randomFrom(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

/** @param {Cache} cache @param {string[]} keys */
function filled(cache, keys) {
  for (const key of keys.slice(0, ENTRIES)) cache.set(key, key.length);
  return cache;
}

/**
 * The body of each case: performs `count` operations from the `from`th on.
 * @type {Record<string, () => (from: number, count: number) => void>}
 */
const CASES = {
  hit: () => reads(makeCache()),
  'hit-ttl': () => reads(makeCache({ expires: true })),
  replace: () => writes(makeCache(), ENTRIES),
  // Each key is set again long after it was evicted.
  evict: () => writes(makeCache(), 4 * ENTRIES),
  'evict-ttl': () => writes(makeCache({ expires: true }), 4 * ENTRIES),
  mixed,
};

/** @param {Cache} cache */
function reads(cache) {
  const keys = makeKeys(ENTRIES);
  filled(cache, keys);
  return (/** @type {number} */ from, /** @type {number} */ count) => {
    for (let i = from; i < from + count; i += 1) {
      if (cache.get(keys[i % keys.length]) === undefined) throw new Error('a miss');
    }
  };
}

/** @param {Cache} cache @param {number} keyCount */
function writes(cache, keyCount) {
  const keys = makeKeys(keyCount);
  filled(cache, keys);
  return (/** @type {number} */ from, /** @type {number} */ count) => {
    for (let i = from; i < from + count; i += 1) cache.set(keys[i % keys.length], i);
  };
}

/** How many of the lookups of `mixed` found something. */
let found = 0;

/** Few keys are looked up often: the first eighth of them, which fits, by three quarters. */
function mixed() {
  const keys = makeKeys(8 * ENTRIES);
  const cache = filled(makeCache(), keys);
  const random = randomFrom(1);
  const lookups = Array.from(
    { length: 200_000 },
    () => keys[Math.floor(keys.length * random() ** 8)],
  );
  return (/** @type {number} */ from, /** @type {number} */ count) => {
    for (let i = from; i < from + count; i += 1) {
      const key = lookups[i % lookups.length];
      if (cache.get(key) === undefined) cache.set(key, i);
      else found += 1;
    }
  };
}

/** @param {(from: number, count: number) => void} work @param {number} forMs */
async function measure(work, forMs) {
  const { perSecond, done } = await measureRate(work, forMs);
  return { perSecond, foundShare: found / done };
}

/**
 * Concurrent callers of one prompt: the number of upstream calls, and in another run the effect of an abort
 * of the first caller on the others.
 */
async function flight() {
  let loads = 0;
  const upstream = async (/** @type {AbortSignal | undefined} */ signal) => {
    loads += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    signal?.throwIfAborted();
    return 'an answer';
  };
  const fetch = {
    none: () => (/** @type {AbortSignal | undefined} */ signal) => upstream(signal),
    sluice() {
      const cache = new LruTtlCache({ maxEntries: ENTRIES });
      return (/** @type {AbortSignal | undefined} */ signal) =>
        cache.fetch('prompt', (_key, options) => upstream(options.signal), { signal });
    },
    'lru-cache'() {
      const cache = new LRUCache({
        max: ENTRIES,
        fetchMethod: (_key, _stale, options) => upstream(options.signal),
      });
      return (/** @type {AbortSignal | undefined} */ signal) => cache.fetch('prompt', { signal });
    },
  }[/** @type {'none'} */ (kind)];
  const answers = await callTogether(fetch());
  if (answers.some((answer) => answer !== 'an answer')) throw new Error('a caller got no answer');
  const callsOfAll = loads;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 1);
  const others = (await callTogether(fetch(), controller.signal)).slice(1);
  return {
    loads: callsOfAll,
    harmed: others.filter((answer) => answer !== 'an answer').length,
  };
}

/**
 * @param {(signal: AbortSignal | undefined) => Promise<unknown>} fetch
 * @param {AbortSignal} [firstSignal]
 */
function callTogether(fetch, firstSignal) {
  const calls = Array.from({ length: CALLERS }, (_, i) => fetch(i === 0 ? firstSignal : undefined));
  return Promise.all(calls.map((call) => call.catch((error) => error)));
}

const result =
  operation === 'flight' ? await flight() : await measure(CASES[operation](), Number(ms));
console.log(JSON.stringify(result));
