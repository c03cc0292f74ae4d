/** The ledger in Redis: against the ledger of a process, with concurrent clients, and its keys. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { Ledger, ManualClock } from '../../../lib/index.js';
import { openRedis } from '../../../lib/cluster/open-redis.js';
import { startRedis } from '../../support/cluster/redis.js';

let server;
let prefixes = 0;
const opened = [];

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  await Promise.all(opened.map((shared) => shared.close()));
  await server.stop();
});

async function open(options) {
  const shared = await openRedis({ url: server.url, ...options });
  opened.push(shared);
  return shared.ledger();
}

/** The outcome of a call: its answer, or the code of its error. */
async function outcomeOf(call) {
  try {
    return await call();
  } catch (error) {
    return { code: error.code, index: error.index, available: error.available };
  }
}

const sumOf = async (ledger) => {
  const names = await ledger.accounts();
  const balances = await Promise.all(names.map((name) => ledger.balance(name)));
  return balances.reduce((sum, { posted }) => sum + posted, 0n);
};

test('any history has the outcomes and the journal of a Ledger', async () => {
  const account = fc.constantFrom('a', 'b', 'c', 'd');
  const amount = fc.oneof(
    fc.bigInt({ min: 1n, max: 60n }),
    fc.constantFrom(2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n),
  );
  const target = fc.integer({ min: 0, max: 40 });
  const of = (call, fields) => fc.record({ call: fc.constant(call), ...fields });
  const timeoutMs = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(Infinity));
  const step = fc.oneof(
    of('deposit', { account, amount }),
    of('withdraw', { account, amount }),
    of('transfer', { from: account, to: account, amount }),
    of('hold', { account, amount, timeoutMs }),
    of('settle', { hold: target, amount }),
    of('settle', { hold: target }),
    of('void', { hold: target }),
    of('reverse', { event: target, force: fc.boolean() }),
    of('schedule', { atMs: fc.integer({ min: 0, max: 100 }), from: account, to: account, amount }),
    of('cancelScheduled', { scheduled: target }),
    of('close', { account }),
    of('linked', {
      transfers: fc.array(fc.record({ from: account, to: account, amount }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
    of('wait', { ms: fc.integer({ min: 1, max: 20 }) }),
  );
  const key = fc.integer({ min: 0, max: 60 });
  const steps = fc.array(fc.record({ step, key }), { minLength: 10, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const clock = new ManualClock();
      const ledger = new Ledger({ clock });
      const shared = await open({ prefix: `m${(prefixes += 1)}`, clock });
      for (const [name, overdraft] of [
        ['a', 0n],
        ['b', 50n],
        ['c', Infinity],
        ['d', 0n],
      ]) {
        expect(await shared.open({ account: name, overdraft })).toEqual(
          ledger.open({ account: name, overdraft }),
        );
      }
      for (const { step: taken, key: number } of all) {
        const { call, ms, ...rest } = taken;
        if (call === 'wait') {
          clock.advanceMs(ms);
          continue;
        }
        const options = { key: String(number), ...rest };
        const expected = await outcomeOf(() => ledger[call](options));
        expect(await outcomeOf(() => shared[call](options))).toEqual(expected);
      }
      expect(await shared.journal()).toEqual(ledger.journal());
      for (const name of ledger.accounts()) {
        expect(await shared.balance(name)).toEqual(ledger.balance(name));
        expect(await shared.events({ account: name })).toEqual(ledger.events({ account: name }));
      }
    }),
    { numRuns: 10 },
  );
}, 60_000);

test('concurrent transfers conserve the sum, and no account exceeds its overdraft', async () => {
  const limits = { a: 0n, b: 0n, c: 100n, d: 0n };
  const names = Object.keys(limits);
  const clients = await Promise.all([1, 2, 3, 4].map(() => open({ prefix: 'stress' })));
  for (const account of names) {
    await clients[0].open({ account, overdraft: limits[account] });
    await clients[0].deposit({ key: `d${account}`, account, amount: 100n });
  }
  let refused = 0;
  const one = async (ledger, client, i) => {
    const from = names[(client + i) % names.length];
    const to = names[(client + i * 3 + 1) % names.length];
    // Each key is used by two clients at about the same time.
    const key = `${client % 2} ${i}`;
    const call =
      i % 3 === 0
        ? () => ledger.hold({ key, account: from, amount: 40n, timeoutMs: 5 })
        : () => ledger.transfer({ key, from, to, amount: BigInt(1 + ((i * 7) % 60)) });
    const { code } = await outcomeOf(call);
    if (code !== undefined) refused += 1;
  };
  await Promise.all(
    clients.map(async (ledger, client) => {
      for (let i = 0; i < 60; i += 4) {
        await Promise.all([0, 1, 2, 3].map((k) => one(ledger, client, i + k)));
      }
    }),
  );
  expect(refused).toBeGreaterThan(0);
  const [ledger] = clients;
  expect(await sumOf(ledger)).toBe(0n);
  const journal = await ledger.journal();
  expect(journal.map(({ id }) => id)).toEqual(journal.map((_event, i) => i + 1));
  // A replay checks each event again, which proves that none exceeded a limit.
  const copy = Ledger.replay(journal);
  for (const name of names) {
    const { available } = await ledger.balance(name);
    expect(available >= -limits[name]).toBe(true);
    expect(copy.balance(name).posted).toBe((await ledger.balance(name)).posted);
  }
  const keys = journal.map(({ key }) => key).filter((key) => key !== undefined);
  expect(new Set(keys).size).toBe(keys.length);
});

test('an hour of holds that expired without a call is caught up with', async () => {
  const clock = new ManualClock();
  const ledger = await open({ prefix: 'due', clock });
  await ledger.open({ account: 'a', overdraft: true });
  const amount = 1n;
  for (let i = 0; i < 1100; i += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, k) =>
        ledger.hold({ key: `${i + k}`, account: 'a', amount, timeoutMs: 1000 }),
      ),
    );
  }
  clock.advanceMs(1000);
  expect(await ledger.balance('a')).toEqual({ available: 0n, held: 0n, posted: 0n });
  expect((await ledger.journal()).filter(({ type }) => type === 'hold_expired')).toHaveLength(1100);
});

