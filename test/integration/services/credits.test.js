/** Holds and payments of jobs over HTTP: every ending, shared answers, refusals. */
import { ManualClock } from '../../../lib/index.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { passing } from '../../support/gateway/workflows.js';
import { until } from '../../support/until.js';
import { createGateway, partsOf } from '../../support/gateway/parts.js';

afterEach(stopAll);

/** 3 micro-credits for a token of the prompt, 10 for one of the answer; shared, 1 and 2. */
const prices = { '*': { prompt: 3, completion: 10, cached_prompt: 1, cached_completion: 2 } };
/** Of two tokens, by the estimate of a quarter of its bytes. */
const prompt = 'one two ';
const promptCost = 6;

/** A gateway whose callers, without keys, have this credit. */
async function startWith(credit, { access, ...options } = {}) {
  const made = await start({ access: { prices, ...access }, ...options });
  const balance = async (id = 'anonymous') => {
    const { available, held } = (await made.get(`/v1/accounts/${id}`)).body;
    return [available, held];
  };
  const give = (amount, to = 'anonymous') =>
    made.gateway.credits.transfer({ key: `give ${to}`, to, amount: BigInt(amount) });
  if (credit > 0) await give(credit);
  return { ...made, balance, give };
}

describe('a job', () => {
  test('holds its prompt and max_tokens, and pays for its usage', async () => {
    const { provider, call } = handProvider();
    const { submit, balance, ended, gateway } = await startWith(1000, { provider });
    const { status, body } = await submit({ prompt, max_tokens: 20 });
    expect(status).toBe(201);
    expect(await balance()).toEqual([1000 - promptCost - 200, promptCost + 200]);
    const made = await call(0);
    made.push('a', 'b', 'c');
    made.end();
    await ended(body.job_id);
    expect(await balance()).toEqual([1000 - promptCost - 30, 0]);
    expect(partsOf(gateway).billing.jobs.open).toBe(0);
  });

  test('pays by the usage that the provider counts, and more than it held if need be', async () => {
    async function* provider() {
      yield 'a';
      return { reason: 'stop', usage: { prompt_tokens: 100, completion_tokens: 7 } };
    }
    const { submit, balance, ended, get } = await startWith(1000, { provider });
    const { body } = await submit({ prompt, max_tokens: 2 });
    await ended(body.job_id);
    expect(await balance()).toEqual([1000 - 300 - 70, 0]);
    const { data } = (await get('/v1/accounts/anonymous/events')).body;
    expect(data.map(({ type, amount }) => [type, amount])).toEqual([
      ['open', undefined],
      ['deposit', 1000],
      ['hold', 26],
      ['settle', 26],
      ['hold', 344],
      ['settle', 344],
    ]);
    expect(new Set(data.slice(2).map((event) => event.job_id))).toEqual(new Set([body.job_id]));
  });

  test('never takes an account below its limit', async () => {
    async function* provider() {
      yield 'a';
      return { reason: 'stop', usage: { prompt_tokens: 100, completion_tokens: 7 } };
    }
    const { submit, balance, ended, get } = await startWith(30, { provider });
    await ended((await submit({ prompt, max_tokens: 2 })).body.job_id);
    expect(await balance()).toEqual([0, 0]);
    const { body: metrics } = await get('/metrics');
    expect(metrics).toContain('sluice_credits_charged_total 30\n');
    expect(metrics).toContain('sluice_credits_uncollected_total 340\n');
    expect(metrics).toContain('sluice_credit_holds 0\n');
  });

  test('without max_tokens ends where its hold does', async () => {
    async function* provider() {
      for (;;) yield 'a ';
    }
    const { submit, ended, balance } = await startWith(1000, {
      provider,
      access: { default_max_tokens: 5 },
    });
    const { body } = await submit({ prompt });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'completed',
      reason: 'length',
      usage: { completion_tokens: 5 },
    });
    expect(await balance()).toEqual([1000 - promptCost - 50, 0]);
  });

  test('of a model without a price is free, and not cut', async () => {
    const { submit, ended, gateway } = await startWith(0, {
      provider: echo,
      access: { prices: { other: prices['*'] }, default_max_tokens: 1 },
    });
    const { body } = await submit({ prompt });
    expect(await ended(body.job_id)).toMatchObject({ reason: 'stop', text: prompt });
    const { total } = await gateway.credits.usage();
    expect(total).toMatchObject({ requests: 1, completion_tokens: 2, cost: 0n });
    expect(partsOf(gateway).billing.jobs.open).toBe(0);
  });
});

