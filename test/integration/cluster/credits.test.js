/** Credit and usage of two gateways on one Redis: one ledger, and every answer the same from both. */
import { BEATS_PER_LEASE } from '../../../lib/cluster/members.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { handProvider } from '../../support/providers/providers.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start } from '../../support/gateway/gateway.js';
import { startTwo, useEmptyRedis } from '../../support/cluster/gateways.js';
import { until } from '../../support/until.js';

const redis = useEmptyRedis();

/** 3 micro-credits for a token of the prompt, 10 for one of the answer; shared, 1 and 2. */
const prices = { '*': { prompt: 3, completion: 10, cached_prompt: 1, cached_completion: 2 } };
/** Of two tokens, by the estimate of a quarter of its bytes. */
const prompt = 'one two ';
const promptCost = 6;

/** Yields four tokens. */
async function* four() {
  for (const token of ['a', 'b', 'c', 'd']) yield token;
}

/** Two gateways whose callers, without keys, have this credit. */
async function startWith(credit, { access, ...options } = {}) {
  const [a, b] = await startTwo(redis, {
    provider: four,
    access: { prices, ...access },
    ...options,
  });
  if (credit > 0) {
    await a.gateway.credits.transfer({ key: 'give', to: 'anonymous', amount: BigInt(credit) });
  }
  return [a, b];
}

const account = '/v1/accounts/anonymous';

/** The available and the held amount, which must be the same at both gateways. */
async function balanceBy(a, b, id = 'anonymous') {
  const [one, other] = await Promise.all([a, b].map(({ get }) => get(`/v1/accounts/${id}`)));
  expect(other.body).toEqual(one.body);
  return [one.body.available, one.body.held];
}

/** Types and amounts of the events of the account. */
async function eventsBy({ get }) {
  const { data } = (await get(`${account}/events`)).body;
  return data.map(({ type, amount = 0 }) => [type, amount]);
}

/** How to read a key of each type. */
const READS = {
  ...{ hash: ['HGETALL'], stream: ['XRANGE', '-', '+'], list: ['LRANGE', '0', '-1'] },
  ...{ zset: ['ZRANGE', '0', '-1'], set: ['SMEMBERS'], string: ['GET'] },
};

/** Every key of the deployment with its value, as JSON. */
async function everything() {
  const all = [];
  for (const key of await redis.keys('{sluice}:*')) {
    const [command, ...args] = READS[await redis.call('TYPE', key)] ?? ['EXISTS'];
    all.push(`${key} ${JSON.stringify(await redis.call(command, key, ...args))}`);
  }
  return all;
}

