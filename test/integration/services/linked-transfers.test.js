/** Linked transfers, closing of accounts, and metadata of events, over HTTP and in JavaScript. */
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const keys = [entry('ann', 'a'), entry('bob', 'b'), entry('ops', 'o', { admin: true })];
const prices = { '*': { prompt: 3, completion: 10 } };
const ops = bearer('o');

async function startKeyed({ provider = echo, ...options } = {}) {
  const made = await start({ provider, access: { keys, prices }, ...options });
  const move = (body, headers) => made.post('/v1/transfers', body, { ...ops, ...headers });
  const link = (transfers, rest, headers) =>
    made.post('/v1/transfers/linked', { transfers, ...rest }, { ...ops, ...headers });
  const close = (id, body, headers) =>
    made.post(`/v1/accounts/${encodeURIComponent(id)}/close`, body, { ...ops, ...headers });
  const account = async (id) => (await made.get(`/v1/accounts/${id}`, { headers: ops })).body;
  const events = async (id) =>
    (await made.get(`/v1/accounts/${id}/events?limit=1000`, { headers: ops })).body.data;
  return { ...made, move, link, close, account, events };
}
const codeOf = ({ status, body }) => [status, body.error?.code, body.error?.param];

describe('linked transfers', () => {
  test('are made in their order, each on the balances after the previous one', async () => {
    const { link, account, events } = await startKeyed();
    const answer = await link([
      { to: 'bob', amount: 100, metadata: { invoice: 7 } },
      { from: 'bob', to: 'ann', amount: '60' },
      { from: 'ann', amount: 10 },
    ]);
    expect(answer.status).toBe(201);
    expect(answer.body.transfers).toMatchObject([
      {
        event: { type: 'deposit', to: 'bob', amount: 100, linked: 2, metadata: { invoice: 7 } },
        balance: { available: 100, held: 0, posted: 100 },
      },
      { event: { type: 'transfer', from: 'bob', to: 'ann', linked: 1 }, balance: { posted: 40 } },
      { event: { type: 'withdraw', from: 'ann', amount: 10 }, balance: { posted: 50 } },
    ]);
    const [first, second, third] = answer.body.transfers;
    for (const { transfer_id: id, event } of answer.body.transfers) expect(event.id).toBe(id);
    expect(third.event).not.toHaveProperty('linked');
    expect([(await account('bob')).posted, (await account('ann')).posted]).toEqual([40, 50]);
    expect((await events('bob')).slice(1)).toEqual([first.event, second.event]);
  });

  test('are all refused with one of them, which is named', async () => {
    const { link, move, account, events } = await startKeyed();
    await move({ to: 'bob', amount: 10 });
    const good = { from: 'bob', to: 'ann', amount: 5 };
    for (const [bad, ...expected] of [
      [{ from: 'bob', to: 'ann', amount: 6 }, 402, 'insufficient_credit', 'transfers[1]'],
      [{ from: 'bob', to: 'nobody', amount: 1 }, 404, 'account_not_found', 'transfers[1]'],
      [{ from: 'bob', to: 'bob', amount: 1 }, 400, 'same_account', 'transfers[1].to'],
    ]) {
      expect(codeOf(await link([good, bad, good]))).toEqual(expected);
      expect([(await account('bob')).posted, (await account('ann')).posted]).toEqual([10, 0]);
    }
    expect((await events('bob')).map(({ type }) => type)).toEqual(['open', 'deposit']);
  });

  test('happen once for each key, also over a crash, and keep their refusal', async () => {
    const data = dataFile();
    const first = await startKeyed({ data });
    const both = [
      { to: 'bob', amount: 8 },
      { from: 'bob', to: 'ann', amount: 3 },
    ];
    const made = await first.link(both, { key: 'k' });
    expect(made.headers.get('idempotency-replayed')).toBeNull();
    const second = await startKeyed({ data: afterCrash(data) });
    for (const { link } of [first, second]) {
      const again = await link(both, {}, { 'idempotency-key': 'k' });
      expect([again.status, again.body]).toEqual([200, made.body]);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      const other = [both[0], { ...both[1], amount: 4 }];
      const conflict = [422, 'idempotency_key_reused', 'Idempotency-Key'];
      expect(codeOf(await link(other, { key: 'k' }))).toEqual(conflict);
    }
    const much = [{ from: 'ann', amount: 4 }];
    expect(codeOf(await first.link(much, { key: 'm' }))).toEqual([
      402,
      'insufficient_credit',
      'transfers[0]',
    ]);
    await first.move({ to: 'ann', amount: 100 });
    expect((await first.link(much, { key: 'm' })).status).toBe(402);
    expect((await second.account('ann')).posted).toBe(3);
  });

  const one = { to: 'bob', amount: 1 };
  test.each([
    [{}, 'missing_field', 'transfers'],
    [{ transfers: [] }, 'invalid_value', 'transfers'],
    [{ transfers: Array.from({ length: 1001 }, () => one) }, 'invalid_value', 'transfers'],
    [{ transfers: one }, 'invalid_type', 'transfers'],
    [{ transfers: [one, { amount: 1 }] }, 'missing_field', 'transfers[1].to'],
    [{ transfers: [one, { to: 'bob' }] }, 'missing_field', 'transfers[1].amount'],
    [{ transfers: [{ ...one, amount: '0' }] }, 'invalid_value', 'transfers[0].amount'],
    [{ transfers: [{ ...one, key: 'k' }] }, 'unknown_field', 'transfers[0].key'],
    [{ transfers: [{ ...one, to: '@usage' }] }, 'invalid_value', 'transfers[0].to'],
    [
      { transfers: [one, { ...one, metadata: { a: 'x'.repeat(4096) } }] },
      'invalid_value',
      'transfers[1].metadata',
    ],
    [{ transfers: [one], note: 'x' }, 'unknown_field', 'note'],
  ])('%j is refused', async (body, code, param) => {
    const { post } = await startKeyed();
    expect(codeOf(await post('/v1/transfers/linked', body, ops))).toEqual([400, code, param]);
  });

  test('a thousand fit', async () => {
    const { link, account } = await startKeyed();
    expect((await link(Array.from({ length: 1000 }, () => one))).status).toBe(201);
    expect((await account('bob')).posted).toBe(1000);
  });

  test('are for administrators, and in JavaScript', async () => {
    const { post, gateway } = await startKeyed();
    const body = { transfers: [one] };
    expect((await post('/v1/transfers/linked', body, bearer('b'))).status).toBe(403);
    const transfers = [
      { to: 'bob', amount: 9n, metadata: { why: 'gift' } },
      { from: 'bob', to: 'ann', amount: 4n },
    ];
    const made = await gateway.credits.linked({ key: 'k', transfers });
    expect(made.replayed).toBe(false);
    expect(made.events.map(({ amount, metadata }) => [amount, metadata])).toEqual([
      [9n, { why: 'gift' }],
      [4n, undefined],
    ]);
    expect(made.balances.map(({ posted }) => posted)).toEqual([9n, 5n]);
    const again = await gateway.credits.linked({ key: 'k', transfers });
    expect(again).toEqual({ ...made, replayed: true });
    const bad = { transfers: [{ to: 'bob', amount: 1n }, { amount: 1n }] };
    expect(() => gateway.credits.linked(bad)).toThrow('transfers[1]');
    const poor = { transfers: [{ from: 'bob', amount: 100n }] };
    await expect(gateway.credits.linked(poor)).rejects.toMatchObject({
      code: 'ERR_INSUFFICIENT_CREDIT',
      param: 'transfers[0]',
      available: 5n,
    });
  });
});

