/**
 * The cache without loads: eviction, its reports, and the counts.
 */
import { LruTtlCache, ManualClock, SluiceError } from '../../../../lib/index.js';

/** A cache under its own clock, and the reports to its owner. */
function make(options = {}) {
  const clock = new ManualClock();
  const removed = [];
  const onEvict = (key, value, reason) => removed.push([key, value, reason]);
  const cache = new LruTtlCache({ maxEntries: 3, clock, onEvict, ...options });
  return { cache, clock, removed };
}

describe('recency', () => {
  test('the least recently used entry is evicted, and reading counts as use', () => {
    const { cache, removed } = make();
    cache.set('a', 1).set('b', 2).set('c', 3);
    expect(cache.get('a')).toBe(1);
    cache.set('d', 4);
    expect([...cache.keys()]).toEqual(['d', 'a', 'c']);
    expect(removed).toEqual([['b', 2, 'evicted']]);
    expect(cache.size).toBe(3);
  });

  test('has, peek and iteration change neither recency nor metrics', () => {
    const { cache } = make();
    cache.set('a', 1).set('b', 2).set('c', 3);
    expect(cache.has('a')).toBe(true);
    expect(cache.peek('a')).toBe(1);
    expect(cache.peek('x')).toBeUndefined();
    expect([...cache]).toEqual([
      ['c', 3],
      ['b', 2],
      ['a', 1],
    ]);
    cache.set('d', 4);
    expect(cache.has('a')).toBe(false);
    expect(cache.metrics).toEqual({ hits: 0, misses: 0, joins: 0, evictions: 1, expirations: 0 });
  });

  test('a replaced value is the most recent one', () => {
    const { cache, removed } = make();
    cache.set('a', 1).set('b', 2).set('a', 3);
    expect([...cache.entries()]).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
    expect(removed).toEqual([['a', 1, 'replaced']]);
  });

  test('is kept over more lookups than one native call takes', () => {
    const { cache } = make({ maxEntries: 5000 });
    for (let i = 0; i < 5000; i += 1) cache.set(i, i);
    for (let i = 0; i < 5000; i += 1) expect(cache.get(i)).toBe(i);
    for (let i = 0; i < 3000; i += 1) expect(cache.get(-1)).toBeUndefined();
    expect([...cache.keys()]).toEqual(Array.from({ length: 5000 }, (_, i) => 4999 - i));
    cache.set('new', 0);
    expect(cache.has(0)).toBe(false);
    expect(cache.stats()).toMatchObject({ hits: 5000, misses: 3000, evictions: 1 });
  });
});

