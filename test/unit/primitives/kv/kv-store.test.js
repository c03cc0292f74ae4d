/**
 * Keys, versions, conditions, times to live, limits and pages, as JavaScript sees them. The same in
 * more depth, and against a model: test/native/kv_*_test.cc.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KvStore, ManualClock, SluiceError } from '../../../../lib/index.js';

/** A store under a clock of its own. */
function make(options = {}) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}

/** What a call throws. */
function thrown(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('set, get and delete', () => {
  test('give values, versions and ends', () => {
    const { store } = make();
    expect(store.get('a')).toBeUndefined();
    const version = store.set('a', 'one');
    expect(store.get('a')).toStrictEqual({ value: 'one', version, expiresAt: undefined });
    const second = store.set('a', 'two');
    expect(second).toBeGreaterThan(version);
    expect(store.version).toBe(second);
    expect(store.delete('a')).toBe(true);
    expect(store.delete('a')).toBe(false);
    expect(store.get('a')).toBeUndefined();
    expect(store.size).toBe(0);
  });

  test('may be awaited', async () => {
    const { store } = make();
    const version = await store.set('a', 1);
    expect(await store.get('a')).toMatchObject({ value: 1, version });
  });

  test('versions never repeat: neither with the value, nor after a delete', () => {
    const { store } = make();
    const seen = [store.set('k', 'v1'), store.set('k', 'v2'), store.set('k', 'v1')];
    store.delete('k');
    seen.push(store.set('k', 'v1'), store.set('other', 'v1'));
    expect(new Set(seen).size).toBe(seen.length);
    expect(thrown(() => store.set('k', 'x', { ifVersion: seen[0] })).code).toBe('ERR_CONFLICT');
    expect(thrown(() => store.set('k', 'x', { ifVersion: seen[2] })).code).toBe('ERR_CONFLICT');
  });

  test('an empty value is not an absent one', () => {
    const { store } = make();
    for (const empty of ['', null, 0, false, [], new Uint8Array()]) {
      store.set('k', empty);
      expect(store.get('k').value).toStrictEqual(empty);
      expect(thrown(() => store.set('k', 1, { ifAbsent: true })).code).toBe('ERR_CONFLICT');
    }
  });
});

describe('conditions', () => {
  test('a conflict carries the version that the key has', () => {
    const { store } = make();
    const version = store.set('k', 1);
    for (const options of [{ ifAbsent: true }, { ifVersion: version + 1 }, { ifVersion: 0 }]) {
      const error = thrown(() => store.set('k', 2, options));
      expect(error).toBeInstanceOf(SluiceError);
      expect(error).toMatchObject({ code: 'ERR_CONFLICT', key: 'k', version });
    }
    expect(thrown(() => store.delete('k', { ifVersion: 99 }))).toMatchObject({ version });
    expect(thrown(() => store.set('x', 2, { ifVersion: 1 }))).toMatchObject({ version: 0 });
    expect(store.get('k')).toMatchObject({ value: 1, version });
    expect(store.set('k', 2, { ifVersion: version })).toBe(version + 1);
    expect(store.set('x', 2, { ifVersion: 0 })).toBe(version + 2);
    expect(store.delete('x', { ifVersion: version + 2 })).toBe(true);
    expect(store.delete('x', { ifVersion: 0 })).toBe(false);
  });

  test('compareAndSet answers instead of throwing', () => {
    const { store } = make();
    expect(store.compareAndSet('k', 1, 'a')).toBeUndefined();
    const version = store.compareAndSet('k', 0, 'a', { ttlMs: 5 });
    expect(store.get('k')).toEqual({ value: 'a', version, expiresAt: 5 });
    expect(store.compareAndSet('k', 0, 'b')).toBeUndefined();
    expect(store.compareAndSet('k', version + 1, 'b')).toBeUndefined();
    expect(store.get('k')).toEqual({ value: 'a', version, expiresAt: 5 });
    const next = store.compareAndSet('k', version, 'b');
    expect(store.get('k')).toEqual({ value: 'b', version: next, expiresAt: undefined });
    expect(store.compareAndSet('k', version, 'c')).toBeUndefined();
  });

  test('what fails touches nothing, the time to live included', () => {
    const { store } = make();
    const version = store.set('k', 1, { ttlMs: 10 });
    thrown(() => store.set('k', 2, { ifAbsent: true, ttlMs: 1000 }));
    thrown(() => store.set('k', 2, { ifVersion: version + 1 }));
    thrown(() => store.delete('k', { ifVersion: version + 1 }));
    expect(store.get('k')).toEqual({ value: 1, version, expiresAt: 10 });
    expect(store.version).toBe(version);
  });
});

describe('time', () => {
  test('alive while now is at most the end', () => {
    const { clock, store } = make();
    clock.advanceMs(5);
    store.set('k', 1, { ttlMs: 10 });
    expect(store.get('k').expiresAt).toBe(15);
    clock.advanceMs(10);
    expect(store.get('k').value).toBe(1);
    clock.advanceMs(0.000001);
    expect(store.get('k')).toBeUndefined();
    expect(store.scan().items).toEqual([]);
    expect(store.delete('k')).toBe(false);
  });

  test('a plain set clears the time to live', () => {
    const { clock, store } = make();
    store.set('k', 1, { ttlMs: 10 });
    store.set('k', 2);
    clock.advanceMs(1000);
    expect(store.get('k')).toMatchObject({ value: 2, expiresAt: undefined });
  });

  test('ifAbsent succeeds on an expired key, ifVersion does not', () => {
    const { clock, store } = make();
    const version = store.set('k', 1, { ttlMs: 10 });
    clock.advanceMs(11);
    expect(thrown(() => store.set('k', 2, { ifVersion: version }))).toMatchObject({ version: 0 });
    expect(store.set('k', 2, { ifAbsent: true })).toBeGreaterThan(version);
  });

  test('expired memory is reclaimed without being read, at its time', () => {
    const { clock, store } = make();
    for (let i = 0; i < 5000; i += 1) store.set(`k${i}`, 'value', { ttlMs: 100 + (i % 50) });
    store.set('stays', 1);
    clock.advanceMs(100);
    expect(store.size).toBe(5001);
    clock.advanceMs(1);
    expect(store.size).toBe(4901);
    clock.advanceMs(100);
    expect(store.stats()).toEqual({ keys: 1, bytes: 6, pinnedBytes: 0, snapshots: 0 });
    store.set('again', 1, { ttlMs: 3_600_000 });
    clock.advanceMs(3_600_001);
    expect(store.size).toBe(1);
  });

  test('real time, as Unix time', async () => {
    const store = new KvStore();
    const before = Date.now();
    store.set('k', 1, { ttlMs: 30 });
    const { expiresAt } = store.get('k');
    expect(Math.abs(expiresAt - before - 30)).toBeLessThan(10_000);
    while (store.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(performance.timeOrigin + performance.now()).toBeGreaterThan(expiresAt);
  });
});

describe('values', () => {
  test('are equal to what was stored, and nobody else’s', () => {
    const { store } = make();
    const bytes = new Uint8Array([1, 2, 255]);
    const object = { list: [1, { deep: null }], text: 'ä\u0000\u{1F600}' };
    store.set('bytes', bytes);
    store.set('object', object);
    bytes[0] = 9;
    object.list[1].deep = 'changed';
    expect(store.get('bytes').value).toStrictEqual(new Uint8Array([1, 2, 255]));
    const first = store.get('object').value;
    expect(first).toStrictEqual({ list: [1, { deep: null }], text: 'ä\u0000\u{1F600}' });
    first.list.length = 0;
    store.get('bytes').value.fill(7);
    expect(store.get('object').value.list).toHaveLength(2);
    expect(store.get('bytes').value[0]).toBe(1);
  });

  test('a Buffer is one again, and a view is what it shows', () => {
    const { store } = make();
    store.set('buffer', Buffer.from('abc'));
    expect(Buffer.isBuffer(store.get('buffer').value)).toBe(true);
    store.set('view', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
    expect(store.get('view').value).toStrictEqual(new Uint8Array([2, 3]));
    expect(Buffer.isBuffer(store.get('view').value)).toBe(false);
  });

  /** JSON.stringify writes -0 as 0 (ECMA-262, 25.5.2.4 with 6.1.6.1.20). @param {unknown} value */
  const asJsonHasIt = (value) => JSON.parse(JSON.stringify(value));

  test('any text and any JSON comes back equal', () => {
    const { store } = make();
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)) }),
      fc.jsonValue({ stringUnit: 'binary' }).map(asJsonHasIt),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), value, (key, given) => {
        store.set(key, given);
        expect(store.get(key).value).toEqual(given);
        expect(store.scan({ start: key, limit: 1 }).items[0]).toMatchObject({ key, value: given });
      }),
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
  ])('%s cannot be stored', (_what, value, type) => {
    const { store } = make();
    const error = thrown(() => store.set('k', value));
    expect(error).toBeInstanceOf(type);
    expect(error).toBeInstanceOf(SluiceError);
    expect(error.message).toMatch(/^value takes /);
    expect(store.size).toBe(0);
  });

  test('members that are undefined are left out', () => {
    const { store } = make();
    store.set('k', { a: 1, b: undefined });
    expect(store.get('k').value).toStrictEqual({ a: 1 });
  });
});