describe('a job', () => {
  test('holds its maximum cost, and has paid for its usage when its ending is published', async () => {
    const { provider, call } = handProvider();
    const [a, b] = await startWith(1000, { provider });
    const { status, body } = await a.submit({ prompt, max_tokens: 20 });
    expect(status).toBe(201);
    expect(await balanceBy(a, b)).toEqual([1000 - promptCost - 200, promptCost + 200]);
    expect(await a.metric('sluice_credit_holds')).toBe(1);
    const stream = await b.stream(body.stream_url);
    const made = await call(0);
    made.push('a', 'b', 'c');
    made.end();
    await stream.done;
    expect(await balanceBy(b, a)).toEqual([1000 - promptCost - 30, 0]);
    expect(await eventsBy(b)).toEqual([
      ...[
        ['open', 0],
        ['deposit', 1000],
        ['hold', promptCost + 200],
      ],
      ['settle', promptCost + 30],
    ]);
    const { data } = (await a.get(`${account}/events`)).body;
    expect(data.slice(2).map(({ job_id: id }) => id)).toEqual([body.job_id, body.job_id]);
    await until(
      async () => (await a.metric('sluice_credits_charged_total')) === promptCost + 30,
      'the charge to be counted',
    );
    expect(await a.metric('sluice_credit_holds')).toBe(0);
  });

  test('is refused with the same answer as without Redis, and takes nothing', async () => {
    const alone = await start({ provider: four, access: { prices }, cache: { mode: 'off' } });
    const [a, b] = await startWith(0);
    const refusals = [];
    for (const node of [alone, a]) {
      await node.gateway.credits.transfer({ key: 'g', to: 'anonymous', amount: 100n });
      const { status, headers, body } = await node.submit({ prompt, max_tokens: 20 });
      refusals.push({ status, retry: headers.get('x-should-retry'), body });
    }
    expect(refusals[1]).toEqual(refusals[0]);
    expect(refusals[1].status).toBe(402);
    const late = b.gateway.submit({ prompt, max_tokens: 20 });
    await expect(late).rejects.toMatchObject({
      account: 'anonymous',
      needed: 206n,
      available: 100n,
    });
    expect(await balanceBy(a, b)).toEqual([100, 0]);
    expect(await eventsBy(a)).toEqual([
      ['open', 0],
      ['deposit', 100],
    ]);
  });

  test('takes no account below its limit under concurrent requests', async () => {
    const { provider } = handProvider();
    const [a, b] = await startWith(5 * (promptCost + 100) + 50, { provider });
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => (i % 2 ? a : b).submit({ prompt, max_tokens: 10 })),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(5);
    expect(statuses.filter((status) => status === 402)).toHaveLength(11);
    expect(await balanceBy(a, b)).toEqual([50, 5 * (promptCost + 100)]);
  });

  test('may cost more than it held, as far as the account allows', async () => {
    async function* provider() {
      yield 'a';
      return { reason: 'stop', usage: { prompt_tokens: 100, completion_tokens: 7 } };
    }
    const [a, b] = await startWith(1000, { provider });
    const first = await a.submit({ prompt, max_tokens: 2 });
    await b.read(first.body.stream_url);
    expect(await balanceBy(a, b)).toEqual([1000 - 370, 0]);
    const second = await b.submit({ prompt, max_tokens: 2 });
    await a.read(second.body.stream_url);
    const third = await b.submit({ prompt, max_tokens: 2 });
    await a.read(third.body.stream_url);
    expect(await balanceBy(a, b)).toEqual([0, 0]);
    expect((await eventsBy(a)).slice(2, 6)).toEqual([
      ...[
        ['hold', 26],
        ['settle', 26],
        ['hold', 344],
      ],
      ['settle', 344],
    ]);
    await until(
      async () => (await b.metric('sluice_credits_uncollected_total')) === 3 * 370 - 1000,
      'the uncollected rest to be counted',
    );
  });

  test('that finds no room, or is cancelled in the queue, pays nothing', async () => {
    const { provider, call } = handProvider();
    const [a, b] = await startWith(10_000, {
      ...{ provider, maxConcurrency: 1, incomingCapacity: 1, admissionWaitMs: 1 },
      processingCapacity: 1,
    });
    const answers = [];
    for (let i = 0; i < 6; i += 1) answers.push(await a.submit({ prompt, max_tokens: 10 }));
    const taken = answers.filter(({ status }) => status === 201);
    expect(taken.length).toBeLessThan(6);
    await call(0);
    const each = promptCost + 100;
    await until(
      async () => (await balanceBy(a, b))[1] === taken.length * each,
      'the holds to be released',
    );
    for (const { body } of taken.slice(1)) await b.cancel(body.job_id);
    expect(await balanceBy(b, a)).toEqual([10_000 - each, each]);
    await b.cancel(taken[0].body.job_id);
    expect(await balanceBy(b, a)).toEqual([10_000 - promptCost, 0]);
  });

  test('of a closed account is refused', async () => {
    const [a, b] = await startWith(0, { access: { accounts: { anonymous: { overdraft: 500 } } } });
    const { status: accepted } = await b.submit({ prompt, max_tokens: 2 });
    expect(accepted).toBe(201);
    await until(async () => (await a.get(account)).body.held === 0, 'its end');
    await a.gateway.credits.transfer({ to: 'anonymous', amount: 26n });
    expect(await balanceBy(a, b)).toEqual([0, 0]);
    await a.gateway.credits.closeAccount({ account: 'anonymous' });
    const { status, body } = await b.submit({ prompt });
    expect([status, body.error.code]).toEqual([402, 'account_closed']);
  });
});