test('its time is that of Redis, and answers survive another client', async () => {
  const [one, other] = await Promise.all([1, 2].map(() => open({ prefix: 'real' })));
  const { event } = await one.open({ account: 'a', overdraft: true });
  expect(Math.abs(event.atMs - Date.now())).toBeLessThan(60_000);
  const { hold } = await one.hold({ key: 'h', account: 'a', amount: 5n, timeoutMs: 20 });
  expect(hold.expiresAtMs).toBeCloseTo(hold.atMs + 20, 2);
  while ((await other.balance('a')).held !== 0n) await sleep(5);
  const expired = (await other.journal()).at(-1);
  expect(expired).toMatchObject({ type: 'hold_expired', hold: hold.id, atMs: hold.expiresAtMs });
});

test('names that look like parts of keys are names', async () => {
  const ledger = await open({ prefix: 'names' });
  const names = ['a', 'a:e', '{names}:x', 'ü', '\u{1f600}', '\uffff', '0', ''.padEnd(256, 'n')];
  for (const account of names) await ledger.open({ account });
  const inOrder = [...names, '@external', '@usage'].sort((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  expect(await ledger.accounts()).toEqual(inOrder);
  for (const account of names) expect(await ledger.events({ account })).toHaveLength(1);
});

test('two accounts renamed at once both have their new names', async () => {
  const ledger = await open({ prefix: 'renames' });
  for (const account of ['a', 'b']) await ledger.open({ account, overdraft: true });
  const transfers = Array.from({ length: 600 }, (_, i) =>
    i % 2 ? { from: 'a', to: 'b', amount: 1n } : { from: 'b', to: 'a', amount: 3n },
  );
  for (const key of ['k', 'l']) await ledger.linked({ key, transfers });
  await Promise.all([ledger.rename('a', 'x'), ledger.rename('b', 'y'), ledger.rename('a', 'x')]);
  const journal = await ledger.journal();
  expect(journal).toHaveLength(1202);
  const names = journal.flatMap(({ from, to, account }) => [from, to, account]);
  expect(new Set(names.filter(Boolean))).toEqual(new Set(['x', 'y']));
  expect((await ledger.balance('x')).posted).toBe(1200n);
  expect(Ledger.replay(journal).balance('x')).toEqual(await ledger.balance('x'));
});

test('a renamed account keeps its amounts, in a journal of many pages', async () => {
  const ledger = await open({ prefix: 'rename' });
  for (const account of ['a', 'b']) await ledger.open({ account, overdraft: true });
  const transfers = Array.from({ length: 600 }, (_, i) => ({
    ...(i % 2 ? { from: 'a', to: 'b' } : { from: 'b' }),
    ...{ amount: BigInt(i + 1), metadata: { of: 'a' } },
  }));
  const { hold } = await ledger.hold({ key: 'h', account: 'a', amount: 3n, timeoutMs: Infinity });
  await ledger.linked({ key: 'k', transfers });
  await ledger.transfer({ key: 'of b', from: 'b', to: 'b2', amount: 1n }).catch(() => {});
  const before = await ledger.journal();
  await ledger.rename('a', 'x');
  const journal = await ledger.journal();
  const renamed = before.map((event) => {
    if (![event.from, event.to, event.account].includes('a')) return event;
    const { metadata: _metadata, key, ...rest } = event;
    const names = Object.fromEntries(
      ['account', 'from', 'to'].filter((name) => rest[name] === 'a').map((name) => [name, 'x']),
    );
    return { ...rest, ...names, ...(key !== undefined && { key: `@erased:${event.id}` }) };
  });
  expect(journal).toEqual(renamed);
  const copy = Ledger.replay(journal);
  for (const name of ['x', 'b']) {
    expect(await ledger.balance(name)).toEqual(copy.balance(name));
    expect(await ledger.events({ account: name, limit: 700 })).toEqual(
      copy.events({ account: name, limit: 700 }),
    );
  }
  expect(await ledger.accounts()).toEqual(['@external', '@usage', 'b', 'x']);
  expect((await ledger.settle({ key: 's', hold })).event.from).toBe('x');
  expect((await ledger.open({ account: 'a' })).event.id).toBe(journal.length + 2);
  const again = await ledger.deposit({ key: 'h', account: 'a', amount: 1n });
  expect(again.event.type).toBe('deposit');
});

test('an event takes about 110 bytes, and all keys have the prefix', async () => {
  const ledger = await open({ prefix: 'size' });
  await ledger.open({ account: 'acme', overdraft: true });
  const admin = new Redis(server.port, '127.0.0.1');
  const pairs = 200;
  for (let i = 0; i < pairs; i += 1) {
    const id = `job_${String(i).padStart(24, '0')}`;
    const { hold } = await ledger.hold({ key: `@hold:${id}`, account: 'acme', amount: 2500n });
    await ledger.settle({ key: `@settle:${id}`, hold, amount: 1203n });
  }
  const bytes = await admin.memory('USAGE', '{size}:ledger', 'SAMPLES', 0);
  const keys = await admin.keys('{size}:*');
  admin.disconnect();
  expect(bytes / pairs / 2).toBeLessThan(130);
  expect(keys.sort()).toEqual(
    ['acct:@usage', 'acct:acme', 'acctlog:@usage', 'acctlog:acme', 'accts', 'ledger', 'ledgerkeys']
      .map((key) => `{size}:${key}`)
      .sort(),
  );
});
