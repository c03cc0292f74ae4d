/** The limits of keys over HTTP: reservations, headers and refusals. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { partsOf } from '../../support/gateway/parts.js';
import { limits, left, leases, startStill } from '../../support/gateway/limits.js';

afterEach(stopAll);

describe('an admitted job', () => {
  test('states the remainder, by both conventions', async () => {
    const { submit } = await startStill();
    const { status, headers } = await submit({ prompt: 'abcdefgh', max_tokens: 98 });
    expect(status).toBe(201);
    const about = Object.fromEntries([...headers].filter(([name]) => name.includes('ratelimit')));
    expect(about).toEqual({
      'ratelimit-policy':
        '"requests";q=60;w=60, "tokens";q=1000;w=60, ' +
        '"concurrent-jobs";q=5;qu="concurrent-requests"',
      ratelimit: '"requests";r=59;t=1, "tokens";r=900;t=1, "concurrent-jobs";r=4',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '900',
      'x-ratelimit-reset-tokens': '6s',
    });
    expect(headers.get('retry-after')).toBeNull();
  });

  test('has no headers without limits', async () => {
    const { submit, gateway } = await startStill({ access: {} });
    const { headers } = await submit({ prompt: 'a' });
    expect([...headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([]);
    expect(leases(gateway)).toBe(0);
  });

  test('a replay by its idempotency key costs nothing, also fifty at once', async () => {
    const { submit, gateway, job } = await startStill({
      access: { limits: { requests_per_minute: 1 } },
    });
    const send = () => submit({ prompt: 'a' }, { 'idempotency-key': 'k' });
    const answers = await Promise.all(Array.from({ length: 50 }, send));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body.job_id)).size).toBe(1);
    const again = await send();
    expect(again.status).toBe(200);
    expect(again.headers.get('ratelimit')).toBeNull();
    expect(left(gateway)).toEqual({ requests: 0 });
    expect((await job(again.body.job_id)).status).toMatch(/queued|running|completed/);
  });
});

describe('a refusal', () => {
  test('names the limit and the wait', async () => {
    const { submit, gateway, get } = await startStill({
      access: { limits: { requests_per_minute: 6 } },
    });
    for (let i = 0; i < 6; i += 1) expect((await submit({ prompt: 'a' })).status).toBe(201);
    partsOf(gateway).options.clock.advanceMs(500);
    const { status, headers, body } = await submit({ prompt: 'a' });
    expect(status).toBe(429);
    expect(body).toEqual({
      error: {
        type: 'rate_limit_error',
        code: 'rate_limit_exceeded',
        param: null,
        message: expect.stringMatching(/this key may make 6 requests per minute.*10 s/),
      },
    });
    // One every ten seconds, and half a second of it is over.
    expect(headers.get('retry-after')).toBe('10');
    expect(headers.get('ratelimit')).toBe('"requests";r=0;t=10');
    expect(headers.get('ratelimit-policy')).toBe('"requests";q=6;w=60');
    expect(headers.get('x-ratelimit-reset-requests')).toBe('59.5s');
    const error = await gateway.submit({ prompt: 'a' }).catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: 'HttpError',
      code: 'ERR_RATE_LIMIT_EXCEEDED',
      status: 429,
      retryAfterMs: 9500,
    });
    const { body: metrics } = await get('/metrics');
    expect(metrics).toContain('sluice_rate_limited_total{scope="principal",limit="requests"} 2');
    expect(metrics).toContain('sluice_jobs_rejected_total{code="rate_limit_exceeded"} 2');
  });

  test('waiting for Retry-After is enough', async () => {
    const { submit, gateway } = await startStill({
      access: { limits: { tokens_per_minute: 700 } },
    });
    expect((await submit({ prompt: 'abc', max_tokens: 333 })).status).toBe(201);
    // It is settled at its usage: a token of prompt, and one of text.
    await until(() => left(gateway).tokens === 698, 'the settlement');
    const { status, headers } = await submit({ prompt: 'abc', max_tokens: 699 });
    expect(status).toBe(429);
    partsOf(gateway).options.clock.advanceMs(Number(headers.get('retry-after')) * 1000);
    expect((await submit({ prompt: 'abc', max_tokens: 699 })).status).toBe(201);
  });

  test('reserves nothing of any limit, and leaves the idempotency key free', async () => {
    const { submit, gateway } = await startStill({
      access: { limits: { ...limits, tokens_per_minute: 100 } },
    });
    const key = { 'idempotency-key': 'k' };
    for (let i = 0; i < 20; i += 1) {
      const refused = await submit({ prompt: 'a', max_tokens: 100 }, key);
      expect(refused.status).toBe(429);
    }
    expect(left(gateway)).toEqual({ requests: 60, tokens: 100, concurrent_jobs: 5 });
    expect(leases(gateway)).toBe(0);
    expect((await submit({ prompt: 'a', max_tokens: 5 }, key)).status).toBe(201);
  });

  test('of a request beyond a limit has no Retry-After', async () => {
    const { submit, gateway } = await startStill();
    const { status, headers, body } = await submit({ prompt: 'a', max_tokens: 1000 });
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBeNull();
    expect(headers.get('x-should-retry')).toBe('false');
    expect(body.error).toMatchObject({ code: 'request_exceeds_limit', param: 'max_tokens' });
    await expect(gateway.submit({ prompt: 'a', max_tokens: 1000 })).rejects.toMatchObject({
      code: 'ERR_REQUEST_EXCEEDS_LIMIT',
      retryAfterMs: Infinity,
    });
  });

  test('of an invalid request costs nothing', async () => {
    const { submit, gateway } = await startStill();
    expect((await submit({ prompt: 7 })).status).toBe(400);
    expect((await submit({ prompt: 'a', model: 5 })).status).toBe(400);
    expect(left(gateway)).toEqual({ requests: 60, tokens: 1000, concurrent_jobs: 5 });
  });
});

describe('whose limits', () => {
  const keys = [
    entry('ann', 'a', { organisation: 'acme' }),
    entry('bob', 'b', { organisation: 'acme' }),
    entry('eve', 'e'),
  ];

  test('organisations, keys and models each have their own', async () => {
    const { submit } = await startStill({
      access: {
        keys,
        organisations: { acme: { limits: { requests_per_minute: 3 } } },
        models: { large: { limits: { requests_per_minute: 2 } } },
        limits: { requests_per_minute: 2 },
      },
    });
    const send = async (key, model) => {
      const { status, body } = await submit({ prompt: 'a', model }, bearer(key));
      return status === 201 ? 'yes' : body.error.message.match(/this \w+/)[0];
    };
    expect(await send('a', 'small')).toBe('yes');
    expect(await send('a', 'small')).toBe('yes');
    expect(await send('a', 'small')).toBe('this key');
    expect(await send('b', 'large')).toBe('yes');
    expect(await send('b', 'large')).toBe('this organisation');
    expect(await send('e', 'large')).toBe('yes');
    expect(await send('e', 'large')).toBe('this model');
    expect(await send('e', 'small')).toBe('yes');
    expect(await send('e', 'small')).toBe('this key');
  });

  test('a reload changes them, and usage stays counted', async () => {
    const own = (n) => ({ keys: [entry('ann', 'a', { limits: { requests_per_minute: n } })] });
    const { submit, gateway } = await startStill({ access: own(2) });
    const send = async () => (await submit({ prompt: 'a' }, bearer('a'))).status;
    expect([await send(), await send(), await send()]).toEqual([201, 201, 429]);
    gateway.reload({ access: own(3) });
    expect([await send(), await send()]).toEqual([201, 429]);
    gateway.reload({ access: { keys: [entry('ann', 'a')] } });
    expect(await send()).toBe(201);
  });

  test('limits from a hook', async () => {
    const { submit } = await startStill({
      access: {},
      authenticate: (req) => ({
        principal: req.get('x-user'),
        limits: { requests_per_minute: Number(req.get('x-limit')) },
      }),
    });
    const send = async (user, limit) =>
      (await submit({ prompt: 'a' }, { 'x-user': user, 'x-limit': limit })).status;
    expect([await send('u', '1'), await send('u', '1'), await send('v', '1')]).toEqual([
      201, 429, 201,
    ]);
    expect(await send('u', '2')).toBe(201);
  });

  test('an endpoint has its own, also for the prompts of workflows', async () => {
    const { submit, post, get, gateway } = await startStill({
      access: { endpoints: { '/v1/workflows': { limits: { requests_per_minute: 1 } } } },
    });
    const nodes = [
      { id: 'a', prompt: 'a' },
      { id: 'b', prompt: 'b', after: ['a'], retry: { attempts: 1 } },
    ];
    const { body } = await post('/v1/workflows', { nodes });
    const { status, ...workflow } = await until(async () => {
      const found = await get(`/v1/workflows/${body.workflow_id}`);
      return /completed|failed/.test(found.body.status) && found.body;
    }, 'the end of the workflow');
    expect(status).toBe('failed');
    expect(workflow.nodes.map((node) => node.status)).toEqual(['completed', 'failed']);
    expect(workflow.nodes[1].error).toMatchObject({ code: 'rate_limit_exceeded' });
    expect((await submit({ prompt: 'a' })).status).toBe(201);
    await until(() => leases(gateway) === 0, 'the settlement');
  });
});
