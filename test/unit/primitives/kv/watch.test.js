/** Watches of a store in memory. */
import { makeInMemory as make } from '../../../support/kv/in-memory.js';
import { storeControl } from '../../../../lib/primitives/kv/kv-store.js';
import { watchTable } from '../../../support/kv/watch-table.js';

watchTable(make);

/** Reads that many changes. */
async function take(watch, count) {
  while (count > 0) {
    await watch.next();
    count -= 1;
  }
}

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

test('waiting changes count until their watch ends', async () => {
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
