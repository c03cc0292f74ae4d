/**
 * Counters, times to live, directions and unknown options, as every key-value store has them: one table for all, whose calls are awaited.
 */
import { thrown } from '../thrown.js';

/**
 * @param {(options?: object) => Promise<{clock: import('../../../lib/index.js').ManualClock, store: any}>} make
 *   an empty store under a clock of its own
 */
export function changesTable(make) {
  describe('increment', () => {
    test('counts from 0, up and down, and keeps the expiry of the key', async () => {
      const { clock, store } = await make();
      expect(await store.increment('n')).toBe(1);
      expect(await store.increment('n', 41)).toBe(42);
      expect(await store.increment('n', -0.5)).toBe(41.5);
      expect((await store.get('n')).expiresAt).toBeUndefined();
      const endsAt = clock.nowMs() + 1000;
      expect(await store.increment('window', 1, { ttlMs: 1000 })).toBe(1);
      clock.advanceMs(600);
      expect(await store.increment('window', 1, { ttlMs: 1000 })).toBe(2);
      expect((await store.get('window')).expiresAt).toBe(endsAt);
      clock.advanceMs(401);
      expect(await store.increment('window', 1, { ttlMs: 1000 })).toBe(1);
    });

    test('refuses values that are not numbers, and inexact sums', async () => {
      const { store } = await make();
      await store.set('text', '1');
      const error = await thrown(() => store.increment('text'));
      expect(error).toMatchObject({ code: 'ERR_NOT_A_NUMBER', key: 'text' });
      await store.set('max', Number.MAX_SAFE_INTEGER);
      await expect(async () => store.increment('max')).rejects.toThrow(/exact/);
      await store.set('huge', 1e308);
      await expect(async () => store.increment('huge', 1e308)).rejects.toThrow(/exact/);
      expect([(await store.get('text')).value, (await store.get('max')).value]).toEqual([
        '1',
        2 ** 53 - 1,
      ]);
      for (const by of [NaN, Infinity, '1', 1n]) {
        await expect(async () => store.increment('n', by)).rejects.toThrow(
          /^by takes a finite number/,
        );
      }
    });

    test('in a transaction reads the key', async () => {
      const { store } = await make();
      await store.set('n', 1, { ttlMs: 500 });
      const end = (await store.get('n')).expiresAt;
      await store.transaction(async (tx) => {
        expect(await tx.increment('n', 2)).toBe(3);
        expect(await tx.increment('n')).toBe(4);
        expect(await tx.increment('new', 7, { ttlMs: 9 })).toBe(7);
      });
      expect(await store.get('n')).toMatchObject({ value: 4, expiresAt: end });
      expect(await store.get('new')).toMatchObject({ value: 7, expiresAt: 9 });
      const lost = store.transaction(async (tx) => {
        await tx.increment('n');
        await store.set('n', 10);
      });
      await expect(lost).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    });
  });

  describe('touch and keepTtl', () => {
    test('set another expiry for the same value', async () => {
      const { clock, store } = await make();
      expect(await store.touch('none')).toBeUndefined();
      const version = await store.set('k', { a: 1 }, { ttlMs: 10 });
      const touched = await store.touch('k', { ttlMs: 100, ifVersion: version });
      expect(touched).toBeGreaterThan(version);
      expect(await store.get('k')).toEqual({
        value: { a: 1 },
        version: touched,
        expiresAt: clock.nowMs() + 100,
      });
      const error = await thrown(() => store.touch('k', { ifVersion: version }));
      expect(error).toMatchObject({ code: 'ERR_CONFLICT', version: touched });
      await store.touch('k');
      expect((await store.get('k')).expiresAt).toBeUndefined();
      await store.transaction(async (tx) => {
        expect([await tx.touch('k', { ttlMs: 5 }), await tx.touch('none')]).toEqual([true, false]);
      });
      expect((await store.get('k')).expiresAt).toBe(clock.nowMs() + 5);
      clock.advanceMs(6);
      expect(await store.touch('k')).toBeUndefined();
    });

    test('keepTtl keeps the current expiry', async () => {
      const { clock, store } = await make();
      await store.set('k', 1, { ttlMs: 100 });
      clock.advanceMs(60);
      await store.set('k', 2, { keepTtl: true });
      await store.set('new', 2, { keepTtl: true });
      expect(await store.get('k')).toMatchObject({ value: 2, expiresAt: 100 });
      expect((await store.get('new')).expiresAt).toBeUndefined();
      clock.advanceMs(41);
      expect(await store.get('k')).toBeUndefined();
      await store.set('k', 3, { keepTtl: true });
      expect((await store.get('k')).expiresAt).toBeUndefined();
      await expect(async () => store.set('k', 1, { keepTtl: true, ttlMs: 1 })).rejects.toThrow(
        /ttlMs or keepTtl/,
      );
    });
  });

  describe('scan', () => {
    const keys = ['a', 'b', 'ba', 'c', '\u{10ffff}'];

    test('in reverse, page by page', async () => {
      const { store } = await make();
      for (const key of keys) await store.set(key, key);
      for (let limit = 1; limit <= keys.length + 1; limit += 1) {
        const read = [];
        let cursor;
        do {
          const page = await store.scan({ reverse: true, limit, cursor });
          read.push(...page.items.map(({ key }) => key));
          ({ cursor } = page);
        } while (cursor !== undefined);
        expect(read).toEqual(keys.toReversed());
      }
      const part = await store.scan({ start: 'b', end: 'c', reverse: true });
      expect(part.items.map(({ key }) => key)).toEqual(['ba', 'b']);
      const { cursor } = await store.scan({ limit: 1 });
      await expect(async () => store.scan({ cursor, reverse: true })).rejects.toThrow(
        /^cursor takes/,
      );
    });

    test('of keys alone, in transactions too', async () => {
      const { store } = await make();
      for (const key of keys) await store.set(key, 'x'.repeat(1000));
      const options = { prefix: 'b', keysOnly: true, reverse: true };
      const items = [
        { key: 'ba', version: 3 },
        { key: 'b', version: 2 },
      ];
      expect(await store.scan(options)).toEqual({ items, cursor: undefined });
      await store.transaction(async (tx) => {
        await tx.set('bb', 1);
        expect((await tx.scan({ ...options, limit: 2 })).items).toEqual([
          { key: 'bb', version: undefined },
          items[0],
        ]);
      });
    });
  });

  test('-0 stays -0, at any depth', async () => {
    const { store } = await make();
    for (const value of [-0, [-0, 0, 1], { a: { b: -0 }, '-0': '-0' }]) {
      await store.set('k', value);
      expect((await store.get('k')).value).toStrictEqual(value);
    }
    expect(Object.is(await store.increment('zero', -0), 0)).toBe(true);
  });

  test('values that JSON would silently drop are refused', async () => {
    const { store } = await make();
    await expect(async () => store.set('k', { [Symbol('s')]: 1 })).rejects.toThrow(
      /^value takes.*symbols/,
    );
    await expect(async () => store.set('k', Object.assign([1], { extra: 2 }))).rejects.toThrow(
      /besides its elements/,
    );
    await expect(async () => store.set('k', { deep: ['abc'.match(/b/)] })).rejects.toThrow(
      TypeError,
    );
  });

  test.each([
    ['set', (store) => store.set('k', 1, { ifNotExists: true }), 'ifNotExists'],
    ['set', (store) => store.set('k', 1, { ttl: 5 }), 'ttl'],
    ['compareAndSet', (store) => store.compareAndSet('k', 0, 1, { ifVersion: 1 }), 'ifVersion'],
    ['delete', (store) => store.delete('k', { ifMatch: 1 }), 'ifMatch'],
    ['touch', (store) => store.touch('k', { ttl: 5 }), 'ttl'],
    ['increment', (store) => store.increment('k', 1, { by: 2 }), 'by'],
    ['scan', (store) => store.scan({ count: 5 }), 'count'],
    ['new', () => make({ maxSize: 5 }), 'maxSize'],
  ])('%s refuses an unknown option by name', async (_name, call, option) => {
    const { store } = await make();
    await store.set('k', 'kept');
    await expect(async () => call(store)).rejects.toThrow(
      new RegExp(`has no option ${option}; it takes `),
    );
    expect(await store.get('k')).toMatchObject({ value: 'kept', version: 1 });
  });

  test('transaction refuses an unknown option by name', async () => {
    const { store } = await make();
    await expect(store.transaction(() => {}, { retry: 5 })).rejects.toThrow(/has no option retry/);
  });
}
