/** The cost of a job to its limits: after each ending, with shared answers, under load. */
import { entry } from '../../support/gateway/keys.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { passing } from '../../support/gateway/workflows.js';
import { until } from '../../support/until.js';
import { partsOf } from '../../support/gateway/parts.js';
import { limits, left, leases, startStill } from '../../support/gateway/limits.js';

afterEach(stopAll);

describe('a client that waits for its job may start the next one at once', () => {
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
 * Every ending, and the remainder of 60 requests and 1000 tokens after it. A prompt of 4 bytes is one
 * token; each job reserves 101.
 */
describe('the cost of an ending', () => {
  const body = { prompt: 'abcd', max_tokens: 100 };

  /** A job with `texts` so far, and its provider's call. */
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

  test('complete: the usage, counted by the provider if it counts', async () => {
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
    // In 6 ms a tenth of a token refills.
    await until(() => leases(gateway) === 0, 'the settlement');
    expect(left(gateway)).toEqual({ requests: 59, tokens: 998, concurrent_jobs: 5 });
  });

  test('cut by the upstream', async () => {
    const { gateway, call } = await running(['a', 'b']);
    call.fail(new Error('gone'));
    await expectLeft(gateway, 59, 1000 - 3);
  });

  test('retries exhausted: one charge for all attempts', async () => {
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

  /** A gateway with a running job, and room for a few more. */
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

  test('a client that disconnects while it waits: nothing', async () => {
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

  test('a purged job has been settled before', async () => {
    const { gateway, call } = await running(['a'], { retentionMs: 0 });
    call.end();
    await expectLeft(gateway, 59, 1000 - 2);
  });
});

describe('shared answers', () => {
  const question = { prompt: 'abcd', max_tokens: 100, temperature: 0 };

  test('the first pays for the tokens; a join or a hit costs a request and a place', async () => {
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

  test('the answer continues without the first job, which returns its place at once', async () => {
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

  test('when all jobs have ended, it costs the tokens so far', async () => {
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

  test('a hit needs no tokens; a refused first job reserves nothing', async () => {
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

  test('a key without tokens does not block the same request of another key', async () => {
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

test('under load: never beyond the limits, and everything is returned', async () => {
  // The first jobs do not end before a request was refused.
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
