/** Watching keys: which changes come, in which order, and how a watch ends. */
import { describe, expect, test } from '@jest/globals';
import { KvStore, ManualClock } from '../../../../lib/index.js';
import { storeControl } from '../../../../lib/primitives/kv/kv-store.js';

function make(options) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}

/** The next changes of a watch, as many as are expected. */
async function take(watch, count) {
  const taken = [];
  while (taken.length < count) taken.push((await watch.next()).value);
  return taken;
}

describe('watch', () => {
  test('gives every change in its order, of transactions too', async () => {
    const { clock, store } = make();
    store.set('before', 1);
    const watch = store.watch();
    store.set('a', { n: 1 }, { ttlMs: 1000 });
    store.compareAndSet('a', store.get('a').version, 'two', { keepTtl: true });
    store.increment('count', 5);
    store.touch('before', { ttlMs: 50 });
    await store.transaction((tx) => {
      tx.set('t', Buffer.from('x'));
      tx.delete('before');
    });
    store.delete('a');
    store.delete('a');
    expect(await take(watch, 7)).toEqual([
      { type: 'set', key: 'a', value: { n: 1 }, version: 2, expiresAt: clock.nowMs() + 1000 },
      { type: 'set', key: 'a', value: 'two', version: 3, expiresAt: clock.nowMs() + 1000 },
      { type: 'set', key: 'count', value: 5, version: 4, expiresAt: undefined },
      { type: 'set', key: 'before', value: 1, version: 5, expiresAt: clock.nowMs() + 50 },
      { type: 'delete', key: 'before', version: 6 },
      { type: 'set', key: 't', value: Buffer.from('x'), version: 7, expiresAt: undefined },
      { type: 'delete', key: 'a', version: 8 },
    ]);
    await watch.return();
  });

  test('tells of what expires when it is freed, without a read', async () => {
    const { clock, store } = make();
    const watch = store.watch();
    const version = store.set('k', 1, { ttlMs: 10 });
    clock.advanceMs(100);
    const [, expired] = await take(watch, 2);
    expect(expired).toEqual({ type: 'expire', key: 'k', version });
  });

  test('of a key or a prefix, each for itself', async () => {
    const { store } = make();
    const [one, some] = [store.watch({ key: 'a' }), store.watch({ prefix: 'a/' })];
    for (const key of ['a', 'a/1', 'b', 'a/2', 'a']) store.set(key, { key });
    const keysOf = (changes) => changes.map(({ key }) => key);
    expect(keysOf(await take(one, 2))).toEqual(['a', 'a']);
    const changes = await take(some, 2);
    expect(keysOf(changes)).toEqual(['a/1', 'a/2']);
    changes[0].value.key = 'changed by its reader';
    expect(store.get('a/1').value).toEqual({ key: 'a/1' });
  });

  test('readers that wait get the changes first come, first served', async () => {
    const { store } = make();
    const watch = store.watch();
    const waiting = [watch.next(), watch.next()];
    store.set('a', 1);
    store.set('b', 2);
    const keys = (await Promise.all(waiting)).map(({ value }) => value.key);
    expect(keys).toEqual(['a', 'b']);
  });

  test('ends by leaving the loop, by return and by its signal', async () => {
    const { store } = make();
    const watch = store.watch();
    store.set('a', 1);
    for await (const change of watch) {
      expect(change.key).toBe('a');
      break;
    }
    store.set('a', 2);
    expect(await watch.next()).toEqual({ done: true, value: undefined });

    const controller = new AbortController();
    const aborted = store.watch({ signal: controller.signal });
    const reads = [aborted.next(), aborted.next()];
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(reads[0]).rejects.toBe(reason);
    expect(await reads[1]).toEqual({ done: true, value: undefined });
    const late = store.watch({ signal: controller.signal });
    await expect(late.next()).rejects.toBe(reason);
    const idle = store.watch();
    const waiting = idle.next();
    await idle.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('a reader that falls behind gets all up to the gap, and then an error', async () => {
    const { store } = make();
    const watch = store.watch({ capacity: 3 });
    for (let i = 1; i <= 10; i += 1) store.set('k', i);
    const values = (await take(watch, 3)).map(({ value }) => value);
    expect(values).toEqual([1, 2, 3]);
    await expect(watch.next()).rejects.toMatchObject({ code: 'ERR_WATCH_OVERFLOW' });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    store.set('k', 11);
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test('ends beyond its bytes, but takes a single large change', async () => {
    const { store } = make();
    const watch = store.watch({ capacityBytes: 100 });
    store.set('k', 'x'.repeat(1000));
    expect(storeControl.watchBytes(store)).toBe(1001);
    expect((await watch.next()).value.value).toHaveLength(1000);
    expect(storeControl.watchBytes(store)).toBe(0);
    store.set('k', 'x'.repeat(49));
    store.set('k', Buffer.alloc(49));
    expect(storeControl.watchBytes(store)).toBe(100);
    store.delete('k');
    await take(watch, 2);
    await expect(watch.next()).rejects.toMatchObject({ code: 'ERR_WATCH_OVERFLOW' });
    expect(storeControl.watchBytes(store)).toBe(0);
  });

  test('what waits counts until its watch ends', async () => {
    const { store } = make();
    const controller = new AbortController();
    const watches = [store.watch(), store.watch(), store.watch({ signal: controller.signal })];
    store.set('key', 'value');
    expect(storeControl.watchBytes(store)).toBe(24);
    await watches[0].return();
    controller.abort();
    expect(storeControl.watchBytes(store)).toBe(8);
    await take(watches[1], 1);
    expect(storeControl.watchBytes(store)).toBe(0);
  });

  test.each([
    [{ capacityBytes: 0 }, /^capacityBytes takes/],
    [{ key: 'a', prefix: 'b' }, /key or prefix/],
    [{ capacity: 0 }, /^capacity takes/],
    [{ prefix: 5 }, /^prefix takes a string/],
    [{ signal: {} }, /^signal takes/],
    [{ keys: 'a' }, /options has no option keys/],
  ])('%j is refused', (options, message) => {
    const { store } = make();
    expect(() => store.watch(options)).toThrow(message);
  });
});
