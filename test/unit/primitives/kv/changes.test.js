/** Counters, times to live, directions, unknown options, and the memory of a tight loop. */
import { describe, expect, test } from '@jest/globals';
import { KvStore, ManualClock } from '../../../../lib/index.js';

function make(options) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}

describe('increment', () => {
  test('counts from 0, up and down, and keeps the end that a key has', () => {
    const { clock, store } = make();
    expect(store.increment('n')).toBe(1);
    expect(store.increment('n', 41)).toBe(42);
    expect(store.increment('n', -0.5)).toBe(41.5);
    expect(store.get('n').expiresAt).toBeUndefined();
    const endsAt = clock.nowMs() + 1000;
    expect(store.increment('window', 1, { ttlMs: 1000 })).toBe(1);
    clock.advanceMs(600);
    expect(store.increment('window', 1, { ttlMs: 1000 })).toBe(2);
    expect(store.get('window').expiresAt).toBe(endsAt);
    clock.advanceMs(401);
    expect(store.increment('window', 1, { ttlMs: 1000 })).toBe(1);
  });

  test('refuses what is no number, and sums that are not exact', () => {
    const { store } = make();
    store.set('text', '1');
    expect(() => store.increment('text')).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_A_NUMBER', key: 'text' }),
    );
    store.set('max', Number.MAX_SAFE_INTEGER);
    expect(() => store.increment('max')).toThrow(/exact/);
    store.set('huge', 1e308);
    expect(() => store.increment('huge', 1e308)).toThrow(/exact/);
    expect([store.get('text').value, store.get('max').value]).toEqual(['1', 2 ** 53 - 1]);
    for (const by of [NaN, Infinity, '1', 1n]) {
      expect(() => store.increment('n', by)).toThrow(/^by takes a finite number/);
    }
  });

  test('in a transaction reads the key', async () => {
    const { store } = make();
    store.set('n', 1, { ttlMs: 500 });
    const end = store.get('n').expiresAt;
    await store.transaction((tx) => {
      expect(tx.increment('n', 2)).toBe(3);
      expect(tx.increment('n')).toBe(4);
      expect(tx.increment('new', 7, { ttlMs: 9 })).toBe(7);
    });
    expect(store.get('n')).toMatchObject({ value: 4, expiresAt: end });
    expect(store.get('new')).toMatchObject({ value: 7, expiresAt: 9 });
    const lost = store.transaction((tx) => {
      tx.increment('n');
      store.set('n', 10);
    });
    await expect(lost).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });
});

describe('touch and keepTtl', () => {
  test('another end for the same value', async () => {
    const { clock, store } = make();
    expect(store.touch('none')).toBeUndefined();
    const version = store.set('k', { a: 1 }, { ttlMs: 10 });
    const touched = store.touch('k', { ttlMs: 100, ifVersion: version });
    expect(touched).toBeGreaterThan(version);
    expect(store.get('k')).toEqual({
      value: { a: 1 },
      version: touched,
      expiresAt: clock.nowMs() + 100,
    });
    expect(() => store.touch('k', { ifVersion: version })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFLICT', version: touched }),
    );
    store.touch('k');
    expect(store.get('k').expiresAt).toBeUndefined();
    await store.transaction((tx) => {
      expect([tx.touch('k', { ttlMs: 5 }), tx.touch('none')]).toEqual([true, false]);
    });
    expect(store.get('k').expiresAt).toBe(clock.nowMs() + 5);
    clock.advanceMs(6);
    expect(store.touch('k')).toBeUndefined();
  });

  test('keepTtl keeps the end that there is', () => {
    const { clock, store } = make();
    store.set('k', 1, { ttlMs: 100 });
    clock.advanceMs(60);
    store.set('k', 2, { keepTtl: true });
    store.set('new', 2, { keepTtl: true });
    expect(store.get('k')).toMatchObject({ value: 2, expiresAt: 100 });
    expect(store.get('new').expiresAt).toBeUndefined();
    clock.advanceMs(41);
    expect(store.get('k')).toBeUndefined();
    store.set('k', 3, { keepTtl: true });
    expect(store.get('k').expiresAt).toBeUndefined();
    expect(() => store.set('k', 1, { keepTtl: true, ttlMs: 1 })).toThrow(/ttlMs or keepTtl/);
  });
});

