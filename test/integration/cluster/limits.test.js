/** Limits of two gateways on one Redis, which apply to both together. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { handProvider } from '../../support/providers/providers.js';
import { startTwo as startGateways, useEmptyRedis } from '../../support/cluster/gateways.js';
import { partsOf } from '../../support/gateway/parts.js';
import { until } from '../../support/until.js';

const PLACES = '{sluice}:c:principal/anonymous';
const TOKENS = '{sluice}:q:principal/anonymous/tokens';

const redis = useEmptyRedis();

/** The remainder of 1000 tokens; a full bucket has no key. */
const tokensLeft = async () => Number((await redis.call('HGET', TOKENS, 'tokens')) ?? 1000);

/** Yields four tokens. */
async function* four() {
  for (const token of ['a', 'b', 'c', 'd']) yield token;
}

const startTwo = (options) => startGateways(redis, { provider: four, ...options });

/** The remainders in the header `RateLimit`, by limit. */
const leftOf = ({ headers }) =>
  Object.fromEntries(
    [...(headers.get('ratelimit') ?? '').matchAll(/"([a-z-]+)";r=(\d+)/g)].map(
      ([, name, remaining]) => [name, Number(remaining)],
    ),
  );
const requests = (limit) => ({ limits: { requests_per_minute: limit } });

test('a limit of requests is one for both, to the last one', async () => {
  const [a, b] = await startTwo({ access: requests(2) });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).submit({ prompt: 'x' })),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(18);
  expect(refused[0].body.error).toMatchObject({
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    message: expect.stringMatching(/this key may make 2 requests per minute.*Try again in \d+ s/),
  });
  expect(Number(refused[0].headers.get('retry-after'))).toBeLessThanOrEqual(30);
  expect(refused[0].headers.get('ratelimit-policy')).toBe('"requests";q=2;w=60');
  expect(leftOf(refused[0])).toEqual({ requests: 0 });
  const { body: metrics } = await a.get('/metrics');
  expect(metrics).toMatch(/sluice_rate_limited_total\{scope="principal",limit="requests"\} \d+/);
});

test('headers show the remainder of the deployment', async () => {
  const limits = { requests_per_minute: 60, tokens_per_minute: 1000, concurrent_jobs: 5 };
  const { provider } = handProvider();
  const [a, b] = await startTwo({ provider, access: { limits } });
  const first = await a.submit({ prompt: 'abcdefgh', max_tokens: 498 });
  expect(first.status).toBe(201);
  const names = [...first.headers.keys()].filter((name) => name.includes('ratelimit'));
  expect(names.sort()).toEqual([
    ...['ratelimit', 'ratelimit-policy', 'x-ratelimit-limit-requests'],
    ...['x-ratelimit-limit-tokens', 'x-ratelimit-remaining-requests'],
    ...['x-ratelimit-remaining-tokens', 'x-ratelimit-reset-requests', 'x-ratelimit-reset-tokens'],
  ]);
  expect(leftOf(first)).toEqual({ requests: 59, tokens: 500, 'concurrent-jobs': 4 });
  const second = leftOf(await b.submit({ prompt: 'abcdefgh', max_tokens: 498 }));
  expect(second['concurrent-jobs']).toBe(3);
  // Both refill in the meantime.
  expect(second.requests).toBeGreaterThanOrEqual(58);
  expect(second.tokens).toBeLessThan(500);
});

test('a place is free once the ending is published, on any process', async () => {
  const hand = handProvider();
  const access = { limits: { concurrent_jobs: 1 } };
  const [a, b] = await startTwo({ provider: hand.provider, access });
  const { body: job } = await a.submit({ prompt: 'x' });
  const refused = await b.submit({ prompt: 'x' });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  expect(refused.body.error.message).toContain('this key may have 1 jobs at a time');
  expect(await redis.call('SMEMBERS', PLACES)).toEqual([job.job_id]);
  // After the ending the place is free, at every process.
  const stream = await b.stream(job.stream_url);
  (await hand.call(0)).end();
  await stream.done;
  const next = await b.submit({ prompt: 'x' });
  expect(next.status).toBe(201);
  expect((await a.cancel(next.body.job_id)).status).toBe(200);
  expect((await a.submit({ prompt: 'x' })).status).toBe(201);
});

test('tokens are settled at the usage of the job', async () => {
  const [a, b] = await startTwo({ access: { limits: { tokens_per_minute: 1000 } } });
  // A prompt of 2 tokens, an answer of 4.
  const { body } = await a.submit({ prompt: 'a b c d', max_tokens: 500 });
  await a.read(body.stream_url);
  const { tokens } = leftOf(await b.submit({ prompt: 'x', max_tokens: 1 }));
  expect(tokens).toBeGreaterThanOrEqual(1000 - 6 - 2);
});

