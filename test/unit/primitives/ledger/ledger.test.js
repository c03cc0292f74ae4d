import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { Ledger, ManualClock, SluiceError } from '../../../../lib/index.js';

const run = promisify(execFile);

/** A ledger with accounts that have so much. */
function ledgerOf(accounts, clock = new ManualClock()) {
  const ledger = new Ledger({ clock });
  for (const [account, amount] of Object.entries(accounts)) {
    ledger.open({ account });
    if (amount > 0n) ledger.deposit({ key: `start ${account}`, account, amount });
  }
  return ledger;
}

function codeOf(call) {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(SluiceError);
    return error.code;
  }
  return 'none';
}

function sumOf(ledger) {
  return ledger.accounts().reduce((sum, account) => sum + ledger.balance(account).posted, 0n);
}

test('a bad argument of the class names itself', () => {
  const bad = [
    [() => new Ledger({ clock: {} }), TypeError, /^clock takes/],
    [() => Ledger.replay(7), TypeError, /^events takes/],
    [() => Ledger.replay([7]), TypeError, /^events\[0\] takes/],
    [
      () => Ledger.replay([{ id: 1, type: 'open', atMs: Infinity, account: 'a' }]),
      RangeError,
      /^events\[0\].atMs takes/,
    ],
    [() => Ledger.replay([{ type: 'x' }]), RangeError, /^events\[0\].type takes/],
  ];
  for (const [call, kind, message] of bad) {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
    expect(call).toThrow(SluiceError);
  }
});

