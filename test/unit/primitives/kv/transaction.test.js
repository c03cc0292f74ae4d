/** Transactions and snapshots, as JavaScript sees them. */
import { describe, expect, test } from '@jest/globals';
import { KvStore, ManualClock } from '../../../../lib/index.js';

/** A store under a clock of its own. */
function make(options = {}) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const conflict = { code: 'ERR_CONFLICT' };

describe('a transaction', () => {
  test('does all that it wrote at its end, and gives what its function gave', async () => {
    const { store } = make();
    store.set('old', 1);
    const result = await store.transaction(async (tx) => {
      tx.set('a', 1);
      await turn();
      tx.set('b', 2, { ttlMs: 50 });
      tx.delete('old');
      expect(store.scan().items).toHaveLength(1);
      return 'done';
    });
    expect(result).toBe('done');
    expect(store.scan().items.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(store.get('b').expiresAt).toBe(50);
    expect(await store.transaction(() => 5)).toBe(5);
  });

  test('reads its own writes', async () => {
    const { store } = make();
    store.set('a', 1);
    await store.transaction(async (tx) => {
      expect(tx.get('a')).toMatchObject({ value: 1, version: 1 });
      tx.set('a', { n: 2 }, { ttlMs: 10 });
      expect(tx.get('a')).toStrictEqual({ value: { n: 2 }, version: undefined, expiresAt: 10 });
      tx.set('b', '');
      expect(tx.scan().items).toStrictEqual([
        { key: 'a', value: { n: 2 }, version: undefined },
        { key: 'b', value: '', version: undefined },
      ]);
      tx.delete('a');
      expect(tx.get('a')).toBeUndefined();
      expect(tx.scan({ limit: 1 }).items.map(({ key }) => key)).toEqual(['b']);
    });
    expect(store.get('a')).toBeUndefined();
    expect(store.get('b').value).toBe('');
  });

  test('does nothing when its function throws', async () => {
    const { store } = make();
    const failure = new Error('no');
    const work = async (tx) => {
      tx.set('a', 1);
      throw failure;
    };
    await expect(store.transaction(work, { retries: 5 })).rejects.toBe(failure);
    expect(store.version).toBe(0);
  });

  test.each([
    ['changed', (store) => store.set('k', 'v2')],
    ['changed to what it was', (store) => store.set('k', 'v1')],
    ['was deleted', (store) => store.delete('k')],
    ['was deleted and made again', (store) => store.delete('k') && store.set('k', 'v1')],
    ['expired', (_store, clock) => clock.advanceMs(11)],
  ])('fails when what it read %s', async (_what, change) => {
    const { clock, store } = make();
    store.set('k', 'v1', { ttlMs: 10 });
    const work = async (tx) => {
      tx.get('k');
      tx.set('other', 1);
      await turn();
      change(store, clock);
    };
    await expect(store.transaction(work)).rejects.toMatchObject(conflict);
    expect(store.get('other')).toBeUndefined();
  });

  test('fails when a key comes that was not there, or one within what it scanned', async () => {
    const { store } = make();
    const absent = async (tx) => {
      expect(tx.get('k')).toBeUndefined();
      tx.set('other', 1);
      store.set('k', 1);
    };
    await expect(store.transaction(absent)).rejects.toMatchObject(conflict);
    store.set('p/1', 1);
    const scanned = async (tx) => {
      tx.set('count', tx.scan({ prefix: 'p/' }).items.length);
      store.set('p/2', 1);
    };
    await expect(store.transaction(scanned)).rejects.toMatchObject(conflict);
    const elsewhere = async (tx) => {
      tx.set('count', tx.scan({ prefix: 'p/' }).items.length);
      store.set('q/1', 1);
    };
    await store.transaction(elsewhere);
    expect(store.get('count').value).toBe(2);
  });

  test('does not fail for a key that had expired when it was read, nor for one it only wrote', async () => {
    const { clock, store } = make();
    store.set('k', 1, { ttlMs: 10 });
    await store.transaction(async (tx) => {
      clock.advanceMs(11);
      expect(tx.get('k')).toBeUndefined();
      store.set('blind', 'theirs');
      tx.set('blind', 'mine');
      clock.advanceMs(100);
    });
    expect(store.get('blind').value).toBe('mine');
  });

  test('never shows halves of two states', async () => {
    const { store } = make();
    store.set('a', 'old');
    store.set('b', 'old');
    let shown;
    const work = async (tx) => {
      tx.get('a');
      store.set('a', 'new');
      store.set('b', 'new');
      expect(tx.get('a').value).toBe('old');
      shown = tx.get('b');
    };
    await expect(store.transaction(work)).rejects.toMatchObject(conflict);
    expect(shown).toBeUndefined();
    // Whoever swallows it does not get through either.
    const swallow = (tx) => work(tx).catch(() => tx.set('c', 1));
    await expect(store.transaction(swallow)).rejects.toMatchObject(conflict);
    expect(store.get('c')).toBeUndefined();
  });

  test('is tried again as often as it may', async () => {
    const { store } = make();
    store.set('n', 0);
    let calls = 0;
    const disturbed = (times) => async (tx) => {
      calls += 1;
      const n = tx.get('n').value;
      await turn();
      if (calls <= times) store.set('n', n + 10);
      tx.set('n', n + 1);
      return n + 1;
    };
    expect(await store.transaction(disturbed(2), { retries: 2 })).toBe(21);
    expect(calls).toBe(3);
    calls = 0;
    await expect(store.transaction(disturbed(3), { retries: 2 })).rejects.toMatchObject(conflict);
    expect(calls).toBe(3);
  });

  test('many at once lose nothing', async () => {
    const { store } = make();
    store.set('n', 0);
    const add = async (tx) => {
      const { value } = tx.get('n');
      await turn();
      tx.set('n', value + 1);
    };
    const all = Array.from({ length: 20 }, () => store.transaction(add, { retries: 20 }));
    await Promise.all(all);
    expect(store.get('n').value).toBe(20);
  });

  test('conditions look at what it sees, and a failed one is not tried again', async () => {
    const { store } = make();
    const version = store.set('a', 1);
    await store.transaction((tx) => {
      tx.set('a', 2, { ifVersion: version });
      tx.set('b', 1, { ifAbsent: true });
      tx.delete('a');
      tx.set('a', 3, { ifAbsent: true });
    });
    expect(store.get('a').value).toBe(3);
    let calls = 0;
    const work = (tx) => {
      calls += 1;
      tx.set('c', 1);
      tx.set('b', 2, { ifAbsent: true });
    };
    const { version: current } = store.get('b');
    await expect(store.transaction(work, { retries: 3 })).rejects.toMatchObject({
      ...conflict,
      key: 'b',
      version: current,
    });
    expect(calls).toBe(1);
    const own = (tx) => {
      tx.set('d', 1);
      tx.delete('d', { ifVersion: 7 });
    };
    await expect(store.transaction(own)).rejects.toThrow('the key is there');
    // A condition watches its key.
    const watched = (tx) => {
      tx.set('e', 1, { ifAbsent: true });
      store.set('e', 2);
    };
    await expect(store.transaction(watched)).rejects.toMatchObject(conflict);
    expect(store.get('e').value).toBe(2);
  });

  test('limits hold for all of it together', async () => {
    const { store } = make({ maxKeys: 2, maxValueBytes: 10 });
    const three = (tx) => ['a', 'b', 'c'].forEach((key) => tx.set(key, 1));
    await expect(store.transaction(three)).rejects.toMatchObject({
      code: 'ERR_KV_FULL',
      limit: 'maxKeys',
    });
    expect(store.size).toBe(0);
    const long = (tx) => tx.set('a', 'x'.repeat(11));
    await expect(store.transaction(long)).rejects.toThrow(/^value takes up to 10 bytes/);
  });

  test('times to live that it begins are kept without being read', async () => {
    const { clock, store } = make();
    await store.transaction((tx) => {
      tx.set('a', 1, { ttlMs: 20 });
      tx.set('b', 1, { ttlMs: 10 });
    });
    clock.advanceMs(11);
    expect(store.size).toBe(1);
    clock.advanceMs(11);
    expect(store.size).toBe(0);
  });

  test('is of no use after its end', async () => {
    const { store } = make();
    let leaked;
    await store.transaction((tx) => {
      leaked = tx;
    });
    for (const use of [() => leaked.get('a'), () => leaked.set('a', 1), () => leaked.delete('a')]) {
      expect(use).toThrow(expect.objectContaining({ code: 'ERR_TRANSACTION_ENDED' }));
    }
    await expect(store.transaction('work')).rejects.toThrow(/^work takes a function/);
    await expect(store.transaction(() => 1, { retries: -1 })).rejects.toThrow(/^retries takes/);
  });
});

describe('a snapshot', () => {
  test('stays as it was while writers go on', () => {
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