describe('scan', () => {
  const keysOf = (page) => page.items.map(({ key }) => key);

  test('goes by code points, which is not how strings compare', () => {
    const { store } = make();
    const keys = ['\u{1F600}', 'b', '｡', 'ä', 'a', ''];
    for (const key of keys) store.set(key, key);
    const { items, cursor } = store.scan();
    expect(items.map(({ key }) => key)).toEqual(['', 'a', 'b', 'ä', '｡', '\u{1F600}']);
    expect(items[2]).toStrictEqual({ key: 'b', value: 'b', version: 2 });
    expect(cursor).toBeUndefined();
  });

  test('by prefix, start, end and limit', () => {
    const { store } = make();
    for (const key of ['a', 'a/1', 'a/2', 'a/3', 'a0', 'b']) store.set(key, 1);
    expect(keysOf(store.scan({ prefix: 'a/' }))).toEqual(['a/1', 'a/2', 'a/3']);
    expect(keysOf(store.scan({ prefix: 'a/', start: 'a/2' }))).toEqual(['a/2', 'a/3']);
    expect(keysOf(store.scan({ start: 'a/1', end: 'a/3' }))).toEqual(['a/1', 'a/2']);
    const page = store.scan({ prefix: 'a/', limit: 2 });
    expect(keysOf(page)).toEqual(['a/1', 'a/2']);
    expect(typeof page.cursor).toBe('string');
    const rest = store.scan({ prefix: 'a/', limit: 2, cursor: page.cursor });
    expect(rest).toMatchObject({ items: [{ key: 'a/3' }], cursor: undefined });
  });

  test('a key that is there all the time is seen once, whatever else is written', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 29 }), fc.boolean()), { maxLength: 60 }),
        (limit, writes) => {
          const { store } = make();
          const name = (n) => `key${n}`;
          for (let i = 0; i < 30; i += 1) store.set(name(i), i);
          const seen = [];
          let cursor;
          do {
            const page = store.scan({ prefix: 'key', limit, cursor });
            seen.push(...page.items.map(({ key }) => key));
            cursor = page.cursor;
            for (const [n, stays] of writes.splice(0, 6)) {
              if (n % 3 === 0) store.set(name(n), 'changed');
              else if (stays) store.set(name(n), 'back');
              else store.delete(name(n));
            }
          } while (cursor);
          expect(new Set(seen).size).toBe(seen.length);
          for (let i = 0; i < 30; i += 3) expect(seen).toContain(name(i));
        },
      ),
    );
  });

  test('the cursor behind the empty key goes on', () => {
    const { store } = make();
    store.set('', 1);
    store.set('a', 1);
    const { cursor } = store.scan({ limit: 1 });
    expect(cursor).toBeTruthy();
    expect(keysOf(store.scan({ cursor }))).toEqual(['a']);
  });

  test.each(['', 'x', '1=', '1/w==', '1_w', '2YQ', '1YR'])('%j is no cursor', (cursor) => {
    const error = thrown(() => make().store.scan({ cursor }));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toMatch(/^cursor takes /);
  });
});

