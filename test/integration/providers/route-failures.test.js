/** Upstreams that fail: continuation at another upstream, and circuits. */
import net from 'node:net';
import { ManualClock, providers } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { streamTokens } from '../../support/upstream/mock-upstream.js';
import { until } from '../../support/until.js';
import { upstream, retry, gatewayOver, ask, fails } from '../../support/gateway/route.js';

afterEach(stopAll);

/** The address of a port without a server. */
async function refusedAddress() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** An upstream's answer of these events, without an end. */
const events =
  (...payloads) =>
  async (exchange) => {
    exchange.open();
    for (const payload of payloads) await exchange.event(payload);
    exchange.end();
  };

describe('failures before the first entry', () => {
  const passing = {
    408: fails(408),
    409: fails(409),
    425: fails(425),
    429: fails(429),
    500: fails(500),
    502: fails(502),
    503: fails(503),
    529: fails(529, {}, '{"type":"error","error":{"type":"overloaded_error","message":"x"}}'),
    'an empty stream': events(),
    'an empty body': fails(200, { 'content-type': 'text/event-stream' }, ''),
    'a cut before the head': (exchange) => exchange.cut(),
    'a cut after the head': (exchange) => exchange.open() && exchange.cut(),
    'an error event': events({ error: { message: 'boom' } }),
    'an error event that says overloaded': events({ error: { type: 'overloaded_error' } }),
    'a cut after a role': async (exchange) => {
      exchange.open();
      await exchange.event({ choices: [{ index: 0, delta: { role: 'assistant' } }] });
      exchange.cut();
    },
  };

  test.each(Object.entries(passing))('%s continues at another upstream', async (_name, respond) => {
    const [a, b] = [await upstream('a', respond), await upstream('b')];
    const gateway = await gatewayOver([a, b], { retry: { ...retry, attempts: 1 } });
    const { job, events: seen } = await ask(gateway);
    expect(job).toMatchObject({ status: 'completed', text: 'from b', upstream: 'b' });
    expect(seen).toEqual([
      ['2-0', 'job_retry', 'b'],
      ['2-1', 'token', 'from '],
      ['2-2', 'token', 'b'],
      ['2-3', 'job_complete', 'stop'],
    ]);
    expect([a.mock.exchanges.length, b.mock.exchanges.length]).toEqual([1, 1]);
    const { headers } = await gateway.get(`/v1/jobs/${job.job_id}`);
    expect(headers.get('x-sluice-upstream')).toBe('b');
  });

  test('a refused connection continues at another upstream', async () => {
    const a = { config: { name: 'a', base_url: await refusedAddress() } };
    const { job } = await ask(await gatewayOver([a, await upstream('b')]));
    expect(job).toMatchObject({ text: 'from b', upstream: 'b' });
  });

  test.each([
    [400, 'upstream_bad_request'],
    [401, 'upstream_unauthorized'],
    [403, 'upstream_unauthorized'],
    [404, 'upstream_bad_request'],
    [413, 'upstream_bad_request'],
    [422, 'upstream_bad_request'],
  ])('%i does not', async (status, code) => {
    const [a, b] = [await upstream('a', fails(status)), await upstream('b')];
    const { job } = await ask(await gatewayOver([a, b]));
    expect(job).toMatchObject({ status: 'failed', error: { code }, upstream: 'a' });
    expect(b.mock.exchanges).toHaveLength(0);
  });

  test('an error event that blames the request does not', async () => {
    const error = { message: 'too long', type: 'invalid_request_error' };
    const [a, b] = [await upstream('a', events({ error })), await upstream('b')];
    const { job } = await ask(await gatewayOver([a, b]));
    expect(job.error).toMatchObject({ code: 'upstream_error' });
    expect(b.mock.exchanges).toHaveLength(0);
  });

  test('every upstream is tried once, for any retry.attempts', async () => {
    const all = [];
    for (const name of ['a', 'b', 'c', 'd']) all.push(await upstream(name, fails(500)));
    const gateway = await gatewayOver(all, { retry: { ...retry, attempts: 2 } });
    const { job } = await ask(gateway);
    expect(job.error.code).toBe('upstream_unavailable');
    expect(all.map(({ mock }) => mock.exchanges.length)).toEqual([1, 1, 1, 1]);
  });

  test('with attempts left the job is retried after the backoff', async () => {
    let calls = 0;
    const respond = (exchange) => {
      calls += 1;
      return (calls < 3 ? fails(500) : streamTokens({ tokens: ['at last'] }))(exchange);
    };
    const [a, b] = [await upstream('a', respond), await upstream('b', respond)];
    const { job, events: seen } = await ask(await gatewayOver([a, b]));
    expect(job).toMatchObject({ text: 'at last' });
    expect(seen.at(-1)).toEqual(['3-2', 'job_complete', 'stop']);
    expect(a.mock.exchanges.length + b.mock.exchanges.length).toBe(3);
  });
});

