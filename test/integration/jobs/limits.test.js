/** The limits of keys over HTTP: what is reserved, what a refusal says, what every ending costs. */
import { ManualClock } from '../../../lib/index.js';
import { endpoints } from '../../../lib/jobs/policy/config.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { passing } from '../../support/gateway/workflows.js';
import { until } from '../../support/until.js';
import { partsOf } from '../../support/gateway/parts.js';

afterEach(stopAll);

const limits = { requests_per_minute: 60, tokens_per_minute: 1000, concurrent_jobs: 5 };

/** What is left of the limits, as `{requests, tokens, concurrent_jobs}`, and how much is held. */
function left(gateway, principal = 'anonymous') {
  const { access, reservations } = partsOf(gateway);
  const whose = { access: access.of(principal), model: 'm', endpoint: endpoints.jobs };
  const entries = reservations.peek(whose);
  return Object.fromEntries(entries.map(({ dimension, remaining }) => [dimension, remaining]));
}
const leases = (gateway) => partsOf(gateway).reservations.open;

/** A gateway whose clock stands still: nothing refills. */
const startStill = (options) =>
  start({ provider: echo, clock: new ManualClock(), access: { limits }, ...options });

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

  test('a replay by its idempotency key costs nothing, fifty at once neither', async () => {
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
  test('names the limit, and when it may pass', async () => {
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

  test('waiting as long as it says is enough', async () => {
    const { submit, gateway } = await startStill({
      access: { limits: { tokens_per_minute: 700 } },
    });
    expect((await submit({ prompt: 'abc', max_tokens: 333 })).status).toBe(201);
    // It ends at what it has used: a token of prompt, and one of text.
    await until(() => left(gateway).tokens === 698, 'the settlement');
    const { status, headers } = await submit({ prompt: 'abc', max_tokens: 699 });
    expect(status).toBe(429);
    partsOf(gateway).options.clock.advanceMs(Number(headers.get('retry-after')) * 1000);
    expect((await submit({ prompt: 'abc', max_tokens: 699 })).status).toBe(201);
  });

  test('takes nothing from any limit, and leaves the idempotency key free', async () => {
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

  test('of a request that can never be granted gives no time to wait', async () => {
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

  test('comes before an invalid request costs anything', async () => {
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

  test('an organisation shares its own, a key its own, a model everybody', async () => {
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

describe('a client that waits for its job may begin the next at once', () => {
  test.each([1, 3])('%d reactors', async (reactors) => {
    const { submit, read, gateway } = await start({
      provider: echo,
      reactors,
      access: { limits: { concurrent_jobs: 1 } },
    });
    for (let i = 0; i < 100; i += 1) {
      const { status, body } = await submit({ prompt: 'some words' });
      expect(status).toBe(201);
      await read(body.stream_url);
    }
    await until(() => leases(gateway) === 0, 'the last lease');
  });
});

/**
 * Every ending, and what is left of 60 requests and 1000 tokens after it. A prompt of 4 bytes is one
 * token; each job reserves 101.
 */
describe('the cost of an ending', () => {
  const body = { prompt: 'abcd', max_tokens: 100 };

  /** A job that has said `texts`, and its provider's call. */
  async function running(texts, options, more) {
    const hand = handProvider();
    const server = await startStill({ provider: hand.provider, ...options });
    const answer = await server.submit({ ...body, ...more });
    expect(answer.status).toBe(201);
    const call = await hand.call(0);
    call.push(...texts);
    const id = answer.body.job_id;
    await until(
      async () => (await server.job(id)).text === texts.join(''),
      'what it has been given to say',
    );
    expect(left(server.gateway)).toEqual({ requests: 59, tokens: 899, concurrent_jobs: 4 });
    return { ...server, hand, call, id, streamUrl: answer.body.stream_url };
  }

  async function expectLeft(gateway, requests, tokens) {
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests, tokens, concurrent_jobs: 5 });
  }

  test('complete: what it used, by the count of the provider if it has one', async () => {
    const { gateway, call } = await running(['a', 'b']);
    call.end({ reason: 'stop', usage: { prompt_tokens: 7, completion_tokens: 300 } });
    await expectLeft(gateway, 59, 1000 - 307);
  });

  test('complete, counted here', async () => {
    const { gateway, call } = await running(['a', 'b', 'c']);
    call.end();
    await expectLeft(gateway, 59, 1000 - 4);
  });

  test('cut at max_tokens', async () => {
    const { gateway, call } = await running([]);
    call.push(...Array.from({ length: 120 }, () => 'x'));
    await expectLeft(gateway, 59, 1000 - 101);
  });

  test('cancelled in the queue: the request, and no tokens', async () => {
    const { gateway, submit, cancel, call } = await running(['a'], { maxConcurrency: 1 });
    const { body: queued } = await submit(body);
    await cancel(queued.job_id);
    await until(() => leases(gateway) === 1, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 899, concurrent_jobs: 4 });
    call.end();
    await expectLeft(gateway, 58, 1000 - 2);
  });

  test('cancelled before the first token: the prompt', async () => {
    const { gateway, cancel, id } = await running([]);
    await cancel(id);
    await cancel(id);
    await expectLeft(gateway, 59, 1000 - 1);
  });

  test('cancelled in mid-stream: the text so far', async () => {
    const { gateway, cancel, id } = await running(['a', 'b']);
    await cancel(id);
    await expectLeft(gateway, 59, 1000 - 3);
  });

  test('disconnected', async () => {
    const { gateway, stream, streamUrl, call } = await running(
      ['a'],
      {},
      { disconnect_grace_ms: 0 },
    );
    const open = await stream(streamUrl);
    open.close();
    await until(() => {
      partsOf(gateway).options.clock.advanceMs(0);
      return call.signal.aborted;
    }, 'the end of the job');
    await expectLeft(gateway, 59, 1000 - 2);
  });

  test('wall time', async () => {
    const { gateway } = await running(['a'], {}, { max_wall_ms: 6 });
    partsOf(gateway).options.clock.advanceMs(6);
    // In 6 ms a tenth of a token comes back.
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 59, tokens: 998, concurrent_jobs: 5 });
  });

  test('cut by the upstream', async () => {
    const { gateway, call } = await running(['a', 'b']);
    call.fail(new Error('gone'));
    await expectLeft(gateway, 59, 1000 - 3);
  });

  test('retries exhausted: once, however many attempts', async () => {
    let calls = 0;
    // oxlint-disable-next-line require-yield -- that is the point of it
    async function* fails() {
      calls += 1;
      throw passing();
    }
    const { gateway, submit } = await start({
      provider: fails,
      access: { limits: { concurrent_jobs: 5, requests_per_minute: 60 } },
      retry: { attempts: 3, baseMs: 1, capMs: 1 },
    });
    await submit(body);
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(calls).toBe(3);
    expect(left(gateway)).toMatchObject({ concurrent_jobs: 5, requests: 59 });
  });

  test.each([0, 20])('shutdown, %d ms after the call', async (drainMs) => {
    const { gateway, submit } = await running(['a'], { maxConcurrency: 1 });
    await submit(body);
    await gateway.close({ drainMs });
    await expectLeft(gateway, 58, 1000 - 2);
  });

  test('drained: it runs to its end', async () => {
    const { gateway, call, submit } = await running(['a']);
    const closing = gateway.close({ drainMs: 60_000 });
    expect((await submit(body)).status).toBe(503);
    call.end();
    await closing;
    await expectLeft(gateway, 59, 1000 - 2);
  });

  /** A gateway with room for few more than the one that runs. */
  async function crowded(options) {
    const hand = handProvider();
    const server = await startStill({
      provider: hand.provider,
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      access: { limits: { ...limits, tokens_per_minute: 10_000, concurrent_jobs: 50 } },
      ...options,
    });
    await server.submit(body);
    await hand.call(0);
    return server;
  }

  test('no room: nothing', async () => {
    const { submit, gateway } = await crowded({ admissionWaitMs: 30 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => submit(body)));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused.length).toBeGreaterThan(0);
    for (const { headers } of refused) expect(headers.get('ratelimit')).toBeNull();
    const jobs = 11 - refused.length;
    expect(leases(gateway)).toBe(jobs);
    expect(left(gateway)).toEqual({
      requests: 60 - jobs,
      tokens: 10_000 - 101 * jobs,
      concurrent_jobs: 50 - jobs,
    });
  });

  test('the client left while it waited: nothing', async () => {
    const { gateway } = await crowded({ admissionWaitMs: 60_000 });
    const controller = new AbortController();
    const { signal } = controller;
    let admitted = 0;
    const waiting = Array.from({ length: 10 }, () =>
      gateway.submit(body, { signal }).then(
        () => (admitted += 1),
        (error) => error,
      ),
    );
    await until(() => leases(gateway) === 11, 'all to wait or to be admitted');
    controller.abort();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.filter((outcome) => outcome === signal.reason)).toHaveLength(10 - admitted);
    expect(admitted).toBeLessThan(10);
    expect(leases(gateway)).toBe(1 + admitted);
    expect(left(gateway).requests).toBe(59 - admitted);
  });

  test('a job that is purged has long been settled', async () => {
    const { gateway, call } = await running(['a'], { retentionMs: 0 });
    call.end();
    await expectLeft(gateway, 59, 1000 - 2);
  });
});

describe('shared answers', () => {
  const question = { prompt: 'abcd', max_tokens: 100, temperature: 0 };

  test('the first pays for the tokens; to join or to hit costs a request and a place', async () => {
    const hand = handProvider();
    const { gateway, submit } = await startStill({ provider: hand.provider });
    const first = await submit(question);
    expect(first.headers.get('x-cache')).toBe('MISS');
    expect(first.headers.get('x-ratelimit-remaining-tokens')).toBe('899');
    const call = await hand.call(0);
    const joined = await submit(question);
    expect(joined.headers.get('x-cache')).toBe('JOIN');
    expect(joined.headers.get('x-ratelimit-remaining-tokens')).toBe('899');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 899, concurrent_jobs: 3 });
    call.push('a', 'b');
    call.end();
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 997, concurrent_jobs: 5 });
    const hit = await submit(question);
    expect(hit.headers.get('x-cache')).toBe('HIT');
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 57, tokens: 997, concurrent_jobs: 5 });
  });

  test('the answer continues without the first, which gives its place back at once', async () => {
    const hand = handProvider();
    const { gateway, submit, cancel, ended } = await startStill({ provider: hand.provider });
    const first = await submit(question);
    const call = await hand.call(0);
    const joined = await submit(question);
    await cancel(first.body.job_id);
    await until(() => left(gateway).concurrent_jobs === 4, 'the place');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 899, concurrent_jobs: 4 });
    call.push('a', 'b', 'c');
    call.end({ usage: { prompt_tokens: 9, completion_tokens: 8 } });
    expect((await ended(joined.body.job_id)).text).toBe('abc');
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 983, concurrent_jobs: 5 });
  });

  test('when all have left, it costs the tokens so far', async () => {
    const hand = handProvider();
    const { gateway, submit, cancel, job } = await startStill({ provider: hand.provider });
    const all = [await submit(question), await submit(question)].map(({ body }) => body.job_id);
    const call = await hand.call(0);
    call.push('a');
    for (const id of all) await until(async () => (await job(id)).text === 'a', 'the first token');
    for (const id of all) await cancel(id);
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 58, tokens: 998, concurrent_jobs: 5 });
  });

  test('a hit is had without a token left; what the first is refused, it is refused whole', async () => {
    const { gateway, submit, read } = await startStill({
      access: { limits: { ...limits, tokens_per_minute: 101 } },
    });
    const { body } = await submit(question);
    await read(body.stream_url);
    await until(() => leases(gateway) === 0, 'the settlement');
    const other = await submit({ ...question, prompt: 'efgh' });
    expect(other.status).toBe(429);
    expect(other.headers.get('ratelimit')).toBe(
      '"requests";r=59;t=1, "tokens";r=99;t=1, "concurrent-jobs";r=5',
    );
    expect(leases(gateway)).toBe(0);
    expect((await submit(question)).headers.get('x-cache')).toBe('HIT');
  });

  test('tokens that one key lacks are not refused to another that asks the same', async () => {
    const hand = handProvider();
    const { gateway } = await startStill({
      provider: hand.provider,
      cache: { scope: 'global' },
      access: {
        keys: [entry('poor', 'p', { limits: { tokens_per_minute: 10 } }), entry('rich', 'r')],
      },
    });
    const send = (principal) =>
      gateway.submit(question, { principal }).then(
        ({ cache }) => cache,
        ({ code }) => code,
      );
    expect(await Promise.all([send('poor'), send('rich'), send('poor')])).toEqual([
      expect.stringMatching(/ERR_REQUEST_EXCEEDS_LIMIT|join/),
      'miss',
      'join',
    ]);
  });
});

