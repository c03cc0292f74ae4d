/** Accounts, transfers and usage over HTTP: rights, movements and refusals. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { echo } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

const keys = [
  entry('ann', 'a', { organisation: 'acme' }),
  entry('bob', 'b'),
  entry('ops', 'o', { admin: true }),
];
const prices = { '*': { prompt: 3, completion: 10 } };
const ops = bearer('o');

async function startKeyed(access) {
  const made = await start({ provider: echo, access: { keys, prices, ...access } });
  const move = (body, headers) => made.post('/v1/transfers', body, { ...ops, ...headers });
  const reverse = (id, body, headers) =>
    made.post(`/v1/transfers/${id}/reverse`, body, { ...ops, ...headers });
  const read = (path, key) => made.get(path, { headers: bearer(key) });
  return { ...made, move, reverse, read };
}
const codeOf = ({ status, body }) => [status, body.error?.code, body.error?.param];

describe('accounts', () => {
  test('exist before their first use, for their payers and for administrators', async () => {
    const { read } = await startKeyed({ accounts: { spare: { overdraft: '9007199254740993' } } });
    const zero = { available: 0, held: 0, posted: 0, overdraft: 0 };
    const found = async (id, key) => (await read(`/v1/accounts/${id}`, key)).body;
    expect(await found('acme', 'a')).toEqual({ account_id: 'acme', ...zero });
    expect(await found('bob', 'b')).toEqual({ account_id: 'bob', ...zero });
    expect(await found('acme', 'o')).toEqual({ account_id: 'acme', ...zero });
    expect(await found('spare', 'o')).toEqual({
      account_id: 'spare',
      ...zero,
      overdraft: '9007199254740993',
    });
    for (const [id, key] of [
      ['acme', 'b'],
      ['ann', 'a'],
      ['nobody', 'o'],
      ['@usage', 'a'],
      ['%ED%A0%80', 'o'],
    ]) {
      const { status } = await read(`/v1/accounts/${id}`, key);
      expect([400, 404]).toContain(status);
      expect((await read(`/v1/accounts/${id}/events`, key)).status).toBe(status);
    }
    expect(codeOf(await read('/v1/accounts/acme', 'b'))).toEqual([
      404,
      'account_not_found',
      'account_id',
    ]);
    expect((await read('/v1/accounts/acme', 'x')).status).toBe(401);
  });

  test.each([
    ['257 letters', 'a'.repeat(257)],
    ['257 UTF-16 units in 129 characters', `${'\u{1F600}'.repeat(128)}a`],
    ['5,000 letters', 'a'.repeat(5000)],
  ])('with a name of %s do not exist', async (_case, name) => {
    const { read, move, gateway } = await startKeyed();
    for (const path of ['', '/events']) {
      const answer = await read(`/v1/accounts/${encodeURIComponent(name)}${path}`, 'o');
      expect(codeOf(answer)).toEqual([404, 'account_not_found', 'account_id']);
    }
    for (const field of ['from', 'to']) {
      const answer = await move({ [field]: name, amount: 5 });
      expect(codeOf(answer)).toEqual([400, 'invalid_value', field]);
    }
    const code = 'ERR_ACCOUNT_NOT_FOUND';
    await expect(gateway.credits.account(name)).rejects.toMatchObject({ code });
  });

  test('may have names of 256 UTF-16 units', async () => {
    const { read, move } = await startKeyed();
    for (const name of ['a'.repeat(256), '\u{1F600}'.repeat(128)]) {
      expect((await move({ to: name, amount: 5 })).status).toBe(201);
      const { body } = await read(`/v1/accounts/${encodeURIComponent(name)}`, 'o');
      expect(body).toMatchObject({ account_id: name, available: 5 });
    }
  });

  test('of the ledger itself are an administrator’s to read', async () => {
    const { read, move } = await startKeyed();
    await move({ to: 'bob', amount: 5, key: 'k' });
    expect((await read('/v1/accounts/@external', 'o')).body).toEqual({
      account_id: '@external',
      available: -5,
      held: 0,
      posted: -5,
      overdraft: null,
    });
    expect((await read('/v1/accounts/@external', 'b')).status).toBe(404);
  });

  test('their events are listed in pages', async () => {
    const { read, move } = await startKeyed();
    for (let i = 1; i <= 5; i += 1) await move({ to: 'bob', amount: i, key: `k${i}` });
    const page = async (query) => (await read(`/v1/accounts/bob/events?${query}`, 'b')).body;
    const seen = [];
    let after = 0;
    for (;;) {
      const { data, has_more: more } = await page(`limit=2&after=${after}`);
      seen.push(...data);
      if (!more) break;
      after = data.at(-1).id;
    }
    expect(seen.map(({ type, amount, key }) => [type, amount, key])).toEqual([
      ['open', undefined, undefined],
      ...[1, 2, 3, 4, 5].map((i) => ['deposit', i, `k${i}`]),
    ]);
    expect((await page('')).data).toEqual(seen);
    for (const query of ['limit=0', 'limit=1001', 'after=x', 'after=-1', 'limit=1&limit=2']) {
      const [status, code, param] = codeOf(await read(`/v1/accounts/bob/events?${query}`, 'b'));
      expect([status, code, param]).toEqual([400, 'invalid_value', query.slice(0, 5)]);
    }
  });
});

describe('transfers', () => {
  test('deposit, move and withdraw, once for each key', async () => {
    const { move, read } = await startKeyed();
    const deposit = await move({ to: 'bob', amount: '100', key: 'k1' });
    expect(deposit.status).toBe(201);
    expect(deposit.body).toMatchObject({
      event: { type: 'deposit', from: '@external', to: 'bob', amount: 100, key: 'k1' },
      balance: { available: 100, held: 0, posted: 100 },
    });
    expect(deposit.body.event.id).toBe(deposit.body.transfer_id);
    const again = await move({ amount: 100, to: 'bob' }, { 'idempotency-key': 'k1' });
    expect([again.status, again.body]).toEqual([200, deposit.body]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(deposit.headers.get('idempotency-replayed')).toBeNull();
    const between = await move({ from: 'bob', to: 'acme', amount: 30, key: 'k2' });
    expect(between.body.balance.available).toBe(70);
    const out = await move({ from: 'bob', amount: 20, key: 'k3' });
    expect(out.body).toMatchObject({ event: { to: '@external' }, balance: { available: 50 } });
    expect((await read('/v1/accounts/acme', 'a')).body.available).toBe(30);
  });

  test('without a key each is a new one', async () => {
    const { move, reverse, read } = await startKeyed();
    const answers = [await move({ to: 'bob', amount: 7 }), await move({ to: 'bob', amount: 7 })];
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(answers.map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, null]);
    const [one, other] = answers.map(({ body }) => body);
    expect(one.transfer_id).not.toBe(other.transfer_id);
    expect(one.event).not.toHaveProperty('key');
    expect((await reverse(one.transfer_id)).status).toBe(201);
    expect(codeOf(await reverse(one.transfer_id))).toEqual([409, 'already_reversed', null]);
    expect((await move({ from: 'bob', amount: 8 })).status).toBe(402);
    expect((await read('/v1/accounts/bob', 'b')).body.available).toBe(7);
  });

  test('fifty at once with one key are one transfer', async () => {
    const { move, read } = await startKeyed();
    const sent = Array.from({ length: 50 }, () => move({ to: 'bob', amount: 7, key: 'k' }));
    const answers = await Promise.all(sent);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body.transfer_id)).size).toBe(1);
    expect((await read('/v1/accounts/bob', 'b')).body.available).toBe(7);
  });

  test('amounts are exact beyond 2^53', async () => {
    const { move, read } = await startKeyed();
    const amount = '9007199254740993';
    const { body } = await move({ to: 'bob', amount, key: 'k' });
    expect([body.event.amount, body.balance.available]).toEqual([amount, amount]);
    await move({ from: 'bob', amount: 2, key: 'l' });
    expect((await read('/v1/accounts/bob', 'b')).body.available).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('a refusal is kept under its key', async () => {
    const { move } = await startKeyed();
    const send = () => move({ from: 'bob', amount: 5, key: 'k' });
    expect(codeOf(await send())).toEqual([402, 'insufficient_credit', null]);
    await move({ to: 'bob', amount: 5, key: 'l' });
    expect(codeOf(await send())).toEqual([402, 'insufficient_credit', null]);
    expect((await move({ from: 'bob', amount: 5, key: 'm' })).status).toBe(201);
  });

  test.each([
    [{ to: 'bob', key: 'k' }, 400, 'missing_field', 'amount'],
    [{ amount: 5, key: 'k' }, 400, 'missing_field', 'to'],
    [{ to: 'bob', amount: 0, key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: 'bob', amount: '0', key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: 'bob', amount: -5, key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: 'bob', amount: 1.5, key: 'k' }, 400, 'invalid_type', 'amount'],
    [{ to: 'bob', amount: '1.5', key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: 'bob', amount: 2 ** 53, key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: 'bob', amount: '9223372036854775808', key: 'k' }, 400, 'invalid_value', 'amount'],
    [{ to: '@usage', amount: 5, key: 'k' }, 400, 'invalid_value', 'to'],
    [{ to: '\ud800', amount: 5, key: 'k' }, 400, 'invalid_value', 'to'],
    [{ to: 'bob', amount: 5, key: '@settle:job_1' }, 400, 'invalid_value', 'key'],
    [{ to: 'bob', amount: 5, key: 'k', note: 'x' }, 400, 'unknown_field', 'note'],
    [{ from: 'bob', to: 'bob', amount: 5, key: 'k' }, 400, 'same_account', 'to'],
    [{ from: 'nobody', amount: 5, key: 'k' }, 404, 'account_not_found', null],
    [{ from: 'bob', to: 'nobody', amount: 5, key: 'k' }, 404, 'account_not_found', null],
    [{ from: 'bob', to: 'acme', amount: 5, key: 'k' }, 402, 'insufficient_credit', null],
    [[], 400, 'invalid_type', null],
  ])('%j is refused', async (body, ...expected) => {
    const { move } = await startKeyed();
    expect(codeOf(await move(body))).toEqual(expected);
  });

  test('keys are checked, wherever they are', async () => {
    const { move } = await startKeyed();
    const body = { to: 'bob', amount: 5 };
    const send = async (header, key) =>
      codeOf(await move({ ...body, key }, { 'idempotency-key': header }));
    expect(await send('@k')).toEqual([400, 'invalid_value', 'Idempotency-Key']);
    expect(await send('k', 'l')).toEqual([400, 'invalid_value', 'key']);
    expect((await move({ ...body, key: 'k' }, { 'idempotency-key': 'k' })).status).toBe(201);
    expect(codeOf(await move({ ...body, amount: 6, key: 'k' }))).toEqual([
      422,
      'idempotency_key_reused',
      'Idempotency-Key',
    ]);
  });

  test('are for administrators', async () => {
    const { post } = await startKeyed();
    const body = { to: 'bob', amount: 5, key: 'k' };
    expect((await post('/v1/transfers', body, bearer('b'))).status).toBe(403);
    expect((await post('/v1/transfers', body)).status).toBe(401);
    expect((await post('/v1/transfers/1/reverse', {}, bearer('b'))).status).toBe(403);
  });

  test('without keys are for callers on the machine itself', async () => {
    const { post } = await start({ provider: echo });
    const body = { to: 'anonymous', amount: 5, key: 'k' };
    const headers = [{ 'x-forwarded-for': '10.0.0.1' }, { origin: 'https://elsewhere.example' }];
    for (const each of headers) expect((await post('/v1/transfers', body, each)).status).toBe(403);
    expect((await post('/v1/transfers', body)).status).toBe(201);
  });

  test('with a hook are for the callers it returns as administrators', async () => {
    const authenticate = (req) => ({
      principal: req.get('x-who'),
      admin: req.get('x-who') === 'o',
    });
    const { post, get } = await start({ provider: echo, authenticate });
    const body = { to: 'anybody', amount: 5, key: 'k' };
    const as = (caller) => ({ 'x-who': caller });
    expect((await post('/v1/transfers', body, as('p'))).status).toBe(403);
    expect((await post('/v1/transfers', body, as('o'))).status).toBe(201);
    const read = async (id, caller) =>
      (await get(`/v1/accounts/${id}`, { headers: as(caller) })).body;
    expect((await read('anybody', 'anybody')).available).toBe(5);
    expect((await read('somebody', 'somebody')).available).toBe(0);
    expect((await read('somebody', 'o')).error.code).toBe('account_not_found');
  });
});

describe('a reversal', () => {
  test('moves the amount back, once', async () => {
    const { move, reverse, read } = await startKeyed();
    const { transfer_id: id } = (await move({ to: 'bob', amount: 100, key: 'k' })).body;
    const first = await reverse(id, undefined, { 'idempotency-key': 'r' });
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      event: { type: 'reverse', event: id, from: 'bob', to: '@external', amount: 100, key: 'r' },
      balance: { available: 0 },
    });
    const again = await reverse(id, { key: 'r' });
    expect([again.status, again.body]).toEqual([200, first.body]);
    expect(codeOf(await reverse(id))).toEqual([409, 'already_reversed', null]);
    expect((await read('/v1/accounts/bob', 'b')).body.posted).toBe(0);
  });

  test('of an unknown transfer is refused, and the refusal is kept under its key', async () => {
    const { move, reverse } = await startKeyed();
    await move({ to: 'bob', amount: 1 });
    const later = 6;
    const refused = [404, 'transfer_not_found', 'transfer_id'];
    const send = () => reverse(later, { key: 'r' });
    expect(codeOf(await send())).toEqual(refused);
    let last = 0;
    while (last < later) last = (await move({ to: 'bob', amount: 1 })).body.transfer_id;
    expect(codeOf(await send())).toEqual(refused);
    expect((await reverse(later, { key: 's' })).status).toBe(201);
  });

  test('is refused when the funds are spent, unless it is forced', async () => {
    const { move, reverse } = await startKeyed();
    const { transfer_id: id } = (await move({ to: 'bob', amount: 100, key: 'k' })).body;
    await move({ from: 'bob', amount: 60, key: 'l' });
    expect(codeOf(await reverse(id))).toEqual([402, 'insufficient_credit', null]);
    const forced = await reverse(id, { force: true });
    expect([forced.status, forced.body.balance.available]).toEqual([201, -60]);
  });

  test('returns the payment of a job', async () => {
    const { move, reverse, submit, read, gateway } = await startKeyed();
    await move({ to: 'bob', amount: 1000, key: 'k' });
    const { body } = await submit({ prompt: 'one two ', max_tokens: 5 }, bearer('b'));
    for await (const { type } of gateway.stream(body.job_id, { principal: 'bob' })) {
      if (type === 'job_complete') break;
    }
    const { data } = (await read('/v1/accounts/bob/events', 'b')).body;
    const settled = data.find(({ type }) => type === 'settle');
    expect(settled).toMatchObject({ job_id: body.job_id, amount: 26 });
    expect((await reverse(settled.id)).status).toBe(201);
    expect((await read('/v1/accounts/bob', 'b')).body.available).toBe(1000);
    const opened = data.find(({ type }) => type === 'open');
    expect(codeOf(await reverse(opened.id))).toEqual([409, 'not_reversible', null]);
  });

  test.each([
    ['999', {}, 404, 'transfer_not_found', 'transfer_id'],
    ['x', {}, 404, 'transfer_not_found', 'transfer_id'],
    ['0', {}, 404, 'transfer_not_found', 'transfer_id'],
    ['1', { force: 1 }, 400, 'invalid_type', 'force'],
    ['1', { now: 1 }, 400, 'unknown_field', 'now'],
  ])('of %s with %j is refused', async (id, body, ...expected) => {
    const { reverse } = await startKeyed();
    expect(codeOf(await reverse(id, body))).toEqual(expected);
  });
});

describe('usage', () => {
  test('is the caller’s own, and an administrator’s all', async () => {
    const { move, submit, read, gateway } = await startKeyed();
    await move({ to: 'acme', amount: 1000, key: 'k' });
    await move({ to: 'bob', amount: 1000, key: 'l' });
    for (const [key, prompt] of [
      ['a', 'one '],
      ['b', 'one two '],
      ['b', 'one two '],
    ]) {
      const { body } = await submit({ prompt, max_tokens: 5 }, bearer(key));
      const principal = key === 'a' ? 'ann' : 'bob';
      for await (const { type } of gateway.stream(body.job_id, { principal })) {
        if (type === 'job_complete') break;
      }
    }
    const cached = { cached_requests: 0, cached_prompt_tokens: 0, cached_completion_tokens: 0 };
    const ann = { requests: 1, prompt_tokens: 1, completion_tokens: 1, ...cached, cost: 13 };
    const bob = { requests: 2, prompt_tokens: 4, completion_tokens: 4, ...cached, cost: 52 };
    const all = { requests: 3, prompt_tokens: 5, completion_tokens: 5, ...cached, cost: 65 };
    const usage = async (query, key) => (await read(`/v1/usage?${query}`, key)).body;
    expect(await usage('group_by=key', 'a')).toEqual({
      data: [{ group: 'ann', ...ann }],
      total: ann,
    });
    expect(await usage('group_by=key', 'o')).toEqual({
      data: [
        { group: 'ann', ...ann },
        { group: 'bob', ...bob },
      ],
      total: all,
    });
    expect((await usage('group_by=model', 'b')).data).toEqual([{ group: 'echo', ...bob }]);
    const day = (ms) => new Date(Date.now() + ms).toISOString().slice(0, 10);
    expect((await usage('', 'o')).total).toEqual(all);
    expect((await usage(`from=${day(-86_400_000)}&to=${day(0)}`, 'o')).total).toEqual(all);
    expect((await usage('from=1&to=2', 'o')).data).toEqual([]);
    const seconds = Math.floor(Date.now() / 1000);
    const range = `from=${seconds - 3600}&to=${new Date(Date.now() + 1000).toISOString()}`;
    expect((await usage(range, 'o')).total).toEqual(all);
  });

  test.each([
    ['from=yesterday', 'from'],
    ['from=2026-13-01', 'from'],
    ['from=2026-02-30', 'from'],
    ['to=2026-02-30T12:00:00Z', 'to'],
    ['to=2026-01-31T12:00:00', 'to'],
    ['from=1&from=2', 'from'],
    ['from=2026-02-01&to=2026-01-01', 'to'],
    ['group_by=prompt', 'group_by'],
    ['group_by=', 'group_by'],
  ])('refuses %s', async (query, param) => {
    const { read } = await startKeyed();
    expect(codeOf(await read(`/v1/usage?${query}`, 'o'))).toEqual([400, 'invalid_value', param]);
  });
});