describe('time', () => {
  test('alive while its age is at most the time to live, at time 0 too', () => {
    const { cache, clock } = make({ ttlMs: 100 });
    expect(clock.nowMs()).toBe(0);
    cache.set('a', 1);
    expect(cache.get('a')).toBe(1);
    clock.advanceMs(100);
    expect(cache.get('a')).toBe(1);
    clock.advanceMs(0.000001);
    expect(cache.has('a')).toBe(false);
    expect(cache.peek('a')).toBeUndefined();
    expect(cache.size).toBe(1);
    expect(cache.get('a')).toBeUndefined();
    expect(cache.size).toBe(0);
    expect(cache.metrics).toEqual({ hits: 2, misses: 1, joins: 0, evictions: 0, expirations: 1 });
  });

  test('an entry may have its own time to live, none and 0 included', () => {
    const { cache, clock } = make({ ttlMs: 100 });
    cache.set('short', 1, { ttlMs: 0 }).set('own', 2, { ttlMs: 300 });
    cache.set('for ever', 3, { ttlMs: Infinity });
    expect(cache.get('short')).toBe(1);
    clock.advanceMs(300);
    expect([...cache.keys()]).toEqual(['for ever', 'own']);
    clock.advanceMs(1e9);
    expect([...cache.keys()]).toEqual(['for ever']);
  });

  test('reading does not prolong it, setting does', () => {
    const { cache, clock } = make({ ttlMs: 100 });
    cache.set('a', 1).set('b', 2);
    clock.advanceMs(60);
    cache.get('a');
    cache.set('b', 3);
    clock.advanceMs(60);
    expect([...cache]).toEqual([['b', 3]]);
  });

  test('the expired go before the live, however recent', () => {
    const { cache, clock, removed } = make();
    cache.set('a', 1).set('b', 2).set('short', 3, { ttlMs: 10 });
    clock.advanceMs(11);
    cache.set('d', 4);
    expect(removed).toEqual([['short', 3, 'expired']]);
    expect([...cache.keys()]).toEqual(['d', 'b', 'a']);
  });

  test('an expired entry is reported as expired, not as deleted or replaced', () => {
    const { cache, clock, removed } = make({ ttlMs: 10 });
    cache.set('a', 1).set('b', 2);
    clock.advanceMs(11);
    expect(cache.delete('a')).toBe(false);
    cache.set('b', 3);
    expect(removed).toEqual([
      ['a', 1, 'expired'],
      ['b', 2, 'expired'],
    ]);
    expect(cache.metrics.expirations).toBe(2);
    expect(cache.get('b')).toBe(3);
  });

  test('purgeStale removes all that have expired, any number of them', () => {
    const { cache, clock, removed } = make({ maxEntries: 1000 });
    for (let i = 0; i < 200; i += 1) cache.set(i, `v${i}`, { ttlMs: i < 100 ? 10 : 20 });
    expect(cache.purgeStale()).toBe(0);
    clock.advanceMs(15);
    expect(cache.purgeStale()).toBe(100);
    expect(cache.size).toBe(100);
    expect(removed.length).toBe(100);
    expect(new Set(removed.map(([key]) => key))).toEqual(new Set(Array(100).keys()));
    expect(removed.every(([key, value, cause]) => value === `v${key}` && cause === 'expired')).toBe(
      true,
    );
    expect(new LruTtlCache({ maxEntries: 1 }).purgeStale()).toBe(0);
  });

  test('real time', async () => {
    const cache = new LruTtlCache({ maxEntries: 10, ttlMs: 20 });
    cache.set('a', 1).set('b', 2, { ttlMs: 3_600_000 });
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(cache.get('a')).toBeUndefined();
    expect(cache.get('b')).toBe(2);
  });
});

