/** Linked transfers, settlements in full, closed accounts and metadata, as JavaScript sees them. */
import { describe, expect, test } from '@jest/globals';
import { Ledger, ManualClock } from '../../../../lib/index.js';

function make() {
  const clock = new ManualClock();
  const ledger = new Ledger({ clock });
  for (const account of ['a', 'b', 'c']) ledger.open({ account });
  ledger.deposit({ key: 'start', account: 'a', amount: 100n });
  const posted = () => ['a', 'b', 'c'].map((account) => ledger.balance(account).posted);
  return { clock, ledger, posted };
}

/** What a call throws. */
function thrown(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** The same ledger, from its journal. */
function replayed(ledger, clock) {
  const copy = Ledger.replay(structuredClone(ledger.journal()), { clock });
  expect(copy.journal()).toEqual(ledger.journal());
  return copy;
}

describe('linked', () => {
  const transfers = [
    { from: 'a', to: 'b', amount: 60n, metadata: { order: 7 } },
    { from: 'b', to: 'c', amount: 50n },
    { to: 'b', amount: 5n },
    { from: 'c', amount: 20n },
  ];

  test('makes all, in their order', () => {
    const { clock, ledger, posted } = make();
    const { events, balances } = ledger.linked({ key: 'k', transfers });
    expect(events).toEqual([
      expect.objectContaining({ type: 'transfer', key: 'k', linked: 3, metadata: { order: 7 } }),
      expect.objectContaining({ type: 'transfer', from: 'b', to: 'c', amount: 50n, linked: 2 }),
      expect.objectContaining({ type: 'deposit', from: '@external', linked: 1 }),
      expect.objectContaining({ type: 'withdraw', to: '@external' }),
    ]);
    expect(events.slice(1).every(({ key }) => key === undefined)).toBe(true);
    expect(events.map(({ id }) => id - events[0].id)).toEqual([0, 1, 2, 3]);
    expect(balances.map((balance) => balance.posted)).toEqual([40n, 10n, 15n, 30n]);
    expect(posted()).toEqual([40n, 15n, 30n]);
    expect(ledger.linked({ key: 'k', transfers })).toEqual({ events, balances });
    expect(replayed(ledger, clock).linked({ key: 'k', transfers })).toEqual({ events, balances });
  });

  test('or none, and says which one was refused', () => {
    const { clock, ledger, posted } = make();
    const tooMuch = [transfers[0], { from: 'b', to: 'c', amount: 61n }, transfers[2]];
    const error = thrown(() => ledger.linked({ key: 'k', transfers: tooMuch }));
    expect(error).toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', index: 1, key: 'k' });
    expect(posted()).toEqual([100n, 0n, 0n]);
    ledger.deposit({ key: 'more', account: 'b', amount: 100n });
    const again = thrown(() => ledger.linked({ key: 'k', transfers: tooMuch }));
    expect(again).toMatchObject({ code: 'ERR_INSUFFICIENT_FUNDS', index: 1 });
    const other = thrown(() => ledger.linked({ key: 'k', transfers }));
    expect(other.code).toBe('ERR_IDEMPOTENCY_CONFLICT');
    const refusals = ledger.journal().filter(({ type }) => type === 'refused');
    expect(refusals.map(({ code }) => code)).toEqual([
      'ERR_LINKED_FAILED',
      'ERR_INSUFFICIENT_FUNDS',
      'ERR_LINKED_FAILED',
    ]);
    replayed(ledger, clock);
  });

  test('a journal that ends among them is invalid', () => {
    const { clock, ledger } = make();
    ledger.linked({ key: 'k', transfers });
    const cut = ledger.journal().slice(0, -1);
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
  ])('%j is refused', (given, message) => {
    const { ledger } = make();
    expect(() => ledger.linked({ key: 'k', transfers: given })).toThrow(message);
    expect(ledger.linked({ key: 'k', transfers }).events).toHaveLength(4);
  });
});

describe('settle', () => {
  test('without an amount takes all that is held', () => {
    const { clock, ledger } = make();
    const { hold } = ledger.hold({ key: 'h', account: 'a', amount: 70n });
    const settled = ledger.settle({ key: 's', hold });
    expect(settled.event.amount).toBe(70n);
    expect(settled.balance).toEqual({ available: 30n, held: 0n, posted: 30n });
    expect(ledger.settle({ key: 's', hold, amount: 70n })).toEqual(settled);
    const early = thrown(() => ledger.settle({ key: 'early', hold: 99 }));
    expect(early.code).toBe('ERR_NO_SUCH_HOLD');
    const [refusal] = ledger.events({ after: settled.event, limit: 1 });
    expect(refusal).not.toHaveProperty('amount');
    replayed(ledger, clock);
  });
});

describe('close', () => {
  test('an empty account, for good', () => {
    const { clock, ledger } = make();
    const full = thrown(() => ledger.close({ key: 'early', account: 'a' }));
    expect(full).toMatchObject({ code: 'ERR_ACCOUNT_NOT_EMPTY' });
    ledger.transfer({ key: 't', from: 'a', to: 'b', amount: 100n });
    const { scheduled } = ledger.schedule({
      key: 'later',
      atMs: 50,
      from: 'b',
      to: 'a',
      amount: 1n,
    });
    const { event, balance } = ledger.close({ key: 'c', account: 'a', metadata: { why: 'left' } });
    expect(event).toEqual({
      id: event.id,
      type: 'close',
      atMs: clock.nowMs(),
      key: 'c',
      account: 'a',
      metadata: { why: 'left' },
    });
    expect(balance).toEqual({ available: 0n, held: 0n, posted: 0n });
    expect(ledger.balance('a')).toEqual({ available: 0n, held: 0n, posted: 0n, closed: true });
    expect(ledger.balance('b')).not.toHaveProperty('closed');
    expect(thrown(() => ledger.deposit({ key: 'd', account: 'a', amount: 1n })).code).toBe(
      'ERR_ACCOUNT_CLOSED',
    );
    expect(thrown(() => ledger.open({ account: 'a' })).code).toBe('ERR_ACCOUNT_EXISTS');
    clock.advanceMs(50);
    expect(ledger.journal().at(-1)).toMatchObject({
      type: 'schedule_failed',
      scheduled: scheduled.id,
      code: 'ERR_ACCOUNT_CLOSED',
    });
    expect(ledger.events({ account: 'a' }).map(({ type }) => type)).toContain('close');
    expect(replayed(ledger, clock).balance('a').closed).toBe(true);
  });
});

describe('metadata', () => {
  test('is kept with the event, frozen, and belongs to the request', () => {
    const { clock, ledger } = make();
    const request = { key: 'k', account: 'a', amount: 1n };
    const { event } = ledger.deposit({ ...request, metadata: { b: [-0, { c: 1 }], a: 'ü' } });
    expect(event.metadata).toStrictEqual({ a: 'ü', b: [-0, { c: 1 }] });
    expect(Object.isFrozen(event.metadata.b[1])).toBe(true);
    const same = ledger.deposit({ ...request, metadata: { a: 'ü', b: [-0, { c: 1 }] } });
    expect(same.event.id).toBe(event.id);
    const other = thrown(() => ledger.deposit({ ...request, metadata: { a: 'u' } }));
    expect(other.code).toBe('ERR_IDEMPOTENCY_CONFLICT');
    ledger.open({ account: 'd', metadata: { owner: 'd' } });
    expect(ledger.events({ account: 'd' })[0].metadata).toEqual({ owner: 'd' });
    replayed(ledger, clock);
  });

  test.each([
    ['text', /^metadata takes an object/],
    [[1], /^metadata takes an object/],
    [{ at: new Date(0) }, /^metadata takes a JSON value/],
    [{ text: 'x'.repeat(4090) }, /^metadata takes up to 4096 bytes/],
  ])('%p is refused', (metadata, message) => {
    const { ledger } = make();
    const call = () => ledger.deposit({ key: 'k', account: 'a', amount: 1n, metadata });
    expect(call).toThrow(message);
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
])('%s refuses an unknown option by name', (method, options, option) => {
  const { ledger } = make();
  const count = ledger.journal().length;
  expect(() => ledger[method](options)).toThrow(new RegExp(`has no option ${option}; it takes `));
  expect(ledger.journal()).toHaveLength(count);
  expect(() => new Ledger({ now: 5 })).toThrow(/has no option now/);
});
