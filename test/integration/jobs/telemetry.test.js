/** Spans and metrics for the OpenTelemetry SDK of an application, over real HTTP. */
import * as api from '@opentelemetry/api';
import { ManualClock, providers } from '../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { isChildOf, registerSdk } from '../../support/telemetry.js';
import * as anthropic from '../../support/upstream/anthropic-upstream.js';
import { streamTokens } from '../../support/upstream/mock-upstream.js';
import { until } from '../../support/until.js';
import { mockUpstream } from '../../support/gateway/upstream.js';

afterEach(stopAll);

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const traced = {
  traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
  tracestate: 'vendor=opaque',
};
const { CLIENT, INTERNAL, SERVER } = api.SpanKind;
const { ERROR, UNSET } = api.SpanStatusCode;

const upstream = (respond = streamTokens({ tokens: ['Hel', 'lo', '!'] })) => mockUpstream(respond);

async function run({ submit, ended }, body = { prompt: 'hi' }, headers = {}) {
  const answer = await submit(body, headers);
  expect(answer.status).toBe(201);
  return ended(answer.body.job_id);
}

/** The span id in a traceparent header. */
const parentIn = (headers) => headers.traceparent?.split('-')[2];

test('without an SDK nothing is loaded and no header is sent', async () => {
  expect(globalThis[Symbol.for('opentelemetry.js.api.1')]?.trace).toBe(undefined);
  const mock = await upstream();
  const gateway = await start({ provider: providers.openai({ baseUrl: mock.url, model: 'm' }) });
  await run(gateway, { prompt: 'hi' }, traced);
  expect(mock.exchanges[0].headers.traceparent).toBe(undefined);
});

describe.each([
  ['a whole SDK', 'auto', {}],
  ['a whole SDK', 'undici', {}],
  ['an SDK without context manager and propagator', 'auto', { bare: true }],
])('with %s, client %s', (_name, client, sdk) => {
  test('the call, the job, the attempt and the call of the upstream are one trace', async () => {
    const { named, spans } = registerSdk(sdk);
    const mock = await upstream();
    const provider = providers.openai({ baseUrl: mock.url, model: 'gpt-x', client });
    const gateway = await start({ provider });
    const body = { prompt: 'a secret', max_tokens: 50, temperature: 0.5, stop: ['x'], seed: 7 };
    const job = await run(gateway, body, traced);
    const [call] = await named('chat gpt-x');
    const [http] = await named('POST /v1/jobs');
    const [whole] = await named('sluice.job');
    const [attempt] = await named('sluice.attempt');
    expect(http.parentSpanContext).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true });
    expect(http.spanContext().traceId).toBe(TRACE_ID);
    expect(isChildOf(whole, http)).toBe(true);
    expect(isChildOf(attempt, whole)).toBe(true);
    expect(isChildOf(call, attempt)).toBe(true);

    const { headers } = mock.exchanges[0];
    expect(headers.traceparent).toBe(`00-${TRACE_ID}-${call.spanContext().spanId}-01`);
    expect(headers.tracestate).toBe('vendor=opaque');

    expect(http.kind).toBe(SERVER);
    expect(http.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/jobs',
      'url.path': '/v1/jobs',
      'url.scheme': 'http',
      'http.response.status_code': 201,
    });
    expect(whole.attributes).toMatchObject({
      'sluice.job.id': job.job_id,
      'sluice.job.status': 'completed',
      'sluice.job.reason': 'stop',
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
    });
    expect(attempt.attributes).toEqual({ 'sluice.attempt': 1 });
    expect(call.kind).toBe(CLIENT);
    expect(call.status.code).toBe(UNSET);
    expect(call.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-x',
      'gen_ai.request.stream': true,
      'gen_ai.request.max_tokens': 50,
      'gen_ai.request.temperature': 0.5,
      'gen_ai.request.stop_sequences': ['x'],
      'gen_ai.request.seed': 7,
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.time_to_first_chunk': expect.any(Number),
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
      'server.address': '127.0.0.1',
      'server.port': mock.port,
    });
    for (const span of spans()) expect(JSON.stringify(span.attributes)).not.toContain('a secret');
  });
});

