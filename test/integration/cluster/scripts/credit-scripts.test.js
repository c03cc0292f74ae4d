/** Credit and usage of jobs, script by script: holds, settlements, releases, and the estate of dead processes. */
import { SharedLedger } from '../../../../lib/cluster/ledger/shared-ledger.js';
import { fieldsOf } from '../../../../lib/cluster/client/scripts.js';
import { useScripts } from '../../../support/cluster/scripts.js';

const t = useScripts('a', 'b');
let ledger;
/** Microseconds, for all scripts. */
let clock;

beforeEach(async () => {
  clock = 5000;
  const run = (name, keys, args) => t.run(name, keys, [String(clock), '', ...args]);
  ledger = new SharedLedger({ run });
  await ledger.open({ account: 'acme' });
  await ledger.deposit({ key: 'd', account: 'acme', amount: 100n });
});

const holdOf = (amount, more) => ({
  ...{ account: 'acme', overdraft: '0', amount: String(amount), timeout: '1000000' },
  ...more,
});
const admit = (id, hold, more) =>
  t.admit('a', id, { clock: String(clock), parts: { hold, usage: { model: 'm' } }, ...more });
/** Ends a job of process a, or of another one, at a cost of which so much was held. */
function finish(
  id,
  cost,
  held,
  { owner = 'a', counts = { r: '1', k: String(cost) }, ...more } = {},
) {
  const amount = Math.min(cost, held);
  const hold = {
    ...{ account: 'acme', overdraft: '0', cost: String(cost), amount: String(amount) },
    ...{ rest: String(cost - amount), ...(held === 0 && { nothing: '1' }) },
  };
  const settlement = JSON.stringify({ hold, usage: counts });
  return t.finish(owner, id, '1-0', { settlement, clock: String(clock), ...more });
}
const balance = async (account = 'acme') => {
  const { available, held } = await ledger.balance(account);
  return [Number(available), Number(held)];
};
const types = async () => (await ledger.journal()).slice(2).map(({ type }) => type);
/** Counts of the first hour that has any, by field. */
async function usage() {
  const args = ['', '', '0', '9999999', '9', '0', ''];
  const [, hour] = await t.run('ledger/usage', ['usagehours'], args);
  return hour && fieldsOf(hour.slice(1));
}

