/** Waits after a `now`, in doubles of seconds and in BigInts of nanoseconds. */
import {
  FixedWindowLimiter,
  Quota,
  SlidingWindowLimiter,
  TokenBucketLimiter,
} from '../../../../lib/index.js';
import { randomFrom } from '../../../support/random.js';

const random = randomFrom(20_261_129);
const integer = (max) => 1 + Math.floor(random() * max);
const some = () => ({ limit: integer(5), windowMs: 1 + random() * 10_000 });

const makers = {
  TokenBucketLimiter: () =>
    new TokenBucketLimiter({ capacity: integer(5), refillPerSecond: 0.01 + random() * 10 }),
  FixedWindowLimiter: () => new FixedWindowLimiter(some()),
  'SlidingWindowLimiter, log': () => new SlidingWindowLimiter(some()),
  'SlidingWindowLimiter, counter': () =>
    new SlidingWindowLimiter({ ...some(), variant: 'counter' }),
  Quota: () => {
    const quota = new Quota({ limits: { requests: some() } });
    return { allow: (key, { now }) => quota.reserve({ requests: 1 }, { key, now }) };
  },
};

/** Takes all available units at `now`, and returns the first denial. */
function exhaust(limiter, now) {
  for (;;) {
    const result = limiter.allow('key', { now });
    if (!result.allowed) return result;
  }
}

/** Ways in which a caller computes times since 1970: the start, and the moment after a wait. */
const clocks = {
  'seconds since 1970': () => {
    const start = 1_795_000_000 + random() * 1e6;
    return { start, after: (wait) => start + wait };
  },
  'milliseconds since 1970, divided by 1000': () => {
    const startMs = 1_795_000_000_000 + Math.floor(random() * 1e9);
    return { start: startMs / 1000, after: (wait) => (startMs + wait * 1000) / 1000 };
  },
  'nanoseconds since 1970, as doubles of seconds': () => {
    const startNs = 1_795_000_000_000_000_000n + BigInt(Math.floor(random() * 1e15));
    const secondsOf = (ns) => Number(ns) / 1e9;
    const after = (wait) => secondsOf(startNs + BigInt(Math.round(wait * 1e9)));
    return { start: secondsOf(startNs), after };
  },
  'seconds of a monotonic clock': () => {
    const start = random() * 1e6;
    return { start, after: (wait) => start + wait };
  },
  'seconds before the origin': () => {
    const start = -random() * 1e9;
    return { start, after: (wait) => start + wait };
  },
};

describe.each(Object.entries(makers))('%s', (_name, make) => {
  test.each(Object.entries(clocks))('grants after retryAfter: %s', (_clock, makeClock) => {
    for (let round = 0; round < 300; round += 1) {
      const limiter = make();
      const { start, after } = makeClock();
      const { retryAfter } = exhaust(limiter, start);
      // 2 us is more than the rounding error of such times.
      expect(limiter.allow('key', { now: after(retryAfter - 2e-6) }).allowed).toBe(false);
      expect(limiter.allow('key', { now: after(retryAfter) }).allowed).toBe(true);
    }
  });

  test('is exact to the nanosecond where `now` is a BigInt', () => {
    for (let round = 0; round < 300; round += 1) {
      const limiter = make();
      const start = 1_795_000_000_000_000_000n + BigInt(Math.floor(random() * 1e15));
      const { retryAfter } = exhaust(limiter, start);
      const end = start + BigInt(Math.round(retryAfter * 1e9));
      expect(limiter.allow('key', { now: end - 1n }).allowed).toBe(false);
      expect(limiter.allow('key', { now: end }).allowed).toBe(true);
    }
  });
});

test('times beyond the range are refused', () => {
  const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1 });
  for (const now of [4e9 + 1, -5e9, NaN, 2n ** 63n]) {
    expect(() => limiter.allow('key', { now })).toThrow(RangeError);
  }
  for (const now of ['1', null, {}]) expect(() => limiter.allow('key', { now })).toThrow(TypeError);
});

test('a lease in seconds since 1970 ends at its expiresAt, and not 1 us before', () => {
  for (let round = 0; round < 300; round += 1) {
    const leaseMs = 1 + random() * 1000;
    const quota = new Quota({ limits: { jobs: { concurrent: 1 } }, leaseMs });
    const now = 1_795_000_000 + random() * 1000;
    const { expiresAt } = quota.reserve({ jobs: 1 }, { now });
    const ask = (time) => quota.reserve({ jobs: 1 }, { now: time }).allowed;
    expect(ask(expiresAt - 1e-6)).toBe(false);
    expect(ask(expiresAt)).toBe(true);
  }
});
