/** Every member of a request that is meant for the upstream reaches it with the same JSON value. */
import { providers } from '../../../lib/index.js';
import { partsOf } from '../../support/gateway/parts.js';
import { streamTokens } from '../../support/upstream/mock-upstream.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startBefore } from '../../support/gateway/upstream.js';

const image = `data:image/png;base64,${'iVBORw0KGgo='.repeat(2000)}`;

const messages = [
  { role: 'system', content: 'be brief' },
  { role: 'developer', content: [{ type: 'text', text: 'in French' }] },
  {
    role: 'user',
    name: 'ann',
    content: [
      { type: 'text', text: 'what is this?' },
      { type: 'image_url', image_url: { url: image, detail: 'low' } },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
      { type: 'file', file: { file_id: 'file-1' } },
    ],
  },
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
  },
  { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: '5 °C' }] },
  { role: 'function', name: 'g', content: '{}' },
];

const passed = {
  tools: [
    { type: 'function', function: { name: 'f', strict: true, parameters: { type: 'object' } } },
  ],
  tool_choice: { type: 'function', function: { name: 'f' } },
  parallel_tool_calls: false,
  response_format: { type: 'json_schema', json_schema: { name: 's', schema: {} } },
  seed: -7,
  top_p: 0.25,
  frequency_penalty: -1.5,
  presence_penalty: 2,
  logit_bias: { 50256: -100 },
  logprobs: true,
  top_logprobs: 3,
  reasoning_effort: 'low',
  verbosity: 'high',
  user: 'user-1',
};

const extra = {
  top_k: 40,
  chat_template_kwargs: { enable_thinking: false },
  provider: { order: ['x'], allow_fallbacks: null },
};

