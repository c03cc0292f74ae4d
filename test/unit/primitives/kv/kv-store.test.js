/**
 * A store in memory, as JavaScript sees it. The same in more depth, and against a model:
 * test/native/kv_*_test.cc.
 */
import { KvStore } from '../../../../lib/index.js';
import { makeInMemory as make } from '../../../support/kv/in-memory.js';
import { storeTable } from '../../../support/kv/store-table.js';
import { thrown } from '../../../support/thrown.js';

storeTable(make);

test('is synchronous, and may be awaited', async () => {
  const { store } = make();
  const version = store.set('k', 1);
  expect(store.get('k')).toMatchObject({ value: 1, version });
  expect(await store.get('k')).toMatchObject({ value: 1, version });
  expect(() => store.set('k', 2, { ifAbsent: true })).toThrow(
    expect.objectContaining({ code: 'ERR_CONFLICT', version }),
  );
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

test('snapshots pin no more memory than pinnedBytes', async () => {
  const { store } = make({ maxPinnedBytes: 5 });
  store.set('a', '12345678');
  const snapshot = store.snapshot();
  store.set('a', '');
  const error = await thrown(() => store.set('a', '1'));
  expect(error).toMatchObject({ code: 'ERR_KV_FULL', limit: 'maxPinnedBytes' });
  expect(store.stats()).toEqual({ keys: 1, bytes: 1, pinnedBytes: 9, snapshots: 1 });
  snapshot.release();
  store.set('a', '1');
});

test('a wrong clock is refused', async () => {
  expect(await thrown(() => new KvStore({ clock: {} }))).toMatchObject({
    code: 'ERR_INVALID_TYPE',
    message: expect.stringMatching(/^clock takes /),
  });
});
