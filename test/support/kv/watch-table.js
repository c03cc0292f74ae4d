/**
 * Watches, as every key-value store has them: which changes come, in which order, and how a watch ends. One table
 * for all, whose calls are awaited.
 */

/** The next `count` changes of a watch. */
async function take(watch, count) {
  const taken = [];
  while (taken.length < count) taken.push((await watch.next()).value);
  return taken;
}

/**
 * @param {(options?: object) => Promise<{clock: import('../../../lib/index.js').ManualClock, store: any}>} make
 *   an empty store under a clock of its own
 */
export function watchTable(make) {
  describe('watch', () => {
    test('delivers every change in order, those of transactions included', async () => {
      const { clock, store } = await make();
      await store.set('before', 1);
      const watch = store.watch();
      await store.set('a', { n: 1 }, { ttlMs: 1000 });
      await store.compareAndSet('a', (await store.get('a')).version, 'two', { keepTtl: true });
      await store.increment('count', 5);
      await store.touch('before', { ttlMs: 50 });
      await store.transaction(async (tx) => {
        await tx.set('t', Buffer.from('x'));
        await tx.delete('before');
      });
      await store.delete('a');
      await store.delete('a');
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

    test('reports an expired entry when it is freed, without a read', async () => {
      const { clock, store } = await make();
      const watch = store.watch();
      const version = await store.set('k', 1, { ttlMs: 10 });
      clock.advanceMs(100);
      const [, expired] = await take(watch, 2);
      expect(expired).toEqual({ type: 'expire', key: 'k', version });
    });

    test('of a key and of a prefix are separate', async () => {
      const { store } = await make();
      const [one, some] = [store.watch({ key: 'a' }), store.watch({ prefix: 'a/' })];
      for (const key of ['a', 'a/1', 'b', 'a/2', 'a']) await store.set(key, { key });
      const keysOf = (changes) => changes.map(({ key }) => key);
      expect(keysOf(await take(one, 2))).toEqual(['a', 'a']);
      const changes = await take(some, 2);
      expect(keysOf(changes)).toEqual(['a/1', 'a/2']);
      changes[0].value.key = 'changed by its reader';
      expect((await store.get('a/1')).value).toEqual({ key: 'a/1' });
    });

    test('waiting readers receive the changes in the order of their calls', async () => {
      const { store } = await make();
      const watch = store.watch();
      const waiting = [watch.next(), watch.next()];
      await store.set('a', 1);
      await store.set('b', 2);
      const keys = (await Promise.all(waiting)).map(({ value }) => value.key);
      expect(keys).toEqual(['a', 'b']);
    });

    test('ends by leaving the loop, by return and by its signal', async () => {
      const { store } = await make();
      const watch = store.watch();
      await store.set('a', 1);
      for await (const change of watch) {
        expect(change.key).toBe('a');
        break;
      }
      await store.set('a', 2);
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

    test('a reader that falls behind receives all changes before the gap, then an error', async () => {
      const { store } = await make();
      const [watch, all] = [store.watch({ capacity: 3 }), store.watch()];
      for (let i = 1; i <= 10; i += 1) await store.set('k', i);
      await take(all, 10);
      const values = (await take(watch, 3)).map(({ value }) => value);
      expect(values).toEqual([1, 2, 3]);
      await expect(watch.next()).rejects.toMatchObject({ code: 'ERR_WATCH_OVERFLOW' });
      expect(await watch.next()).toEqual({ done: true, value: undefined });
      await store.set('k', 11);
      expect(await watch.next()).toEqual({ done: true, value: undefined });
    });

    test('ends beyond its bytes, but accepts a single large change', async () => {
      const { store } = await make();
      const [watch, all] = [store.watch({ capacityBytes: 100 }), store.watch()];
      await store.set('k', 'x'.repeat(1000));
      expect((await watch.next()).value.value).toHaveLength(1000);
      await store.set('k', 'x'.repeat(49));
      await store.set('k', Buffer.alloc(49));
      await store.delete('k');
      // Changes come to all watches at the same time.
      await take(all, 4);
      const [text, bytes] = await take(watch, 2);
      expect([text.value, bytes.value]).toEqual(['x'.repeat(49), Buffer.alloc(49)]);
      await expect(watch.next()).rejects.toMatchObject({ code: 'ERR_WATCH_OVERFLOW' });
    });

    test.each([
      [{ capacityBytes: 0 }, /^capacityBytes takes/],
      [{ key: 'a', prefix: 'b' }, /key or prefix/],
      [{ capacity: 0 }, /^capacity takes/],
      [{ prefix: 5 }, /^prefix takes a string/],
      [{ signal: {} }, /^signal takes/],
      [{ keys: 'a' }, /options has no option keys/],
    ])('%j is refused', async (options, message) => {
      const { store } = await make();
      expect(() => store.watch(options)).toThrow(message);
    });
  });
}