describe.each(/** @type {const} */ (['undici', 'native']))('by %s', (client) => {
  let upstream;
  afterEach(stopAll);

  async function relay(respond = streamTokens({ tokens: ['x'] }), options = {}) {
    const served = await startBefore(respond, { provider: { client }, ...options });
    upstream = served.upstream;
    return served;
  }

  test('from POST /v1/jobs', async () => {
    const { submit, ended } = await relay();
    const { status, body } = await submit({
      ...passed,
      model: 'm',
      messages,
      stop: 'END',
      temperature: 0.5,
      max_completion_tokens: 99,
      extra_body: { ...extra, stream_options: { include_obfuscation: false } },
      metadata: { mine: 1 },
      on_disconnect: 'continue',
    });
    expect(status).toBe(201);
    expect(await ended(body.job_id)).toMatchObject({ status: 'completed', metadata: { mine: 1 } });
    expect(upstream.exchanges[0].body).toEqual({
      ...passed,
      ...extra,
      model: 'm',
      messages,
      stop: 'END',
      temperature: 0.5,
      max_completion_tokens: 99,
      stream: true,
      stream_options: { include_obfuscation: false, include_usage: true },
    });
  });

  test('from a route that interpreted it', async () => {
    const { gateway, ended } = await relay();
    const { admission, access } = partsOf(gateway);
    const { record, replayed } = await admission.submitInterpreted({
      request: {
        model: 'm',
        messages: [{ ...messages[0], vendor: { deep: [1] } }],
        n: 1,
        user: 'user-1',
        max_tokens: 5,
        temperature: null,
        metadata: { trace: 'a' },
      },
      passed: { ...extra, tools: null },
      access: access.of('anonymous'),
      face: { id: 'chatcmpl-1' },
    });
    expect(replayed).toBe(false);
    expect(record.extra).toEqual({ face: { id: 'chatcmpl-1' } });
    expect(await ended(record.id)).toMatchObject({ metadata: { trace: 'a' } });
    expect(upstream.exchanges[0].body).toEqual({
      ...extra,
      tools: null,
      model: 'm',
      messages: [{ role: 'system', content: 'be brief', vendor: { deep: [1] } }],
      n: 1,
      user: 'user-1',
      max_tokens: 5,
      temperature: null,
      metadata: { trace: 'a' },
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('a refused name of the limit is swapped, and the swap remembered', async () => {
    const refusing = (name) => async (exchange) => {
      if (!(name in exchange.body)) return streamTokens({ tokens: ['x'] })(exchange);
      exchange.open(400, { 'content-type': 'application/json' });
      exchange.res.end(JSON.stringify({ error: { message: `Unsupported parameter: '${name}'` } }));
    };
    const { submit, ended } = await relay(refusing('max_completion_tokens'));
    for (const prompt of ['a', 'b']) {
      const { body } = await submit({ prompt, model: 'm', max_completion_tokens: 4 });
      expect(await ended(body.job_id)).toMatchObject({ status: 'completed' });
    }
    const names = upstream.exchanges.map(({ body }) =>
      Object.keys(body).filter((name) => name.startsWith('max_')),
    );
    expect(names).toEqual([['max_completion_tokens'], ['max_tokens'], ['max_tokens']]);
  });

  test('requests that differ in a passed member alone do not share an answer', async () => {
    const { submit, ended } = await relay();
    const ask = async (fields) => {
      const { body, headers } = await submit({ prompt: 'p', temperature: 0, ...fields });
      await ended(body.job_id);
      return headers.get('x-cache');
    };
    expect(await ask({ seed: 1 })).toBe('MISS');
    expect(await ask({ seed: 2 })).toBe('MISS');
    expect(await ask({ seed: 1, user: 'other', metadata: { a: 1 } })).toBe('HIT');
    expect(await ask({ extra_body: { seed: 1, stream_options: {} } })).toBe('HIT');
    expect(await ask({ seed: 1, max_completion_tokens: 5 })).toBe('MISS');
  });

  test('turns of a conversation keep parts, calls and results', async () => {
    const { submit, post, get, read } = await relay();
    const { body: made } = await post('/v1/conversations', { messages: messages.slice(0, 2) });
    const id = made.conversation_id;
    const say = async (more) => {
      const { status, body } = await submit({ conversation_id: id, messages: more });
      expect(status).toBe(201);
      await read(body.stream_url);
    };
    await say(messages.slice(2, 5));
    await say([{ role: 'user', content: 'thanks' }]);
    const whole = [
      ...messages.slice(0, 5),
      { role: 'assistant', content: 'x' },
      { role: 'user', content: 'thanks' },
    ];
    expect(upstream.exchanges[1].body.messages).toEqual(whole);
    const { body } = await get(`/v1/conversations/${id}`);
    expect(body.messages).toMatchObject([...whole, { role: 'assistant', content: 'x' }]);
    expect(body.messages[4]).toMatchObject({ created_at: expect.any(Number) });
  });
});

describe('an upstream that calls tools', () => {
  let upstream;
  afterEach(stopAll);
  const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }];

  async function startWith(respond) {
    const served = await startBefore(respond, { retry: { attempts: 3, baseMs: 1, capMs: 1 } });
    upstream = served.upstream;
    return served;
  }
  const chunk = (exchange, delta, finish_reason = null) =>
    exchange.event({ choices: [{ index: 0, delta, finish_reason }] });

  test('receives them back with their results, without its reasoning', async () => {
    const { submit, post, get, read } = await startWith(async (exchange) => {
      exchange.open();
      if (exchange.body.messages.at(-1).role === 'tool') await chunk(exchange, { content: 'done' });
      else {
        await chunk(exchange, { reasoning_content: 'hm' });
        await chunk(exchange, { tool_calls: [{ index: 0, ...calls[0] }] });
      }
      await exchange.finish();
      await exchange.done();
      exchange.end();
    });
    const { body: made } = await post('/v1/conversations', {});
    const say = async (fields) => {
      const { body } = await submit({ conversation_id: made.conversation_id, ...fields });
      await read(body.stream_url);
    };
    const result = { role: 'tool', tool_call_id: 'c', content: '5' };
    await say({ prompt: 'p', tools: passed.tools });
    await say({ messages: [result], tools: passed.tools });
    const history = [
      { role: 'user', content: 'p' },
      { role: 'assistant', content: null, tool_calls: calls },
      result,
    ];
    expect(upstream.exchanges[1].body).toMatchObject({ messages: history, tools: passed.tools });
    const { body } = await get(`/v1/conversations/${made.conversation_id}`);
    expect(body.messages).toMatchObject([...history, { role: 'assistant', content: 'done' }]);
    expect(body.messages[1]).toMatchObject({ reasoning: 'hm', finish_reason: 'tool_calls' });
  });

  test('is called once if it breaks off after its first reasoning', async () => {
    const { submit, ended } = await startWith(async (exchange) => {
      exchange.open();
      await chunk(exchange, { reasoning_content: 'hm' });
      await new Promise((resolve) => setTimeout(resolve, 20));
      exchange.cut();
    });
    const { body } = await submit({ prompt: 'p' });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'failed',
      reasoning: 'hm',
      error: { code: 'upstream_disconnected' },
    });
    expect(upstream.exchanges).toHaveLength(1);
  });

  test('is not cut by the count of its deltas', async () => {
    const { submit, ended } = await startWith(async (exchange) => {
      exchange.open();
      for (let i = 0; i < 4; i++) await chunk(exchange, { reasoning_content: 'hm' });
      for (const delta of ['{"a', '":1', '}']) {
        const call = { index: 0, id: 'c', function: { name: 'f', arguments: delta } };
        await chunk(exchange, { tool_calls: [call] });
      }
      await exchange.finish('tool_calls');
      await exchange.done();
      exchange.end();
    });
    const { body } = await submit({ prompt: 'p', max_completion_tokens: 2, tools: passed.tools });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'completed',
      reason: 'tool_calls',
      tool_calls: calls,
    });
  });
});