describe('sizes', () => {
  test('are the bytes of strings and buffers', () => {
    const { cache } = make({ maxEntries: undefined, maxBytes: 100 });
    cache.set('utf8', 'aä€😀');
    expect(cache.bytes).toBe(1 + 2 + 3 + 4);
    cache.set('utf8', '');
    expect(cache.bytes).toBe(0);
    cache.set('buffer', Buffer.alloc(5)).set('view', new Uint16Array(3));
    cache.set('raw', new ArrayBuffer(7));
    expect(cache.bytes).toBe(5 + 6 + 7);
    cache.set('given', 'abc', { size: 40 });
    expect(cache.bytes).toBe(58);
    cache.delete('given');
    expect(cache.bytes).toBe(18);
  });

  test('of other values, are those of a clone', () => {
    const { cache } = make({ maxEntries: 10, maxBytes: 1000 });
    for (const value of [1, null, undefined, true, 1n]) {
      cache.set('a', value);
      expect(cache.has('a')).toBe(true);
      expect(cache.bytes).toBeGreaterThan(0);
      expect(cache.bytes).toBeLessThan(20);
    }
    const value = { text: 'x'.repeat(500), list: [1, 2, 3] };
    cache.set('a', value);
    expect(cache.get('a')).toBe(value);
    expect(cache.bytes).toBeGreaterThan(500);
    expect(cache.bytes).toBeLessThan(600);
    cache.set('b', { ...value });
    expect(cache.has('a')).toBe(false);
  });

  test('values that cannot be cloned need one, where there is a bound', () => {
    const { cache } = make({ maxBytes: 100 });
    for (const value of [() => {}, Symbol('s'), Promise.resolve(), { deep: [() => {}] }]) {
      expect(() => cache.set('a', value)).toThrow(/^size takes an integer/);
      expect(() => cache.set('a', value)).toThrow(TypeError);
      expect(cache.has('a')).toBe(false);
    }
    cache.set('a', () => {}, { size: 100 });
    expect(cache.bytes).toBe(100);
    const unbounded = make().cache;
    unbounded.set('a', {}).set('b', 'text').set('c', {}, { size: 7 });
    expect(unbounded.bytes).toBe(7);
  });

  test('as many entries are evicted as needed', () => {
    const { cache, removed } = make({ maxEntries: 1000, maxBytes: 100 });
    for (let i = 0; i < 100; i += 1) cache.set(i, 'x');
    cache.set('large', 'y'.repeat(90));
    expect(removed.map(([key]) => key)).toEqual([...Array(90).keys()]);
    expect([...cache.keys()].slice(0, 2)).toEqual(['large', 99]);
    expect(cache.size).toBe(11);
    expect(cache.get(99)).toBe('x');
  });

  test('a value larger than the bound is not stored, and the key then has no value', () => {
    const { cache, removed } = make({ maxBytes: 3 });
    cache.set('a', 'abc').set('a', 'abcd');
    expect(cache.has('a')).toBe(false);
    expect(cache.bytes).toBe(0);
    cache.set('b', 'abcd');
    expect(removed).toEqual([
      ['a', 'abc', 'replaced'],
      ['a', 'abcd', 'evicted'],
      ['b', 'abcd', 'evicted'],
    ]);
    expect(cache.metrics.evictions).toBe(2);
  });

  test('the same value, too large now, is reported once', () => {
    const { cache, removed } = make({ maxBytes: 3 });
    const value = {};
    cache.set('a', value, { size: 1 }).set('a', value, { size: 2 });
    expect(removed).toEqual([]);
    cache.set('a', value, { size: 4 });
    expect(removed).toEqual([['a', value, 'evicted']]);
  });
});

describe('keys and values', () => {
  test('any value is one, undefined included', () => {
    const { cache } = make({ maxEntries: 10 });
    for (const value of [undefined, null, 0, '', NaN, false]) {
      cache.set('a', value);
      expect(cache.has('a')).toBe(true);
      expect(cache.get('a')).toBe(value);
    }
    expect(cache.metrics).toMatchObject({ hits: 6, misses: 0 });
    cache.set('a', undefined);
    expect([...cache]).toEqual([['a', undefined]]);
  });

  test('keys are compared as a Map does', () => {
    const { cache } = make({ maxEntries: 10 });
    const key = {};
    cache.set(key, 1).set(NaN, 2).set(undefined, 3).set('1', 4).set(1, 5);
    expect([key, NaN, undefined, '1', 1, {}].map((each) => cache.get(each))).toEqual([
      1,
      2,
      3,
      4,
      5,
      undefined,
    ]);
  });
});