test('under load: as many as there are limits for, and everything comes back', async () => {
  // The first jobs do not end before somebody was refused.
  let open = () => {};
  const opened = new Promise((resolve) => {
    open = () => resolve(undefined);
  });
  async function* gated(request) {
    await opened;
    yield* echo(request);
  }
  const { submit, gateway, cancel, read } = await start({
    provider: gated,
    maxConcurrency: 20,
    access: { limits: { concurrent_jobs: 8, tokens_per_minute: 100_000 } },
  });
  let most = 0;
  let [admitted, refused] = [0, 0];
  async function client(n) {
    for (let i = 0; i < 25; i += 1) {
      const { status, body } = await submit({ prompt: `words of ${n} and ${i}`, max_tokens: 20 });
      most = Math.max(most, 8 - left(gateway).concurrent_jobs);
      expect([201, 429]).toContain(status);
      if (status === 429) {
        refused += 1;
        open();
      } else {
        admitted += 1;
        if ((n + i) % 3 === 0) await cancel(body.job_id);
        else await read(body.stream_url);
      }
    }
  }
  await Promise.all(Array.from({ length: 24 }, (_, n) => client(n)));
  expect(admitted + refused).toBe(24 * 25);
  expect(admitted).toBeGreaterThan(8);
  expect(refused).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(8);
  await until(() => leases(gateway) === 0, 'the last lease');
  expect(left(gateway).concurrent_jobs).toBe(8);
});