describe('a job', () => {
  test('holds with its admission, once, and pays with its ending, once', async () => {
    const [answer, , results] = await admit('j', holdOf(60));
    expect([answer, JSON.parse(results)]).toEqual(['OK', { hold: '3' }]);
    expect(JSON.parse(await t.field('j', 'held'))).toMatchObject({
      hold: '3',
      usage: { model: 'm' },
    });
    await admit('j', holdOf(60));
    expect(await balance()).toEqual([40, 60]);
    expect(await finish('j', 25, 60)).toBe('OK');
    expect(await finish('j', 25, 60)).toBe('DONE');
    expect(await balance()).toEqual([75, 0]);
    expect(await types()).toEqual(['hold', 'settle']);
    expect(await t.field('j', 'held')).toBeNull();
    expect(await t.field('j', 'unsettled')).toBeNull();
    expect(await usage()).toEqual({ '["me","m"] r': '1', '["me","m"] k': '25' });
  });

  test.each([
    ['too much', holdOf(101), { posted: '100', held: '0', overdraft: '0' }],
    [
      'too much of an account to be',
      holdOf(6, { account: 'new', overdraft: '5' }),
      {
        ...{ posted: '0', held: '0', overdraft: '5' },
      },
    ],
    ['beyond 2^63', holdOf('9223372036854775807'), { posted: '100' }],
  ])('that would hold %s is refused without a trace', async (_name, hold, refusal) => {
    const before = await t.dump();
    const [answer, part, json] = await admit('j', hold, { key: 'k' });
    expect([answer, part, JSON.parse(json)]).toEqual([
      ...['REFUSED', 'hold', expect.objectContaining(refusal)],
    ]);
    expect(await t.dump()).toEqual(before);
  });

  test('opens the account that it may overdraw', async () => {
    expect((await admit('j', holdOf(5, { account: 'new', overdraft: '5' })))[0]).toBe('OK');
    expect(await balance('new')).toEqual([-5, 5]);
    await ledger.withdraw({ key: 'w', account: 'acme', amount: 100n });
    await ledger.close({ key: 'c', account: 'acme' });
    expect(JSON.parse((await admit('k', holdOf(0)))[2])).toEqual({ closed: '1' });
  });

  test('that is withdrawn leaves no hold', async () => {
    await admit('j', holdOf(60));
    expect(await t.run('retract', ['job:j'], ['a', 'j', String(clock)])).toBe('OK');
    expect(await t.run('retract', ['job:j'], ['a', 'j', String(clock)])).toBe('GONE');
    expect(await balance()).toEqual([100, 0]);
    expect(await types()).toEqual(['hold', 'void']);
    expect(await usage()).toBeUndefined();
  });

  test('of a dead process is paid for by its new owner', async () => {
    await admit('j', holdOf(60));
    await t.bury('b', 'a', '1');
    const [outcome, ...flat] = await t.take('b', 'j', 'a');
    expect([outcome, flat.includes('held')]).toEqual(['RUN', true]);
    expect(await finish('j', 25, 60)).toBe('FENCED');
    expect(await finish('j', 10, 60, { owner: 'b', ending: '2-1' })).toBe('FENCED');
    const settled = JSON.stringify({
      hold: { account: 'acme', overdraft: '0', cost: '10', amount: '10', rest: '0' },
    });
    const args = { settlement: settled, clock: String(clock) };
    expect(await t.finish('b', 'j', '2-0', args)).toBe('OK');
    expect(await balance()).toEqual([90, 0]);
  });

  test('without an ending keeps its hold until its time is over', async () => {
    await admit('j', holdOf(60));
    clock += 999_999;
    expect(await balance()).toEqual([40, 60]);
    clock += 1;
    expect((await admit('k', holdOf(100)))[0]).toBe('OK');
    expect(await balance()).toEqual([0, 100]);
    expect(await types()).toEqual(['hold', 'hold_expired', 'hold']);
  });

  // [cost, held, hold is over, paid, billed]
  test.each([
    [70, 60, false, 70, '60 10'],
    [150, 60, false, 100, '60 40'],
    [25, 60, true, 25, '0 25'],
    [120, 60, true, 100, '0 100'],
    [30, 0, false, 30, '0 30'],
  ])(
    'that costs %i and held %i (expired: %s) pays %i',
    async (cost, held, isOver, paid, billed) => {
      await admit('j', held === 0 ? undefined : holdOf(held));
      if (isOver) clock += 1_000_000;
      expect(await finish('j', cost, held)).toBe('OK');
      expect(await balance()).toEqual([100 - paid, 0]);
      expect(await t.field('j', 'billed')).toBe(billed);
      expect(await t.admin.hget('{t}:acct:acme', 'room')).toBeNull();
    },
  );

  test('charges no account once its hold is gone', async () => {
    await admit('j', holdOf(60));
    await ledger.void({ key: 'v', hold: 3 });
    expect(await finish('j', 25, 60)).toBe('OK');
    expect(await balance()).toEqual([100, 0]);
    await t.admin.hset('{t}:job:k', 'x', '1');
    await admit('k2', holdOf(10));
    await t.admin.hdel('{t}:job:k2', 'held');
    expect(await finish('k2', 5, 10)).toBe('OK');
    expect(await balance()).toEqual([90, 10]);
  });

  test('without a settlement is counted from its final state', async () => {
    const end = (id, state, settlement = '') => {
      const x = JSON.stringify({ type: 'e', data: id });
      const args = ['a', '1', '1-0', '1-1', x, JSON.stringify({ state }), state.status, '7000'];
      return t.run(
        'finish',
        [`job:${id}`, `log:${id}`],
        [...args, '30000', 'job', settlement, String(clock)],
      );
    };
    const tokens = (prompt, completion) => ({
      prompt_tokens: prompt,
      completion_tokens: completion,
    });
    await admit('done');
    await end('done', { status: 'completed', usage: tokens(2, 4) });
    await admit('refused');
    await end('refused', { status: 'failed', usage: tokens(2, 0) });
    await admit('waiting');
    await end('waiting', { status: 'cancelled', usage: tokens(2, 0) });
    await admit('asked');
    await t.run('began', ['job:asked'], ['a', '6000', '1', '']);
    await end('asked', { status: 'cancelled', usage: tokens(2, 0) });
    expect(await usage()).toEqual({
      ...{ '["me","m"] r': '4', '["me","m"] p': '4', '["me","m"] c': '4' },
    });
    await t.admit('a', 'hit', { clock: '5000', parts: { usage: { model: 'n', shares: '1' } } });
    await end('hit', { status: 'completed', usage: tokens(2, 4) });
    expect(await usage()).toMatchObject({
      ...{ '["me","n"] r': '1', '["me","n"] R': '1', '["me","n"] P': '2', '["me","n"] C': '4' },
    });
  });
});

