/** Linked transfers, settlements in full, closed accounts and metadata, of every ledger. */
import { Ledger, ManualClock } from '../../../lib/index.js';
import { implementations } from '../../support/ledgers.js';
import { thrown } from '../../support/thrown.js';

/** The same ledger, from its journal. */
async function replayed(ledger, clock) {
  const copy = Ledger.replay(structuredClone(await ledger.journal()), { clock });
  expect(copy.journal()).toEqual(await ledger.journal());
  return copy;
}

describe.each(implementations)('$name', ({ start, stop, make: makeLedger }) => {
  beforeAll(start);
  afterAll(stop);

  async function make() {
    const clock = new ManualClock();
    const ledger = await makeLedger({ clock });
    for (const account of ['a', 'b', 'c']) await ledger.open({ account });
    await ledger.deposit({ key: 'start', account: 'a', amount: 100n });
    const posted = async () => {
      const balances = await Promise.all(['a', 'b', 'c'].map((account) => ledger.balance(account)));
      return balances.map((balance) => balance.posted);
    };
    return { clock, ledger, posted };
  }

  describe('linked', () => {
    const transfers = [
      { from: 'a', to: 'b', amount: 60n, metadata: { order: 7 } },
      { from: 'b', to: 'c', amount: 50n },
      { to: 'b', amount: 5n },
      { from: 'c', amount: 20n },
    ];

    test('makes all, in their order', async () => {
      const { clock, ledger, posted } = await make();
      const { events, balances } = await ledger.linked({ key: 'k', transfers });
      expect(events).toEqual([
        expect.objectContaining({ type: 'transfer', key: 'k', linked: 3, metadata: { order: 7 } }),
        expect.objectContaining({ type: 'transfer', from: 'b', to: 'c', amount: 50n, linked: 2 }),
        expect.objectContaining({ type: 'deposit', from: '@external', linked: 1 }),
        expect.objectContaining({ type: 'withdraw', to: '@external' }),
      ]);
      expect(events.slice(1).every(({ key }) => key === undefined)).toBe(true);
      expect(events.map(({ id }) => id - events[0].id)).toEqual([0, 1, 2, 3]);
      expect(balances.map((balance) => balance.posted)).toEqual([40n, 10n, 15n, 30n]);
      expect(await posted()).toEqual([40n, 15n, 30n]);
      expect(await ledger.linked({ key: 'k', transfers })).toEqual({ events, balances });
      expect((await replayed(ledger, clock)).linked({ key: 'k', transfers })).toEqual({
        events,
        balances,
      });
    });

    test('or none, and the error names the refused one', async () => {
      const { clock, ledger, posted } = await make();
      const tooMuch = [transfers[0], { from: 'b', to: 'c', amount: 61n }, transfers[2]];
      const error = await thrown(() => ledger.linked({ key: 'k', transfers: tooMuch }));
      expect(error).toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', index: 1, key: 'k' });
      expect(await posted()).toEqual([100n, 0n, 0n]);
      await ledger.deposit({ key: 'more', account: 'b', amount: 100n });
      const again = await thrown(() => ledger.linked({ key: 'k', transfers: tooMuch }));
      expect(again).toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', index: 1 });
      const other = await thrown(() => ledger.linked({ key: 'k', transfers }));
      expect(other.code).toBe('ERR_IDEMPOTENCY_CONFLICT');
      const refusals = (await ledger.journal()).filter(({ type }) => type === 'refused');
      expect(refusals.map(({ code }) => code)).toEqual([
        'ERR_LINKED_FAILED',
        'ERR_INSUFFICIENT_FUNDS',
        'ERR_LINKED_FAILED',
      ]);
      await replayed(ledger, clock);
    });

    test('a journal that ends among them is invalid', async () => {
      const { clock, ledger } = await make();
      await ledger.linked({ key: 'k', transfers });
      const cut = (await ledger.journal()).slice(0, -1);
      expect(() => Ledger.replay(cut, { clock })).toThrow(
        expect.objectContaining({ code: 'ERR_JOURNAL_INVALID' }),
      );
    });

    test.each([
      [undefined, /^transfers takes an array/],
      [[], /^transfers takes 1 to 1000/],
      [[{ amount: 1n }], /^transfers\[0\] takes from, to/],
      [[transfers[0], { from: '@usage', amount: 1n }], /^transfers\[1\]\.from takes/],
      [[{ from: 'a', to: 'b', amount: 1 }], /^transfers\[0\]\.amount takes a BigInt/],
      [[{ from: 'a', to: 'b', amount: 1n, key: 'x' }], /^transfers\[0\] has no option key/],
    ])('%j is refused', async (given, message) => {
      const { ledger } = await make();
      expect((await thrown(() => ledger.linked({ key: 'k', transfers: given }))).message).toMatch(
        message,
      );
      expect((await ledger.linked({ key: 'k', transfers })).events).toHaveLength(4);
    });
  });

  describe('settle', () => {
    test('without an amount settles the whole hold', async () => {
      const { clock, ledger } = await make();
      const { hold } = await ledger.hold({ key: 'h', account: 'a', amount: 70n });
      const settled = await ledger.settle({ key: 's', hold });
      expect(settled.event.amount).toBe(70n);
      expect(settled.balance).toEqual({ available: 30n, held: 0n, posted: 30n });
      expect(await ledger.settle({ key: 's', hold, amount: 70n })).toEqual(settled);
      const early = await thrown(() => ledger.settle({ key: 'early', hold: 99 }));
      expect(early.code).toBe('ERR_NO_SUCH_HOLD');
      const [refusal] = await ledger.events({ after: settled.event, limit: 1 });
      expect(refusal).not.toHaveProperty('amount');
      await replayed(ledger, clock);
    });
  });

  describe('close', () => {
    test('an empty account, permanently', async () => {
      const { clock, ledger } = await make();
      const full = await thrown(() => ledger.close({ key: 'early', account: 'a' }));
      expect(full).toMatchObject({ code: 'ERR_ACCOUNT_NOT_EMPTY' });
      await ledger.transfer({ key: 't', from: 'a', to: 'b', amount: 100n });
      const { scheduled } = await ledger.schedule({
        key: 'later',
        atMs: 50,
        from: 'b',
        to: 'a',
        amount: 1n,
      });
      const { event, balance } = await ledger.close({
        key: 'c',
        account: 'a',
        metadata: { why: 'left' },
      });
      expect(event).toEqual({
        id: event.id,
        type: 'close',
        atMs: clock.nowMs(),
        key: 'c',
        account: 'a',
        metadata: { why: 'left' },
      });
      expect(balance).toEqual({ available: 0n, held: 0n, posted: 0n });
      expect(await ledger.balance('a')).toEqual({
        available: 0n,
        held: 0n,
        posted: 0n,
        closed: true,
      });
      expect(await ledger.balance('b')).not.toHaveProperty('closed');
      expect(
        (await thrown(() => ledger.deposit({ key: 'd', account: 'a', amount: 1n }))).code,
      ).toBe('ERR_ACCOUNT_CLOSED');
      expect((await thrown(() => ledger.open({ account: 'a' }))).code).toBe('ERR_ACCOUNT_EXISTS');
      clock.advanceMs(50);
      expect((await ledger.journal()).at(-1)).toMatchObject({
        type: 'schedule_failed',
        scheduled: scheduled.id,
        code: 'ERR_ACCOUNT_CLOSED',
      });
      expect((await ledger.events({ account: 'a' })).map(({ type }) => type)).toContain('close');
      expect((await replayed(ledger, clock)).balance('a').closed).toBe(true);
    });
  });

  describe('metadata', () => {
    test('is kept with the event, frozen, and belongs to the request', async () => {
      const { clock, ledger } = await make();
      const request = { key: 'k', account: 'a', amount: 1n };
      const { event } = await ledger.deposit({
        ...request,
        metadata: { b: [-0, { c: 1 }], a: 'ü' },
      });
      expect(event.metadata).toStrictEqual({ a: 'ü', b: [-0, { c: 1 }] });
      expect(Object.isFrozen(event.metadata.b[1])).toBe(true);
      const same = await ledger.deposit({ ...request, metadata: { a: 'ü', b: [-0, { c: 1 }] } });
      expect(same.event.id).toBe(event.id);
      const other = await thrown(() => ledger.deposit({ ...request, metadata: { a: 'u' } }));
      expect(other.code).toBe('ERR_IDEMPOTENCY_CONFLICT');
      await ledger.open({ account: 'd', metadata: { owner: 'd' } });
      expect((await ledger.events({ account: 'd' }))[0].metadata).toEqual({ owner: 'd' });
      await replayed(ledger, clock);
    });

    test.each([
      ['text', /^metadata takes an object/],
      [[1], /^metadata takes an object/],
      [{ at: new Date(0) }, /^metadata takes a JSON value/],
      [{ text: 'x'.repeat(4090) }, /^metadata takes up to 4096 bytes/],
    ])('%p is refused', async (metadata, message) => {
      const { ledger } = await make();
      const call = () => ledger.deposit({ key: 'k', account: 'a', amount: 1n, metadata });
      expect((await thrown(call)).message).toMatch(message);
    });
  });

  test.each([
    ['open', { account: 'x', overdaft: 1n }, 'overdaft'],
    ['deposit', { key: 'k', account: 'a', amount: 1n, meta: {} }, 'meta'],
    ['transfer', { key: 'k', from: 'a', to: 'b', amount: 1n, force: true }, 'force'],
    ['hold', { key: 'k', account: 'a', amount: 1n, timeout: 5 }, 'timeout'],
    ['settle', { key: 'k', hold: 1, force: true }, 'force'],
    ['void', { key: 'k', hold: 1, amount: 1n }, 'amount'],
    ['reverse', { key: 'k', event: 1, amount: 1n }, 'amount'],
    ['schedule', { key: 'k', at: 5, from: 'a', to: 'b', amount: 1n }, 'at'],
    ['cancelScheduled', { key: 'k', event: 1 }, 'event'],
    ['close', { key: 'k', account: 'a', force: true }, 'force'],
    ['linked', { key: 'k', transfers: [], all: true }, 'all'],
    ['events', { before: 5 }, 'before'],
  ])('%s refuses an unknown option by name', async (method, options, option) => {
    const { ledger } = await make();
    const count = (await ledger.journal()).length;
    expect((await thrown(() => ledger[method](options))).message).toMatch(
      new RegExp(`has no option ${option}; it takes `),
    );
    expect(await ledger.journal()).toHaveLength(count);
  });
});
