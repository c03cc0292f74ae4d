/**
 * One case of the limiter row: node limiter-case.mjs KIND CASE MILLISECONDS, with --expose-gc for
 * `memory`. Prints one line of JSON.
 */
import { RateLimiter } from 'limiter';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { FixedWindowLimiter, TokenBucketLimiter } from '../../../lib/index.js';
import { measureRate } from '../rate.mjs';

const KEYS = 10_000;
const MANY = 1_000_000;
/** Beyond the use of any run, so that every decision except those of `denied` is a grant. */
const PLENTY = 1e9;
const HOUR_S = 3600;

const [, , kind, operation, ms] = process.argv;

/** Decides about a key. @typedef {(key: string) => unknown} Decide */

/**
 * @type {Record<string, (limit: number) => Decide>}
 */
const LIMITERS = {
  bucket(limit) {
    // The refill is so small that no bucket is full again, and forgotten, during this run.
    const limiter = new TokenBucketLimiter({ capacity: limit, refillPerSecond: 1 / HOUR_S });
    return (key) => limiter.allow(key);
  },
  window(limit) {
    const limiter = new FixedWindowLimiter({ limit, windowMs: HOUR_S * 1000 });
    return (key) => limiter.allow(key);
  },
  // It has no keys: one of these is one bucket.
  limiter(limit) {
    const bucket = new RateLimiter({ tokensPerInterval: limit, interval: 'hour' });
    return () => bucket.tryRemoveTokens(1);
  },
  'rate-limiter-flexible'(limit) {
    const limiter = new RateLimiterMemory({ points: limit, duration: HOUR_S });
    return (key) => limiter.consume(key);
  },
};

/** @param {number} count @returns {string[]} */
function makeKeys(count) {
  return Array.from({ length: count }, (_, i) => `user:${i * 7919}`);
}

/** @param {Decide} decide @param {string[]} keys */
function rateOf(decide, keys) {
  if (kind !== 'rate-limiter-flexible') {
    return measureRate((from, count) => {
      for (let i = from; i < from + count; i += 1) decide(keys[i % keys.length]);
    }, Number(ms));
  }
  return measureRate(async (from, count) => {
    for (let i = from; i < from + count; i += 1) {
      try {
        await decide(keys[i % keys.length]);
      } catch {
        // A denial is a rejection.
      }
    }
  }, Number(ms));
}

/** Resident bytes a key, of a million keys that were each granted once. */
async function memory() {
  const decide = LIMITERS[kind](PLENTY);
  const collect = /** @type {() => void} */ (globalThis.gc);
  const askAll = async (/** @type {number} */ keys) => {
    for (let i = 0; i < MANY; i += 1) {
      const granted = decide(`user:${(i % keys) * 7919}`);
      if (kind === 'rate-limiter-flexible') await granted;
    }
    collect();
  };
  // The garbage of the calls themselves does not belong to the keys.
  await askAll(1000);
  const before = process.memoryUsage.rss();
  await askAll(MANY);
  return { bytesPerKey: (process.memoryUsage.rss() - before) / MANY };
}

/** @type {Record<string, () => Promise<unknown>>} */
const CASES = {
  one: () => rateOf(LIMITERS[kind](PLENTY), makeKeys(1)),
  keys: () => rateOf(LIMITERS[kind](PLENTY), makeKeys(KEYS)),
  denied: () => rateOf(LIMITERS[kind](1), makeKeys(1)),
  memory,
};

console.log(JSON.stringify(await CASES[operation]()));
// The peer's timers would keep the process alive for an hour.
process.exit();
