/** A gateway with several upstreams: which one answers, what goes on at another one, and who is told. */
import net from 'node:net';
import { ManualClock, providers } from '../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { startMockUpstream, streamTokens } from '../../support/upstream/mock-upstream.js';
import { dataFile } from '../../support/files/data-file.js';
import { until } from '../../support/until.js';
import * as anthropic from '../../support/upstream/anthropic-upstream.js';

afterEach(stopAll);

/** A mock upstream that answers with its name, or as `respond` says. */
async function upstream(name, respond = streamTokens({ tokens: ['from ', name] })) {
  const mock = await startMockUpstream(respond);
  cleanUp(() => mock.close());
  return { mock, config: { name, base_url: mock.url } };
}

const retry = { attempts: 3, baseMs: 1, capMs: 2 };

/** A gateway over these, in this order. Each is `{mock, config}`. */
async function gatewayOver(upstreams, { fallbacks, ...options } = {}) {
  const config = upstreams.map((each) => each.config);
  const provider = providers.route({ upstreams: config, ...(fallbacks && { fallbacks }) });
  return { provider, ...(await start({ provider, retry, ...options })) };
}

/** A job to its end: the job, and its events as `[id, type, upstream or text]`. */
async function ask({ submit, stream, ended }, body = {}) {
  const {
    status,
    headers,
    body: answer,
  } = await submit(body.messages ? body : { prompt: 'hi', ...body });
  if (status !== 201) return { status, headers, error: answer.error };
  const { done } = await stream(answer.stream_url);
  const events = (await done).map(({ id, type, data }) => [
    id,
    type,
    data.upstream ?? data.token ?? data.error?.code ?? data.reason,
  ]);
  return { job: await ended(answer.job_id), events };
}

const fails =
  (status, headers = {}, body = '{"error":{"message":"no"}}') =>
  (exchange) => {
    exchange.open(status, { 'content-type': 'application/json', ...headers });
    exchange.res.end(body);
  };