describe('removal', () => {
  test('delete and clear report the reason', () => {
    const { cache, removed } = make();
    cache.set('a', 1).set('b', 2).set('c', 3);
    cache.get('a');
    expect(cache.delete('b')).toBe(true);
    expect(cache.delete('b')).toBe(false);
    cache.clear();
    expect(removed).toEqual([
      ['b', 2, 'deleted'],
      ['a', 1, 'cleared'],
      ['c', 3, 'cleared'],
    ]);
    expect([cache.size, cache.bytes, [...cache].length]).toEqual([0, 0, 0]);
    expect(cache.metrics.hits).toBe(1);
    cache.set('d', 4);
    expect([...cache.values()]).toEqual([4]);
  });

  test('every stored value is reported once', () => {
    const { cache, clock, removed } = make({ maxEntries: 8, maxBytes: 40, ttlMs: 20 });
    let random = 1;
    const below = (n) => (random = (random * 48271) % 2147483647) % n;
    for (let i = 0; i < 5000; i += 1) {
      if (below(4) === 0) clock.advanceMs(below(8));
      const key = below(12);
      if (below(10) === 0) cache.delete(key);
      else if (below(3) === 0) cache.get(key);
      else cache.set(key, { i }, { size: below(45), ttlMs: below(30) });
      if (below(500) === 0) cache.clear();
      if (below(50) === 0) cache.purgeStale();
      expect(cache.bytes).toBeLessThanOrEqual(40);
      expect(cache.size).toBeLessThanOrEqual(8);
    }
    const { evictions, expirations } = cache.metrics;
    const tally = (reason) => removed.filter(([, , cause]) => cause === reason).length;
    expect([tally('evicted'), tally('expired')]).toEqual([evictions, expirations]);
    cache.clear();
    const values = removed.map(([, value]) => value);
    expect(new Set(values).size).toBe(values.length);
    expect(values.length).toBeGreaterThan(2000);
  });

  test('an owner may use the cache within its callback', () => {
    const removed = [];
    const cache = new LruTtlCache({
      maxEntries: 2,
      onEvict(key, value, reason) {
        removed.push([key, reason, [...cache.keys()]]);
        if (key === 'a') cache.set('again', value);
      },
    });
    cache.set('a', 1).set('b', 2).set('c', 3);
    expect(removed).toEqual([
      ['a', 'evicted', ['c', 'b']],
      ['b', 'evicted', ['again', 'c']],
    ]);
    expect(cache.get('again')).toBe(1);
  });

  test('iteration skips entries removed during it', () => {
    const { cache, clock } = make({ ttlMs: 100 });
    cache.set('a', 1).set('b', 2, { ttlMs: 10 }).set('c', 3);
    const seen = [];
    for (const [key] of cache) {
      seen.push(key);
      if (key !== 'c') continue;
      cache.delete('c');
      cache.set('new', 4);
      clock.advanceMs(11);
    }
    expect(seen).toEqual(['c', 'a']);
  });
});

test.each([
  [undefined, TypeError, 'maxEntries'],
  [{}, TypeError, 'maxEntries'],
  [{ maxEntries: 0 }, RangeError, 'maxEntries'],
  [{ maxEntries: 1.5 }, RangeError, 'maxEntries'],
  [{ maxEntries: 2 ** 24 }, RangeError, 'maxEntries'],
  [{ maxEntries: '1' }, TypeError, 'maxEntries'],
  [{ maxBytes: 0 }, RangeError, 'maxBytes'],
  [{ maxEntries: 1, ttlMs: -1 }, RangeError, 'ttlMs'],
  [{ maxEntries: 1, ttlMs: NaN }, RangeError, 'ttlMs'],
  [{ maxEntries: 1, loadTimeoutMs: '1' }, TypeError, 'loadTimeoutMs'],
  [{ maxEntries: 1, onEvict: 1 }, TypeError, 'onEvict'],
  [{ maxEntries: 1, clock: {} }, TypeError, 'clock'],
])('the options %o are refused by name', (options, kind, name) => {
  expect(() => new LruTtlCache(options)).toThrow(kind);
  expect(() => new LruTtlCache(options)).toThrow(SluiceError);
  expect(() => new LruTtlCache(options)).toThrow(name);
});

test.each([
  [{ ttlMs: -1 }, RangeError, 'ttlMs'],
  [{ ttlMs: null }, TypeError, 'ttlMs'],
  [{ size: -1 }, RangeError, 'size'],
  [{ size: 0.5 }, RangeError, 'size'],
  [null, TypeError, 'options'],
])('the entry options %o are refused by name, and nothing changes', (options, kind, name) => {
  const { cache } = make();
  cache.set('a', 1);
  expect(() => cache.set('a', 2, options)).toThrow(kind);
  expect(() => cache.set('a', 2, options)).toThrow(name);
  expect(cache.get('a')).toBe(1);
});
