import { ManualClock, SluiceError, TokenBucketLimiter } from '../../../../lib/index.js';

describe('TokenBucketLimiter', () => {
  test('three at once, then one a second', () => {
    const limiter = new TokenBucketLimiter({ capacity: 3, refillPerSecond: 1 });
    const at = (now) => limiter.allow('alice', { now });
    expect([0, 0, 0, 0].map((now) => at(now).allowed)).toEqual([true, true, true, false]);
    expect(at(0.5)).toEqual({
      allowed: false,
      remaining: 0,
      limit: 3,
      retryAfter: 0.5,
      resetAfter: 2.5,
    });
    expect(at(1)).toEqual({
      allowed: true,
      remaining: 0,
      limit: 3,
      retryAfter: 0,
      resetAfter: 3,
    });
  });

  test('each key has its own bucket', () => {
    const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1 });
    const keys = [
      'alice',
      'bob',
      '',
      'é漢😀',
      'x'.repeat(255),
      'x'.repeat(256),
      'x'.repeat(10_000),
    ];
    for (const key of keys) expect(limiter.allow(key, { now: 0 }).allowed).toBe(true);
    for (const key of keys) expect(limiter.allow(key, { now: 0 }).allowed).toBe(false);
    expect(limiter.size).toBe(keys.length);
  });

  test('a cost above the capacity can never be granted, a cost of 0 peeks, a denial is free', () => {
    const limiter = new TokenBucketLimiter({ capacity: 5, refillPerSecond: 1 });
    expect(limiter.allow('k', { cost: 6, now: 0 })).toMatchObject({
      allowed: false,
      remaining: 5,
      retryAfter: Infinity,
      resetAfter: 0,
    });
    expect(limiter.allow('k', { cost: 3, now: 0 }).remaining).toBe(2);
    expect(limiter.allow('k', { cost: 3, now: 0 }).allowed).toBe(false);
    expect(limiter.allow('k', { cost: 0, now: 0 })).toMatchObject({
      allowed: true,
      remaining: 2,
      retryAfter: 0,
      resetAfter: 3,
    });
  });

  test.each([3, 7, 0.1, 1 / 3, 1000, 1e6])(
    'waiting retryAfter is enough and 1 ns less is not, at %d a second',
    (refillPerSecond) => {
      const limiter = new TokenBucketLimiter({ capacity: 2, refillPerSecond });
      let now = 1000.25;
      expect(limiter.allow('k', { cost: 2, now }).allowed).toBe(true);
      for (let round = 0; round < 50; round += 1) {
        const { allowed, retryAfter } = limiter.allow('k', { now });
        expect(allowed).toBe(false);
        expect(limiter.allow('k', { now: now + retryAfter - 1e-9 }).allowed).toBe(false);
        now += retryAfter;
        expect(limiter.allow('k', { now }).allowed).toBe(true);
      }
    },
  );

  test('waiting retryAfter is enough in seconds since 1970, too coarse for nanoseconds', () => {
    const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 7 });
    let now = 1_795_000_000.123;
    expect(limiter.allow('k', { now }).allowed).toBe(true);
    for (let round = 0; round < 1000; round += 1) {
      const { allowed, retryAfter } = limiter.allow('k', { now });
      expect(allowed).toBe(false);
      expect(retryAfter).toBeCloseTo(1 / 7, 5);
      now += retryAfter;
      expect(limiter.allow('k', { now }).allowed).toBe(true);
    }
  });

  test('a clock that steps back refills nothing, and time continues from there', () => {
    const limiter = new TokenBucketLimiter({ capacity: 2, refillPerSecond: 1 });
    expect(limiter.allow('k', { cost: 2, now: 3600 }).allowed).toBe(true);
    expect(limiter.allow('k', { now: 0 })).toMatchObject({ allowed: false, retryAfter: 1 });
    expect(limiter.allow('k', { now: 1 }).allowed).toBe(true);
    expect(limiter.allow('k', { now: -5 }).allowed).toBe(false);
  });

  test('runs on a ManualClock', () => {
    const clock = new ManualClock();
    const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 3, clock });
    expect(limiter.allow('k').allowed).toBe(true);
    const { retryAfter } = limiter.allow('k');
    expect(retryAfter).toBe(0.333333334);
    clock.advanceMs(retryAfter * 1000 - 1e-6);
    expect(limiter.allow('k').allowed).toBe(false);
    clock.advanceMs(1e-6);
    expect(limiter.allow('k').allowed).toBe(true);
  });

  test('runs on the monotonic clock without one', () => {
    const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1e-6 });
    expect(limiter.allow('k').allowed).toBe(true);
    const { allowed, retryAfter } = limiter.allow('k');
    expect(allowed).toBe(false);
    expect(retryAfter).toBeGreaterThan(999_000);
    expect(retryAfter).toBeLessThanOrEqual(1_000_000);
  });

  test('holds no more than maxKeys, and a dropped key does not start full', () => {
    const limiter = new TokenBucketLimiter({ capacity: 4, refillPerSecond: 1, maxKeys: 10 });
    let granted = 0;
    for (let round = 0; round < 10; round += 1) {
      for (let i = 0; i < 100; i += 1) {
        if (limiter.allow(`key${i}`, { now: 0 }).allowed) granted += 1;
      }
    }
    expect(limiter.size).toBe(10);
    expect(granted).toBeGreaterThanOrEqual(10);
    expect(granted).toBeLessThanOrEqual(400);
    expect(limiter.allow('late', { now: 4 })).toMatchObject({ allowed: true, remaining: 3 });
  });

  test.each([
    [{ refillPerSecond: 1 }, TypeError, /capacity/],
    [{ capacity: 0, refillPerSecond: 1 }, RangeError, /capacity/],
    [{ capacity: 1.5, refillPerSecond: 1 }, RangeError, /capacity/],
    [{ capacity: 1 }, TypeError, /refillPerSecond/],
    [{ capacity: 1, refillPerSecond: 0 }, RangeError, /refillPerSecond/],
    [{ capacity: 1, refillPerSecond: NaN }, RangeError, /refillPerSecond/],
    [{ capacity: 1, refillPerSecond: Infinity }, RangeError, /refillPerSecond/],
    [{ capacity: 1, refillPerSecond: 1, maxKeys: 0 }, RangeError, /maxKeys/],
    [{ capacity: 1, refillPerSecond: 1, clock: 7 }, TypeError, /clock/],
    [undefined, TypeError, /capacity/],
  ])('refuses the options %j', (options, kind, named) => {
    const make = () => new TokenBucketLimiter(options);
    expect(make).toThrow(kind);
    expect(make).toThrow(named);
    expect(make).toThrow(SluiceError);
  });

  test.each([
    [[7], TypeError, /key/],
    [[undefined], TypeError, /key/],
    [['k', { cost: -1 }], RangeError, /cost/],
    [['k', { cost: 0.5 }], RangeError, /cost/],
    [['k', { cost: '1' }], TypeError, /cost/],
    [['k', { now: '1' }], TypeError, /now/],
    [['k', { now: NaN }], RangeError, /now/],
    [['k', 1], TypeError, /options/],
  ])('refuses allow(%j)', (args, kind, named) => {
    const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1 });
    expect(() => limiter.allow(...args)).toThrow(kind);
    expect(() => limiter.allow(...args)).toThrow(named);
    expect(limiter.size).toBe(0);
  });
});