describe('Ledger.replay', () => {
  test('restores the same state, and continues: balances, keys, holds and scheduled transfers', () => {
    const clock = new ManualClock();
    clock.advanceMs(1234.5678);
    const ledger = ledgerOf({ alice: 100n, bob: 0n }, clock);
    ledger.open({ account: 'house', overdraft: Infinity });
    const ask = { key: 'refused', account: 'alice', amount: 1000n };
    codeOf(() => ledger.withdraw(ask));
    const { hold } = ledger.hold({
      key: 'h',
      account: 'alice',
      amount: 30n,
      timeoutMs: 0.1 + 5000,
    });
    ledger.schedule({ key: 's', atMs: 9000, from: 'alice', to: 'bob', amount: 20n });
    const journal = ledger.journal();

    for (const options of [{ clock }, undefined]) {
      const copy = Ledger.replay(journal, options);
      expect(copy.journal()).toEqual(journal);
      for (const account of ledger.accounts()) {
        expect(copy.balance(account)).toEqual(ledger.balance(account));
      }
      expect(codeOf(() => copy.withdraw(ask))).toBe('ERR_INSUFFICIENT_FUNDS');
      expect(
        copy.hold({ key: 'h', account: 'alice', amount: 30n, timeoutMs: 5000.1 }).hold,
      ).toEqual(hold);
    }
    const copy = Ledger.replay(ledger.journal(), { clock });
    clock.advanceMs(10_000);
    expect(copy.journal()).toEqual(ledger.journal());
    expect(copy.balance('alice')).toEqual({ available: 80n, held: 0n, posted: 80n });
  });

  test('an empty journal is that of a new ledger', () => {
    const copy = Ledger.replay([]);
    expect(copy.open({ account: 'a' }).event.id).toBe(1);
  });

  test('events that no ledger can have written are refused', () => {
    const ledger = ledgerOf({ alice: 100n });
    ledger.withdraw({ key: '1', account: 'alice', amount: 60n });
    const journal = ledger.journal();
    const changed = journal.map((event) =>
      event.type === 'withdraw' ? { ...event, amount: 101n } : event,
    );
    for (const events of [changed, journal.slice(1), [...journal, journal[1]]]) {
      expect(codeOf(() => Ledger.replay(events))).toBe('ERR_JOURNAL_INVALID');
    }
  });

  test('any history conserves the sum and is replayed to the same', () => {
    const account = fc.constantFrom('a', 'b', 'c');
    const amount = fc.bigInt({ min: 1n, max: 60n });
    const target = fc.integer({ min: 0, max: 40 });
    const step = fc.oneof(
      fc.record({ call: fc.constant('deposit'), account, amount }),
      fc.record({ call: fc.constant('withdraw'), account, amount }),
      fc.record({ call: fc.constant('transfer'), from: account, to: account, amount }),
      fc.record({
        call: fc.constant('hold'),
        account,
        amount,
        timeoutMs: fc.integer({ min: 1, max: 30 }),
      }),
      fc.record({ call: fc.constant('settle'), hold: target, amount }),
      fc.record({ call: fc.constant('void'), hold: target }),
      fc.record({ call: fc.constant('reverse'), event: target, force: fc.boolean() }),
      fc.record({
        call: fc.constant('schedule'),
        atMs: fc.integer({ min: 0, max: 100 }),
        from: account,
        to: account,
        amount,
      }),
      fc.record({ call: fc.constant('cancelScheduled'), scheduled: target }),
      fc.record({ call: fc.constant('wait'), ms: fc.integer({ min: 1, max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const clock = new ManualClock();
        const ledger = ledgerOf({ a: 100n, b: 50n, c: 0n }, clock);
        steps.forEach(({ call, ms, ...rest }, i) => {
          if (call === 'wait') clock.advanceMs(ms);
          else codeOf(() => ledger[call]({ key: `${i}`, ...rest }));
        });
        const journal = ledger.journal();
        const copy = Ledger.replay(journal, { clock });
        expect(sumOf(ledger)).toBe(0n);
        expect(copy.journal()).toEqual(journal);
        for (const name of ledger.accounts()) {
          expect(copy.balance(name)).toEqual(ledger.balance(name));
          expect(copy.events({ account: name })).toEqual(ledger.events({ account: name }));
          if (name.startsWith('@')) continue;
          const forced = journal.some(({ type, force }) => type === 'reverse' && force);
          if (!forced) expect(ledger.balance(name).available >= 0n).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('Ledger in real time', () => {
  test('its time is Unix time, and due transfers execute by themselves', async () => {
    const ledger = new Ledger();
    const { event } = ledger.open({ account: 'a', overdraft: true });
    expect(Math.abs(event.atMs - Date.now())).toBeLessThan(60_000);
    ledger.open({ account: 'b' });
    let posted = 0n;
    // Asking makes it happen, too: it has happened by itself if that was before. The longer the wait,
    // the surer that the timer's thread has had its turn, on any machine.
    for (let waitMs = 100, byItself = false; !byItself; waitMs *= 2) {
      const atMs = performance.timeOrigin + performance.now() + 30;
      const key = `after ${waitMs}`;
      const { scheduled } = ledger.schedule({ key, atMs, from: 'a', to: 'b', amount: 5n });
      expect(scheduled.dueAtMs).toBeCloseTo(atMs, 3);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const askedMs = performance.timeOrigin + performance.now();
      const done = ledger.journal().at(-1);
      posted += 5n;
      expect(done).toMatchObject({ type: 'transfer', scheduled: scheduled.id });
      expect(done.atMs).toBeGreaterThanOrEqual(scheduled.dueAtMs);
      expect(ledger.balance('b').posted).toBe(posted);
      byItself = done.atMs < askedMs;
    }
  });

  test('its journal is replayed to the nanosecond', () => {
    const ledger = new Ledger();
    const { atMs } = ledger.open({ account: 'a', overdraft: true }).event;
    ledger.open({ account: 'b' });
    const requests = Array.from({ length: 50 }, (_, i) => ({
      hold: { key: `h${i}`, account: 'a', amount: 1n, timeoutMs: 3e6 + i * 61_234_567.891 },
      schedule: { key: `s${i}`, atMs: atMs + 3e6 + i / 7, from: 'a', to: 'b', amount: 1n },
    }));
    for (const { hold, schedule } of requests) {
      expect(ledger.hold(hold).hold.timeoutMs).toBeCloseTo(hold.timeoutMs, 6);
      expect(ledger.schedule(schedule).scheduled.dueAtMs).toBe(schedule.atMs);
    }
    const journal = ledger.journal();
    const copy = Ledger.replay(journal);
    expect(copy.journal()).toEqual(journal);
    for (const { hold, schedule } of requests) {
      expect(copy.hold(hold)).toEqual(ledger.hold(hold));
      expect(copy.schedule(schedule)).toEqual(ledger.schedule(schedule));
    }
  });

  test('it keeps no process alive', async () => {
    const lib = new URL('../../../../lib/index.js', import.meta.url);
    const source = `
      const { Ledger } = await import('${lib}');
      const ledger = new Ledger();
      ledger.open({ account: 'a', overdraft: true });
      ledger.hold({ key: '1', account: 'a', amount: 1n, timeoutMs: 3600000 });
      ledger.hold({ key: '2', account: 'a', amount: 1n, timeoutMs: 365 * 24 * 3600000 });
      console.log('done');
    `;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', source]);
    expect(stdout).toBe('done\n');
  });
});

test('an unknown option of the class is refused by name', () => {
  expect(() => new Ledger({ now: 5 })).toThrow(/has no option now/);
});
