/** `openRedis().kv()` on a real Redis: the tables of all key-value stores, and features of Redis. */
import { ManualClock, openRedis } from '../../../../lib/index.js';
import { changesTable } from '../../../support/kv/changes-table.js';
import { randomFrom } from '../../../support/random.js';
import { useRedis } from '../../../support/cluster/redis.js';
import { storeTable } from '../../../support/kv/store-table.js';
import { transactionTable } from '../../../support/kv/transaction-table.js';
import { until } from '../../../support/until.js';
import { watchTable } from '../../../support/kv/watch-table.js';

const server = useRedis();
const opened = [];
let stores = 0;

afterEach(async () => {
  for (const shared of opened.splice(0)) await shared.close();
});

async function open(options) {
  const shared = await openRedis({ url: server.url, commandTimeoutMs: 30_000, ...options });
  opened.push(shared);
  return shared;
}

/** A store under a clock of its own. */
async function make(options) {
  const clock = new ManualClock();
  const shared = await open({ clock });
  stores += 1;
  return { clock, store: shared.kv({ name: `store${stores}`, ...options }) };
}

storeTable(make);
changesTable(make);
transactionTable(make);
watchTable(make);

/** Two handles of one store, as two processes have them. */
async function openTwo(options) {
  stores += 1;
  const handles = [await open(), await open()];
  return handles.map((shared) => shared.kv({ name: `store${stores}`, ...options }));
}