describe('a shared answer', () => {
  const request = { prompt, max_tokens: 10, temperature: 0 };

  test('is paid for by the job that started it; other jobs pay the cached price', async () => {
    const { provider, call } = handProvider();
    const [a, b] = await startWith(1000, { provider, cache: { mode: 'auto' } });
    const first = await a.submit(request);
    const joined = await a.submit(request);
    expect(joined.headers.get('x-cache')).toBe('JOIN');
    const held = promptCost + 100 + (2 + 20);
    expect(await balanceBy(a, b)).toEqual([1000 - held, held]);
    const made = await call(0);
    made.push('x', 'y');
    made.end();
    await b.read(first.body.stream_url);
    await b.read(joined.body.stream_url);
    const paid = promptCost + 20 + (2 + 4);
    expect(await balanceBy(a, b)).toEqual([1000 - paid, 0]);
    const { total } = (await b.get('/v1/usage')).body;
    expect(total).toMatchObject({ requests: 2, cached_requests: 1, completion_tokens: 2 });
    expect(total).toMatchObject({ cached_completion_tokens: 2, cost: paid });
  });

  test('is paid for in full, though the job that began it is gone', async () => {
    const { provider, call } = handProvider();
    const [a, b] = await startWith(1000, { provider, cache: { mode: 'auto' } });
    const first = await a.submit(request);
    const joined = await a.submit(request);
    const made = await call(0);
    made.push('x');
    await b.cancel(first.body.job_id);
    made.push('y', 'z');
    made.end();
    await b.read(joined.body.stream_url);
    const paid = promptCost + 30 + (2 + 6);
    await until(
      async () => (await a.get(account)).body.available === 1000 - paid,
      'the answer to be paid',
    );
    expect(await balanceBy(a, b)).toEqual([1000 - paid, 0]);
    const { total } = (await b.get('/v1/usage')).body;
    expect(total).toMatchObject({ requests: 2, completion_tokens: 3, cost: paid });
  });

  test.each([
    ['with a price', prices],
    ['free', { '*': { prompt: 3, completion: 10 } }],
  ])(
    'a job that shared it, %s, pays for the call of its own by which another process runs it',
    async (_name, own) => {
      const { provider, calls, call } = handProvider();
      const options = { provider, cache: { mode: 'auto' } };
      const [a, b] = await startWith(1000, { ...options, access: { prices: own } });
      const first = await a.submit(request);
      const joined = await a.submit(request);
      expect(joined.headers.get('x-cache')).toBe('JOIN');
      await call(0);
      await a.gateway.close({ drainMs: 0 });
      await call(2);
      for (const each of calls.slice(1)) {
        each.push('x', 'y');
        each.end();
      }
      for (const { body } of [first, joined]) await b.read(body.stream_url);
      const paid = 2 * (promptCost + 20);
      expect(await balanceBy(b, b)).toEqual([1000 - paid, 0]);
      const { total } = (await b.get('/v1/usage')).body;
      expect(total).toMatchObject({
        requests: 2,
        cached_requests: 0,
        completion_tokens: 4,
        cost: paid,
      });
    },
  );

  test('is paid for its tokens so far, if its process dies after the job that began it', async () => {
    const { provider, call } = handProvider();
    const [a, b] = await startWith(1000, { provider, cache: { mode: 'auto' } });
    const first = await a.submit(request);
    const joined = await a.submit(request);
    const made = await call(0);
    made.push('x');
    // Known without a reader at the other process.
    const log = `{sluice}:log:${joined.body.job_id}`;
    await until(async () => (await redis.call('XLEN', log)) > 1, 'a token in Redis');
    await b.cancel(first.body.job_id);
    expect((await balanceBy(a, b))[1]).toBe(promptCost + 100 + (2 + 20));
    // No beat follows.
    const { deployed } = partsOf(a.gateway);
    deployed.close();
    deployed.cluster.close();
    const { error, metrics } = await b.ended(joined.body.job_id);
    expect(error.code).toBe('producer_lost');
    // From its admission: the process is dead a lease after its last beat, which may be older than the job.
    expect(metrics.duration_ms).toBeGreaterThan(1000 - 1000 / BEATS_PER_LEASE);
    const paid = promptCost + 10 + (2 + 2);
    await until(async () => (await balanceBy(b, b))[1] === 0, 'the debt to be paid');
    expect(await balanceBy(b, b)).toEqual([1000 - paid, 0]);
    const { total } = (await b.get('/v1/usage')).body;
    expect(total).toMatchObject({ requests: 2, cached_requests: 1, cost: paid });
  });
});