/** The address of a port that nobody listens on. */
async function refusedAddress() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

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

  test('with attempts left the job comes back after the backoff', async () => {
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

describe('the choice', () => {
  test('an alias sends the model of the upstream; the job keeps its own', async () => {
    const a = await upstream('a');
    a.config.models = { fast: 'llama-3-8b' };
    const { job } = await ask(await gatewayOver([a]), { model: 'fast' });
    expect(job).toMatchObject({ model: 'fast', upstream: 'a' });
    expect(a.mock.exchanges[0].body.model).toBe('llama-3-8b');
  });

  test('exact names, aliases, longest patterns; then the others', async () => {
    const all = {
      any: undefined,
      glob: ['gpt-*'],
      longer: ['gpt-5-*'],
      alias: { 'gpt-5-mini': 'm' },
      exact: ['gpt-5-mini'],
    };
    const upstreams = [];
    for (const [name, models] of Object.entries(all)) {
      const one = await upstream(name);
      if (models) one.config.models = models;
      upstreams.push(one);
    }
    const gateway = await gatewayOver(upstreams);
    for (const [model, name] of [
      ['gpt-5-mini', 'exact'],
      ['gpt-5-nano', 'longer'],
      ['gpt-4', 'glob'],
      ['other', 'any'],
    ]) {
      expect((await ask(gateway, { model })).job).toMatchObject({ upstream: name, model });
    }
  });

  test('the fewest calls in flight per weight', async () => {
    const waiting = [];
    const hold = (exchange) =>
      new Promise((resolve) => waiting.push(resolve)).then(() =>
        streamTokens({ tokens: ['x'] })(exchange),
      );
    const [a, b] = [await upstream('a', hold), await upstream('b', hold)];
    a.config.weight = 3;
    const gateway = await gatewayOver([a, b]);
    for (let i = 0; i < 8; i += 1) {
      await gateway.submit({ prompt: 'p' });
      await until(() => waiting.length === i + 1, 'the call');
    }
    expect([a.mock.exchanges.length, b.mock.exchanges.length]).toEqual([6, 2]);
    const { body: metrics } = await gateway.get('/metrics');
    expect(metrics).toContain('sluice_upstream_in_flight{upstream="a"} 6');
    waiting.forEach((release) => release());
  });

  test('idle upstreams take turns by weight', async () => {
    const [a, b] = [await upstream('a'), await upstream('b')];
    b.config.weight = 3;
    const gateway = await gatewayOver([a, b]);
    for (let i = 0; i < 8; i += 1) await ask(gateway);
    expect([a.mock.exchanges.length, b.mock.exchanges.length]).toEqual([2, 6]);
  });

  test('max_concurrency: further jobs wait, queued, and a cancel ends the wait', async () => {
    const waiting = [];
    const a = await upstream('a', async (exchange) => {
      await new Promise((resolve) => waiting.push(resolve));
      await streamTokens({ tokens: ['x'] })(exchange);
    });
    a.config.max_concurrency = 1;
    const gateway = await gatewayOver([a]);
    const ids = [];
    for (let i = 0; i < 3; i += 1) ids.push((await gateway.submit({ prompt: 'p' })).body.job_id);
    await until(() => waiting.length === 1, 'the first call');
    expect((await gateway.job(ids[1])).status).toBe('queued');
    await gateway.cancel(ids[1]);
    waiting[0]();
    await until(() => waiting.length === 2, 'the second call');
    expect((await gateway.job(ids[0])).status).toBe('completed');
    waiting[1]();
    expect(await gateway.ended(ids[2])).toMatchObject({ status: 'completed', upstream: 'a' });
    expect(a.mock.exchanges).toHaveLength(2);
  });

  test('a model that nobody serves is refused with 404', async () => {
    const a = await upstream('a');
    a.config.models = ['m'];
    const { status, error } = await ask(await gatewayOver([a]), { model: 'x' });
    expect([status, error]).toEqual([
      404,
      expect.objectContaining({ code: 'model_not_found', param: 'model', type: 'not_found_error' }),
    ]);
    expect((await ask(await gatewayOver([a]))).job).toMatchObject({ model: 'm' });
  });

  test('key, headers, query, and the pasted address of a call', async () => {
    const a = await upstream('a');
    process.env.TEST_ROUTE_KEY = 'key-from-env';
    Object.assign(a.config, {
      base_url: `${a.mock.url}/openai/deployments/x/chat/completions?api-version=1`,
      api_key_env: 'TEST_ROUTE_KEY',
      headers: { 'X-Team': 'blue' },
      query: { tier: 'a b' },
    });
    await ask(await gatewayOver([a]));
    delete process.env.TEST_ROUTE_KEY;
    const [{ path, headers }] = a.mock.exchanges;
    expect(path).toBe('/openai/deployments/x/chat/completions?api-version=1&tier=a+b');
    expect(headers).toMatchObject({ authorization: 'Bearer key-from-env', 'x-team': 'blue' });
  });

  test('a member that one upstream refuses is given up there, and not elsewhere', async () => {
    const refuses = (exchange) =>
      'stream_options' in exchange.body
        ? fails(400, {}, '{"error":{"message":"Unknown field: stream_options"}}')(exchange)
        : streamTokens({ tokens: ['x'] })(exchange);
    const [a, b] = [await upstream('a', refuses), await upstream('b')];
    const gateway = await gatewayOver([a, b]);
    for (let i = 0; i < 4; i += 1) expect((await ask(gateway)).job.status).toBe('completed');
    const has = ({ mock }) => mock.exchanges.map(({ body }) => 'stream_options' in body);
    expect([has(a), has(b)]).toEqual([
      [true, false, false],
      [true, true],
    ]);
  });
});

test('after the upstreams of a model come the fallbacks', async () => {
  const [a, b] = [await upstream('a', fails(500)), await upstream('b')];
  a.config.models = ['big'];
  b.config.models = ['small', 'smaller'];
  const gateway = await gatewayOver([a, b], { fallbacks: { big: ['small', 'smaller'] } });
  const { job, events: seen } = await ask(gateway, { model: 'big' });
  expect(seen[0]).toEqual(['2-0', 'job_retry', 'b']);
  expect(job).toMatchObject({ model: 'big', upstream: 'b', text: 'from b' });
  expect(b.mock.exchanges.map(({ body }) => body.model)).toEqual(['small']);
});

describe('the dialect anthropic', () => {
  const hello = [anthropic.start(), ...anthropic.text(0, 'from ', 'claude'), ...anthropic.stop()];

  async function claude(...answers) {
    const mock = await anthropic.startAnthropic(...answers);
    cleanUp(() => mock.close());
    const config = { name: 'claude', base_url: mock.url, dialect: 'anthropic', api_key: 'key-1' };
    return { mock, config };
  }

  test('a job over it', async () => {
    const a = await claude(anthropic.streamEvents(...hello));
    const { job, events: seen } = await ask(await gatewayOver([a]), {
      messages: [
        { role: 'system', content: 'be kind' },
        { role: 'user', content: 'hi' },
      ],
      model: 'claude-x',
      max_tokens: 9,
    });
    expect(seen.map(([, , what]) => what)).toEqual(['from ', 'claude', 'stop']);
    expect(job).toMatchObject({
      upstream: 'claude',
      usage: { prompt_tokens: 25, completion_tokens: 15 },
    });
    const [{ body, headers }] = a.mock.exchanges;
    expect(headers['x-api-key']).toBe('key-1');
    expect(body).toEqual({
      model: 'claude-x',
      max_tokens: 9,
      system: 'be kind',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
      stream: true,
    });
  });

  const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } };

  test.each([
    ['a named error event', anthropic.streamEvents(anthropic.start(), anthropic.ping, overloaded)],
    ['529', anthropic.refuse(529, 'overloaded_error', 'Overloaded')],
    ['an empty stream', anthropic.streamEvents()],
  ])('%s goes on at an upstream of the other dialect', async (_name, answer) => {
    const [a, b] = [await claude(answer), await upstream('b')];
    const { job, events: seen } = await ask(await gatewayOver([a, b]));
    expect(seen[0]).toEqual(['2-0', 'job_retry', 'b']);
    expect(job).toMatchObject({ text: 'from b', upstream: 'b' });
  });

  test('and the other way', async () => {
    const [a, b] = [
      await upstream('a', fails(500)),
      await claude(anthropic.streamEvents(...hello)),
    ];
    const { job } = await ask(await gatewayOver([a, b]));
    expect(job).toMatchObject({ text: 'from claude', upstream: 'claude' });
  });

  test('a cancel closes its connection', async () => {
    const a = await claude(async (exchange) => {
      exchange.open();
      for (const event of hello.slice(0, 3)) await exchange.raw(anthropic.frame(event));
    });
    const gateway = await gatewayOver([a]);
    const { body } = await gateway.submit({ prompt: 'p' });
    const stream = await gateway.stream(body.stream_url);
    await until(() => stream.text === 'from ', 'the first token');
    await gateway.cancel(body.job_id);
    await (
      await a.mock.exchange(0)
    ).closed;
    await stream.done;
    expect(stream.last().type).toBe('job_cancelled');
  });
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
    // It is open once the gateway has seen the first token, while the call goes on.
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

describe('reload', () => {
  test('new upstreams get the next job, and a stream of an old one continues', async () => {
    let release;
    const a = await upstream('a', async (exchange) => {
      exchange.open();
      await exchange.delta('one ');
      await new Promise((resolve) => (release = resolve));
      await exchange.delta('two');
      await exchange.finish();
      await exchange.done();
      exchange.end();
    });
    const b = await upstream('b');
    const gateway = await gatewayOver([a]);
    const { body } = await gateway.submit({ prompt: 'p' });
    const stream = await gateway.stream(body.stream_url);
    await until(() => stream.text === 'one ', 'the first token');
    gateway.provider.reload({ upstreams: [b.config] });
    expect((await ask(gateway)).job).toMatchObject({ upstream: 'b' });
    release();
    await stream.done;
    expect([stream.text, stream.last().type]).toEqual(['one two', 'job_complete']);
  });

  test('a mistake changes nothing', async () => {
    const gateway = await gatewayOver([await upstream('a')]);
    const bad = { upstreams: [{ name: 'x', base_url: 'nowhere' }] };
    expect(() => gateway.provider.reload(bad)).toThrow(/upstreams\[0\]\.base_url/);
    expect((await ask(gateway)).job.upstream).toBe('a');
  });

  test('a circuit stays open when models and weights change', async () => {
    const a = await upstream('a', fails(500));
    const gateway = await gatewayOver([a], { retry: { ...retry, attempts: 1 } });
    for (let i = 0; i < 3; i += 1) await ask(gateway);
    gateway.provider.reload({ upstreams: [{ ...a.config, models: ['m'], weight: 2 }] });
    expect((await ask(gateway, { model: 'm' })).status).toBe(503);
  });
});

test('the log line and the events name the upstream', async () => {
  const lines = [];
  const write = (fields, message) => lines.push({ ...fields, message });
  const logger = { info: write, warn: write, error: write, debug: write };
  const [a, b] = [await upstream('a', fails(500)), await upstream('b')];
  const gateway = await gatewayOver([a, b], { logger });
  const seen = [];
  gateway.gateway.on('job', ({ type, upstream: name }) => seen.push([type, name]));
  const { job } = await ask(gateway);
  const ended = lines.find(({ message }) => message === 'job ended');
  expect(ended).toMatchObject({ job_id: job.job_id, upstream: 'b', attempts: 2 });
  expect(seen).toEqual([
    ['queued', undefined],
    ['started', 'a'],
    ['retry', 'b'],
    ['ended', 'b'],
  ]);
  const { body: metrics } = await gateway.get('/metrics');
  expect(metrics).toContain('sluice_upstream_first_entry_seconds_count{upstream="b"} 1');
  expect(metrics).not.toContain('sluice_upstream_first_entry_seconds_count{upstream="a"}');
});

test.each([
  ['a', ['a']],
  ['b', ['failing', 'b']],
])('a job of an earlier process names its upstream: %s', async (name, names) => {
  const upstreams = [];
  for (const each of names) {
    upstreams.push(await upstream(each, each === 'failing' ? fails(500) : undefined));
  }
  const data = dataFile();
  const first = await gatewayOver(upstreams, { data });
  const { job } = await ask(first);
  await first.gateway.close();
  const second = await gatewayOver(upstreams, { data });
  expect(await second.job(job.job_id)).toMatchObject({ text: `from ${name}`, upstream: name });
});
