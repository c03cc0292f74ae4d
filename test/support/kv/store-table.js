/**
 * Keys, versions, conditions, times to live, limits and pages, as every key-value store has them: one table for all, whose calls are awaited.
 */
import fc from 'fast-check';
import { SluiceError } from '../../../lib/index.js';
import { thrown } from '../thrown.js';

const conflict = { code: 'ERR_CONFLICT' };

/**
 * @param {(options?: object) => Promise<{clock: import('../../../lib/index.js').ManualClock, store: any}>} make
 *   an empty store under a clock of its own
 */
export function storeTable(make) {
  describe('set, get and delete', () => {
    test('return values, versions and expiries', async () => {
      const { store } = await make();
      expect(await store.get('a')).toBeUndefined();
      const version = await store.set('a', 'one');
      expect(await store.get('a')).toStrictEqual({ value: 'one', version, expiresAt: undefined });
      const second = await store.set('a', 'two');
      expect(second).toBeGreaterThan(version);
      expect(await store.version).toBe(second);
      expect(await store.delete('a')).toBe(true);
      expect(await store.delete('a')).toBe(false);
      expect(await store.get('a')).toBeUndefined();
      expect(await store.size).toBe(0);
    });

    test('versions never repeat, neither for an equal value nor after a delete', async () => {
      const { store } = await make();
      const seen = [
        await store.set('k', 'v1'),
        await store.set('k', 'v2'),
        await store.set('k', 'v1'),
      ];
      await store.delete('k');
      seen.push(await store.set('k', 'v1'), await store.set('other', 'v1'));
      expect(new Set(seen).size).toBe(seen.length);
      expect(await thrown(() => store.set('k', 'x', { ifVersion: seen[0] }))).toMatchObject(
        conflict,
      );
      expect(await thrown(() => store.set('k', 'x', { ifVersion: seen[2] }))).toMatchObject(
        conflict,
      );
    });

    test('an empty value differs from an absent key', async () => {
      const { store } = await make();
      for (const empty of ['', null, 0, false, [], new Uint8Array()]) {
        await store.set('k', empty);
        expect((await store.get('k')).value).toStrictEqual(empty);
        expect(await thrown(() => store.set('k', 1, { ifAbsent: true }))).toMatchObject(conflict);
      }
    });
  });

  describe('conditions', () => {
    test('a conflict carries the current version of the key', async () => {
      const { store } = await make();
      const version = await store.set('k', 1);
      for (const options of [{ ifAbsent: true }, { ifVersion: version + 1 }, { ifVersion: 0 }]) {
        const error = await thrown(() => store.set('k', 2, options));
        expect(error).toBeInstanceOf(SluiceError);
        expect(error).toMatchObject({ code: 'ERR_CONFLICT', key: 'k', version });
      }
      expect(await thrown(() => store.delete('k', { ifVersion: 99 }))).toMatchObject({ version });
      expect(await thrown(() => store.set('x', 2, { ifVersion: 1 }))).toMatchObject({ version: 0 });
      expect(await store.get('k')).toMatchObject({ value: 1, version });
      expect(await store.set('k', 2, { ifVersion: version })).toBe(version + 1);
      expect(await store.set('x', 2, { ifVersion: 0 })).toBe(version + 2);
      expect(await store.delete('x', { ifVersion: version + 2 })).toBe(true);
      expect(await store.delete('x', { ifVersion: 0 })).toBe(false);
    });

    test('compareAndSet returns the outcome instead of throwing', async () => {
      const { store } = await make();
      expect(await store.compareAndSet('k', 1, 'a')).toBeUndefined();
      const version = await store.compareAndSet('k', 0, 'a', { ttlMs: 5 });
      expect(await store.get('k')).toEqual({ value: 'a', version, expiresAt: 5 });
      expect(await store.compareAndSet('k', 0, 'b')).toBeUndefined();
      expect(await store.compareAndSet('k', version + 1, 'b')).toBeUndefined();
      expect(await store.get('k')).toEqual({ value: 'a', version, expiresAt: 5 });
      const next = await store.compareAndSet('k', version, 'b');
      expect(await store.get('k')).toEqual({ value: 'b', version: next, expiresAt: undefined });
      expect(await store.compareAndSet('k', version, 'c')).toBeUndefined();
    });

    test('a failure changes nothing, the time to live included', async () => {
      const { store } = await make();
      const version = await store.set('k', 1, { ttlMs: 10 });
      await thrown(() => store.set('k', 2, { ifAbsent: true, ttlMs: 1000 }));
      await thrown(() => store.set('k', 2, { ifVersion: version + 1 }));
      await thrown(() => store.delete('k', { ifVersion: version + 1 }));
      expect(await store.get('k')).toEqual({ value: 1, version, expiresAt: 10 });
      expect(await store.version).toBe(version);
    });
  });

  describe('time', () => {
    test('a key is alive while now is at most its expiry', async () => {
      const { clock, store } = await make();
      clock.advanceMs(5);
      await store.set('k', 1, { ttlMs: 10 });
      expect((await store.get('k')).expiresAt).toBe(15);
      clock.advanceMs(10);
      expect((await store.get('k')).value).toBe(1);
      clock.advanceMs(0.000001);
      expect(await store.get('k')).toBeUndefined();
      expect((await store.scan()).items).toEqual([]);
      expect(await store.delete('k')).toBe(false);
    });

    test('a plain set clears the time to live', async () => {
      const { clock, store } = await make();
      await store.set('k', 1, { ttlMs: 10 });
      await store.set('k', 2);
      clock.advanceMs(1000);
      expect(await store.get('k')).toMatchObject({ value: 2, expiresAt: undefined });
    });

    test('ifAbsent succeeds on an expired key, ifVersion does not', async () => {
      const { clock, store } = await make();
      const version = await store.set('k', 1, { ttlMs: 10 });
      clock.advanceMs(11);
      expect(await thrown(() => store.set('k', 2, { ifVersion: version }))).toMatchObject({
        version: 0,
      });
      expect(await store.set('k', 2, { ifAbsent: true })).toBeGreaterThan(version);
    });

    test('expired memory is reclaimed at its time, without a read', async () => {
      const { clock, store } = await make();
      for (let from = 0; from < 2000; from += 250) {
        const sets = Array.from({ length: 250 }, (_, i) =>
          store.set(`k${from + i}`, 'value', { ttlMs: 100 + (i % 50) }),
        );
        await Promise.all(sets);
      }
      await store.set('stays', 1);
      clock.advanceMs(100);
      expect(await store.size).toBe(2001);
      clock.advanceMs(1);
      expect(await store.size).toBe(1961);
      clock.advanceMs(100);
      expect(await store.stats()).toEqual({ keys: 1, bytes: 6, pinnedBytes: 0, snapshots: 0 });
      await store.set('again', 1, { ttlMs: 3_600_000 });
      clock.advanceMs(3_600_001);
      expect(await store.size).toBe(1);
    });
  });

  describe('values', () => {
    test('are equal to the stored value, and not shared', async () => {
      const { store } = await make();
      const bytes = new Uint8Array([1, 2, 255]);
      const object = { list: [1, { deep: null }], text: 'ä\u0000\u{1F600}' };
      await store.set('bytes', bytes);
      await store.set('object', object);
      bytes[0] = 9;
      object.list[1].deep = 'changed';
      expect((await store.get('bytes')).value).toStrictEqual(new Uint8Array([1, 2, 255]));
      const first = (await store.get('object')).value;
      expect(first).toStrictEqual({ list: [1, { deep: null }], text: 'ä\u0000\u{1F600}' });
      first.list.length = 0;
      (await store.get('bytes')).value.fill(7);
      expect((await store.get('object')).value.list).toHaveLength(2);
      expect((await store.get('bytes')).value[0]).toBe(1);
    });

    test('a Buffer stays a Buffer; of a view only the visible bytes are stored', async () => {
      const { store } = await make();
      await store.set('buffer', Buffer.from('abc'));
      expect(Buffer.isBuffer((await store.get('buffer')).value)).toBe(true);
      await store.set('view', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
      expect((await store.get('view')).value).toStrictEqual(new Uint8Array([2, 3]));
      expect(Buffer.isBuffer((await store.get('view')).value)).toBe(false);
    });

    /** JSON.stringify writes -0 as 0 (ECMA-262, 25.5.2.4 with 6.1.6.1.20). @param {unknown} value */
    const asJsonHasIt = (value) => JSON.parse(JSON.stringify(value));

    test('any text and any JSON comes back equal', async () => {
      const { store } = await make();
      const value = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)) }),
        fc.jsonValue({ stringUnit: 'binary' }).map(asJsonHasIt),
        fc.uint8Array(),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.string({ unit: 'binary', maxLength: 20 }),
          value,
          async (key, given) => {
            await store.set(key, given);
            expect((await store.get(key)).value).toEqual(given);
            expect((await store.scan({ start: key, limit: 1 })).items[0]).toMatchObject({
              key,
              value: given,
            });
          },
        ),
      );
    });

    const cycle = {};
    cycle.self = cycle;
    let deep = [];
    for (let i = 0; i < 200_000; i += 1) deep = [deep];
    test.each([
      ['undefined', undefined, TypeError],
      ['a function', () => 1, TypeError],
      ['a symbol', Symbol('x'), TypeError],
      ['a bigint', 1n, TypeError],
      ['not a number', NaN, RangeError],
      ['infinity inside', { a: [Infinity] }, RangeError],
      ['a hole', [1, undefined], TypeError],
      ['a date', new Date(0), TypeError],
      ['a map inside', { a: new Map() }, TypeError],
      ['an ArrayBuffer', new ArrayBuffer(1), TypeError],
      ['a buffer inside', { a: Buffer.from('x') }, TypeError],
      ['a cycle', cycle, TypeError],
      ['something too deep', deep, RangeError],
    ])('%s cannot be stored', async (_name, value, type) => {
      const { store } = await make();
      const error = await thrown(() => store.set('k', value));
      expect(error).toBeInstanceOf(type);
      expect(error).toBeInstanceOf(SluiceError);
      expect(error.message).toMatch(/^value takes /);
      expect(await store.size).toBe(0);
    });

    test('undefined members are omitted', async () => {
      const { store } = await make();
      await store.set('k', { a: 1, b: undefined });
      expect((await store.get('k')).value).toStrictEqual({ a: 1 });
    });
  });

  describe('scan', () => {
    const keysOf = (page) => page.items.map(({ key }) => key);

    test('is ordered by code points, unlike comparisons of strings', async () => {
      const { store } = await make();
      const keys = ['\u{1F600}', 'b', '｡', 'ä', 'a', ''];
      for (const key of keys) await store.set(key, key);
      const { items, cursor } = await store.scan();
      expect(items.map(({ key }) => key)).toEqual(['', 'a', 'b', 'ä', '｡', '\u{1F600}']);
      expect(items[2]).toStrictEqual({ key: 'b', value: 'b', version: 2 });
      expect(cursor).toBeUndefined();
    });

    test('by prefix, start, end and limit', async () => {
      const { store } = await make();
      for (const key of ['a', 'a/1', 'a/2', 'a/3', 'a0', 'b']) await store.set(key, 1);
      expect(keysOf(await store.scan({ prefix: 'a/' }))).toEqual(['a/1', 'a/2', 'a/3']);
      expect(keysOf(await store.scan({ prefix: 'a/', start: 'a/2' }))).toEqual(['a/2', 'a/3']);
      expect(keysOf(await store.scan({ start: 'a/1', end: 'a/3' }))).toEqual(['a/1', 'a/2']);
      const page = await store.scan({ prefix: 'a/', limit: 2 });
      expect(keysOf(page)).toEqual(['a/1', 'a/2']);
      expect(typeof page.cursor).toBe('string');
      const rest = await store.scan({ prefix: 'a/', limit: 2, cursor: page.cursor });
      expect(rest).toMatchObject({ items: [{ key: 'a/3' }], cursor: undefined });
    });

    test('a key that exists throughout is seen once, despite other writes', async () => {
      const { store } = await make();
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 7 }),
          fc.array(fc.tuple(fc.integer({ min: 0, max: 29 }), fc.boolean()), { maxLength: 60 }),
          async (limit, writes) => {
            runs += 1;
            const prefix = `${runs}/key`;
            const name = (n) => prefix + n;
            for (let i = 0; i < 30; i += 1) await store.set(name(i), i);
            const seen = [];
            let cursor;
            do {
              const page = await store.scan({ prefix, limit, cursor });
              seen.push(...page.items.map(({ key }) => key));
              cursor = page.cursor;
              for (const [n, stays] of writes.splice(0, 6)) {
                if (n % 3 === 0) await store.set(name(n), 'changed');
                else if (stays) await store.set(name(n), 'back');
                else await store.delete(name(n));
              }
            } while (cursor);
            expect(new Set(seen).size).toBe(seen.length);
            for (let i = 0; i < 30; i += 3) expect(seen).toContain(name(i));
          },
        ),
      );
    });

    test('the cursor after the empty key continues', async () => {
      const { store } = await make();
      await store.set('', 1);
      await store.set('a', 1);
      const { cursor } = await store.scan({ limit: 1 });
      expect(cursor).toBeTruthy();
      expect(keysOf(await store.scan({ cursor }))).toEqual(['a']);
    });

    test.each(['', 'x', '1=', '1/w==', '1_w', '2YQ', '1YR'])('%j is no cursor', async (cursor) => {
      const { store } = await make();
      const error = await thrown(() => store.scan({ cursor }));
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toMatch(/^cursor takes /);
    });
  });

  describe('limits and options', () => {
    test('errors of a key and a value name the argument', async () => {
      const { store } = await make({ maxKeyBytes: 4, maxValueBytes: 6 });
      await store.set('ää', '123456');
      const key = await thrown(() => store.set('ääb', ''));
      expect(key).toBeInstanceOf(RangeError);
      expect(key.message).toMatch(/^key takes up to 4 bytes/);
      const value = await thrown(() => store.set('k', [1, 2, 3]));
      expect(value).toBeInstanceOf(RangeError);
      expect(value.message).toMatch(/^value takes up to 6 bytes/);
      expect(await store.get('a key that is too long to be there')).toBeUndefined();
    });

    test('limits of the whole store fail with ERR_KV_FULL and the limit', async () => {
      const { clock, store } = await make({ maxKeys: 2, maxBytes: 20, maxPinnedBytes: 5 });
      await store.set('a', '12345678');
      await store.set('b', '1', { ttlMs: 10 });
      const full = { code: 'ERR_KV_FULL' };
      expect(await thrown(() => store.set('c', ''))).toMatchObject({ ...full, limit: 'maxKeys' });
      const long = '1234567890123456789';
      expect(await thrown(() => store.set('a', long))).toMatchObject({
        ...full,
        limit: 'maxBytes',
      });
      clock.advanceMs(11);
      await store.set('c', '12');
      expect(await store.stats()).toMatchObject({ keys: 2, bytes: 12 });
      await store.set('a', '');
      expect(await store.stats()).toEqual({ keys: 2, bytes: 4, pinnedBytes: 0, snapshots: 0 });
    });

    test.each([
      ['key', TypeError, (store) => store.get(1)],
      ['key', TypeError, (store) => store.set(undefined, 1)],
      ['key', RangeError, (store) => store.set('\ud800', 1)],
      ['key', RangeError, (store) => store.delete('a\udc00')],
      ['prefix', RangeError, (store) => store.scan({ prefix: '\ud83d' })],
      ['end', TypeError, (store) => store.scan({ end: 1 })],
      ['limit', RangeError, (store) => store.scan({ limit: 0 })],
      ['options', TypeError, (store) => store.set('k', 1, 5)],
      ['ttlMs', RangeError, (store) => store.set('k', 1, { ttlMs: -1 })],
      ['ttlMs', TypeError, (store) => store.set('k', 1, { ttlMs: '5' })],
      ['ifVersion', TypeError, (store) => store.set('k', 1, { ifVersion: '1' })],
      ['ifVersion', RangeError, (store) => store.delete('k', { ifVersion: -1 })],
      ['ifAbsent', TypeError, (store) => store.set('k', 1, { ifAbsent: 1 })],
      ['options', RangeError, (store) => store.set('k', 1, { ifAbsent: true, ifVersion: 1 })],
      ['expectedVersion', TypeError, (store) => store.compareAndSet('k', undefined, 1)],
      ['maxKeys', RangeError, () => make({ maxKeys: 0 })],
    ])('a wrong %s is a %p', async (name, type, call) => {
      const { store } = await make();
      const error = await thrown(() => call(store));
      expect(error).toBeInstanceOf(type);
      expect(error.message.startsWith(`${name} takes `)).toBe(true);
      expect(await store.size).toBe(0);
    });
  });
}