test('a call that is repeated, and one that fails', async () => {
  const { named } = registerSdk();
  const mock = await upstream((exchange) => {
    if (mock.exchanges.length > 1) return streamTokens({ tokens: ['ok'] })(exchange);
    exchange.open(503, { 'content-type': 'application/json' });
    return exchange.res.end('{"error":{"message":"busy"}}');
  });
  const provider = providers.openai({ baseUrl: mock.url, model: 'm' });
  const gateway = await start({ provider, retry: { baseMs: 1 } });
  await run(gateway);
  const [first, second] = await named('chat m', 2);
  const attempts = await named('sluice.attempt', 2);
  expect(attempts.map(({ attributes }) => attributes['sluice.attempt'])).toEqual([1, 2]);
  expect(isChildOf(first, attempts[0])).toBe(true);
  expect(isChildOf(second, attempts[1])).toBe(true);
  expect(first.status.code).toBe(ERROR);
  expect(first.attributes['error.type']).toBe('upstream_unavailable');
  expect(attempts[0].attributes['error.type']).toBe('upstream_unavailable');
  expect(attempts[1].status.code).toBe(UNSET);
  const [job] = await named('sluice.job');
  expect(job.status.code).toBe(UNSET);
  expect(mock.exchanges.map(({ headers }) => parentIn(headers))).toEqual(
    [first, second].map((span) => span.spanContext().spanId),
  );
});

test('several upstreams: each attempt names its own', async () => {
  const { named } = registerSdk();
  const bad = await upstream((exchange) => exchange.cut());
  const good = await startAnthropicUpstream();
  const provider = providers.route({
    upstreams: [
      { name: 'bad', base_url: bad.url, weight: 1000, models: { m: 'their-m' } },
      { name: 'good', base_url: good.url, dialect: 'anthropic', models: { other: 'claude-x' } },
    ],
    fallbacks: { m: ['other'] },
  });
  const gateway = await start({ provider, retry: { baseMs: 1 } });
  await run(gateway, { prompt: 'hi', model: 'm' });
  const attempts = await named('sluice.attempt', 2);
  expect(attempts.map(({ attributes }) => attributes['sluice.upstream'])).toEqual(['bad', 'good']);
  const [failed] = await named('chat their-m');
  const [call] = await named('chat claude-x');
  expect(failed.attributes['gen_ai.provider.name']).toBe('openai');
  expect(failed.status.code).toBe(ERROR);
  expect(call.attributes).toMatchObject({
    'gen_ai.provider.name': 'anthropic',
    'gen_ai.usage.input_tokens': 25,
    'gen_ai.usage.output_tokens': 15,
    'server.port': good.port,
  });
  expect(isChildOf(call, attempts[1])).toBe(true);
  expect(parentIn(good.exchanges[0].headers)).toBe(call.spanContext().spanId);
});

/** An upstream of Anthropic's API that answers hello. */
async function startAnthropicUpstream() {
  const mock = await anthropic.startAnthropic(
    anthropic.streamEvents(anthropic.start(), ...anthropic.text(0, 'Hello'), ...anthropic.stop()),
  );
  cleanUp(() => mock.close());
  return mock;
}

test('a call for several prompts belongs to the jobs of all', async () => {
  const { named } = registerSdk();
  const mock = await upstream();
  const provider = providers.openai({ baseUrl: mock.url, model: 'm', mode: 'completions' });
  const gateway = await start({ provider, batching: { maxBatchSize: 2, idleFlushMs: 10_000 } });
  await Promise.all([run(gateway, { prompt: 'a' }), run(gateway, { prompt: 'b' })]);
  const [call] = await named('text_completion m');
  const attempts = await named('sluice.attempt', 2);
  const [own, other] = isChildOf(call, attempts[0]) ? attempts : [...attempts].reverse();
  expect(isChildOf(call, own)).toBe(true);
  expect(call.links.map(({ context }) => context.spanId)).toEqual([other.spanContext().spanId]);
});

test('a generator runs within the span of its call', async () => {
  const { named } = registerSdk();
  const seen = [];
  async function* generator() {
    seen.push(api.trace.getActiveSpan().spanContext().spanId);
    yield 'a';
    await new Promise(setImmediate);
    seen.push(api.trace.getActiveSpan().spanContext().spanId);
    yield 'b';
  }
  const gateway = await start({ provider: generator });
  await run(gateway, { prompt: 'hi', model: 'mine' });
  const [call] = await named('chat mine');
  expect(call.kind).toBe(INTERNAL);
  expect(seen).toEqual([call.spanContext().spanId, call.spanContext().spanId]);
  expect(call.attributes['gen_ai.provider.name']).toBe('function');
});