describe('a job that ends before the answer that it began', () => {
  const LONG = { timeout: '9000000000000000' };
  /** Ends it, after `cost` so far. */
  const endEarly = (id, cost, held) => {
    const hold = {
      ...{ account: 'acme', overdraft: '0', cost: String(cost), amount: String(cost), rest: '0' },
      ...(held === 0 && { nothing: '1' }),
    };
    const usageNow = { r: '1', k: String(cost) };
    const settlement = JSON.stringify({
      hold: { later: '1', ...hold },
      usage: { later: '1', ...usageNow },
    });
    return t.finish('a', id, '1-0', { settlement, clock: String(clock) });
  };
  /** Settles it at the end of the answer. */
  const answerEnds = (id, cost, hold) =>
    t.run(
      'ledger/settle',
      [`settled:${id}`],
      [
        ...[String(clock), '', id, hold, ''],
        JSON.stringify({
          ...{ account: 'acme', overdraft: '0', cost: String(cost), amount: String(cost) },
          rest: '0',
        }),
        ...['me', 'm', JSON.stringify({ r: '1', k: String(cost) }), '60000'],
      ],
    );
  const die = async (process) => {
    expect(await t.bury('b', process, '1')).toBe('OK');
    expect(await t.run('estate', ['dead'], [process, '10'])).toEqual([]);
  };
  const owed = () => t.admin.hkeys('{t}:owed');

  test('pays when that ends, and owes nothing then', async () => {
    await admit('j', holdOf(60, LONG));
    expect(await endEarly('j', 20, 60)).toBe('OK');
    expect([await balance(), await owed(), await usage()]).toEqual([[40, 60], ['j'], undefined]);
    expect(await answerEnds('j', 30, '3')).toEqual(['OK', '30', '0']);
    expect([await balance(), await owed()]).toEqual([[70, 0], []]);
    await die('a');
    expect(await balance()).toEqual([70, 0]);
    expect(await usage()).toEqual({ '["me","m"] r': '1', '["me","m"] k': '30' });
  });

  test('pays for its usage once if its process dies before', async () => {
    await admit('j', holdOf(60, LONG));
    await endEarly('j', 20, 60);
    await die('a');
    expect([await balance(), await owed()]).toEqual([[80, 0], []]);
    // It was not dead after all.
    expect(await answerEnds('j', 30, '3')).toEqual(['DONE']);
    expect(await balance()).toEqual([80, 0]);
    expect(await usage()).toEqual({ '["me","m"] r': '1', '["me","m"] k': '20' });
  });

  test('owes it under the new name of a process that joins again', async () => {
    await admit('j', holdOf(60, LONG));
    await endEarly('j', 20, 60);
    await t.bury('b', 'a', '1');
    await t.join('c', { was: 'a' });
    expect([await balance(), await owed()]).toEqual([[40, 60], ['j']]);
    await die('c');
    expect([await balance(), await owed()]).toEqual([[80, 0], []]);
  });

  test('owes nothing any more when a process that was counted dead ends it, and dies', async () => {
    await admit('j', holdOf(60, LONG));
    await t.bury('b', 'a', '1');
    expect(await endEarly('j', 20, 60)).toBe('OK');
    expect(await owed()).toEqual(['j']);
    expect(await t.run('estate', ['dead'], ['a', '10'])).toEqual([]);
    expect([await balance(), await owed()]).toEqual([[80, 0], []]);
    expect(await t.members('dead')).toEqual([]);
  });

  test('owes it under the current name of its process, under every name that ends it', async () => {
    await admit('j', holdOf(60, LONG));
    await t.bury('b', 'a', '1');
    await t.join('c', { was: 'a' });
    expect(await endEarly('j', 20, 60)).toBe('OK');
    await die('c');
    expect([await balance(), await owed()]).toEqual([[80, 0], []]);
  });

  test('owes nothing where its answer ends first', async () => {
    await admit('j', holdOf(60, LONG));
    expect(await answerEnds('j', 30, '3')).toEqual(['OK', '30', '0']);
    expect(await endEarly('j', 20, 60)).toBe('OK');
    expect([await balance(), await owed()]).toEqual([[70, 0], []]);
  });

  test('pays without a hold, too, and when its process leaves', async () => {
    await admit('j', undefined);
    await endEarly('j', 20, 0);
    expect(await owed()).toEqual(['j']);
    expect(await t.run('leave', ['procs'], ['a'])).toBe(0);
    expect([await balance(), await owed()]).toEqual([[80, 0], []]);
  });
});

