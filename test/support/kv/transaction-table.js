/**
 * Transactions, as every key-value store has them: one table for all, whose calls are awaited.
 */
import { thrown } from '../thrown.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const conflict = { code: 'ERR_CONFLICT' };

/**
 * @param {(options?: object) => Promise<{clock: import('../../../lib/index.js').ManualClock, store: any}>} make
 *   an empty store under a clock of its own
 */
export function transactionTable(make) {
  describe('a transaction', () => {
    test('applies all of its writes at its end, and returns the value of its function', async () => {
      const { store } = await make();
      await store.set('old', 1);
      const result = await store.transaction(async (tx) => {
        await tx.set('a', 1);
        await turn();
        await tx.set('b', 2, { ttlMs: 50 });
        await tx.delete('old');
        expect((await store.scan()).items).toHaveLength(1);
        return 'done';
      });
      expect(result).toBe('done');
      expect((await store.scan()).items.map(({ key }) => key)).toEqual(['a', 'b']);
      expect((await store.get('b')).expiresAt).toBe(50);
      expect(await store.transaction(() => 5)).toBe(5);
    });

    test('reads its own writes', async () => {
      const { store } = await make();
      await store.set('a', 1);
      await store.transaction(async (tx) => {
        expect(await tx.get('a')).toMatchObject({ value: 1, version: 1 });
        await tx.set('a', { n: 2 }, { ttlMs: 10 });
        expect(await tx.get('a')).toStrictEqual({
          value: { n: 2 },
          version: undefined,
          expiresAt: 10,
        });
        await tx.set('b', '');
        expect((await tx.scan()).items).toStrictEqual([
          { key: 'a', value: { n: 2 }, version: undefined },
          { key: 'b', value: '', version: undefined },
        ]);
        await tx.delete('a');
        expect(await tx.get('a')).toBeUndefined();
        expect((await tx.scan({ limit: 1 })).items.map(({ key }) => key)).toEqual(['b']);
      });
      expect(await store.get('a')).toBeUndefined();
      expect((await store.get('b')).value).toBe('');
    });

    test('does nothing when its function throws', async () => {
      const { store } = await make();
      const failure = new Error('no');
      const work = async (tx) => {
        await tx.set('a', 1);
        throw failure;
      };
      await expect(store.transaction(work, { retries: 5 })).rejects.toBe(failure);
      expect(await store.version).toBe(0);
    });

    test.each([
      ['changed', (store) => store.set('k', 'v2')],
      ['changed to what it was', (store) => store.set('k', 'v1')],
      ['was deleted', (store) => store.delete('k')],
      [
        'was deleted and made again',
        async (store) => (await store.delete('k')) && store.set('k', 'v1'),
      ],
      ['expired', (_store, clock) => clock.advanceMs(11)],
    ])('fails if a value that it read %s', async (_name, change) => {
      const { clock, store } = await make();
      await store.set('k', 'v1', { ttlMs: 10 });
      const work = async (tx) => {
        await tx.get('k');
        await tx.set('other', 1);
        await turn();
        await change(store, clock);
      };
      await expect(store.transaction(work)).rejects.toMatchObject(conflict);
      expect(await store.get('other')).toBeUndefined();
    });

    test('fails if a key appears that it read as absent, or within a scanned range', async () => {
      const { store } = await make();
      const absent = async (tx) => {
        expect(await tx.get('k')).toBeUndefined();
        await tx.set('other', 1);
        await store.set('k', 1);
      };
      await expect(store.transaction(absent)).rejects.toMatchObject(conflict);
      await store.set('p/1', 1);
      const scanned = async (tx) => {
        await tx.set('count', (await tx.scan({ prefix: 'p/' })).items.length);
        await store.set('p/2', 1);
      };
      await expect(store.transaction(scanned)).rejects.toMatchObject(conflict);
      const elsewhere = async (tx) => {
        await tx.set('count', (await tx.scan({ prefix: 'p/' })).items.length);
        await store.set('q/1', 1);
      };
      await store.transaction(elsewhere);
      expect((await store.get('count')).value).toBe(2);
    });

    test('does not fail for a key that had expired before the read, or for a key it only wrote', async () => {
      const { clock, store } = await make();
      await store.set('k', 1, { ttlMs: 10 });
      await store.transaction(async (tx) => {
        clock.advanceMs(11);
        expect(await tx.get('k')).toBeUndefined();
        await store.set('blind', 'theirs');
        await tx.set('blind', 'mine');
        clock.advanceMs(100);
      });
      expect((await store.get('blind')).value).toBe('mine');
    });

    test('never shows parts of two states', async () => {
      const { store } = await make();
      await store.set('a', 'old');
      await store.set('b', 'old');
      let shown;
      const work = async (tx) => {
        await tx.get('a');
        await store.set('a', 'new');
        await store.set('b', 'new');
        expect((await tx.get('a')).value).toBe('old');
        shown = await tx.get('b');
      };
      await expect(store.transaction(work)).rejects.toMatchObject(conflict);
      expect(shown).toBeUndefined();
      // A function that catches the error cannot commit either.
      const swallow = (tx) => work(tx).catch(() => tx.set('c', 1));
      await expect(store.transaction(swallow)).rejects.toMatchObject(conflict);
      expect(await store.get('c')).toBeUndefined();
    });

    test('is retried up to its limit of attempts', async () => {
      const { store } = await make();
      await store.set('n', 0);
      let calls = 0;
      const disturbed = (times) => async (tx) => {
        calls += 1;
        const n = (await tx.get('n')).value;
        await turn();
        if (calls <= times) await store.set('n', n + 10);
        await tx.set('n', n + 1);
        return n + 1;
      };
      expect(await store.transaction(disturbed(2), { retries: 2 })).toBe(21);
      expect(calls).toBe(3);
      calls = 0;
      await expect(store.transaction(disturbed(3), { retries: 2 })).rejects.toMatchObject(conflict);
      expect(calls).toBe(3);
    });

    test('concurrent transactions lose no update', async () => {
      const { store } = await make();
      await store.set('n', 0);
      const add = async (tx) => {
        const { value } = await tx.get('n');
        await turn();
        await tx.set('n', value + 1);
      };
      const all = Array.from({ length: 20 }, () => store.transaction(add, { retries: 20 }));
      await Promise.all(all);
      expect((await store.get('n')).value).toBe(20);
    });

    test('conditions see its own state, and a failed one is not retried', async () => {
      const { store } = await make();
      const version = await store.set('a', 1);
      await store.transaction(async (tx) => {
        await tx.set('a', 2, { ifVersion: version });
        await tx.set('b', 1, { ifAbsent: true });
        await tx.delete('a');
        await tx.set('a', 3, { ifAbsent: true });
      });
      expect((await store.get('a')).value).toBe(3);
      let calls = 0;
      const work = async (tx) => {
        calls += 1;
        await tx.set('c', 1);
        await tx.set('b', 2, { ifAbsent: true });
      };
      const { version: current } = await store.get('b');
      await expect(store.transaction(work, { retries: 3 })).rejects.toMatchObject({
        ...conflict,
        key: 'b',
        version: current,
      });
      expect(calls).toBe(1);
      const own = async (tx) => {
        await tx.set('d', 1);
        await tx.delete('d', { ifVersion: 7 });
      };
      await expect(store.transaction(own)).rejects.toThrow('the key is there');
      // A condition adds its key to the read set.
      const watched = async (tx) => {
        await tx.set('e', 1, { ifAbsent: true });
        await store.set('e', 2);
      };
      await expect(store.transaction(watched)).rejects.toMatchObject(conflict);
      expect((await store.get('e')).value).toBe(2);
    });

    test('limits apply to all of its writes together', async () => {
      const { store } = await make({ maxKeys: 2, maxValueBytes: 10 });
      const three = (tx) => Promise.all(['a', 'b', 'c'].map((key) => tx.set(key, 1)));
      await expect(store.transaction(three)).rejects.toMatchObject({
        code: 'ERR_KV_FULL',
        limit: 'maxKeys',
      });
      expect(await store.size).toBe(0);
      const long = (tx) => tx.set('a', 'x'.repeat(11));
      await expect(store.transaction(long)).rejects.toThrow(/^value takes up to 10 bytes/);
    });

    test('its times to live apply without a read', async () => {
      const { clock, store } = await make();
      await store.transaction(async (tx) => {
        await tx.set('a', 1, { ttlMs: 20 });
        await tx.set('b', 1, { ttlMs: 10 });
      });
      clock.advanceMs(11);
      expect(await store.size).toBe(1);
      clock.advanceMs(11);
      expect(await store.size).toBe(0);
    });

    test('applies calls that were not awaited, in order', async () => {
      const { store } = await make();
      await store.set('old', 1);
      await store.transaction((tx) => {
        tx.set('a', 1);
        tx.set('a', 2, { ifVersion: undefined });
        tx.delete('old', { ifVersion: 1 });
      });
      expect((await store.scan()).items).toMatchObject([{ key: 'a', value: 2 }]);
      const work = (tx) => {
        tx.set('b', 1);
        tx.set('c', 1, { ifVersion: 7 });
      };
      await expect(store.transaction(work)).rejects.toMatchObject({ ...conflict, key: 'c' });
      expect(await store.get('b')).toBeUndefined();
    });

    test('heads are entries without their values', async () => {
      const { clock, store } = await make();
      const version = await store.set('k', 'four', { ttlMs: 10 });
      await store.transaction(async (tx) => {
        expect(await tx.head('none')).toBeUndefined();
        const expiresAt = clock.nowMs() + 10;
        expect(await tx.head('k')).toStrictEqual({ bytes: 4, version, expiresAt });
        expect(await tx.get('k')).toStrictEqual({ value: 'four', version, expiresAt });
        await tx.set('k', [1]);
        expect(await tx.head('k')).toStrictEqual({
          bytes: 3,
          version: undefined,
          expiresAt: undefined,
        });
      });
    });

    test('pages with its own writes and existing keys', async () => {
      const { store } = await make();
      for (const key of ['a', 'c', 'e', 'g']) await store.set(key, key);
      for (const reverse of [false, true]) {
        for (let limit = 1; limit <= 6; limit += 1) {
          const keys = [];
          await store
            .transaction(async (tx) => {
              await tx.set('b', 1);
              await tx.delete('c');
              await tx.set('e', 'mine');
              await tx.set('z', 1);
              let cursor;
              do {
                const page = await tx.scan({ limit, reverse, cursor });
                keys.push(...page.items.map(({ key }) => key));
                ({ cursor } = page);
              } while (cursor !== undefined);
              throw new Error('enough');
            })
            .catch(({ message }) => expect(message).toBe('enough'));
          const all = ['a', 'b', 'e', 'g', 'z'];
          expect(keys).toEqual(reverse ? all.toReversed() : all);
        }
      }
    });

    test('cannot be used after its end', async () => {
      const { store } = await make();
      let leaked;
      await store.transaction((tx) => {
        leaked = tx;
      });
      for (const use of [
        () => leaked.get('a'),
        () => leaked.set('a', 1),
        () => leaked.delete('a'),
      ]) {
        expect(await thrown(use)).toMatchObject({ code: 'ERR_TRANSACTION_ENDED' });
      }
      await expect(store.transaction('work')).rejects.toThrow(/^work takes a function/);
      await expect(store.transaction(() => 1, { retries: -1 })).rejects.toThrow(/^retries takes/);
    });
  });
}