describe('scan', () => {
  const keys = ['a', 'b', 'ba', 'c', '\u{10ffff}'];

  test('in reverse, page by page', () => {
    const { store } = make();
    for (const key of keys) store.set(key, key);
    for (let limit = 1; limit <= keys.length + 1; limit += 1) {
      const read = [];
      let cursor;
      do {
        const page = store.scan({ reverse: true, limit, cursor });
        read.push(...page.items.map(({ key }) => key));
        ({ cursor } = page);
      } while (cursor !== undefined);
      expect(read).toEqual(keys.toReversed());
    }
    const part = store.scan({ start: 'b', end: 'c', reverse: true });
    expect(part.items.map(({ key }) => key)).toEqual(['ba', 'b']);
    const { cursor } = store.scan({ limit: 1 });
    expect(() => store.scan({ cursor, reverse: true })).toThrow(/^cursor takes/);
  });

  test('of keys alone, in snapshots and transactions too', async () => {
    const { store } = make();
    for (const key of keys) store.set(key, 'x'.repeat(1000));
    const options = { prefix: 'b', keysOnly: true, reverse: true };
    const items = [
      { key: 'ba', version: 3 },
      { key: 'b', version: 2 },
    ];
    expect(store.scan(options)).toEqual({ items, cursor: undefined });
    const snapshot = store.snapshot();
    expect(snapshot.scan(options).items).toEqual(items);
    await store.transaction((tx) => {
      tx.set('bb', 1);
      expect(tx.scan({ ...options, limit: 2 }).items).toEqual([
        { key: 'bb', version: undefined },
        items[0],
      ]);
    });
  });
});

test('-0 stays -0, wherever it is', () => {
  const { store } = make();
  for (const value of [-0, [-0, 0, 1], { a: { b: -0 }, '-0': '-0' }]) {
    store.set('k', value);
    expect(store.get('k').value).toStrictEqual(value);
  }
  expect(Object.is(store.increment('zero', -0), 0)).toBe(true);
});

test('what JSON would drop without a word is refused', () => {
  const { store } = make();
  expect(() => store.set('k', { [Symbol('s')]: 1 })).toThrow(/^value takes.*symbols/);
  expect(() => store.set('k', Object.assign([1], { extra: 2 }))).toThrow(/besides its elements/);
  expect(() => store.set('k', { deep: ['abc'.match(/b/)] })).toThrow(TypeError);
});

test.each([
  ['set', (store) => store.set('k', 1, { ifNotExists: true }), 'ifNotExists'],
  ['set', (store) => store.set('k', 1, { ttl: 5 }), 'ttl'],
  ['compareAndSet', (store) => store.compareAndSet('k', 0, 1, { ifVersion: 1 }), 'ifVersion'],
  ['delete', (store) => store.delete('k', { ifMatch: 1 }), 'ifMatch'],
  ['touch', (store) => store.touch('k', { ttl: 5 }), 'ttl'],
  ['increment', (store) => store.increment('k', 1, { by: 2 }), 'by'],
  ['scan', (store) => store.scan({ count: 5 }), 'count'],
  ['new', () => new KvStore({ maxSize: 5 }), 'maxSize'],
])('%s refuses an unknown option by name', (_name, call, option) => {
  const { store } = make();
  store.set('k', 'kept');
  expect(() => call(store)).toThrow(new RegExp(`has no option ${option}; it takes `));
  expect(store.get('k')).toMatchObject({ value: 'kept', version: 1 });
});

test('transaction refuses an unknown option by name', async () => {
  const { store } = make();
  await expect(store.transaction(() => {}, { retry: 5 })).rejects.toThrow(/has no option retry/);
});

test('transactions and snapshots free their memory at once, without a turn of the event loop', async () => {
  const { store } = make();
  const value = 'v'.repeat(10_000);
  store.set('k', value);
  const once = async () => {
    await store.transaction((tx) => {
      tx.get('k');
      tx.set('k', value);
      tx.scan();
    });
    const snapshot = store.snapshot();
    snapshot.get('k');
    snapshot.release();
  };
  // 10 KB each, were they kept: 200 MB. Promises are jobs: no turn of the event loop comes between.
  for (let i = 0; i < 2000; i += 1) await once();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20_000; i += 1) await once();
  const grown = process.memoryUsage().rss - before;
  expect(store.stats()).toMatchObject({ pinnedBytes: 0, snapshots: 0 });
  expect(grown).toBeLessThan(60e6);
});

test('V8 knows the memory of stores, and collects those that are out of reach', async () => {
  const value = 'v'.repeat(1e6);
  const before = process.memoryUsage().rss;
  let peak = 0;
  // 800 MB in all, for which the JavaScript heap alone would see no reason to collect anything.
  for (let i = 0; i < 100; i += 1) {
    const store = new KvStore();
    for (let k = 0; k < 8; k += 1) store.set(`k${k}`, value);
    await new Promise((resolve) => setImmediate(resolve));
    peak = Math.max(peak, process.memoryUsage().rss - before);
  }
  expect(peak).toBeLessThan(400e6);
});