describe('limits and options', () => {
  test('of a key and a value name the argument', () => {
    const { store } = make({ maxKeyBytes: 4, maxValueBytes: 6 });
    store.set('ää', '123456');
    const key = thrown(() => store.set('ääb', ''));
    expect(key).toBeInstanceOf(RangeError);
    expect(key.message).toMatch(/^key takes up to 4 bytes/);
    const value = thrown(() => store.set('k', [1, 2, 3]));
    expect(value).toBeInstanceOf(RangeError);
    expect(value.message).toMatch(/^value takes up to 6 bytes/);
    expect(store.get('a key that is too long to be there')).toBeUndefined();
  });

  test('of the whole are ERR_KV_FULL with the limit', () => {
    const { clock, store } = make({ maxKeys: 2, maxBytes: 20, maxPinnedBytes: 5 });
    store.set('a', '12345678');
    store.set('b', '1', { ttlMs: 10 });
    const full = { code: 'ERR_KV_FULL' };
    expect(thrown(() => store.set('c', ''))).toMatchObject({ ...full, limit: 'maxKeys' });
    const long = '1234567890123456789';
    expect(thrown(() => store.set('a', long))).toMatchObject({ ...full, limit: 'maxBytes' });
    clock.advanceMs(11);
    store.set('c', '12');
    const snapshot = store.snapshot();
    store.set('a', '');
    expect(thrown(() => store.set('a', '1'))).toMatchObject({ ...full, limit: 'maxPinnedBytes' });
    expect(store.stats()).toEqual({ keys: 2, bytes: 4, pinnedBytes: 9, snapshots: 1 });
    snapshot.release();
    store.set('a', '1');
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
    ['maxKeys', RangeError, () => new KvStore({ maxKeys: 0 })],
    ['clock', TypeError, () => new KvStore({ clock: {} })],
  ])('a wrong %s is a %p', (name, type, call) => {
    const { store } = make();
    const error = thrown(() => call(store));
    expect(error).toBeInstanceOf(type);
    expect(error.message.startsWith(`${name} takes `)).toBe(true);
    expect(store.size).toBe(0);
  });
});