/** A time beyond today, as the estate of a process has it. */
const FOR_LONG = '5000000000000000';

describe('a call that is no job', () => {
  const hold = (id, amount, deadline = '', process = '') =>
    t.run(
      'ledger/hold',
      ['ledger'],
      [
        ...[String(clock), deadline, id],
        ...[JSON.stringify(holdOf(amount, process && { timeout: FOR_LONG })), process],
      ],
    );
  const settle = (id, { isVoid = '', cost = 0, held = 0 } = {}) => {
    const settlement = isVoid
      ? ''
      : JSON.stringify({
          ...{ account: 'acme', overdraft: '0', cost: String(cost), amount: String(cost) },
          ...{ rest: '0', ...(held === 0 && { nothing: '1' }) },
        });
    const counts = isVoid ? '' : JSON.stringify({ r: '1', k: String(cost) });
    return t.run(
      'ledger/settle',
      [`settled:${id}`],
      [String(clock), '', id, '', isVoid, settlement, 'me', 'm', counts, '60000', 'a'],
    );
  };

  test('of a process that is gone is released, under its last name, and no other one', async () => {
    await t.join('b');
    await hold('kept', 10, '', 'b');
    await hold('lost', 20, '', 'a');
    await hold('done', 30, '', 'a');
    await settle('done', { cost: 5, held: 30 });
    expect(await t.admin.hkeys('{t}:callholds:a')).toEqual(['lost']);
    await t.join('a2', { was: 'a' });
    expect(await balance()).toEqual([65, 30]);
    expect(await t.bury('b', 'a2', '1')).toBe('OK');
    expect(await t.run('estate', ['dead'], ['a2', '10'])).toEqual([]);
    expect(await balance()).toEqual([85, 10]);
    expect(await t.admin.keys('{t}:callholds:*')).toEqual(['{t}:callholds:b']);
    // A later hold has no process to release it.
    const before = await t.dump();
    expect(await hold('late', 1, '', 'a2')).toEqual(['BURIED']);
    expect(await t.dump()).toEqual(before);
  });

  test('of a process counted as dead is still charged for its usage, once', async () => {
    const bury = async (name) => {
      expect(await t.bury('b', name, '1')).toBe('OK');
      expect(await t.run('estate', ['dead'], [name, '10'])).toEqual([]);
    };
    await hold('used', 20, '', 'a');
    await hold('failed', 30, '', 'a');
    await bury('a');
    expect(await balance()).toEqual([100, 0]);
    expect(await types()).toEqual(['hold', 'hold', 'hold_expired', 'hold_expired']);
    // It lives, under another name by now.
    await t.join('a2', { was: 'a' });
    expect(await settle('used', { cost: 15, held: 20 })).toEqual(['OK', '0', '15']);
    expect(await settle('used', { cost: 15, held: 20 })).toEqual(['DONE']);
    expect(await settle('failed', { isVoid: '1' })).toEqual(['OK', '0', '0']);
    expect(await balance()).toEqual([85, 0]);
    expect(await usage()).toEqual({ '["me","m"] r': '1', '["me","m"] k': '15' });
  });

  test('keeps its hold besides those under the new name of its process', async () => {
    await t.admin.hset('{t}:callholds:a2', 'new', '7');
    await hold('old', 20, '', 'a');
    const [, own] = await hold('old', 20, '', 'a');
    await t.join('a2', { was: 'a' });
    expect(await t.admin.hgetall('{t}:callholds:a2')).toEqual({ new: '7', old: own });
    expect(await t.admin.exists('{t}:callholds:a')).toBe(0);
  });

  test('holds and settles once', async () => {
    expect(await hold('e', 60)).toEqual(['OK', '3']);
    expect(await hold('e', 60)).toEqual(['OK', '3']);
    expect(await balance()).toEqual([40, 60]);
    expect(await settle('e', { cost: 9, held: 60 })).toEqual(['OK', '9', '0']);
    expect(await settle('e', { cost: 9, held: 60 })).toEqual(['DONE']);
    expect(await balance()).toEqual([91, 0]);
    expect(await usage()).toEqual({ '["me","m"] r': '1', '["me","m"] k': '9' });
    expect(await t.ttl('settled:e')).toBeGreaterThan(50_000);
  });

  test('is released, refused, or late, without a trace of credit', async () => {
    await hold('e', 60);
    await settle('e', { isVoid: '1' });
    expect(await balance()).toEqual([100, 0]);
    expect(await settle('unknown', { isVoid: '1' })).toEqual(['OK', '0', '0']);
    const before = await t.dump();
    expect((await hold('f', 101))[0]).toBe('REFUSED');
    expect(await hold('f', 1, '1')).toEqual(['LATE']);
    expect(await t.dump()).toEqual(before);
  });
});

