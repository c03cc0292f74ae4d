import {
  FixedWindowLimiter,
  ManualClock,
  SlidingWindowLimiter,
  SluiceError,
} from '../../../../lib/index.js';

const ten = { limit: 10, windowMs: 60_000 };

/** Takes all ten at 59.9 s, and one more at 60.1 s. */
function at60point1(limiter) {
  for (let i = 0; i < 10; i += 1) expect(limiter.allow('k', { now: 59.9 }).allowed).toBe(true);
  expect(limiter.allow('k', { now: 59.9 }).allowed).toBe(false);
  return limiter.allow('k', { now: 60.1 });
}

describe('around the boundary of a window', () => {
  test('the fixed one allows', () => {
    expect(at60point1(new FixedWindowLimiter(ten))).toEqual({
      allowed: true,
      remaining: 9,
      limit: 10,
      retryAfter: 0,
      resetAfter: 59.9,
    });
  });

  test('the sliding log denies for 59.8 s', () => {
    const limiter = new SlidingWindowLimiter(ten);
    expect(at60point1(limiter)).toEqual({
      allowed: false,
      remaining: 0,
      limit: 10,
      retryAfter: 59.8,
      resetAfter: 59.8,
    });
    expect(limiter.allow('k', { now: 119.9 - 1e-9 }).allowed).toBe(false);
    expect(limiter.allow('k', { now: 119.9 }).allowed).toBe(true);
  });

  test('the sliding counter denies until one of the ten has slid out', () => {
    const limiter = new SlidingWindowLimiter({ ...ten, variant: 'counter' });
    expect(at60point1(limiter)).toEqual({
      allowed: false,
      remaining: 0,
      limit: 10,
      retryAfter: 5.9,
      resetAfter: 59.9,
    });
    expect(limiter.allow('k', { now: 66 }).allowed).toBe(true);
  });
});

describe.each([
  ['FixedWindowLimiter', (options) => new FixedWindowLimiter(options)],
  ['SlidingWindowLimiter, log', (options) => new SlidingWindowLimiter(options)],
  [
    'SlidingWindowLimiter, counter',
    (options) => new SlidingWindowLimiter({ variant: 'counter', ...options }),
  ],
])('%s', (_name, make) => {
  test('limits each key; costs may be any integer; a cost above the limit is never granted', () => {
    const clock = new ManualClock();
    const limiter = make({ limit: 5, windowMs: 1000, clock });
    expect(limiter.allow('a', { cost: 4 })).toMatchObject({ allowed: true, remaining: 1 });
    expect(limiter.allow('a', { cost: 2 }).allowed).toBe(false);
    expect(limiter.allow('a', { cost: 1 }).allowed).toBe(true);
    expect(limiter.allow('b', { cost: 6 })).toMatchObject({ retryAfter: Infinity, remaining: 5 });
    expect(limiter.allow('a', { cost: 0 })).toMatchObject({ allowed: true, remaining: 0 });
    const { retryAfter } = limiter.allow('a');
    clock.advanceMs(retryAfter * 1000 - 1e-6);
    expect(limiter.allow('a').allowed).toBe(false);
    clock.advanceMs(1e-6);
    expect(limiter.allow('a').allowed).toBe(true);
    expect(limiter.size).toBe(1);
  });

  test.each([
    [undefined, TypeError, /limit/],
    [{ limit: 0, windowMs: 1000 }, RangeError, /limit/],
    [{ limit: 1.5, windowMs: 1000 }, RangeError, /limit/],
    [{ limit: 5 }, TypeError, /windowMs/],
    [{ limit: 5, windowMs: 0 }, RangeError, /windowMs/],
    [{ limit: 5, windowMs: 1000, maxKeys: -1 }, RangeError, /maxKeys/],
    [{ limit: 5, windowMs: 1000, clock: 5 }, TypeError, /clock/],
  ])('refuses the options %j', (options, kind, named) => {
    expect(() => make(options)).toThrow(kind);
    expect(() => make(options)).toThrow(named);
    expect(() => make(options)).toThrow(SluiceError);
  });
});

test('the sliding window has two variants, and a log bounded by memory', () => {
  expect(() => new SlidingWindowLimiter({ ...ten, variant: 'exact' })).toThrow(/variant/);
  expect(() => new SlidingWindowLimiter({ ...ten, limit: 1e6 + 1 })).toThrow(/limit/);
  const counter = new SlidingWindowLimiter({ limit: 1e9, windowMs: 1000, variant: 'counter' });
  expect(counter.allow('k', { cost: 1e9 }).allowed).toBe(true);
});