describe('an ending', () => {
  test.each([
    ['a failure after tokens', 'fail', 2, promptCost + 20],
    ['a failure before the first token', 'fail', 0, 0],
    ['a cancellation after tokens', 'cancel', 2, promptCost + 20],
    ['a cancellation before the first token', 'cancel', 0, promptCost],
    ['the end of its time', 'wall', 2, promptCost + 20],
    ['the last reader’s leaving', 'leave', 2, promptCost + 20],
  ])('%s', async (_name, ending, tokens, cost) => {
    const clock = new ManualClock();
    const { provider, call } = handProvider();
    const { submit, balance, ended, cancel, stream, job } = await startWith(1000, {
      provider,
      clock,
    });
    const { body } = await submit({ prompt, max_tokens: 20, disconnect_grace_ms: 0 });
    const made = await call(0);
    const reader = ending === 'leave' ? await stream(body.stream_url) : undefined;
    for (let i = 0; i < tokens; i += 1) made.push('a ');
    await until(async () => (await job(body.job_id)).usage.completion_tokens === tokens, 'tokens');
    if (ending === 'fail') made.fail(new Error('no luck'));
    if (ending === 'cancel') await cancel(body.job_id);
    if (ending === 'wall') clock.advanceMs(300_000);
    if (reader !== undefined) {
      reader.close();
      await until(() => (clock.advanceMs(1), made.signal.aborted), 'the job to end');
    }
    await ended(body.job_id);
    expect(await balance()).toEqual([1000 - cost, 0]);
  });

  test('in the queue costs nothing', async () => {
    const { provider, call } = handProvider();
    const { submit, balance, cancel } = await startWith(1000, {
      provider,
      maxConcurrency: 1,
    });
    const first = await submit({ prompt, max_tokens: 10 });
    await call(0);
    const second = await submit({ prompt, max_tokens: 10 });
    expect(await balance()).toEqual([1000 - 212, 212]);
    await cancel(second.body.job_id);
    expect(await balance()).toEqual([1000 - 106, 106]);
    await cancel(first.body.job_id);
  });

  test('by shutdown pays for the text so far', async () => {
    const { provider, call } = handProvider();
    const { submit, gateway, job } = await startWith(1000, { provider });
    const { body } = await submit({ prompt, max_tokens: 20 });
    (await call(0)).push('a ', 'b ');
    await until(async () => (await job(body.job_id)).usage.completion_tokens === 2, 'tokens');
    await gateway.close({ drainMs: 0 });
    const { available, held } = await gateway.credits.account('anonymous');
    expect([available, held]).toEqual([1000n - 26n, 0n]);
  });

  test('after a retry pays for the last attempt alone', async () => {
    let calls = 0;
    async function* provider() {
      calls += 1;
      if (calls < 3) throw passing();
      yield 'a ';
    }
    const { submit, balance, ended } = await startWith(1000, {
      provider,
      retry: { attempts: 3, baseMs: 0, capMs: 0 },
    });
    await ended((await submit({ prompt, max_tokens: 20 })).body.job_id);
    expect(calls).toBe(3);
    expect(await balance()).toEqual([1000 - promptCost - 10, 0]);
  });
});