test('a job without room returns its reservations', async () => {
  const { provider } = handProvider();
  const access = { limits: { requests_per_minute: 10, concurrent_jobs: 10 } };
  const [a, b] = await startTwo({
    ...{ provider, access, maxConcurrency: 1, incomingCapacity: 1, admissionWaitMs: 1 },
    ...{ processingCapacity: 1 },
  });
  const answers = [];
  for (let i = 0; i < 6; i += 1) answers.push(await a.submit({ prompt: 'x' }));
  const taken = answers.filter(({ status }) => status === 201).length;
  expect(answers.filter(({ status }) => status === 503)).toHaveLength(6 - taken);
  expect(taken).toBeLessThan(6);
  await until(async () => (await redis.call('SCARD', PLACES)) === taken, 'the places to be free');
  const { requests: left } = leftOf(await b.submit({ prompt: 'x' }));
  expect(left).toBeGreaterThanOrEqual(10 - taken - 1);
});

test('limits of organisations and models are shared as well', async () => {
  const access = {
    keys: [
      entry('ann', 'sk-a', { organisation: 'acme' }),
      entry('bob', 'sk-b', { organisation: 'acme' }),
    ],
    organisations: { acme: { limits: { requests_per_minute: 3 } } },
    models: { m: { limits: { requests_per_minute: 2 } } },
  };
  const [a, b] = await startTwo({ access });
  const submit = (node, key, model) => node.submit({ prompt: 'x', model }, bearer(key));
  expect((await submit(a, 'sk-a', 'm')).status).toBe(201);
  expect((await submit(b, 'sk-b', 'm')).status).toBe(201);
  const third = await submit(b, 'sk-a', 'm');
  expect(third.body.error.message).toContain('this model may make 2 requests');
  expect((await submit(b, 'sk-b', 'n')).status).toBe(201);
  const last = await submit(a, 'sk-a', 'n');
  expect(last.body.error.message).toContain('this organisation may make 3 requests');
});

test('every face states the remainder', async () => {
  const [a, b] = await startTwo({ access: requests(60) });
  const messages = [{ role: 'user', content: 'x' }];
  const ui = [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'x' }] }];
  const faces = [
    ['/v1/jobs', { prompt: 'x' }],
    ['/v1/chat/completions', { model: 'm', messages }],
    ['/v1/completions', { model: 'm', prompt: 'x' }],
    ['/v1/responses', { model: 'm', input: 'x' }],
    ['/v1/messages', { model: 'm', messages, max_tokens: 5 }],
    ['/v1/ui/chat', { id: 'chat1', messages: ui }],
  ];
  for (const [i, [path, body]] of faces.entries()) {
    const answer = await (i % 2 ? a : b).post(path, body);
    const { requests: left } = leftOf(answer);
    expect([path, answer.status < 300, left >= 60 - i - 1 && left < 60]).toEqual([
      path,
      true,
      true,
    ]);
  }
});

test('a transferred job keeps its reservations, and its new owner settles them', async () => {
  const hand = handProvider();
  const access = { limits: { tokens_per_minute: 1000, concurrent_jobs: 1 } };
  const [a, b] = await startTwo({ provider: hand.provider, access });
  const { body: job } = await a.submit({ prompt: 'abcd', max_tokens: 499 });
  await hand.call(0);
  await a.gateway.close({ drainMs: 0 });
  const call = await hand.call(1);
  // Nothing was returned, and nothing is reserved twice.
  expect(await redis.call('SMEMBERS', PLACES)).toEqual([job.job_id]);
  expect(await tokensLeft()).toBe(500);
  expect((await b.submit({ prompt: 'x' })).status).toBe(429);
  call.push('one', 'two');
  call.end();
  expect(await b.ended(job.job_id)).toMatchObject({ status: 'completed' });
  expect(await redis.keys('{sluice}:c:*')).toEqual([]);
  expect(await tokensLeft()).toBeGreaterThanOrEqual(997);
});