describe('a closed account', () => {
  test('is empty and marked as closed, and refuses transfers', async () => {
    const { close, move, link, account, events, post } = await startKeyed();
    const deposit = (await move({ to: 'bob', amount: 5 })).body;
    expect(codeOf(await close('bob'))).toEqual([409, 'account_not_empty', null]);
    await move({ from: 'bob', to: 'ann', amount: 5 });
    const closed = await close('bob', { key: 'c', metadata: { by: 'support' } });
    expect(closed.status).toBe(201);
    expect(closed.body).toMatchObject({
      account_id: 'bob',
      event: { type: 'close', account: 'bob', key: 'c', metadata: { by: 'support' } },
      balance: { available: 0, held: 0, posted: 0 },
    });
    expect(await account('bob')).toMatchObject({ available: 0, closed: true });
    expect(await account('ann')).not.toHaveProperty('closed');
    const refused = [409, 'account_closed', null];
    expect(codeOf(await move({ to: 'bob', amount: 1 }))).toEqual(refused);
    expect(codeOf(await move({ from: 'ann', to: 'bob', amount: 1 }))).toEqual(refused);
    expect(codeOf(await move({ from: 'bob', amount: 1 }))).toEqual(refused);
    expect(
      codeOf(
        await link([
          { to: 'ann', amount: 1 },
          { to: 'bob', amount: 1 },
        ]),
      ),
    ).toEqual([409, 'account_closed', 'transfers[1]']);
    const reverse = `/v1/transfers/${deposit.transfer_id}/reverse`;
    expect(codeOf(await post(reverse, {}, ops))).toEqual(refused);
    const again = await close('bob', { metadata: { by: 'support' } }, { 'idempotency-key': 'c' });
    expect([again.status, again.body]).toEqual([200, closed.body]);
    expect(codeOf(await close('bob'))).toEqual(refused);
    expect((await events('bob')).at(-1)).toEqual(closed.body.event);
  });

  test('stays closed over a restart', async () => {
    const data = dataFile();
    const first = await startKeyed({ data });
    expect((await first.close('bob')).status).toBe(201);
    const second = await startKeyed({ data: afterCrash(data) });
    expect(await second.account('bob')).toMatchObject({ closed: true });
    expect(codeOf(await second.move({ to: 'bob', amount: 1 }))).toEqual([
      409,
      'account_closed',
      null,
    ]);
  });

  test('pays for no job, with any earlier overdraft', async () => {
    const access = { keys, prices, accounts: { bob: { overdraft: 1_000_000 } } };
    const { close, submit, events } = await startKeyed({ access });
    expect((await close('bob')).status).toBe(201);
    const answer = await submit({ prompt: 'one two', max_tokens: 5 }, bearer('b'));
    expect(codeOf(answer)).toEqual([402, 'account_closed', null]);
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect((await events('bob')).map(({ type }) => type)).toEqual(['open', 'close']);
  });

  test('must have no running job', async () => {
    const { provider, call } = handProvider();
    const { close, move, submit, account } = await startKeyed({ provider });
    await move({ to: 'bob', amount: 56 });
    await submit({ prompt: 'one two', max_tokens: 5 }, bearer('b'));
    const run = await call(0);
    expect(codeOf(await close('bob'))).toEqual([409, 'account_not_empty', null]);
    run.push('a', 'b', 'c', 'd', 'e');
    await until(async () => (await account('bob')).held === 0, 'the settlement');
    expect((await close('bob')).status).toBe(201);
  });

  test('must exist, and be a caller’s', async () => {
    const { close, post, gateway } = await startKeyed();
    for (const id of ['nobody', '@usage', 'a'.repeat(257)]) {
      const [status, code] = codeOf(await close(id));
      expect([status, code]).toEqual([404, 'account_not_found']);
    }
    expect(codeOf(await close('bob', { force: true }))).toEqual([400, 'unknown_field', 'force']);
    expect((await post('/v1/accounts/bob/close', {}, bearer('b'))).status).toBe(403);
    const { event } = await gateway.credits.closeAccount({ account: 'bob' });
    expect(event).toMatchObject({ type: 'close', account: 'bob' });
    expect(await gateway.credits.account('bob')).toMatchObject({ closed: true });
    await expect(gateway.credits.closeAccount({ account: 'bob' })).rejects.toMatchObject({
      code: 'ERR_ACCOUNT_CLOSED',
      status: 409,
    });
  });
});

