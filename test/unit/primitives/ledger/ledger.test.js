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

describe('Ledger', () => {
  test('answers with the event and the balance after it', () => {
    const ledger = new Ledger({ clock: new ManualClock() });
    expect(ledger.open({ account: 'alice' })).toEqual({
      event: { id: 1, type: 'open', atMs: 0, account: 'alice', overdraft: 0n },
      balance: { available: 0n, held: 0n, posted: 0n },
    });
    expect(ledger.deposit({ key: 'k1', account: 'alice', amount: 100n })).toEqual({
      event: {
        id: 2,
        type: 'deposit',
        atMs: 0,
        key: 'k1',
        from: '@external',
        to: 'alice',
        amount: 100n,
      },
      balance: { available: 100n, held: 0n, posted: 100n },
    });
    ledger.open({ account: 'bob' });
    const { event, balance } = ledger.transfer({
      key: 'k2',
      from: 'alice',
      to: 'bob',
      amount: 30n,
    });
    expect(event).toMatchObject({ type: 'transfer', from: 'alice', to: 'bob', amount: 30n });
    expect(balance.posted).toBe(70n);
    expect(ledger.withdraw({ key: 'k3', account: 'bob', amount: 10n }).balance.posted).toBe(20n);
    expect(ledger.balance('@external').posted).toBe(-90n);
    expect(ledger.accounts()).toEqual(['@external', '@usage', 'alice', 'bob']);
    expect(Object.isFrozen(event)).toBe(true);
  });

  test('its answers and errors can be awaited', async () => {
    const ledger = ledgerOf({ alice: 5n });
    const { balance } = await ledger.deposit({ key: 'a', account: 'alice', amount: 5n });
    expect(balance.available).toBe(10n);
    const late = (async () => ledger.withdraw({ key: 'b', account: 'alice', amount: 11n }))();
    await expect(late).rejects.toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', available: 10n });
  });

  test('amounts are exact past 2^53, up to 2^63 - 1', () => {
    const ledger = ledgerOf({ alice: 2n ** 53n });
    const after = ledger.deposit({ key: '1', account: 'alice', amount: 1n });
    expect(after.balance.posted).toBe(9_007_199_254_740_993n);
    expect(ledger.events({ account: 'alice' }).at(-1).amount).toBe(1n);
    const rest = 2n ** 63n - 1n - after.balance.posted;
    expect(ledger.deposit({ key: '2', account: 'alice', amount: rest }).balance.posted).toBe(
      9_223_372_036_854_775_807n,
    );
    expect(codeOf(() => ledger.deposit({ key: '3', account: 'alice', amount: 1n }))).toBe(
      'ERR_AMOUNT_OVERFLOW',
    );
    expect(ledger.balance('@external').posted).toBe(-9_223_372_036_854_775_807n);
  });

  test.each([
    [0n, 1n],
    [undefined, 1n],
    [false, 1n],
    [40n, 41n],
  ])('an overdraft of %s does not allow for a withdrawal of %s', (overdraft, tooMuch) => {
    const ledger = new Ledger({ clock: new ManualClock() });
    ledger.open({ account: 'a', overdraft });
    expect(codeOf(() => ledger.withdraw({ key: '1', account: 'a', amount: tooMuch }))).toBe(
      'ERR_INSUFFICIENT_FUNDS',
    );
    if (tooMuch > 1n) {
      const { balance } = ledger.withdraw({ key: '2', account: 'a', amount: tooMuch - 1n });
      expect(balance).toEqual({ available: 1n - tooMuch, held: 0n, posted: 1n - tooMuch });
    }
  });

  test.each([Infinity, true])('an overdraft of %s has no limit', (overdraft) => {
    const ledger = new Ledger({ clock: new ManualClock() });
    expect(ledger.open({ account: 'a', overdraft }).event.overdraft).toBe(Infinity);
    const { balance } = ledger.withdraw({ key: '1', account: 'a', amount: 2n ** 62n });
    expect(balance.available).toBe(-(2n ** 62n));
  });

  test('a hold is settled at what was used, and the rest returns', () => {
    const ledger = ledgerOf({ alice: 100n });
    const { hold, balance } = ledger.hold({ key: '1', account: 'alice', amount: 60n });
    expect(hold).toMatchObject({ type: 'hold', timeoutMs: 600_000, expiresAtMs: 600_000 });
    expect(balance).toEqual({ available: 40n, held: 60n, posted: 100n });
    expect(codeOf(() => ledger.withdraw({ key: '2', account: 'alice', amount: 41n }))).toBe(
      'ERR_INSUFFICIENT_FUNDS',
    );
    expect(codeOf(() => ledger.settle({ key: '3', hold, amount: 61n }))).toBe('ERR_EXCEEDS_HOLD');
    const settled = ledger.settle({ key: '4', hold, amount: 25n });
    expect(settled.balance).toEqual({ available: 75n, held: 0n, posted: 75n });
    expect(settled.event).toMatchObject({ type: 'settle', hold: hold.id, amount: 25n });
    expect(ledger.balance('@usage').posted).toBe(25n);
    expect(codeOf(() => ledger.settle({ key: '5', hold, amount: 25n }))).toBe('ERR_HOLD_CLOSED');
    expect(codeOf(() => ledger.void({ key: '6', hold: hold.id }))).toBe('ERR_HOLD_CLOSED');
  });

  test('a hold is voided, or expires at its timeout, which is an event', () => {
    const clock = new ManualClock();
    const ledger = ledgerOf({ alice: 100n }, clock);
    const one = ledger.hold({ key: '1', account: 'alice', amount: 10n, timeoutMs: 1000 }).hold;
    const two = ledger.hold({ key: '2', account: 'alice', amount: 10n, timeoutMs: 1000 }).hold;
    const three = ledger.hold({
      key: '3',
      account: 'alice',
      amount: 10n,
      timeoutMs: Infinity,
    }).hold;
    expect(ledger.void({ key: '4', hold: one.id }).balance.held).toBe(20n);
    clock.advanceMs(999);
    expect(ledger.balance('alice').held).toBe(20n);
    clock.advanceMs(1);
    expect(ledger.journal().at(-1)).toMatchObject({
      type: 'hold_expired',
      hold: two.id,
      atMs: 1000,
    });
    expect(codeOf(() => ledger.settle({ key: '5', hold: two, amount: 1n }))).toBe(
      'ERR_HOLD_EXPIRED',
    );
    expect(codeOf(() => ledger.void({ key: '6', hold: two }))).toBe('ERR_HOLD_EXPIRED');
    clock.advanceMs(80 * 24 * 3600 * 1000);
    expect(ledger.balance('alice')).toEqual({ available: 90n, held: 10n, posted: 100n });
    expect(ledger.settle({ key: '7', hold: three, amount: 0n }).balance.posted).toBe(100n);
  });

  test('the same key gives the first answer again, failures included', () => {
    const ledger = ledgerOf({ alice: 0n });
    const ask = () => ledger.withdraw({ key: 'k', account: 'alice', amount: 10n });
    expect(codeOf(ask)).toBe('ERR_INSUFFICIENT_FUNDS');
    ledger.deposit({ key: 'd', account: 'alice', amount: 100n });
    expect(codeOf(ask)).toBe('ERR_INSUFFICIENT_FUNDS');
    expect(codeOf(() => ledger.withdraw({ key: 'k', account: 'alice', amount: 11n }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
    expect(codeOf(() => ledger.deposit({ key: 'k', account: 'alice', amount: 10n }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
    const again = ledger.deposit({ key: 'd', account: 'alice', amount: 100n });
    expect(again.event.id).toBe(3);
    expect(ledger.balance('alice').posted).toBe(100n);
  });

  test('50 concurrent uses of one key have one effect', async () => {
    const ledger = ledgerOf({ alice: 1000n, bob: 0n });
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        await null;
        return ledger.transfer({ key: 'k', from: 'alice', to: 'bob', amount: 7n });
      }),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(ledger.balance('bob').posted).toBe(7n);
  });

  test('a reversal is a new event, once, and refused if the funds are spent unless forced', () => {
    const ledger = ledgerOf({ alice: 100n, bob: 0n });
    const { event } = ledger.transfer({ key: '1', from: 'alice', to: 'bob', amount: 40n });
    const { hold } = ledger.hold({ key: '2', account: 'bob', amount: 30n });
    expect(codeOf(() => ledger.reverse({ key: '3', event }))).toBe('ERR_INSUFFICIENT_FUNDS');
    const back = ledger.reverse({ key: '4', event: event.id, force: true });
    expect(back.event).toMatchObject({
      type: 'reverse',
      event: event.id,
      force: true,
      amount: 40n,
    });
    expect(back.balance).toEqual({ available: -30n, held: 30n, posted: 0n });
    expect(ledger.balance('alice').posted).toBe(100n);
    expect(codeOf(() => ledger.reverse({ key: '5', event }))).toBe('ERR_ALREADY_REVERSED');
    expect(codeOf(() => ledger.reverse({ key: '6', event: back.event }))).toBe(
      'ERR_NOT_REVERSIBLE',
    );
    expect(codeOf(() => ledger.reverse({ key: '7', event: hold }))).toBe('ERR_NOT_REVERSIBLE');
    expect(codeOf(() => ledger.reverse({ key: '8', event: 999 }))).toBe('ERR_NO_SUCH_EVENT');
    expect(codeOf(() => ledger.reverse({ key: '4', event, force: false }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
  });

  test('what is scheduled happens by time, then by id; what fails is recorded and not retried', () => {
    const clock = new ManualClock();
    const ledger = ledgerOf({ alice: 100n, bob: 0n, carol: 0n }, clock);
    const plan = (key, atMs, to, amount) =>
      ledger.schedule({ key, atMs, from: 'alice', to, amount }).scheduled;
    const second = plan('1', 2000, 'bob', 60n);
    const third = plan('2', 2000, 'carol', 60n);
    const first = plan('3', 1000, 'carol', 40n);
    const cancelled = plan('4', 1500, 'bob', 1n);
    expect(first).toMatchObject({ type: 'schedule', dueAtMs: 1000, amount: 40n });
    expect(ledger.cancelScheduled({ key: '5', scheduled: cancelled.id }).event).toMatchObject({
      type: 'cancel_scheduled',
      scheduled: cancelled.id,
    });
    clock.advanceMs(5000);
    expect(
      ledger
        .journal()
        .slice(-3)
        .map(({ type, scheduled, atMs, code }) => ({ type, scheduled, atMs, code })),
    ).toEqual([
      { type: 'transfer', scheduled: first.id, atMs: 1000, code: undefined },
      { type: 'transfer', scheduled: second.id, atMs: 2000, code: undefined },
      {
        type: 'schedule_failed',
        scheduled: third.id,
        atMs: 2000,
        code: 'ERR_INSUFFICIENT_FUNDS',
      },
    ]);
    ledger.deposit({ key: '6', account: 'alice', amount: 1000n });
    clock.advanceMs(100_000);
    expect(ledger.balance('carol').posted).toBe(40n);
    for (const scheduled of [first, third]) {
      expect(codeOf(() => ledger.cancelScheduled({ key: `x${scheduled.id}`, scheduled }))).toBe(
        'ERR_ALREADY_EXECUTED',
      );
    }
    expect(codeOf(() => ledger.cancelScheduled({ key: '7', scheduled: cancelled }))).toBe(
      'ERR_ALREADY_CANCELLED',
    );
    expect(codeOf(() => ledger.cancelScheduled({ key: '8', scheduled: 1 }))).toBe(
      'ERR_NO_SUCH_SCHEDULED',
    );
  });

  test('each error that the state gives rise to has its code', () => {
    const ledger = ledgerOf({ alice: 10n });
    const cases = {
      ERR_ACCOUNT_EXISTS: () => ledger.open({ account: 'alice' }),
      ERR_NO_SUCH_ACCOUNT: () => ledger.deposit({ key: '1', account: 'nobody', amount: 1n }),
      ERR_SAME_ACCOUNT: () => ledger.transfer({ key: '2', from: 'alice', to: 'alice', amount: 1n }),
      ERR_NO_SUCH_HOLD: () => ledger.settle({ key: '3', hold: 77, amount: 1n }),
    };
    for (const [code, call] of Object.entries(cases)) expect(codeOf(call)).toBe(code);
    expect(codeOf(() => ledger.balance('nobody'))).toBe('ERR_NO_SUCH_ACCOUNT');
    expect(codeOf(() => ledger.events({ account: 'nobody' }))).toBe('ERR_NO_SUCH_ACCOUNT');
    expect(codeOf(() => ledger.void({ key: '4', hold: 1 }))).toBe('ERR_NO_SUCH_HOLD');
  });

  test("an account's events come in pages, the journal has all", () => {
    const ledger = ledgerOf({ alice: 10n, bob: 0n });
    codeOf(() => ledger.withdraw({ key: '1', account: 'alice', amount: 11n }));
    const { event } = ledger.transfer({ key: '2', from: 'alice', to: 'bob', amount: 3n });
    const types = (events) => events.map(({ type }) => type);
    expect(types(ledger.events({ account: 'alice' }))).toEqual(['open', 'deposit', 'transfer']);
    expect(types(ledger.events({ account: 'alice', after: 1, limit: 1 }))).toEqual(['deposit']);
    expect(ledger.events({ account: 'alice', after: event })).toEqual([]);
    expect(types(ledger.events({ account: 'bob' }))).toEqual(['open', 'transfer']);
    expect(types(ledger.journal())).toEqual(['open', 'deposit', 'open', 'refused', 'transfer']);
    expect(ledger.events()).toEqual(ledger.journal());
    expect(types(ledger.events({ after: 3, limit: 1 }))).toEqual(['refused']);
  });

  test('a bad argument names itself, and uses no key up', () => {
    const ledger = ledgerOf({ alice: 10n });
    const deposit = (change) =>
      ledger.deposit({ key: 'k', account: 'alice', amount: 1n, ...change });
    const bad = [
      [() => deposit({ key: undefined }), TypeError, /^key takes a string/],
      [() => deposit({ key: '' }), RangeError, /^key takes/],
      [() => deposit({ key: 'x'.repeat(257) }), RangeError, /^key takes.*256/],
      [() => deposit({ account: 7 }), TypeError, /^account takes a string/],
      [() => deposit({ account: '@external' }), RangeError, /^account takes/],
      [() => deposit({ account: '\ud800' }), RangeError, /^account holds half/],
      [() => deposit({ amount: 1 }), TypeError, /^amount takes a BigInt from 1n/],
      [() => deposit({ amount: 0n }), RangeError, /^amount takes a BigInt from 1n/],
      [() => deposit({ amount: -1n }), RangeError, /^amount takes/],
      [() => deposit({ amount: 2n ** 63n }), RangeError, /^amount takes/],
      [() => ledger.deposit(null), TypeError, /^options takes an object/],
      [() => ledger.open({ account: 'x', overdraft: 5 }), TypeError, /^overdraft takes/],
      [() => ledger.open({ account: 'x', overdraft: -5n }), RangeError, /^overdraft takes/],
      [() => ledger.open({ account: '@x' }), RangeError, /^account takes/],
      [
        () => ledger.transfer({ key: 'k', from: 'alice', to: '@usage', amount: 1n }),
        RangeError,
        /^to takes/,
      ],
      [
        () => ledger.hold({ key: 'k', account: 'alice', amount: 1n, timeoutMs: 0 }),
        RangeError,
        /^timeoutMs takes/,
      ],
      [() => ledger.settle({ key: 'k', hold: 'x', amount: 1n }), TypeError, /^hold takes/],
      [() => ledger.settle({ key: 'k', hold: 1, amount: 1 }), TypeError, /^amount takes/],
      [() => ledger.reverse({ key: 'k', event: 1, force: 1 }), TypeError, /^force takes/],
      [
        () => ledger.schedule({ key: 'k', atMs: NaN, from: 'alice', to: 'b', amount: 1n }),
        RangeError,
        /^atMs takes/,
      ],
      [() => ledger.balance(), TypeError, /^account takes/],
      [() => ledger.events({ limit: 0 }), RangeError, /^limit takes/],
      [() => ledger.events({ after: '1' }), TypeError, /^after takes/],
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
      let thrown;
      try {
        call();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(kind);
      expect(thrown.message).toMatch(message);
      expect(thrown).toBeInstanceOf(SluiceError);
    }
    expect(deposit().balance.posted).toBe(11n);
  });
});

describe('Ledger.replay', () => {
  test('comes to the same, and goes on: balances, keys, holds and what is scheduled', () => {
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

  test('what no ledger can have written is refused', () => {
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
  test('its time is Unix time, and what is due happens by itself', async () => {
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
