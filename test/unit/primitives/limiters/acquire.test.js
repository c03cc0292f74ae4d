/** `acquire` and `reset`, of every limiter by key. */
import { getEventListeners } from 'node:events';
import {
  FixedWindowLimiter,
  ManualClock,
  SlidingWindowLimiter,
  SluiceError,
  TokenBucketLimiter,
} from '../../../../lib/index.js';
import { settled } from '../../../support/pipeline.js';

/** One a second, in every limiter. */
const makers = [
  [
    'TokenBucketLimiter',
    (more) => new TokenBucketLimiter({ capacity: 1, refillPerSecond: 1, ...more }),
  ],
  ['FixedWindowLimiter', (more) => new FixedWindowLimiter({ limit: 1, windowMs: 1000, ...more })],
  [
    'SlidingWindowLimiter, log',
    (more) => new SlidingWindowLimiter({ limit: 1, windowMs: 1000, ...more }),
  ],
  [
    'SlidingWindowLimiter, counter',
    (more) => new SlidingWindowLimiter({ limit: 1, windowMs: 1000, variant: 'counter', ...more }),
  ],
];

/** Notes the names of promises in the order in which they are settled. */
function recorder() {
  const log = [];
  const note = (name, promise) =>
    promise.then(
      () => log.push(name),
      (error) => log.push(`${name}: ${error.message ?? error}`),
    );
  return { log, note };
}

describe.each(makers)('%s.acquire', (_name, make) => {
  test('takes available tokens at once, otherwise waits, in the order of calls', async () => {
    const clock = new ManualClock();
    const limiter = make({ clock });
    expect(await limiter.acquire('k')).toMatchObject({ allowed: true, remaining: 0, limit: 1 });
    const { log, note } = recorder();
    for (const name of ['a', 'b', 'c']) void note(name, limiter.acquire('k'));
    void note('other', limiter.acquire('another key'));
    await settled();
    expect(log).toEqual(['other']);
    expect(limiter.waiting).toBe(3);
    for (const name of ['a', 'b', 'c']) {
      // The sliding counter needs two windows, until the use of the first one slides out.
      for (let i = 0; i < 2 && log.at(-1) !== name; i += 1) {
        clock.advanceMs(1000);
        await settled();
      }
      expect(log.at(-1)).toBe(name);
    }
    expect(limiter.waiting).toBe(0);
  });

  test('is granted in the nanosecond that allow() names', async () => {
    const clock = new ManualClock();
    const limiter = make({ clock });
    clock.advanceMs(333.333333);
    await limiter.acquire('k');
    const { retryAfter } = limiter.allow('k');
    const { log, note } = recorder();
    void note('k', limiter.acquire('k'));
    clock.advanceMs(retryAfter * 1000 - 1e-6);
    await settled();
    expect(log).toEqual([]);
    clock.advanceMs(1e-6);
    await settled();
    expect(log).toEqual(['k']);
  });

  test('an abort removes a caller from the queue, and its cost is not charged', async () => {
    const clock = new ManualClock();
    const limiter = make({ clock });
    await limiter.acquire('k');
    const { log, note } = recorder();
    const first = new AbortController();
    const second = new AbortController();
    void note('a', limiter.acquire('k', { signal: first.signal }));
    void note('b', limiter.acquire('k', { signal: second.signal }));
    void note('c', limiter.acquire('k'));
    await settled();
    second.abort(new Error('second left'));
    first.abort(new Error('first left'));
    await settled();
    expect(log).toEqual(['b: second left', 'a: first left']);
    expect(getEventListeners(first.signal, 'abort')).toHaveLength(0);
    expect(limiter.waiting).toBe(1);
    for (let i = 0; i < 2 && limiter.waiting > 0; i += 1) clock.advanceMs(1000);
    await settled();
    expect(log.at(-1)).toBe('c');
    const aborted = AbortSignal.abort(new Error('never came'));
    await expect(limiter.acquire('k', { signal: aborted })).rejects.toThrow('never came');
  });

  test('reset restores a key to its initial state, and serves its waiting callers', async () => {
    const clock = new ManualClock();
    const limiter = make({ clock });
    expect(limiter.reset('unknown')).toBe(false);
    limiter.allow('k');
    limiter.allow('other');
    expect(limiter.reset('k')).toBe(true);
    expect(limiter.size).toBe(1);
    expect(limiter.allow('k').allowed).toBe(true);
    expect(limiter.allow('other').allowed).toBe(false);
    const waits = limiter.acquire('k');
    await settled();
    limiter.reset('k');
    expect((await waits).allowed).toBe(true);
    expect(limiter.waiting).toBe(0);
    clock.advanceMs(5000);
    expect(limiter.reset('k')).toBe(false);
  });

  test('arguments are checked', async () => {
    const limiter = make({ clock: new ManualClock(), maxWaiting: 1 });
    await expect(limiter.acquire(7)).rejects.toThrow(/key takes a string/);
    await expect(limiter.acquire('k', { cost: 2 })).rejects.toThrow(/cost takes .* the limit, 1/);
    await expect(limiter.acquire('k', { now: 5 })).rejects.toThrow(/no option now/);
    await expect(limiter.acquire('k', { signal: 5 })).rejects.toThrow(/signal/);
    expect(() => limiter.reset(7)).toThrow(TypeError);
    expect(() => limiter.allow('k', { tokens: 2 })).toThrow(/no option tokens; it takes cost, now/);
    expect(() => make({ max: 5 })).toThrow(/no option max/);
    expect(() => make({ maxWaiting: 0 })).toThrow(/maxWaiting/);
    await limiter.acquire('k');
    const waits = limiter.acquire('k');
    await expect(limiter.acquire('k')).rejects.toMatchObject({ code: 'ERR_LIMITER_FULL' });
    await expect(limiter.acquire('k')).rejects.toBeInstanceOf(SluiceError);
    limiter.reset('k');
    expect((await waits).allowed).toBe(true);
  });
});

test('acquire in real time waits for its tokens', async () => {
  const limiter = new TokenBucketLimiter({ capacity: 1, refillPerSecond: 50 });
  const before = performance.now();
  for (let i = 0; i < 4; i += 1) await limiter.acquire('k');
  // Three tokens at 20 ms each; the first was there.
  expect(performance.now() - before).toBeGreaterThanOrEqual(59);
});

test('a large cost is not overtaken by later small ones', async () => {
  const clock = new ManualClock();
  const limiter = new TokenBucketLimiter({ capacity: 10, refillPerSecond: 1, clock });
  await limiter.acquire('k', { cost: 10 });
  const { log, note } = recorder();
  void note('large', limiter.acquire('k', { cost: 8 }));
  void note('small', limiter.acquire('k', { cost: 1 }));
  clock.advanceMs(7999);
  await settled();
  expect(log).toEqual([]);
  clock.advanceMs(1);
  await settled();
  expect(log).toEqual(['large']);
  clock.advanceMs(1000);
  await settled();
  expect(log).toEqual(['large', 'small']);
});

test('reset also restores keys that a full table has dropped', () => {
  const limiter = new TokenBucketLimiter({ capacity: 4, refillPerSecond: 1, maxKeys: 4 });
  for (let i = 0; i < 40; i += 1) limiter.allow(`key${i}`, { cost: 4, now: 0 });
  expect(limiter.allow('late', { now: 0 }).allowed).toBe(false);
  limiter.reset('late', { now: 0 });
  expect(limiter.allow('late', { cost: 4, now: 0 }).allowed).toBe(true);
});