describe('a refusal', () => {
  test('names the cost and the balance, and charges nothing', async () => {
    const { submit, balance, get } = await startWith(100, {
      provider: echo,
      access: { limits: { requests_per_minute: 1 } },
    });
    const { status, body, headers } = await submit({ prompt, max_tokens: 20 });
    expect(status).toBe(402);
    expect(body.error).toEqual({
      code: 'insufficient_credit',
      type: 'billing_error',
      param: null,
      message:
        'The account anonymous has not enough credit: this request needs 206 micro-credits ' +
        '(prompt and max_tokens), and 100 are available.',
    });
    expect(headers.get('x-should-retry')).toBe('false');
    expect(headers.get('retry-after')).toBeNull();
    expect(await balance()).toEqual([100, 0]);
    // Neither did it cost the one request that the limit has.
    expect((await submit({ prompt, max_tokens: 9 })).status).toBe(201);
    expect((await submit({ prompt, max_tokens: 1 })).status).toBe(429);
    expect((await get('/metrics')).body).toContain(
      'sluice_jobs_rejected_total{code="insufficient_credit"} 1\n',
    );
  });

  test('is an error with the amounts in JavaScript', async () => {
    const { gateway } = await startWith(100, { provider: echo });
    await expect(gateway.submit({ prompt, max_tokens: 20 })).rejects.toMatchObject({
      code: 'ERR_INSUFFICIENT_CREDIT',
      account: 'anonymous',
      needed: 206n,
      available: 100n,
    });
  });

  test('writes no events: a caller without credit does not grow the ledger', async () => {
    const { submit, gateway } = await startWith(0, { provider: echo });
    for (let i = 0; i < 3; i += 1) expect((await submit({ prompt })).status).toBe(402);
    expect((await gateway.credits.events('anonymous')).data).toEqual([]);
  });

  test('for another reason leaves no hold', async () => {
    const { provider } = handProvider();
    const { submit, balance, gateway } = await startWith(10_000, {
      provider,
      maxConcurrency: 1,
      incomingCapacity: 1,
      processingCapacity: 1,
      admissionWaitMs: 10,
    });
    let placed = 0;
    let answer = await submit({ prompt, max_tokens: 1 });
    while (answer.status === 201) {
      placed += 1;
      answer = await submit({ prompt, max_tokens: 1 });
    }
    expect(answer.body.error.code).toBe('overloaded');
    expect(await balance()).toEqual([10_000 - 16 * placed, 16 * placed]);
    expect(partsOf(gateway).billing.jobs.open).toBe(placed);
  });

  test('does not happen while the previous job is about to release enough', async () => {
    const { gateway } = await startWith(206, { provider: echo });
    for (let i = 0; i < 20; i += 1) {
      // 46 at most are gone for each job of two tokens.
      const { available } = await gateway.credits.account('anonymous');
      if (available < 206n) {
        const amount = 206n - available;
        await gateway.credits.transfer({ key: `fill ${i}`, to: 'anonymous', amount });
      }
      const { id } = await gateway.submit({ prompt, max_tokens: 20 });
      for await (const { type } of gateway.stream(id)) if (type === 'job_complete') break;
    }
    expect((await gateway.credits.account('anonymous')).held).toBe(0n);
  });

  test('does not happen for an account that may be overdrawn', async () => {
    const { submit, balance, ended } = await startWith(0, {
      provider: echo,
      access: { accounts: { anonymous: { overdraft: 206 } } },
    });
    await ended((await submit({ prompt, max_tokens: 20 })).body.job_id);
    expect(await balance()).toEqual([-promptCost - 20, 0]);
    expect((await submit({ prompt, max_tokens: 20 })).status).toBe(402);
  });
});

describe('a shared answer', () => {
  test('is paid by the caller that started it; other callers pay the cached price', async () => {
    const { provider, call } = handProvider();
    const { submit, balance, ended, get } = await startWith(1000, { provider });
    const body = { prompt, max_tokens: 20, temperature: 0 };
    const first = await submit(body);
    const joined = await submit(body);
    expect([first, joined].map(({ headers }) => headers.get('x-cache'))).toEqual(['MISS', 'JOIN']);
    expect(await balance()).toEqual([1000 - 206 - 42, 206 + 42]);
    const made = await call(0);
    made.push('a ', 'b ', 'c ');
    made.end();
    await ended(first.body.job_id);
    await ended(joined.body.job_id);
    const hit = await submit(body);
    expect(hit.headers.get('x-cache')).toBe('HIT');
    await ended(hit.body.job_id);
    expect(await balance()).toEqual([1000 - 36 - 8 - 8, 0]);
    const { total } = (await get('/v1/usage')).body;
    expect(total).toEqual({
      requests: 3,
      prompt_tokens: 2,
      completion_tokens: 3,
      cached_requests: 2,
      cached_prompt_tokens: 4,
      cached_completion_tokens: 6,
      cost: 52,
    });
  });

  test('is paid for in full, though the job that began it is gone', async () => {
    const { provider, call } = handProvider();
    const { submit, balance, ended, cancel } = await startWith(1000, { provider });
    const body = { prompt, max_tokens: 20, temperature: 0 };
    const first = await submit(body);
    const joined = await submit(body);
    const made = await call(0);
    await cancel(first.body.job_id);
    expect((await balance())[1]).toBe(206 + 42);
    made.push('a ', 'b ', 'c ');
    made.end();
    await ended(joined.body.job_id);
    expect(await balance()).toEqual([1000 - 36 - 8, 0]);
  });

  test('costs later callers nothing without a cached price', async () => {
    const { submit, balance, ended } = await startWith(300, {
      provider: echo,
      access: { prices: { '*': { prompt: 3, completion: 10 } } },
    });
    const body = { prompt, max_tokens: 20, temperature: 0 };
    await ended((await submit(body)).body.job_id);
    const [left] = await balance();
    for (let i = 0; i < 3; i += 1) await ended((await submit(body)).body.job_id);
    expect(await balance()).toEqual([left, 0]);
  });
});