test('after the first entry no other upstream is tried', async () => {
  let cut;
  const a = await upstream('a', async (exchange) => {
    exchange.open();
    await exchange.delta('half');
    cut = () => exchange.cut();
  });
  const b = await upstream('b');
  const gateway = await gatewayOver([a, b]);
  const { body } = await gateway.submit({ prompt: 'p' });
  const stream = await gateway.stream(body.stream_url);
  await until(() => stream.text === 'half', 'the first token');
  cut();
  await stream.done;
  expect(stream.events.map(({ type }) => type)).toEqual(['token', 'job_error']);
  const job = await gateway.job(body.job_id);
  expect(job).toMatchObject({ status: 'failed', text: 'half', upstream: 'a' });
  expect(b.mock.exchanges).toHaveLength(0);
});

describe('circuits', () => {
  test('a 429 with Retry-After closes the upstream for that long', async () => {
    let limited = true;
    const a = await upstream('a', (exchange) =>
      (limited ? fails(429, { 'retry-after-ms': '400' }) : streamTokens({ tokens: ['a'] }))(
        exchange,
      ),
    );
    const b = await upstream('b');
    const gateway = await gatewayOver([a, b]);
    const from = performance.now();
    for (let i = 0; i < 3; i += 1) expect((await ask(gateway)).job.upstream).toBe('b');
    if (performance.now() - from < 400) expect(a.mock.exchanges).toHaveLength(1);
    limited = false;
    await until(async () => (await ask(gateway)).job.upstream === 'a', 'the upstream to come back');
    expect(performance.now() - from).toBeGreaterThan(390);
  });

  test('three failures in a row close it; when all are closed the answer is 503', async () => {
    const [a, b] = [await upstream('a', fails(500)), await upstream('b', fails(503))];
    const gateway = await gatewayOver([a, b], { retry: { ...retry, attempts: 1 } });
    for (let i = 0; i < 3; i += 1) {
      expect((await ask(gateway)).job.error.code).toBe('upstream_unavailable');
    }
    const { status, headers, error } = await ask(gateway);
    expect([status, error.code, error.type]).toEqual([
      503,
      'upstream_unavailable',
      'overloaded_error',
    ]);
    const seconds = Number(headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(20);
    expect(seconds).toBeLessThanOrEqual(30);
    expect([a.mock.exchanges.length, b.mock.exchanges.length]).toEqual([3, 3]);
    const { body: metrics } = await gateway.get('/metrics');
    for (const line of [
      'sluice_upstream_circuit_open{upstream="a"} 1',
      'sluice_upstream_calls_total{upstream="a"} 3',
      'sluice_upstream_failures_total{upstream="b",code="upstream_unavailable"} 3',
      'sluice_upstream_in_flight{upstream="b"} 0',
      'sluice_jobs_rejected_total{code="upstream_unavailable"} 1',
    ]) {
      expect(metrics).toContain(line);
    }
  });

  test.each([408, 409, 425])('%i counts among the failures in a row', async (status) => {
    const a = await upstream('a', fails(status));
    const gateway = await gatewayOver([a], { retry: { ...retry, attempts: 1 } });
    for (let i = 0; i < 3; i += 1) expect((await ask(gateway)).job.status).toBe('failed');
    expect((await ask(gateway)).status).toBe(503);
  });

  test('refused requests are no failures in a row', async () => {
    const a = await upstream('a', fails(400));
    const gateway = await gatewayOver([a], { retry: { ...retry, attempts: 1 } });
    for (let i = 0; i < 5; i += 1) expect((await ask(gateway)).job.status).toBe('failed');
    expect(a.mock.exchanges).toHaveLength(5);
  });

  test('after its time one job tries a closed upstream, and its first token opens it', async () => {
    const clock = new ManualClock();
    let release;
    let fine = false;
    const a = await upstream('a', async (exchange) => {
      if (!fine) return fails(500)(exchange);
      exchange.open();
      await exchange.delta('x');
      await new Promise((resolve) => (release = resolve));
      await exchange.finish();
      exchange.end();
    });
    const provider = providers.route({ upstreams: [a.config], clock });
    const gateway = await start({ provider, retry: { ...retry, attempts: 1 } });
    for (let i = 0; i < 3; i += 1) await ask(gateway);
    fine = true;
    clock.advanceMs(29_999);
    expect((await ask(gateway)).status).toBe(503);
    clock.advanceMs(1);
    const { status } = await gateway.submit({ prompt: 'the trial' });
    expect(status).toBe(201);
    await until(() => release !== undefined, 'the trial call');
    // It is open once the gateway has seen the first token, while the call continues.
    const open = async () => (await gateway.submit({ prompt: 'p' })).status === 201;
    await until(open, 'the upstream to open');
    expect(a.mock.exchanges.length).toBeGreaterThanOrEqual(4);
    release();
  });

  test('a cached answer is served while every upstream is closed', async () => {
    let fine = true;
    const a = await upstream('a', (exchange) =>
      (fine ? streamTokens({ tokens: ['x'] }) : fails(500))(exchange),
    );
    const gateway = await gatewayOver([a], { retry: { ...retry, attempts: 1 } });
    expect((await ask(gateway, { temperature: 0 })).job.text).toBe('x');
    fine = false;
    for (let i = 0; i < 3; i += 1) await ask(gateway);
    expect((await ask(gateway)).status).toBe(503);
    expect((await ask(gateway, { temperature: 0 })).job).toMatchObject({
      text: 'x',
      cache: 'hit',
      upstream: 'a',
    });
  });
});
