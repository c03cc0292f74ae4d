/** Stale values, the rest of the time to live, and options that there are not. */
import { LruTtlCache, ManualClock } from '../../../../lib/index.js';
import { deferred, settled } from '../../../support/pipeline.js';

/** A cache under a manual clock, and records of its values and loads. */
function manual(options) {
  const clock = new ManualClock();
  const gone = [];
  const errors = [];
  const cache = new LruTtlCache({
    maxEntries: 10,
    clock,
    onEvict: (key, value, reason) => gone.push(`${key} ${value} ${reason}`),
    onRefreshError: (key, error) => errors.push(`${key} ${error.message}`),
    ...options,
  });
  return { cache, clock, gone, errors };
}

/** A loader whose loads are settled by hand. */
function loads() {
  const all = [];
  const loader = (key, { signal }) => {
    const load = { ...deferred(), key, signal };
    all.push(load);
    return load.promise;
  };
  return { all, loader };
}

const broken = new Error('broken');
const failing = () => Promise.reject(broken);

describe('getRemainingTTL', () => {
  test('counts down to 0, and is Infinity without a time to live', () => {
    const { cache, clock } = manual({ ttlMs: 100, staleOnErrorMs: 100 });
    cache.set('a', 1).set('b', 2, { ttlMs: Infinity }).set('c', 3, { ttlMs: 0 });
    const remaining = () => ['a', 'b', 'c', 'none'].map((key) => cache.getRemainingTTL(key));
    expect(remaining()).toEqual([100, Infinity, 0, 0]);
    clock.advanceMs(30.5);
    expect(remaining()).toEqual([69.5, Infinity, 0, 0]);
    clock.advanceMs(69.5);
    expect(remaining()).toEqual([0, Infinity, 0, 0]);
    expect(cache.has('a')).toBe(true);
    clock.advanceMs(50);
    expect(remaining()).toEqual([0, Infinity, 0, 0]);
    expect(cache.metrics).toMatchObject({ hits: 0, misses: 0 });
  });
});

describe('staleWhileRevalidateMs', () => {
  test('returns the old value at once, and loads a new one in the background, once', async () => {
    const { cache, clock, gone } = manual({ ttlMs: 100, staleWhileRevalidateMs: 50 });
    const { all, loader } = loads();
    cache.set('k', 'old');
    clock.advanceMs(100);
    expect(await cache.fetch('k', loader)).toBe('old');
    expect(all).toHaveLength(0);
    clock.advanceMs(50);
    expect(await Promise.all([cache.fetch('k', loader), cache.fetch('k', loader)])).toEqual([
      'old',
      'old',
    ]);
    expect(all).toHaveLength(1);
    all[0].resolve('new');
    await settled();
    expect(cache.get('k')).toBe('new');
    expect(cache.getRemainingTTL('k')).toBe(100);
    expect(gone).toEqual(['k old replaced']);
    expect(cache.stats()).toMatchObject({ hits: 4, misses: 0, joins: 0, stale: 2 });
  });

  test('is over in the nanosecond after it', async () => {
    const { cache, clock, gone } = manual({ ttlMs: 0.1, staleWhileRevalidateMs: 0.2 });
    cache.set('k', 'old');
    clock.advanceMs(0.3);
    expect(await cache.fetch('k', () => 'unused')).toBe('old');
    await settled();
    cache.set('k', 'old');
    clock.advanceMs(0.300001);
    expect(await cache.fetch('k', () => 'new')).toBe('new');
    expect(gone).toContain('k old expired');
  });

  test('keeps a stale value from everything but fetch', () => {
    const { cache, clock, gone } = manual({ ttlMs: 100, staleWhileRevalidateMs: 50 });
    cache.set('k', 'old');
    clock.advanceMs(120);
    expect([cache.get('k'), cache.peek('k'), cache.has('k'), [...cache]]).toEqual([
      undefined,
      undefined,
      false,
      [],
    ]);
    expect(cache.purgeStale()).toBe(0);
    expect(cache.size).toBe(1);
    expect(cache.delete('k')).toBe(false);
    expect(gone).toEqual(['k old deleted']);
    cache.set('k', 'older');
    clock.advanceMs(151);
    expect(cache.purgeStale()).toBe(1);
    expect(gone[1]).toBe('k older expired');
  });

  test('a refresh that fails is reported, and the value stays for the next call', async () => {
    const { cache, clock, errors } = manual({ ttlMs: 10, staleWhileRevalidateMs: 50 });
    cache.set('k', 'old');
    clock.advanceMs(20);
    expect(await cache.fetch('k', failing)).toBe('old');
    await settled();
    expect(errors).toEqual(['k broken']);
    expect(await cache.fetch('k', () => 'new')).toBe('old');
    await settled();
    expect(cache.get('k')).toBe('new');
  });

  test('a refresh is a load: set and delete prevent its storage, other callers join it', async () => {
    const { cache, clock } = manual({ ttlMs: 10, staleWhileRevalidateMs: 50 });
    const { all, loader } = loads();
    cache.set('k', 'old');
    clock.advanceMs(20);
    await cache.fetch('k', loader);
    clock.advanceMs(100);
    const controller = new AbortController();
    const leaver = cache.fetch('k', loader, controller);
    const joiner = cache.fetch('k', loader);
    controller.abort(new Error('left'));
    await expect(leaver).rejects.toThrow('left');
    all[0].resolve('new');
    expect(await joiner).toBe('new');
    expect(all).toHaveLength(1);
    clock.advanceMs(20);
    await cache.fetch('k', loader);
    cache.delete('k');
    all[1].resolve('unwanted');
    await settled();
    expect(cache.has('k')).toBe(false);
    expect(all[1].signal.aborted).toBe(false);
  });

  test('a refresh continues after the abort of its last caller', async () => {
    const { cache, clock } = manual({ ttlMs: 10, staleWhileRevalidateMs: 50 });
    const { all, loader } = loads();
    cache.set('k', 'old');
    clock.advanceMs(20);
    await cache.fetch('k', loader);
    clock.advanceMs(50);
    const controller = new AbortController();
    const joiner = cache.fetch('k', loader, { signal: controller.signal });
    controller.abort(new Error('left'));
    await expect(joiner).rejects.toThrow('left');
    expect(all[0].signal.aborted).toBe(false);
    all[0].resolve('new');
    await settled();
    expect(cache.get('k')).toBe('new');
  });

  test('a refresh that hangs is ended and reported', async () => {
    const { cache, clock, errors } = manual({ ttlMs: 10, staleWhileRevalidateMs: 500 });
    cache.set('k', 'old');
    clock.advanceMs(20);
    await cache.fetch('k', () => new Promise(() => {}), { timeoutMs: 30 });
    clock.advanceMs(30);
    await settled();
    expect(errors).toEqual(['k The loader did not finish within 30 ms']);
  });
});