test('a shared answer reserves its tokens once, its followers none', async () => {
  const access = { limits: { tokens_per_minute: 1000 } };
  const [a, b] = await startTwo({ access, cache: { mode: 'auto' } });
  const body = { prompt: 'a b c d', max_tokens: 500, temperature: 0 };
  const first = await a.submit(body);
  await a.read(first.body.stream_url);
  const second = await a.submit(body);
  expect(second.headers.get('x-cache')).toBe('HIT');
  await a.read(second.body.stream_url);
  const { tokens } = leftOf(await b.submit({ prompt: 'x', max_tokens: 1 }));
  expect(tokens).toBeGreaterThanOrEqual(1000 - 6 - 2);
});

test('an answer is charged in full though the job that began it was cancelled', async () => {
  const hand = handProvider();
  const access = { limits: { tokens_per_minute: 1000 } };
  const [a, b] = await startTwo({ provider: hand.provider, access, cache: { mode: 'auto' } });
  const body = { prompt: 'abcd', max_tokens: 500, temperature: 0 };
  const first = await a.submit(body);
  const second = await a.submit(body);
  expect(second.headers.get('x-cache')).toBe('JOIN');
  const call = await hand.call(0);
  call.push('one');
  await a.cancel(first.body.job_id);
  call.push('two', 'three');
  call.end();
  await a.ended(second.body.job_id);
  // A token of prompt and three of text; a minute's worth of the rest is not gained in this time.
  await until(async () => {
    const { tokens } = leftOf(await b.submit({ prompt: 'x', max_tokens: 1 }));
    return tokens > 900 ? true : undefined;
  }, 'the settlement');
});

test('a job whose shared answer was dropped starts its own, with its tokens', async () => {
  const hand = handProvider();
  const access = { limits: { tokens_per_minute: 1000, concurrent_jobs: 3 } };
  const [a, b] = await startTwo({ provider: hand.provider, access, cache: { mode: 'auto' } });
  const { cache } = partsOf(a.gateway);
  // As if the answer had been dropped during the request to Redis.
  cache.begins = () => false;
  const body = { prompt: 'abcd', max_tokens: 499, temperature: 0 };
  const answer = await a.submit(body);
  expect([answer.status, answer.headers.get('x-cache')]).toEqual([201, 'MISS']);
  expect(leftOf(answer)).toMatchObject({ tokens: 500, 'concurrent-jobs': 2 });
  expect((await b.get('/v1/jobs')).body.data).toHaveLength(1);
  const call = await hand.call(0);
  call.push('one');
  call.end();
  await a.ended(answer.body.job_id);
  expect(await redis.keys('{sluice}:c:*')).toEqual([]);
  expect(await tokensLeft()).toBeGreaterThanOrEqual(998);
});

test('a reload changes the limits, and keeps the usage', async () => {
  const [a, b] = await startTwo({ access: requests(2) });
  for (const node of [a, b]) expect((await node.submit({ prompt: 'x' })).status).toBe(201);
  for (const { gateway } of [a, b]) gateway.reload({ access: requests(10) });
  // Two are used, and this one; little refills in the meantime.
  const { requests: left } = leftOf(await b.submit({ prompt: 'x' }));
  expect([left >= 7, left < 10]).toEqual([true, true]);
  for (const { gateway } of [a, b]) gateway.reload({ access: {} });
  expect(leftOf(await a.submit({ prompt: 'x' }))).toEqual({});
});

test('embeddings reserve and settle the same limits', async () => {
  const provider = {
    name: 'e',
    models: [{ id: 'm' }],
    generate: four,
    embed: async ({ inputs }) => ({
      embeddings: inputs.map(() => [1, 2]),
      promptTokens: 3,
    }),
  };
  const access = { limits: { tokens_per_minute: 1000, concurrent_jobs: 1 } };
  const [a, b] = await startTwo({ provider, access });
  for (const node of [a, b]) {
    const answer = await node.post('/v1/embeddings', { model: 'm', input: 'x'.repeat(400) });
    expect(answer.status).toBe(200);
    expect(leftOf(answer)['concurrent-jobs']).toBe(0);
  }
  const { tokens } = leftOf(await b.submit({ prompt: 'x', max_tokens: 1 }));
  expect(tokens).toBeGreaterThanOrEqual(1000 - 6 - 2);
});

test('while Redis is away nothing is counted and nothing admitted: 503, no 429', async () => {
  const [a, b] = await startTwo({ access: requests(1) });
  expect((await a.submit({ prompt: 'x' })).status).toBe(201);
  redis.freeze();
  for (const node of [a, b, a]) {
    const answer = await node.submit({ prompt: 'x' });
    expect([answer.status, answer.body.error.code]).toEqual([503, 'storage_unavailable']);
  }
  redis.thaw();
  await until(async () => (await b.submit({ prompt: 'x' })).status === 429, 'the limit again');
});