test('a reload changes the price of later jobs', async () => {
  const { provider, call } = handProvider();
  const { submit, balance, ended, gateway } = await startWith(1000, { provider });
  const { body } = await submit({ prompt, max_tokens: 20 });
  gateway.reload({ access: { prices: { '*': { prompt: 100, completion: 100 } } } });
  const made = await call(0);
  made.push('a ');
  made.end();
  await ended(body.job_id);
  expect(await balance()).toEqual([1000 - promptCost - 10, 0]);
  expect((await submit({ prompt, max_tokens: 20 })).status).toBe(402);
  gateway.reload({ access: {} });
  expect((await submit({ prompt, max_tokens: 20 })).status).toBe(201);
});

test('a hold that is over before its job is charged all the same', async () => {
  const clock = new ManualClock();
  const { provider, call } = handProvider();
  const { submit, balance, ended, gateway } = await startWith(1000, { provider, clock });
  const body = { prompt, max_tokens: 20, temperature: 0, max_wall_ms: 1000 };
  const first = await submit(body);
  const joined = await submit({ ...body, max_wall_ms: 1_000_000 });
  const made = await call(0);
  clock.advanceMs(100_000);
  await ended(first.body.job_id);
  expect((await balance())[1]).toBe(42);
  made.push('a ');
  made.end();
  await ended(joined.body.job_id);
  expect(await balance()).toEqual([1000 - 16 - 4, 0]);
  const types = (await gateway.credits.events('anonymous')).data.map(({ type }) => type);
  expect(types.filter((type) => type === 'hold_expired')).toHaveLength(1);
});

test('parts of a workflow pay as jobs do', async () => {
  const { post, get, balance } = await startWith(1000, { provider: echo });
  const nodes = [
    { id: 'a', prompt, max_tokens: 5 },
    { id: 'b', prompt: '{{a.text}}', max_tokens: 5, after: ['a'] },
  ];
  const { body, status } = await post('/v1/workflows', { nodes });
  expect([status, body.error]).toEqual([201, undefined]);
  await until(
    async () => (await get(`/v1/workflows/${body.workflow_id}`)).body.status === 'completed',
    'the workflow to end',
  );
  expect(await balance()).toEqual([1000 - 2 * (promptCost + 20), 0]);
});

test('a part of a workflow without credit fails its node', async () => {
  const { post, get, balance } = await startWith(30, { provider: echo });
  const nodes = [{ id: 'a', prompt, max_tokens: 5, retry: { attempts: 3 } }];
  const { body } = await post('/v1/workflows', { nodes });
  const workflow = await until(async () => {
    const found = (await get(`/v1/workflows/${body.workflow_id}`)).body;
    return found.status === 'failed' && found;
  }, 'the workflow to end');
  const [node] = Object.values(workflow.nodes);
  expect([node.error.code, node.attempts ?? node.attempt]).toEqual(['insufficient_credit', 1]);
  expect(await balance()).toEqual([30, 0]);
});

test('a job pays from its key’s account', async () => {
  const { submit, gateway, ended, get } = await startWith(0, {
    provider: echo,
    access: {
      keys: [
        entry('ann', 'a', { organisation: 'acme' }),
        entry('bob', 'b', { organisation: 'acme' }),
        entry('eve', 'e'),
      ],
    },
  });
  await gateway.credits.transfer({ key: '1', to: 'acme', amount: 1000n });
  const send = (key) => submit({ prompt, max_tokens: 20 }, bearer(key));
  const ids = [await send('a'), await send('b')].map(({ body }) => body.job_id);
  expect((await send('e')).status).toBe(402);
  for (const [i, id] of ids.entries()) {
    const job = async () => (await get(`/v1/jobs/${id}`, { headers: bearer('ab'[i]) })).body;
    await until(async () => (await job()).status === 'completed', 'its end');
  }
  expect((await gateway.credits.account('acme')).available).toBe(1000n - 52n);
  expect(ended).toBeDefined();
});

test('without prices nothing is held, and usage is counted', async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  const { id } = await gateway.submit({ prompt });
  for await (const { type } of gateway.stream(id)) if (type === 'job_complete') break;
  const { total } = await gateway.credits.usage({ groupBy: 'key' });
  expect(total).toMatchObject({ requests: 1, prompt_tokens: 2, completion_tokens: 2, cost: 0n });
  expect(await gateway.credits.account('anonymous')).toEqual({
    id: 'anonymous',
    available: 0n,
    held: 0n,
    posted: 0n,
    overdraft: 0n,
  });
  await gateway.close({ drainMs: 0 });
});