test('jobs of gateway.submit belong to the span of the application', async () => {
  const { named } = registerSdk();
  const { gateway } = await start({ provider: echo });
  const tracer = api.trace.getTracer('app');
  await tracer.startActiveSpan('app', async (span) => {
    const { id } = await gateway.submit({ prompt: 'hi' });
    for await (const _ of gateway.stream(id));
    span.end();
  });
  const [[app], [job]] = [await named('app'), await named('sluice.job')];
  expect(isChildOf(job, app)).toBe(true);
});

test('a server error and a cancel', async () => {
  const { named } = registerSdk();
  const { provider, call } = handProvider();
  const gateway = await start({ provider, exposeErrors: true });
  const { body } = await gateway.submit({ prompt: 'a' });
  await call(0);
  await gateway.cancel(body.job_id);
  const failing = await gateway.submit({ prompt: 'b' });
  (await call(1)).fail(new Error('it broke'));
  await gateway.ended(failing.body.job_id);
  const [cancelled, failed] = await named('sluice.job', 2);
  expect(cancelled.status.code).toBe(UNSET);
  expect(cancelled.attributes).toMatchObject({
    'sluice.job.status': 'cancelled',
    'sluice.job.reason': 'client_request',
  });
  expect(failed.status).toEqual({ code: ERROR, message: 'it broke' });
  expect(failed.attributes['error.type']).toBe('provider_error');
  await gateway.get('/v1/jobs/job_unknown');
  const [read] = (await named('GET /v1/jobs/:id', 2)).slice(-1);
  expect(read.attributes['http.response.status_code']).toBe(404);
  expect(read.status.code).toBe(UNSET);
});

test('content on request', async () => {
  const { named } = registerSdk();
  const mock = await upstream();
  const provider = providers.openai({ baseUrl: mock.url, model: 'm' });
  const gateway = await start({ provider, telemetry: { content: true } });
  const messages = [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: [{ type: 'text', text: 'weather?' }] },
    {
      role: 'assistant',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'w', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'rain' },
  ];
  const tools = [{ type: 'function', function: { name: 'w' } }];
  await run(gateway, { messages, tools });
  const [{ attributes }] = await named('chat m');
  expect(JSON.parse(attributes['gen_ai.input.messages'])).toEqual([
    { role: 'system', parts: [{ type: 'text', content: 'be brief' }] },
    { role: 'user', parts: [{ type: 'text', content: 'weather?' }] },
    {
      role: 'assistant',
      parts: [{ type: 'tool_call', id: 'c1', name: 'w', arguments: { a: 1 } }],
    },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'rain' }] },
  ]);
  expect(JSON.parse(attributes['gen_ai.tool.definitions'])).toEqual(tools);
  expect(JSON.parse(attributes['gen_ai.output.messages'])).toEqual([
    { role: 'assistant', parts: [{ type: 'text', content: 'Hello!' }], finish_reason: 'stop' },
  ]);
});

test('a shared answer is called once, and each job is its own span', async () => {
  const { named, spans, metrics } = registerSdk();
  const { provider, call } = handProvider();
  const gateway = await start({ provider });
  const body = { prompt: 'same', temperature: 0 };
  const [one, two] = [(await gateway.submit(body)).body, (await gateway.submit(body)).body];
  const feed = await call(0);
  feed.push('a', 'b');
  feed.end({ usage: { prompt_tokens: 10, completion_tokens: 2 } });
  await Promise.all([one, two].map(({ job_id: id }) => gateway.ended(id)));
  await run(gateway, body);
  const jobs = await named('sluice.job', 3);
  expect(jobs.map(({ attributes }) => attributes['sluice.job.cache']).sort()).toEqual([
    ...['hit', 'join', 'miss'],
  ]);
  expect(await named('sluice.attempt')).toHaveLength(1);
  expect(spans().filter(({ name }) => name === 'chat hand')).toHaveLength(1);
  const tokens = (await metrics())['gen_ai.client.token.usage'].points;
  expect(tokens.map(({ sum }) => sum).sort()).toEqual([10, 2]);
});

