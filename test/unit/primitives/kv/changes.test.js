/** Counters, times to live, directions, unknown options, and the memory of a tight loop. */
import { KvStore } from '../../../../lib/index.js';
import { changesTable } from '../../../support/kv/changes-table.js';
import { makeInMemory as make } from '../../../support/kv/in-memory.js';

changesTable(make);

test('snapshots have pages of keys alone, too', () => {
  const { store } = make();
  for (const key of ['a', 'b', 'ba', 'c']) store.set(key, 'x'.repeat(1000));
  const { items } = store.snapshot().scan({ prefix: 'b', keysOnly: true, reverse: true });
  expect(items).toEqual([
    { key: 'ba', version: 3 },
    { key: 'b', version: 2 },
  ]);
});

test('transactions and snapshots free their memory at once, without a turn of the event loop', async () => {
  const { store } = make();
  const value = 'v'.repeat(100_000);
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
  // 100 KB each, 200 MB if they were kept. Promises are microtasks: no turn of the event loop intervenes.
  for (let i = 0; i < 200; i += 1) await once();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 2000; i += 1) await once();
  const grown = process.memoryUsage().rss - before;
  expect(store.stats()).toMatchObject({ pinnedBytes: 0, snapshots: 0 });
  expect(grown).toBeLessThan(60e6);
});

test('V8 counts the memory of stores, and collects unreachable ones', async () => {
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