describe('in Redis', () => {
  test('all handles of a name have the same keys, and each has its own limits', async () => {
    const [a, b] = await openTwo();
    const version = await a.set('k', { n: 1 }, { ttlMs: 60_000 });
    expect(await b.get('k')).toEqual(await a.get('k'));
    expect(await b.get('k')).toMatchObject({ value: { n: 1 }, version });
    // By default its time is Unix time.
    const { expiresAt } = await b.get('k');
    expect(Math.abs(expiresAt - Date.now() - 60_000)).toBeLessThan(10_000);
    const small = opened[0].kv({ name: `store${stores}`, maxKeys: 1 });
    const full = { code: 'ERR_KV_FULL', limit: 'maxKeys' };
    await expect(small.set('other', 1)).rejects.toMatchObject(full);
    await b.set('other', 1);
    const elsewhere = opened[1].kv({ name: 'elsewhere' });
    expect(await elsewhere.size).toBe(0);
  });

  test('a key that is newer than the first read is a conflict, although no other has changed', async () => {
    const [a, b] = await openTwo();
    await a.set('first', 1);
    await a.set('second', 1);
    let tries = 0;
    const work = async (tx) => {
      tries += 1;
      await tx.get('first');
      if (tries === 1) await b.set('second', 2);
      return (await tx.get('second')).value;
    };
    await expect(a.transaction(work)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await a.transaction(work)).toBe(2);
    // Unread keys may change, and any key may change before its first read.
    const sum = await a.transaction(async (tx) => {
      await b.set('second', 3);
      const { value } = await tx.get('second');
      await b.set('third', 1);
      return value + (await tx.get('first')).value;
    });
    expect(sum).toBe(4);
  });

  test('a deletion is seen as well', async () => {
    const [a, b] = await openTwo();
    await a.set('first', 1);
    await a.set('second', 1);
    const work = async (tx) => {
      await tx.get('first');
      await b.transaction(async (other) => {
        await other.set('first', 2);
        await other.delete('second');
      });
      return tx.get('second');
    };
    await expect(a.transaction(work)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('concurrent transfers of two handles conserve the sum, as every reader sees', async () => {
    const handles = await openTwo();
    const accounts = Array.from({ length: 5 }, (_, i) => `account${i}`);
    for (const account of accounts) await handles[0].set(account, 100);
    const sumOf = async (tx) => {
      let sum = 0;
      for (const account of accounts) sum += (await tx.get(account)).value;
      return sum;
    };
    const random = randomFrom(1);
    const transfer = (kv) => {
      const [from, to] = [random(), random()].map((n) => accounts[Math.floor(n * accounts.length)]);
      return kv.transaction(
        async (tx) => {
          const { value } = await tx.get(from);
          await tx.set(from, value - 1);
          await tx.increment(to, 1);
        },
        { retries: 10_000 },
      );
    };
    const sums = [];
    const work = handles.flatMap((kv) => [
      ...Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 25; i += 1) await transfer(kv);
      }),
      (async () => {
        for (let i = 0; i < 10; i += 1) {
          sums.push(await kv.transaction(sumOf, { retries: 10_000 }));
        }
      })(),
    ]);
    await Promise.all(work);
    expect(sums).toEqual(Array(20).fill(500));
    expect(await handles[1].transaction(sumOf)).toBe(500);
  });

  test('counters of two handles lose nothing', async () => {
    const handles = await openTwo();
    const adds = Array.from({ length: 200 }, (_, i) =>
      handles[i % 2].increment(i % 4 < 2 ? 'whole' : 'part', i % 4 < 2 ? 1 : 0.5),
    );
    await Promise.all(adds);
    const values = [await handles[0].get('whole'), await handles[1].get('part')];
    expect(values.map(({ value }) => value)).toEqual([100, 50]);
  });

  test('watches see the changes of others, also after a connection was cut', async () => {
    const [a, b] = await openTwo();
    const watch = a.watch();
    await a.get('begins after the subscription');
    await b.set('k', 1);
    expect((await watch.next()).value).toMatchObject({ type: 'set', key: 'k', value: 1 });
    await server.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    // A change during the cut is either delivered or reported as missed, never lost silently.
    await b.set('k', 2);
    const outcome = await watch.next().catch((error) => error);
    if (outcome instanceof Error) expect(outcome.code).toBe('ERR_WATCH_OVERFLOW');
    else expect(outcome.value).toMatchObject({ key: 'k', value: 2 });
    await watch.return();
  });

  test('expired entries are freed for processes that have ended', async () => {
    const clock = new ManualClock();
    stores += 1;
    const options = { name: `store${stores}` };
    const first = await open({ clock });
    await first.kv(options).set('k', 'value', { ttlMs: 10 });
    await first.close();
    clock.advanceMs(11);
    const second = await open({ clock });
    second.kv(options);
    const heads = `{sluice}:kv:store:${options.name}:h:`;
    await until(async () => (await server.call('EXISTS', heads)) === 0, 'the entry to go');
  });

  test('all data is below the prefix, and a key leaves no data', async () => {
    const shared = await open({ prefix: 'mine' });
    const kv = shared.kv();
    await kv.set('secret name', 'secret value', { ttlMs: 60_000 });
    expect((await server.keys('{mine}:*')).length).toBeGreaterThan(1);
    await kv.delete('secret name');
    expect(await server.keys('{mine}:*')).toEqual(['{mine}:kv:store:default']);
  });

  test('has no snapshots', async () => {
    const [kv] = await openTwo();
    await expect(kv.snapshot()).rejects.toMatchObject({ code: 'ERR_NOT_SUPPORTED' });
  });

  test.each([
    [undefined, /^(redis\.)?url is required/],
    ['redis://h', /^openRedis takes an object/],
    [{ url: 5 }, /^url takes a string/],
    [{ url: 'http://h' }, /^url takes redis:/],
    [{ url: 'redis://h', prefix: 'a b' }, /^prefix takes 1 to 64/],
    [{ url: 'redis://h', clock: {} }, /^clock takes a ManualClock/],
    [{ url: 'redis://h', timeout: 5 }, /^openRedis has no option timeout; it takes url, .*clock/],
  ])('openRedis(%j) is refused', async (options, message) => {
    await expect(openRedis(options)).rejects.toThrow(message);
  });

  test.each([
    [{ maxKeys: 0 }, /^maxKeys takes/],
    [{ clock: new ManualClock() }, /has no option clock; it takes name, /],
    [{ name: 'a:b' }, /^name takes 1 to 64/],
    [5, /^options takes an object/],
  ])('kv(%j) is refused', async (options, message) => {
    const shared = await open();
    expect(() => shared.kv(options)).toThrow(message);
  });

  test('a closed handle refuses calls, and closing waits for answers', async () => {
    const shared = await open();
    const kv = shared.kv();
    const watch = kv.watch();
    await kv.get('k');
    const set = kv.set('k', 1);
    await Promise.all([shared.close(), shared.close()]);
    expect(await set).toBeGreaterThan(0);
    const closed = { code: 'ERR_REDIS_CLOSED', message: expect.stringContaining('127.0.0.1') };
    await expect(kv.get('k')).rejects.toMatchObject(closed);
    await expect(kv.transaction((tx) => tx.get('k'))).rejects.toMatchObject(closed);
    const last = await watch.next().catch((error) => error);
    if (!(last instanceof Error)) await expect(watch.next()).rejects.toMatchObject(closed);
    else expect(last).toMatchObject(closed);
  });
});
