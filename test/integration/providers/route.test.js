/** A gateway with several upstreams: selection, dialects, reload and reports. */
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';
import { streamTokens } from '../../support/upstream/mock-upstream.js';
import { dataFile } from '../../support/files/data-file.js';
import { until } from '../../support/until.js';
import * as anthropic from '../../support/upstream/anthropic-upstream.js';
import { upstream, retry, gatewayOver, ask, fails } from '../../support/gateway/route.js';

afterEach(stopAll);

describe('the choice', () => {
  test('an alias sends the model of the upstream; the job keeps its own', async () => {
    const a = await upstream('a');
    a.config.models = { fast: 'llama-3-8b' };
    const { job } = await ask(await gatewayOver([a]), { model: 'fast' });
    expect(job).toMatchObject({ model: 'fast', upstream: 'a' });
    expect(a.mock.exchanges[0].body.model).toBe('llama-3-8b');
  });

  test('exact names, aliases, longest patterns; then the remaining upstreams', async () => {
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

  test('a model without an upstream is refused with 404', async () => {
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

  test('a member refused by one upstream is no longer sent to it, but to the others', async () => {
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

test('the fallbacks follow the upstreams of a model', async () => {
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
    expect(seen.map(([, , detail]) => detail)).toEqual(['from ', 'claude', 'stop']);
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
  ])('%s continues at an upstream of the other dialect', async (_name, answer) => {
    const [a, b] = [await claude(answer), await upstream('b')];
    const { job, events: seen } = await ask(await gatewayOver([a, b]));
    expect(seen[0]).toEqual(['2-0', 'job_retry', 'b']);
    expect(job).toMatchObject({ text: 'from b', upstream: 'b' });
  });

  test('an OpenAI-style failure continues at it', async () => {
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

describe('reload', () => {
  test('new upstreams receive the next job, and a stream of an old one continues', async () => {
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

  test('a wrong configuration changes nothing', async () => {
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