describe('staleOnErrorMs', () => {
  test('returns the old value to all callers if the load fails, and reports once', async () => {
    const { cache, clock, errors } = manual({ ttlMs: 10, staleOnErrorMs: 100 });
    const { all, loader } = loads();
    cache.set('k', 'old');
    clock.advanceMs(50);
    const callers = [cache.fetch('k', loader), cache.fetch('k', loader)];
    all[0].reject(broken);
    expect(await Promise.all(callers)).toEqual(['old', 'old']);
    expect(errors).toEqual(['k broken']);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 1, joins: 1, stale: 2 });
    clock.advanceMs(61);
    await expect(cache.fetch('k', failing)).rejects.toBe(broken);
    expect(errors).toHaveLength(1);
  });

  test('prefers the new value, and shares failures where there is no old one', async () => {
    const { cache, clock, errors } = manual({ ttlMs: 10, staleOnErrorMs: 100 });
    await expect(cache.fetch('k', failing)).rejects.toBe(broken);
    cache.set('k', 'old');
    clock.advanceMs(50);
    expect(await cache.fetch('k', () => 'new')).toBe('new');
    expect(errors).toEqual([]);
  });

  test('does not hold a caller who aborts', async () => {
    const { cache, clock } = manual({ ttlMs: 10, staleOnErrorMs: 100 });
    cache.set('k', 'old');
    clock.advanceMs(50);
    const controller = new AbortController();
    const caller = cache.fetch('k', () => new Promise(() => {}), { signal: controller.signal });
    controller.abort(new Error('left'));
    await expect(caller).rejects.toThrow('left');
  });

  test('of a call applies to that call, and to the entry that it loads', async () => {
    const { cache, clock } = manual({ ttlMs: 10 });
    await cache.fetch('k', () => 'old', { staleOnErrorMs: 1000 });
    clock.advanceMs(50);
    await expect(cache.fetch('k', failing)).rejects.toBe(broken);
    expect(await cache.fetch('k', failing, { staleOnErrorMs: 40 })).toBe('old');
    clock.advanceMs(1);
    await expect(cache.fetch('k', failing, { staleOnErrorMs: 40 })).rejects.toBe(broken);
    cache.set('kept', 1, { staleOnErrorMs: Infinity });
    clock.advanceMs(1e9);
    expect(await cache.fetch('kept', failing, { staleOnErrorMs: Infinity })).toBe(1);
  });
});

test('a stale value counts against the bounds, and is evicted by recency', () => {
  const { cache, clock, gone } = manual({ maxEntries: 2, ttlMs: 10, staleOnErrorMs: 100 });
  cache.set('a', 1).set('b', 2);
  clock.advanceMs(50);
  cache.set('c', 3);
  expect(gone).toEqual(['a 1 evicted']);
});

test.each([
  ['options has no option max', () => new LruTtlCache({ maxEntries: 1, max: 5 })],
  ['options has no option ttl', () => manual().cache.set('k', 1, { ttl: 5 })],
  ['staleOnErrorMs takes', () => new LruTtlCache({ maxEntries: 1, staleOnErrorMs: -1 })],
  [
    'staleWhileRevalidateMs takes',
    () => manual().cache.set('k', 1, { staleWhileRevalidateMs: '1' }),
  ],
  ['onRefreshError takes a function', () => new LruTtlCache({ maxEntries: 1, onRefreshError: 1 })],
])('%s', (message, call) => {
  expect(call).toThrow(message);
});

test('unknown options of fetch are refused by name', async () => {
  const { cache } = manual();
  await expect(cache.fetch('k', () => 1, { allowStale: true })).rejects.toThrow(
    /no option allowStale;/,
  );
});
