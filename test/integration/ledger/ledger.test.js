/** Tests of both ledgers, in this process and in Redis. */
import { Ledger, ManualClock, SluiceError } from '../../../lib/index.js';
import { codeOf, implementations } from '../../support/ledgers.js';

describe.each(implementations)('$name', ({ start, stop, make }) => {
  beforeAll(start);
  afterAll(stop);

  /** A ledger with accounts that have so much. */
  async function ledgerOf(accounts, clock = new ManualClock()) {
    const ledger = await make({ clock });
    for (const [account, amount] of Object.entries(accounts)) {
      await ledger.open({ account });
      if (amount > 0n) await ledger.deposit({ key: `start ${account}`, account, amount });
    }
    return ledger;
  }

  test('answers with the event and the balance after it', async () => {
    const ledger = await make({ clock: new ManualClock() });
    expect(await ledger.open({ account: 'alice' })).toEqual({
      event: { id: 1, type: 'open', atMs: 0, account: 'alice', overdraft: 0n },
      balance: { available: 0n, held: 0n, posted: 0n },
    });
    expect(await ledger.deposit({ key: 'k1', account: 'alice', amount: 100n })).toEqual({
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
    await ledger.open({ account: 'bob' });
    const { event, balance } = await ledger.transfer({
      key: 'k2',
      from: 'alice',
      to: 'bob',
      amount: 30n,
    });
    expect(event).toMatchObject({ type: 'transfer', from: 'alice', to: 'bob', amount: 30n });
    expect(balance.posted).toBe(70n);
    expect((await ledger.withdraw({ key: 'k3', account: 'bob', amount: 10n })).balance.posted).toBe(
      20n,
    );
    expect((await ledger.balance('@external')).posted).toBe(-90n);
    expect(await ledger.accounts()).toEqual(['@external', '@usage', 'alice', 'bob']);
    expect(Object.isFrozen(event)).toBe(true);
  });

  test('its journal is replayed to the same', async () => {
    const clock = new ManualClock();
    const ledger = await ledgerOf({ alice: 100n, bob: 0n }, clock);
    await codeOf(() => ledger.withdraw({ key: 'w', account: 'alice', amount: 1000n }));
    await ledger.hold({ key: 'h', account: 'alice', amount: 30n, timeoutMs: 5000.1 });
    await ledger.schedule({ key: 's', atMs: 9000, from: 'alice', to: 'bob', amount: 20n });
    clock.advanceMs(10_000.5);
    const journal = await ledger.journal();
    const copy = Ledger.replay(journal, { clock });
    expect(copy.journal()).toEqual(journal);
    for (const account of copy.accounts()) {
      expect(await ledger.balance(account)).toEqual(copy.balance(account));
      expect(await ledger.events({ account })).toEqual(copy.events({ account }));
    }
  });

  test('its answers and errors can be awaited', async () => {
    const ledger = await ledgerOf({ alice: 5n });
    const { balance } = await ledger.deposit({ key: 'a', account: 'alice', amount: 5n });
    expect(balance.available).toBe(10n);
    const late = (async () => ledger.withdraw({ key: 'b', account: 'alice', amount: 11n }))();
    await expect(late).rejects.toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', available: 10n });
  });

  test('amounts are exact past 2^53, up to 2^63 - 1', async () => {
    const ledger = await ledgerOf({ alice: 2n ** 53n });
    const after = await ledger.deposit({ key: '1', account: 'alice', amount: 1n });
    expect(after.balance.posted).toBe(9_007_199_254_740_993n);
    expect((await ledger.events({ account: 'alice' })).at(-1).amount).toBe(1n);
    const rest = 2n ** 63n - 1n - after.balance.posted;
    expect(
      (await ledger.deposit({ key: '2', account: 'alice', amount: rest })).balance.posted,
    ).toBe(9_223_372_036_854_775_807n);
    expect(await codeOf(() => ledger.deposit({ key: '3', account: 'alice', amount: 1n }))).toBe(
      'ERR_AMOUNT_OVERFLOW',
    );
    expect((await ledger.balance('@external')).posted).toBe(-9_223_372_036_854_775_807n);
  });

  test.each([
    [0n, 1n],
    [undefined, 1n],
    [false, 1n],
    [40n, 41n],
  ])('an overdraft of %s does not allow for a withdrawal of %s', async (overdraft, tooMuch) => {
    const ledger = await make({ clock: new ManualClock() });
    await ledger.open({ account: 'a', overdraft });
    expect(await codeOf(() => ledger.withdraw({ key: '1', account: 'a', amount: tooMuch }))).toBe(
      'ERR_INSUFFICIENT_FUNDS',
    );
    if (tooMuch > 1n) {
      const { balance } = await ledger.withdraw({ key: '2', account: 'a', amount: tooMuch - 1n });
      expect(balance).toEqual({ available: 1n - tooMuch, held: 0n, posted: 1n - tooMuch });
    }
  });

  test.each([Infinity, true])('an overdraft of %s has no limit', async (overdraft) => {
    const ledger = await make({ clock: new ManualClock() });
    expect((await ledger.open({ account: 'a', overdraft })).event.overdraft).toBe(Infinity);
    const { balance } = await ledger.withdraw({ key: '1', account: 'a', amount: 2n ** 62n });
    expect(balance.available).toBe(-(2n ** 62n));
  });

  test('a hold is settled at the usage, and the rest returns', async () => {
    const ledger = await ledgerOf({ alice: 100n });
    const { hold, balance } = await ledger.hold({ key: '1', account: 'alice', amount: 60n });
    expect(hold).toMatchObject({ type: 'hold', timeoutMs: 600_000, expiresAtMs: 600_000 });
    expect(balance).toEqual({ available: 40n, held: 60n, posted: 100n });
    expect(await codeOf(() => ledger.withdraw({ key: '2', account: 'alice', amount: 41n }))).toBe(
      'ERR_INSUFFICIENT_FUNDS',
    );
    expect(await codeOf(() => ledger.settle({ key: '3', hold, amount: 61n }))).toBe(
      'ERR_EXCEEDS_HOLD',
    );
    const settled = await ledger.settle({ key: '4', hold, amount: 25n });
    expect(settled.balance).toEqual({ available: 75n, held: 0n, posted: 75n });
    expect(settled.event).toMatchObject({ type: 'settle', hold: hold.id, amount: 25n });
    expect((await ledger.balance('@usage')).posted).toBe(25n);
    expect(await codeOf(() => ledger.settle({ key: '5', hold, amount: 25n }))).toBe(
      'ERR_HOLD_CLOSED',
    );
    expect(await codeOf(() => ledger.void({ key: '6', hold: hold.id }))).toBe('ERR_HOLD_CLOSED');
  });

  test('a hold is voided, or expires at its timeout, which is an event', async () => {
    const clock = new ManualClock();
    const ledger = await ledgerOf({ alice: 100n }, clock);
    const one = (await ledger.hold({ key: '1', account: 'alice', amount: 10n, timeoutMs: 1000 }))
      .hold;
    const two = (await ledger.hold({ key: '2', account: 'alice', amount: 10n, timeoutMs: 1000 }))
      .hold;
    const three = (
      await ledger.hold({
        key: '3',
        account: 'alice',
        amount: 10n,
        timeoutMs: Infinity,
      })
    ).hold;
    expect((await ledger.void({ key: '4', hold: one.id })).balance.held).toBe(20n);
    clock.advanceMs(999);
    expect((await ledger.balance('alice')).held).toBe(20n);
    clock.advanceMs(1);
    expect((await ledger.journal()).at(-1)).toMatchObject({
      type: 'hold_expired',
      hold: two.id,
      atMs: 1000,
    });
    expect(await codeOf(() => ledger.settle({ key: '5', hold: two, amount: 1n }))).toBe(
      'ERR_HOLD_EXPIRED',
    );
    expect(await codeOf(() => ledger.void({ key: '6', hold: two }))).toBe('ERR_HOLD_EXPIRED');
    clock.advanceMs(80 * 24 * 3600 * 1000);
    expect(await ledger.balance('alice')).toEqual({ available: 90n, held: 10n, posted: 100n });
    expect((await ledger.settle({ key: '7', hold: three, amount: 0n })).balance.posted).toBe(100n);
  });

  test('the same key repeats the first answer, failures included', async () => {
    const ledger = await ledgerOf({ alice: 0n });
    const ask = () => ledger.withdraw({ key: 'k', account: 'alice', amount: 10n });
    expect(await codeOf(ask)).toBe('ERR_INSUFFICIENT_FUNDS');
    await ledger.deposit({ key: 'd', account: 'alice', amount: 100n });
    expect(await codeOf(ask)).toBe('ERR_INSUFFICIENT_FUNDS');
    expect(await codeOf(() => ledger.withdraw({ key: 'k', account: 'alice', amount: 11n }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
    expect(await codeOf(() => ledger.deposit({ key: 'k', account: 'alice', amount: 10n }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
    const again = await ledger.deposit({ key: 'd', account: 'alice', amount: 100n });
    expect(again.event.id).toBe(3);
    expect((await ledger.balance('alice')).posted).toBe(100n);
  });

  test('50 concurrent uses of one key have one effect', async () => {
    const ledger = await ledgerOf({ alice: 1000n, bob: 0n });
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        await null;
        return ledger.transfer({ key: 'k', from: 'alice', to: 'bob', amount: 7n });
      }),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await ledger.balance('bob')).posted).toBe(7n);
  });

  test('a reversal is a new event, once, and refused if the funds are spent unless forced', async () => {
    const ledger = await ledgerOf({ alice: 100n, bob: 0n });
    const { event } = await ledger.transfer({ key: '1', from: 'alice', to: 'bob', amount: 40n });
    const { hold } = await ledger.hold({ key: '2', account: 'bob', amount: 30n });
    expect(await codeOf(() => ledger.reverse({ key: '3', event }))).toBe('ERR_INSUFFICIENT_FUNDS');
    const back = await ledger.reverse({ key: '4', event: event.id, force: true });
    expect(back.event).toMatchObject({
      type: 'reverse',
      event: event.id,
      force: true,
      amount: 40n,
    });
    expect(back.balance).toEqual({ available: -30n, held: 30n, posted: 0n });
    expect((await ledger.balance('alice')).posted).toBe(100n);
    expect(await codeOf(() => ledger.reverse({ key: '5', event }))).toBe('ERR_ALREADY_REVERSED');
    expect(await codeOf(() => ledger.reverse({ key: '6', event: back.event }))).toBe(
      'ERR_NOT_REVERSIBLE',
    );
    expect(await codeOf(() => ledger.reverse({ key: '7', event: hold }))).toBe(
      'ERR_NOT_REVERSIBLE',
    );
    expect(await codeOf(() => ledger.reverse({ key: '8', event: 999 }))).toBe('ERR_NO_SUCH_EVENT');
    expect(await codeOf(() => ledger.reverse({ key: '4', event, force: false }))).toBe(
      'ERR_IDEMPOTENCY_CONFLICT',
    );
  });

  test('scheduled transfers execute by time, then by id; a failure is recorded and not retried', async () => {
    const clock = new ManualClock();
    const ledger = await ledgerOf({ alice: 100n, bob: 0n, carol: 0n }, clock);
    const plan = async (key, atMs, to, amount) =>
      (await ledger.schedule({ key, atMs, from: 'alice', to, amount })).scheduled;
    const second = await plan('1', 2000, 'bob', 60n);
    const third = await plan('2', 2000, 'carol', 60n);
    const first = await plan('3', 1000, 'carol', 40n);
    const cancelled = await plan('4', 1500, 'bob', 1n);
    expect(first).toMatchObject({ type: 'schedule', dueAtMs: 1000, amount: 40n });
    expect(
      (await ledger.cancelScheduled({ key: '5', scheduled: cancelled.id })).event,
    ).toMatchObject({
      type: 'cancel_scheduled',
      scheduled: cancelled.id,
    });
    clock.advanceMs(5000);
    expect(
      (await ledger.journal())
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
    await ledger.deposit({ key: '6', account: 'alice', amount: 1000n });
    clock.advanceMs(100_000);
    expect((await ledger.balance('carol')).posted).toBe(40n);
    for (const scheduled of [first, third]) {
      expect(
        await codeOf(() => ledger.cancelScheduled({ key: `x${scheduled.id}`, scheduled })),
      ).toBe('ERR_ALREADY_EXECUTED');
    }
    expect(await codeOf(() => ledger.cancelScheduled({ key: '7', scheduled: cancelled }))).toBe(
      'ERR_ALREADY_CANCELLED',
    );
    expect(await codeOf(() => ledger.cancelScheduled({ key: '8', scheduled: 1 }))).toBe(
      'ERR_NO_SUCH_SCHEDULED',
    );
  });

  test('each error caused by the state has its code', async () => {
    const ledger = await ledgerOf({ alice: 10n });
    const cases = {
      ERR_ACCOUNT_EXISTS: () => ledger.open({ account: 'alice' }),
      ERR_NO_SUCH_ACCOUNT: () => ledger.deposit({ key: '1', account: 'nobody', amount: 1n }),
      ERR_SAME_ACCOUNT: () => ledger.transfer({ key: '2', from: 'alice', to: 'alice', amount: 1n }),
      ERR_NO_SUCH_HOLD: () => ledger.settle({ key: '3', hold: 77, amount: 1n }),
    };
    for (const [code, call] of Object.entries(cases)) expect(await codeOf(call)).toBe(code);
    expect(await codeOf(() => ledger.balance('nobody'))).toBe('ERR_NO_SUCH_ACCOUNT');
    expect(await codeOf(() => ledger.events({ account: 'nobody' }))).toBe('ERR_NO_SUCH_ACCOUNT');
    expect(await codeOf(() => ledger.void({ key: '4', hold: 1 }))).toBe('ERR_NO_SUCH_HOLD');
  });

  test("an account's events come in pages, the journal has all", async () => {
    const ledger = await ledgerOf({ alice: 10n, bob: 0n });
    await codeOf(() => ledger.withdraw({ key: '1', account: 'alice', amount: 11n }));
    const { event } = await ledger.transfer({ key: '2', from: 'alice', to: 'bob', amount: 3n });
    const types = (events) => events.map(({ type }) => type);
    expect(types(await ledger.events({ account: 'alice' }))).toEqual([
      'open',
      'deposit',
      'transfer',
    ]);
    expect(types(await ledger.events({ account: 'alice', after: 1, limit: 1 }))).toEqual([
      'deposit',
    ]);
    expect(await ledger.events({ account: 'alice', after: event })).toEqual([]);
    expect(types(await ledger.events({ account: 'bob' }))).toEqual(['open', 'transfer']);
    expect(types(await ledger.journal())).toEqual([
      'open',
      'deposit',
      'open',
      'refused',
      'transfer',
    ]);
    expect(await ledger.events()).toEqual(await ledger.journal());
    expect(types(await ledger.events({ after: 3, limit: 1 }))).toEqual(['refused']);
  });

  test('a bad argument names itself, and uses no key up', async () => {
    const ledger = await ledgerOf({ alice: 10n });
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
      [() => ledger.balance(undefined), TypeError, /^account takes/],
      [() => ledger.events({ limit: 0 }), RangeError, /^limit takes/],
      [() => ledger.events({ after: '1' }), TypeError, /^after takes/],
    ];
    for (const [call, kind, message] of bad) {
      let thrown;
      try {
        await call();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(kind);
      expect(thrown.message).toMatch(message);
      expect(thrown).toBeInstanceOf(SluiceError);
    }
    expect((await deposit()).balance.posted).toBe(11n);
  });
});