describe('a request with an idempotency key, from a route', () => {
  afterEach(stopAll);

  test('is one job; another body with the key is refused', async () => {
    const { gateway } = await start({ provider: providers.demo({ tokenIntervalMs: 0 }) });
    const { admission, access } = partsOf(gateway);
    const submit = (fingerprint, face) =>
      admission.submitInterpreted({
        request: { messages: [{ role: 'user', content: 'hi' }] },
        access: access.of('anonymous'),
        idempotencyKey: 'k',
        fingerprint,
        face,
      });
    const first = await submit({ path: '/a' }, { id: 1 });
    const again = await submit({ path: '/a' }, { id: 2 });
    expect(again).toMatchObject({ replayed: true, entries: [] });
    expect(again.record).toBe(first.record);
    expect(again.record.extra).toEqual({ face: { id: 1 } });
    await expect(submit({ path: '/b' })).rejects.toMatchObject({ status: 422 });
    await gateway.delete(first.record.id);
    const anew = await submit({ path: '/a' }, { id: 3 });
    expect(anew).toMatchObject({ replayed: false });
    gateway.cancel(anew.record.id);
  });
});

describe('a provider without tools and images', () => {
  afterEach(stopAll);

  test.each([
    [{ prompt: 'p', tools: passed.tools }, 'tools'],
    [{ messages: messages.slice(2, 3) }, 'messages[0].content[1]'],
    [{ messages: messages.slice(3, 4) }, 'messages[0].tool_calls'],
    [{ prompt: 'p', extra_body: { functions: [{ name: 'f' }] } }, 'functions'],
  ])('refuses %#', async (request, param) => {
    const { submit } = await start({ provider: providers.demo({ tokenIntervalMs: 0 }) });
    const { status, body } = await submit(request);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'unsupported_feature', param });
  });

  test('accepts requests that need neither', async () => {
    const { submit, ended } = await start({ provider: providers.demo({ tokenIntervalMs: 0 }) });
    const parts = [{ type: 'text', text: 'two words' }];
    const { body } = await submit({ messages: [{ role: 'user', content: parts }], seed: 1 });
    expect((await ended(body.job_id)).usage.prompt_tokens).toBe(2);
  });
});

test('a generator receives every member, and may declare the members it supports', async () => {
  const seen = [];
  async function* generator(request) {
    seen.push(request);
    yield 'x';
  }
  const { submit, ended } = await start({ provider: generator });
  const { body } = await submit({ messages, ...passed, stop: 'END', max_completion_tokens: 3 });
  await ended(body.job_id);
  expect(seen[0]).toMatchObject({
    messages,
    stop: ['END'],
    maxTokens: 3,
    limitName: 'max_completion_tokens',
    body: { ...passed, stop: 'END' },
  });
  await stopAll();

  const limited = Object.assign(async function* () {}, { features: ['images'] });
  const other = await start({ provider: limited });
  expect((await other.submit({ prompt: 'p', tools: passed.tools })).status).toBe(400);
  await stopAll();
  const wrong = Object.assign(async function* () {}, { features: ['sight'] });
  await expect(start({ provider: wrong })).rejects.toThrow(/features takes one of "tools"/);
});