test('embeddings hold and pay', async () => {
  const provider = {
    ...{ name: 'e', models: [{ id: 'm' }], generate: four },
    embed: async ({ inputs }) => ({ embeddings: inputs.map(() => [1, 2]), promptTokens: 3 }),
  };
  const [a, b] = await startWith(100, { provider });
  const answer = await a.post('/v1/embeddings', { model: 'm', input: prompt });
  expect(answer.status).toBe(200);
  expect(await balanceBy(b, a)).toEqual([100 - 9, 0]);
  const refused = await b.post('/v1/embeddings', { model: 'm', input: 'x'.repeat(4000) });
  expect([refused.status, refused.body.error.code]).toEqual([402, 'insufficient_credit']);
  expect((await a.get('/v1/usage')).body.total).toMatchObject({
    requests: 1,
    prompt_tokens: 3,
    cost: 9,
  });
  expect(await redis.keys('*settled*')).toHaveLength(1);
});

test('transfers, reversals and closed accounts are the same from both', async () => {
  const admin = bearer('sk-admin');
  const access = {
    prices,
    keys: [entry('ops', 'sk-admin', { admin: true }), entry('ann', 'sk-ann')],
  };
  const [a, b] = await startTwo(redis, { provider: four, access });
  const give = { to: 'ann', amount: '9007199254740993', key: 'k1' };
  const answers = await Promise.all(
    [a, b, a, b].map((node) => node.post('/v1/transfers', give, admin)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  for (const { body } of answers) expect(body).toEqual(answers[0].body);
  const other = await b.post('/v1/transfers', { ...give, amount: 1 }, admin);
  expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reused']);
  const back = `/v1/transfers/${answers[0].body.transfer_id}/reverse`;
  const transfers = [
    { from: 'ann', to: 'ops', amount: 5 },
    { from: 'ann', amount: '9007199254740988' },
  ];
  const linked = await b.post('/v1/transfers/linked', { transfers }, admin);
  expect([linked.status, linked.body.transfers[1].balance.posted]).toEqual([201, 0]);
  const tooMuch = await a.post('/v1/transfers/linked', { transfers }, admin);
  expect([tooMuch.status, tooMuch.body.error.param]).toEqual([402, 'transfers[0]']);
  expect((await a.post(back, {}, admin)).status).toBe(402);
  expect((await b.post(back, { force: true }, admin)).status).toBe(201);
  expect((await a.post(back, {}, admin)).body.error.code).toBe('already_reversed');
  expect((await a.post('/v1/transfers/999/reverse', {}, admin)).status).toBe(404);
  expect((await a.post('/v1/accounts/ops/close', {}, admin)).body.error.code).toBe(
    'account_not_empty',
  );
  const own = await b.get('/v1/accounts/ann', { headers: bearer('sk-ann') });
  expect(own.body).toMatchObject({ available: '-9007199254740993', overdraft: 0 });
  expect((await a.get('/v1/accounts/ops', { headers: bearer('sk-ann') })).status).toBe(404);
  const pages = [];
  for (let after = 0, more = true; more;) {
    const path = `/v1/accounts/ann/events?limit=2&after=${after}`;
    const { body } = await (pages.length % 2 ? a : b).get(path, { headers: admin });
    pages.push(...body.data);
    more = body.has_more;
    after = body.data.at(-1).id;
  }
  const whole = (await a.get('/v1/accounts/ann/events', { headers: admin })).body.data;
  expect(pages).toEqual(whole);
});

test('usage is counted with the ending, with and without prices, by principal', async () => {
  const access = {
    prices: { dear: { prompt: 3, completion: 10 } },
    accounts: { '*': { overdraft: true } },
    keys: [entry('ann', 'sk-ann'), entry('bob:/1', 'sk-bob', { admin: true })],
  };
  const [a, b] = await startTwo(redis, { provider: four, access });
  const run = async (node, key, model) => {
    const { body } = await node.submit({ prompt, model, max_tokens: 9 }, bearer(key));
    await b.read(body.stream_url);
  };
  await run(a, 'sk-ann', 'dear');
  await run(b, 'sk-ann', 'free');
  await run(a, 'sk-bob', 'free');
  const counts = { requests: 1, prompt_tokens: 2, completion_tokens: 4, cached_requests: 0 };
  const usageBy = async (node, key, query) =>
    (await node.get(`/v1/usage${query}`, { headers: bearer(key) })).body;
  const own = await usageBy(b, 'sk-ann', '?group_by=model');
  expect(own.data).toMatchObject([
    { group: 'dear', ...counts, cost: promptCost + 40 },
    { group: 'free', ...counts, cost: 0 },
  ]);
  expect(await usageBy(a, 'sk-ann', '?group_by=model')).toEqual(own);
  const all = await usageBy(a, 'sk-bob', '?group_by=key');
  expect(all.data.map(({ group, requests }) => [group, requests])).toEqual([
    ['ann', 2],
    ['bob:/1', 1],
  ]);
  expect((await usageBy(a, 'sk-bob', '?to=2020-01-01')).data).toEqual([]);
});

test('an erased caller leaves amounts without a name', async () => {
  const access = { prices, keys: [entry('ann', 'sk-ann'), entry('bob', 'sk-bob')] };
  const [a, b] = await startTwo(redis, { provider: four, access });
  for (const to of ['ann', 'bob']) {
    await a.gateway.credits.transfer({ key: `for ${to}`, to, amount: 100n, metadata: { of: to } });
    const { body } = await a.submit({ prompt, max_tokens: 5 }, bearer(`sk-${to}`));
    await b.stream(body.stream_url).then(({ done }) => done);
  }
  await b.gateway.erasePrincipal('ann');
  const own = await a.get('/v1/accounts/ann', { headers: bearer('sk-ann') });
  expect(own.body).toMatchObject({ available: 0, posted: 0 });
  const other = await a.get('/v1/accounts/bob', { headers: bearer('sk-bob') });
  expect(other.body).toMatchObject({ available: 100 - promptCost - 40 });
  const { data, total } = await a.gateway.credits.usage({ groupBy: 'key' });
  expect(data.map(({ group, requests }) => [group, requests])).toEqual([
    ['bob', 1],
    ['erased', 1],
  ]);
  expect(total.cost).toBe(2n * BigInt(promptCost + 40));
  expect((await everything()).filter((text) => /\bann\b/.test(text))).toEqual([]);
  expect((await everything()).filter((text) => /\bbob\b/.test(text))).not.toEqual([]);
});

test('while Redis is away: 503, neither 402 nor 201', async () => {
  const [a, b] = await startWith(10);
  redis.freeze();
  const give = { to: 'anonymous', amount: 5n };
  for (const ask of [
    () => a.submit({ prompt }),
    () => b.get(account),
    () => b.get(`${account}/events`),
    () => a.get('/v1/usage'),
  ]) {
    const { status, headers, body } = await ask();
    expect([status, body.error.code]).toEqual([503, 'storage_unavailable']);
    expect(headers.get('retry-after')).not.toBeNull();
  }
  await expect(a.gateway.credits.transfer(give)).rejects.toMatchObject({
    code: 'ERR_STORAGE_UNAVAILABLE',
  });
  redis.thaw();
  await until(async () => (await a.submit({ prompt })).status === 402, 'Redis again');
  // Nothing that was answered with 503 has an effect.
  expect(await balanceBy(a, b)).toEqual([10, 0]);
});