test('requests of the ledger after their deadline have no effect', async () => {
  const before = await t.dump();
  const late = (name, ...args) =>
    t.run(`ledger/${name}`, ['ledger'], [String(clock), '1', ...args]);
  const request = ['t', '1', 'k', 'x', 'f', '@external', 'o', 'acme', 'm', '5'];
  expect(await late('execute', '', ...request)).toEqual(['LATE']);
  expect(await late('linked', '', 'x', '', 'acme', '5', '')).toEqual(['LATE']);
  expect(await late('open', 'new', '0', '')).toEqual(['LATE']);
  expect(await late('balance', 'acme')).toEqual(['LATE']);
  expect(await t.dump()).toEqual(before);
});

test('beyond its rows usage drops whole hours, the oldest first', async () => {
  await t.admin.set('{t}:usagerows', '199999');
  for (const [id, at] of [
    ['j', 5000],
    ['k', 3_600_000_000],
    ['l', 7_200_000_000],
  ]) {
    clock = at;
    await admit(id);
    await finish(id, 0, 1, { counts: { r: '1' } });
  }
  const hours = await t.admin.zrange('{t}:usagehours', 0, -1);
  expect(hours).toEqual(['2']);
  expect(await t.admin.get('{t}:usagerows')).toBe('200000');
  expect(await t.admin.keys('{t}:usage:*')).toEqual(['{t}:usage:2']);
});
