/**
 * The whole path, from a POST to an OpenAI-style server and back: every end of a job closes its
 * upstream socket, in every phase, and every upstream failure is a typed ending.
 */
import { ManualClock } from '../../../lib/index.js';
import { streamTokens } from '../../support/upstream/mock-upstream.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { until as eventually } from '../../support/until.js';
import { startBefore } from '../../support/gateway/upstream.js';

describe.each(/** @type {const} */ (['undici', 'native']))('by %s', (client) => {
  let upstream;
  afterEach(stopAll);

  async function relay(respond, { mode = 'chat', ...options } = {}) {
    const served = await startBefore(respond, {
      provider: { model: 'm', mode, apiKey: 'sesame', client },
      retry: { attempts: 3, baseMs: 1, capMs: 2 },
      ...options,
    });
    upstream = served.upstream;
    return served;
  }

  /** Answers with nothing, with headers, or with some tokens, and then stalls. */
  const silent = {
    'before its answer': () => {},
    'before the first token': (exchange) => void exchange.open(),
    'in the middle': async (exchange) => {
      exchange.open();
      await exchange.delta('half');
    },
  };

  test('tokens arrive as the upstream sends them, with its usage', async () => {
    const { submit, stream, job } = await relay(streamTokens({ tokens: ['Hel', 'lo', ' you'] }));
    const { body } = await submit({ prompt: 'hi', max_tokens: 50, stop: ['END'] });
    const events = await (await stream(body.stream_url)).done;
    const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
    expect(tokens).toEqual(['Hel', 'lo', ' you']);
    expect(await job(body.job_id)).toMatchObject({
      status: 'completed',
      model: 'm',
      text: 'Hello you',
      usage: { prompt_tokens: 7, completion_tokens: 3 },
    });
    expect(upstream.exchanges[0].headers.authorization).toBe('Bearer sesame');
    expect(upstream.exchanges[0].body).toMatchObject({
      model: 'm',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 50,
      stop: ['END'],
      stream: true,
    });
  });

  describe.each(Object.entries(silent))('an upstream that falls silent %s', (_, respond) => {
    test('loses its client when the job is cancelled', async () => {
      const { submit, cancel } = await relay(respond);
      const { body } = await submit({ prompt: 'a' });
      const exchange = await upstream.exchange(0);
      await cancel(body.job_id);
      await exchange.closed;
    });

    test('loses its client when the last reader has been gone for the grace', async () => {
      const { submit, stream, ended } = await relay(respond);
      const { body } = await submit({ prompt: 'a', disconnect_grace_ms: 20 });
      const open = await stream(body.stream_url);
      const exchange = await upstream.exchange(0);
      open.close();
      await exchange.closed;
      expect((await ended(body.job_id)).reason).toBe('client_disconnected');
    });

    test('loses its client when the wall time is over', async () => {
      const clock = new ManualClock();
      const { submit, ended } = await relay(respond, { clock });
      const { body } = await submit({ prompt: 'a', max_wall_ms: 200 });
      const { closed } = await upstream.exchange(0);
      clock.advanceMs(200);
      await closed;
      expect((await ended(body.job_id)).error.code).toBe('wall_time_exceeded');
    });

    test('loses its client when the gateway closes', async () => {
      const { submit, gateway } = await relay(respond);
      await submit({ prompt: 'a' });
      const exchange = await upstream.exchange(0);
      await gateway.close({ drainMs: 20 });
      await exchange.closed;
    });
  });

  test('a job that is cancelled in the queue never reaches the upstream', async () => {
    const { submit, cancel, ended } = await relay(silent['in the middle'], {
      maxConcurrency: 1,
    });
    const ids = [];
    for (const prompt of ['a', 'b', 'c']) ids.push((await submit({ prompt })).body.job_id);
    await upstream.exchange(0);
    await cancel(ids[1]);
    await cancel(ids[0]);
    const next = await upstream.exchange(1);
    expect(next.body.messages[0].content).toBe('c');
    await next.finish();
    await next.done();
    next.end();
    await ended(ids[2]);
    expect(upstream.exchanges).toHaveLength(2);
  });

  /** Plays `steps[i]` for the i-th call, the last one from then on. */
  function script(...steps) {
    let calls = 0;
    return (exchange) => steps[Math.min(calls++, steps.length - 1)](exchange);
  }

  function refuse(status, headers = {}, message = 'no') {
    return (exchange) => {
      exchange.open(status, { 'content-type': 'application/json', ...headers });
      exchange.res.end(JSON.stringify({ error: { message } }));
    };
  }

  const operations = streamTokens({ tokens: ['fine'] });

  test.each([
    ['503', refuse(503)],
    ['429', refuse(429)],
    ['a cut before any byte', (exchange) => exchange.cut()],
  ])('%s is tried again, and the job completes', async (_, step) => {
    const { submit, ended } = await relay(script(step, step, operations));
    const { body } = await submit({ prompt: 'a' });
    expect(await ended(body.job_id)).toMatchObject({ status: 'completed', text: 'fine' });
    expect(upstream.exchanges).toHaveLength(3);
  });

  test.each([
    ['400', refuse(400), 'upstream_bad_request', 1],
    ['500 for good', refuse(500), 'upstream_unavailable', 3],
    [
      '429 until after the wall time',
      refuse(429, { 'retry-after': '3600' }),
      'upstream_rate_limited',
      1,
    ],
    [
      'what is no JSON',
      async (exchange) => {
        await silent['in the middle'](exchange);
        await exchange.event('{"choices":[{');
      },
      'upstream_invalid_response',
      1,
    ],
    [
      'an error inside a stream',
      async (exchange) => {
        await silent['in the middle'](exchange);
        await exchange.event({ error: { message: 'out of memory' } });
      },
      'upstream_error',
      1,
    ],
    [
      'an end without a finish reason',
      async (exchange) => {
        await silent['in the middle'](exchange);
        exchange.end();
      },
      'upstream_incomplete',
      1,
    ],
  ])('%s ends the job as its own error', async (_, step, code, calls) => {
    const { submit, stream } = await relay(step);
    const { body } = await submit({ prompt: 'a' });
    const events = await (await stream(body.stream_url)).done;
    expect(events.at(-1)).toMatchObject({ type: 'job_error', data: { error: { code } } });
    expect(JSON.stringify(events)).not.toMatch(/sesame|127\.0\.0\.1/);
    expect(upstream.exchanges).toHaveLength(calls);
  });

  test('a cut in the middle ends the job with the text so far, and is not retried', async () => {
    const { submit, stream, job } = await relay(silent['in the middle']);
    const { body } = await submit({ prompt: 'a' });
    const open = await stream(body.stream_url);
    await eventually(() => open.events.length === 1);
    upstream.exchanges[0].cut();
    expect((await open.done).at(-1)).toMatchObject({
      type: 'job_error',
      data: { error: { code: 'upstream_disconnected', type: 'upstream_error' } },
    });
    expect(await job(body.job_id)).toMatchObject({ status: 'failed', text: 'half' });
    expect(upstream.exchanges).toHaveLength(1);
  });

  test('20 requests 50 ms apart are all answered, in fewer than 20 calls', async () => {
    const { submit, stream, gateway } = await relay(
      streamTokens({ tokens: ['a', 'b'], intervalMs: 5 }),
      { mode: 'completions' },
    );
    const streams = [];
    for (let i = 0; i < 20; i += 1) {
      const { body } = await submit({ prompt: `p${i}` });
      streams.push(await stream(body.stream_url));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const { done } of streams) {
      const events = await done;
      expect(events.map(({ type }) => type)).toEqual(['token', 'token', 'job_complete']);
    }
    const prompts = upstream.exchanges.flatMap(({ body }) => body.prompt);
    expect(prompts).toEqual(Array.from({ length: 20 }, (_, i) => `p${i}`));
    expect(upstream.exchanges.length).toBeLessThan(20);
    await gateway.close();
    await eventually(() => upstream.openSockets === 0);
  });

  test('one of a batch is cancelled: the others continue; all of it: the socket closes', async () => {
    const { submit, cancel, job } = await relay(
      async (exchange) => {
        exchange.open();
        for (const index of exchange.body.prompt.keys()) await exchange.delta('x', index);
      },
      // The three are one batch, whatever the time between them.
      { mode: 'completions', batching: { maxBatchSize: 3, idleFlushMs: 60_000 } },
    );
    const ids = [];
    for (const prompt of ['a', 'b', 'c']) ids.push((await submit({ prompt })).body.job_id);
    const exchange = await upstream.exchange(0);
    await eventually(async () => (await job(ids[2])).text === 'x');
    await cancel(ids[1]);
    await exchange.delta('y', 1);
    await exchange.delta('y', 0);
    await eventually(async () => (await job(ids[0])).text === 'xy');
    expect((await job(ids[1])).text).toBe('x');
    expect(exchange.closedAtMs).toBeUndefined();
    await cancel(ids[0]);
    await cancel(ids[2]);
    await exchange.closed;
  });

  test('a reader that stops reading stops the upstream', async () => {
    let sent = 0;
    const { gateway } = await relay(
      async (exchange) => {
        exchange.open();
        while (exchange.closedAtMs === undefined) {
          await exchange.delta('x'.repeat(1000));
          sent += 1;
        }
      },
      { streamCapacity: 16, stallMs: 60_000, logBytesMax: 1 << 29 },
    );
    const { id } = await gateway.submit({ prompt: 'a' });
    const reader = gateway.stream(id)[Symbol.asyncIterator]();
    await reader.next();
    let before = -1;
    await eventually(async () => {
      const still = sent === before;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return still;
    });
    const { metrics } = await gateway.get(id);
    // The window; the remaining bytes wait in the sockets' buffers.
    expect(metrics.tokens).toBeLessThan(200);
    await gateway.cancel(id);
    await upstream.exchanges[0].closed;
  });
});