describe('metadata', () => {
  test('of a transfer and of a reversal is kept with its event', async () => {
    const { move, post, events } = await startKeyed();
    const metadata = { invoice: { id: 7, lines: ['a', null, 1.5] }, b: true };
    const moved = await move({ to: 'bob', amount: 5, key: 'k', metadata });
    expect(moved.body.event.metadata).toEqual(metadata);
    const reverse = `/v1/transfers/${moved.body.transfer_id}/reverse`;
    const reversed = await post(reverse, { metadata: { why: 'typo' } }, ops);
    expect(reversed.body.event.metadata).toEqual({ why: 'typo' });
    const kept = (await events('bob')).map((event) => event.metadata);
    expect(kept).toEqual([undefined, metadata, { why: 'typo' }]);
  });

  test('is part of the request of a key, in any order of its members', async () => {
    const { move } = await startKeyed();
    const body = { to: 'bob', amount: 5, key: 'k' };
    expect((await move({ ...body, metadata: { a: 1, b: 2 } })).status).toBe(201);
    expect((await move({ ...body, metadata: { b: 2, a: 1 } })).status).toBe(200);
    expect((await move({ ...body, metadata: { a: 1, b: 3 } })).status).toBe(422);
    expect((await move(body)).status).toBe(422);
  });

  test.each([
    ['"a"', 'invalid_type'],
    ['["a"]', 'invalid_type'],
    ['null', 'invalid_type'],
    ['{"a":1e999}', 'invalid_value'],
    ['{"a":"\\ud800"}', 'invalid_value'],
    [`{"a":"${'x'.repeat(4096)}"}`, 'invalid_value'],
    [`{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, 'invalid_value'],
  ])('%.40s is refused', async (metadata, code) => {
    const { url } = await startKeyed();
    const response = await fetch(`${url}/v1/transfers`, {
      method: 'POST',
      headers: { ...ops, 'content-type': 'application/json' },
      body: `{"to":"bob","amount":5,"metadata":${metadata}}`,
    });
    const answer = { status: response.status, body: await response.json() };
    expect(codeOf(answer)).toEqual([400, code, 'metadata']);
  });
});