test('embeddings', async () => {
  const { named, metrics } = registerSdk();
  const mock = await upstream((exchange) => {
    exchange.open(200, { 'content-type': 'application/json' });
    exchange.res.end(
      JSON.stringify({ data: [{ index: 0, embedding: [1, 2] }], usage: { prompt_tokens: 4 } }),
    );
  });
  const provider = providers.openai({ baseUrl: mock.url, model: 'embed' });
  const { post } = await start({ provider });
  const { status } = await post('/v1/embeddings', { input: 'some text', model: 'embed' }, traced);
  expect(status).toBe(200);
  const [span] = await named('embeddings embed');
  expect(span.spanContext().traceId).toBe(TRACE_ID);
  expect(span.attributes).toMatchObject({
    'gen_ai.operation.name': 'embeddings',
    'gen_ai.usage.input_tokens': 4,
  });
  expect(parentIn(mock.exchanges[0].headers)).toBe(span.spanContext().spanId);
  expect((await metrics())['gen_ai.client.operation.duration'].points[0]).toMatchObject({
    attributes: { 'gen_ai.operation.name': 'embeddings' },
    count: 1,
  });
});

test('the metrics have the names, units, buckets and attributes of the conventions', async () => {
  const { metrics } = registerSdk();
  const clock = new ManualClock();
  const { provider, call } = handProvider();
  const gateway = await start({ provider, clock });
  const { body } = await gateway.submit({ prompt: 'a', model: 'm' });
  const feed = await call(0);
  clock.advanceMs(2000);
  feed.push('a');
  await until(async () => (await gateway.job(body.job_id)).text === 'a');
  clock.advanceMs(6000);
  feed.push('b', 'c', 'd');
  feed.end({ usage: { prompt_tokens: 11, completion_tokens: 4 } });
  await gateway.ended(body.job_id);
  const failing = await gateway.submit({ prompt: 'b', model: 'm' });
  (await call(1)).fail(new Error('no'));
  await gateway.ended(failing.body.job_id);
  const found = await until(async () => {
    const all = await metrics();
    return all['gen_ai.server.request.duration']?.points.length === 2 && all;
  }, 'the metrics of both jobs');
  const shared = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'function',
    'gen_ai.request.model': 'm',
  };
  const ofFailed = { ...shared, 'error.type': 'provider_error' };
  const durations = [
    ...[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
  ];
  expect(found['gen_ai.server.request.duration']).toEqual({
    unit: 's',
    points: [
      { attributes: shared, count: 1, sum: 8, boundaries: durations },
      { attributes: ofFailed, count: 1, sum: 0, boundaries: durations },
    ],
  });
  expect(found['gen_ai.server.time_to_first_token']).toEqual({
    unit: 's',
    points: [
      {
        ...{ attributes: shared, count: 1, sum: 2 },
        boundaries: [
          ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1],
          ...[0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
        ],
      },
    ],
  });
  expect(found['gen_ai.server.time_per_output_token']).toEqual({
    unit: 's',
    points: [
      {
        ...{ attributes: shared, count: 1, sum: 2 },
        boundaries: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
      },
    ],
  });
  const { unit, points } = found['gen_ai.client.token.usage'];
  expect(unit).toBe('{token}');
  const tokens = points.map(({ attributes, sum }) => [attributes['gen_ai.token.type'], sum]);
  expect(Object.fromEntries(tokens)).toMatchObject({ output: 4 });
  expect(points[0].boundaries).toEqual([
    ...[1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864],
  ]);
  const client = found['gen_ai.client.operation.duration'];
  expect(client.unit).toBe('s');
  expect(client.points.map(({ attributes }) => attributes)).toEqual([shared, ofFailed]);
});

test('an SDK that is registered after the gateway was made, and one that is off by option', async () => {
  const on = await start({ provider: echo });
  const off = await start({ provider: echo, telemetry: { enabled: false } });
  await run(on);
  const { named, spans } = registerSdk();
  await run(off);
  expect(spans()).toEqual([]);
  await run(on);
  expect(await named('sluice.job')).toHaveLength(1);
});
