/** Transactions and snapshots of a store in memory, as JavaScript sees them. */
import { makeInMemory as make } from '../../../support/kv/in-memory.js';
import { transactionTable } from '../../../support/kv/transaction-table.js';

transactionTable(make);

describe('a snapshot', () => {
  test('stays unchanged while writers continue', () => {
    const { clock, store } = make();
    store.set('a', 1);
    const version = store.set('b', [2], { ttlMs: 10 });
    const snapshot = store.snapshot();
    expect(snapshot.version).toBe(version);
    store.set('a', 'changed');
    store.set('c', 'new');
    clock.advanceMs(1000);
    expect(store.get('b')).toBeUndefined();
    expect(snapshot.get('a')).toEqual({ value: 1, version: 1, expiresAt: undefined });
    expect(snapshot.get('b')).toEqual({ value: [2], version, expiresAt: 10 });
    expect(snapshot.get('c')).toBeUndefined();
    const { items, cursor } = snapshot.scan({ limit: 1 });
    expect(items).toEqual([{ key: 'a', value: 1, version: 1 }]);
    expect(snapshot.scan({ cursor })).toEqual({
      items: [{ key: 'b', value: [2], version }],
      cursor: undefined,
    });
  });

  test('holds on to memory until it is released', () => {
    const { store } = make();
    store.set('a', 'x'.repeat(99));
    const snapshot = store.snapshot();
    store.set('a', 1);
    expect(store.stats()).toMatchObject({ pinnedBytes: 100, snapshots: 1 });
    snapshot.release();
    snapshot.release();
    expect(store.stats()).toMatchObject({ pinnedBytes: 0, snapshots: 0 });
    const released = expect.objectContaining({ code: 'ERR_SNAPSHOT_RELEASED' });
    expect(() => snapshot.get('a')).toThrow(released);
    expect(() => snapshot.scan()).toThrow(released);
    expect(snapshot.version).toBe(1);
  });
});
