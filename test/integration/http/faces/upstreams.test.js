/** The endpoints of other APIs over several upstreams, and over one of Anthropic's API. */
import Anthropic from '@anthropic-ai/sdk';
import { providers } from '../../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { startMockUpstream, streamTokens } from '../../../support/upstream/mock-upstream.js';
import * as anthropic from '../../../support/upstream/anthropic-upstream.js';

afterEach(stopAll);

const retry = { attempts: 1, baseMs: 1, capMs: 1 };
const messages = [{ role: 'user', content: 'hi' }];

async function upstream(name, respond = streamTokens({ tokens: ['from ', name] }), more = {}) {
  const mock = await startMockUpstream(respond);
  cleanUp(() => mock.close());
  return { mock, config: { name, base_url: mock.url, ...more } };
}

async function claude(...events) {
  const mock = await anthropic.startAnthropic(anthropic.streamEvents(...events));
  cleanUp(() => mock.close());
  return { mock, config: { name: 'claude', base_url: mock.url, dialect: 'anthropic' } };
}

const serve = (...upstreams) =>
  start({
    provider: providers.route({ upstreams: upstreams.map(({ config }) => config) }),
    retry,
  });

const fails =
  (status, headers = {}) =>
  (exchange) => {
    exchange.open(status, { 'content-type': 'application/json', ...headers });
    exchange.res.end('{"error":{"message":"no","type":"t","code":"c"}}');
  };

describe('/v1/chat/completions', () => {
  test('names the upstream that answered', async () => {
    const { post } = await serve(await upstream('a', fails(500)), await upstream('b'));
    for (const stream of [false, true]) {
      const { status, headers, body } = await post('/v1/chat/completions', {
        model: 'm',
        messages,
        stream,
      });
      expect([status, headers.get('x-sluice-upstream')]).toEqual([200, 'b']);
      expect(JSON.stringify(body)).toContain('from ');
    }
  });

  test('names it where it failed, too', async () => {
    const { post } = await serve(await upstream('a', fails(401)));
    const { status, headers, body } = await post('/v1/chat/completions', { model: 'm', messages });
    expect([status, headers.get('x-sluice-upstream'), body.error.code]).toEqual([
      502,
      'a',
      'upstream_unauthorized',
    ]);
  });

  test('answers 503 while every upstream is closed, and 404 if no upstream has the model', async () => {
    const a = await upstream('a', fails(429, { 'retry-after': '7' }), { models: ['m'] });
    const { post } = await serve(a);
    const ask = (model) => post('/v1/chat/completions', { model, messages });
    const limited = await ask('m');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    const closed = await ask('m');
    expect([closed.status, closed.body.error.code]).toEqual([503, 'upstream_unavailable']);
    expect(Number(closed.headers.get('retry-after'))).toBeGreaterThan(5);
    expect((await ask('x')).status).toBe(404);
    expect(a.mock.exchanges).toHaveLength(1);
  });
});

describe('/v1/embeddings', () => {
  const embeds = (exchange) => {
    exchange.open(200, { 'content-type': 'application/json' });
    const data = [].concat(exchange.body.input).map((_, index) => ({ index, embedding: [index] }));
    exchange.res.end(JSON.stringify({ data, usage: { prompt_tokens: 2 } }));
  };
  const ask = ({ post }) => post('/v1/embeddings', { model: 'e', input: ['a', 'b'] });

  test('continue at another upstream, under its name of the model', async () => {
    const a = await upstream('a', fails(503), { models: ['e'] });
    const b = await upstream('b', embeds, { models: { e: 'their-e' } });
    const { status, body } = await ask(await serve(await claude(), a, b));
    expect([status, body.data.length]).toEqual([200, 2]);
    expect(b.mock.exchanges[0].body.model).toBe('their-e');
    expect(a.mock.exchanges).toHaveLength(1);
  });

  test('of an upstream without them', async () => {
    const { status, body } = await ask(await serve(await claude()));
    expect([status, body.error]).toEqual([
      400,
      {
        message: 'The upstream claude makes no embeddings',
        type: 'invalid_request_error',
        code: 'unsupported_feature',
        param: 'model',
      },
    ]);
  });

  test('answer 503 while every upstream is closed', async () => {
    const gateway = await serve(await upstream('a', fails(500)));
    for (let i = 0; i < 3; i += 1) expect((await ask(gateway)).status).toBe(502);
    const { status, headers } = await ask(gateway);
    expect([status, Number(headers.get('retry-after')) > 20]).toEqual([503, true]);
  });
});

describe('/v1/messages over the dialect anthropic', () => {
  test('the request is passed on unchanged', async () => {
    const hello = [anthropic.start(), ...anthropic.text(0, 'hi'), ...anthropic.stop()];
    const a = await claude(...hello);
    a.config.models = { alias: 'claude-x' };
    const { post } = await serve(a);
    const request = {
      model: 'alias',
      max_tokens: 50,
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature: 's' }] },
        { role: 'user', content: 'b' },
      ],
      thinking: { type: 'enabled', budget_tokens: 2000 },
      metadata: { user_id: 'u' },
    };
    const { status, headers, body } = await post('/v1/messages', request);
    expect([status, headers.get('x-sluice-upstream')]).toEqual([200, 'claude']);
    expect(body).toMatchObject({
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 25, output_tokens: 15 },
    });
    expect(a.mock.exchanges[0].body).toEqual({ ...request, model: 'claude-x', stream: true });
  });

  test('blocks and counts of the answer are passed unchanged, whole and as a stream', async () => {
    const signed = anthropic.block(
      1,
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'signature_delta', signature: 'kept back' },
    );
    const redacted = anthropic.block(2, { type: 'redacted_thinking', data: 'R' });
    const found = { type: 'web_search_tool_result', tool_use_id: 's', content: [{ type: 'x' }] };
    const usage = {
      input_tokens: 25,
      cache_creation_input_tokens: 7,
      cache_read_input_tokens: 3,
      output_tokens: 1,
    };
    const a = await claude(
      anthropic.start({ usage }),
      ...anthropic.thinking(0, 'sig', 'Hm'),
      ...signed,
      ...redacted,
      ...anthropic.block(3, found),
      ...anthropic.text(4, 'hi'),
      ...anthropic.stop(),
    );
    const { url } = await serve(a);
    const client = new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 0 });
    const request = {
      model: 'm',
      max_tokens: 5,
      messages: [{ role: 'user', content: [{ type: 'search_result', source: 's', title: 't' }] }],
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    };
    const content = [
      { type: 'thinking', thinking: 'Hm', signature: 'sig' },
      { type: 'thinking', thinking: '', signature: 'kept back' },
      { type: 'redacted_thinking', data: 'R' },
      found,
      { type: 'text', text: 'hi' },
    ];
    const whole = await client.beta.messages.create({ ...request, betas: ['some-beta'] });
    expect(whole).toMatchObject({ content, usage: { ...usage, output_tokens: 15 } });
    expect(a.mock.exchanges[0].body).toEqual({ ...request, stream: true });
    expect(a.mock.exchanges[0].headers['anthropic-beta']).toBe('some-beta');
    const streamed = await client.messages.stream(request).finalMessage();
    expect(streamed).toMatchObject({ content, usage: { ...usage, output_tokens: 15 } });
  });
});

test('a turn of a conversation has its earlier messages, and its own instructions', async () => {
  const a = await claude(anthropic.start(), ...anthropic.text(0, 'four'), ...anthropic.stop());
  const { post, get } = await serve(a);
  const { body: conversation } = await post('/v1/conversations', {
    messages: [
      { role: 'system', content: 'kept' },
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
    ],
  });
  const { conversation_id } = conversation;
  const turn = (content, system) =>
    post('/v1/messages', {
      ...{ model: 'm', max_tokens: 50, system, thinking: { type: 'adaptive' } },
      messages: [{ role: 'user', content }],
      sluice: { conversation_id },
    });
  const marked = [{ type: 'text', text: 'three', cache_control: { type: 'ephemeral' } }];
  expect((await turn(marked, 'brief')).status).toBe(200);
  expect((await turn('five', [{ type: 'text', text: 'long' }])).status).toBe(200);
  const textBlocks = (text) => [{ type: 'text', text }];
  const first = [
    { role: 'user', content: textBlocks('one') },
    { role: 'assistant', content: textBlocks('two') },
  ];
  const [one, two] = a.mock.exchanges.map(({ body }) => body);
  expect(one).toEqual({
    ...{ model: 'm', max_tokens: 50, stream: true, thinking: { type: 'adaptive' } },
    system: 'kept\n\nbrief',
    messages: [...first, { role: 'user', content: marked }],
  });
  expect(two).toMatchObject({
    system: 'kept\n\nlong',
    messages: [
      ...first,
      { role: 'user', content: textBlocks('three') },
      { role: 'assistant', content: textBlocks('four') },
      { role: 'user', content: 'five' },
    ],
  });
  const { body: kept } = await get(`/v1/conversations/${conversation_id}`);
  expect(kept.messages.filter(({ role }) => role === 'system')).toHaveLength(1);
});

describe('a stop sequence', () => {
  const question = { model: 'm', max_tokens: 50, messages, stop_sequences: ['END', '\n\n'] };
  const stopped = (delta) => [
    anthropic.start(),
    ...anthropic.text(0, 'hi'),
    { type: 'message_delta', delta, usage: { output_tokens: 15 } },
    { type: 'message_stop' },
  ];

  test.each([
    ['stop_sequence', { stop_reason: 'stop_sequence', stop_sequence: '\n\n' }, 'stop'],
    ['pause_turn', { stop_reason: 'pause_turn', stop_sequence: null }, 'stop'],
    [
      'model_context_window_exceeded',
      { stop_reason: 'model_context_window_exceeded', stop_sequence: null },
      'length',
    ],
  ])('the %s of an Anthropic upstream is passed on', async (_name, delta, reason) => {
    const a = await claude(...stopped(delta));
    const { url, post, get } = await serve(a);
    const client = new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 0 });
    expect(await client.messages.create(question)).toMatchObject(delta);
    expect(await client.messages.stream(question).finalMessage()).toMatchObject(delta);
    const chat = { model: 'm', messages, stop: question.stop_sequences };
    const { body } = await post('/v1/chat/completions', chat);
    expect(body.choices[0].finish_reason).toBe(reason);
    const { body: job } = await get(`/v1/jobs/job_${body.id.slice('chatcmpl-'.length)}`);
    expect([job.reason, job.stop_sequence]).toEqual([reason, delta.stop_sequence ?? undefined]);
  });

  test('one that the gateway finds, because the upstream has ignored it, is named', async () => {
    const a = await upstream('a', (exchange) =>
      exchange.stream([
        { choices: [{ delta: { content: 'hi E' } }] },
        { choices: [{ delta: { content: 'ND and more' } }] },
      ]),
    );
    const { url } = await serve(a);
    const client = new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 0 });
    const ending = { stop_reason: 'stop_sequence', stop_sequence: 'END' };
    const content = [{ type: 'text', text: 'hi ' }];
    expect(await client.messages.create(question)).toMatchObject({ content, ...ending });
    const streamed = await client.messages.stream(question).finalMessage();
    expect(streamed).toMatchObject({ content, ...ending });
  });
});

describe('/v1/chat/completions over the dialect anthropic', () => {
  const events = [
    anthropic.start(),
    ...anthropic.thinking(0, 'sig-1', 'Let me ', 'see.'),
    ...anthropic.text(1, 'I look.'),
    ...anthropic.toolUse(2, { id: 'toolu_1', name: 'weather' }, '{"city":', '"Bonn"}'),
    ...anthropic.toolUse(3, { id: 'toolu_2', name: 'time' }),
    ...anthropic.stop('tool_use'),
  ];
  const call = (id, name, args) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });
  const calls = [call('toolu_1', 'weather', '{"city":"Bonn"}'), call('toolu_2', 'time', '{}')];
  const tools = [{ type: 'function', function: { name: 'weather', parameters: {} } }];

  test('reasoning, text and calls, whole; and back with their thinking', async () => {
    const a = await claude(...events);
    const { post } = await serve(a);
    const ask = (body) => post('/v1/chat/completions', { model: 'claude-x', tools, ...body });
    const { body } = await ask({ messages, reasoning_effort: 'low' });
    const [{ message, finish_reason: reason }] = body.choices;
    expect(reason).toBe('tool_calls');
    expect(message).toEqual({
      role: 'assistant',
      content: 'I look.',
      refusal: null,
      reasoning_content: 'Let me see.',
      signature: 'sig-1',
      tool_calls: calls,
    });
    expect(body.usage).toMatchObject({
      prompt_tokens: 25,
      completion_tokens: 15,
      total_tokens: 40,
      prompt_tokens_details: { cached_tokens: 0 },
    });

    const result = { role: 'tool', tool_call_id: 'toolu_1', content: 'rain' };
    await ask({ messages: [...messages, message, result], reasoning_effort: 'low' });
    const [first, second] = a.mock.exchanges.map((exchange) => exchange.body);
    expect(first).toMatchObject({
      thinking: { type: 'enabled', budget_tokens: 1024 },
      tools: [{ name: 'weather', input_schema: {} }],
    });
    expect(second.thinking).toEqual(first.thinking);
    expect(second.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' },
          { type: 'text', text: 'I look.' },
          { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Bonn' } },
          { type: 'tool_use', id: 'toolu_2', name: 'time', input: {} },
        ],
      },
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'rain' }],
      },
    ]);
  });

  test('as a stream, and as an ordinary job', async () => {
    const gateway = await serve(await claude(...events));
    const { body } = await gateway.post('/v1/chat/completions', {
      ...{ model: 'claude-x', messages, tools, stream: true },
      stream_options: { include_usage: true },
    });
    const chunks = body
      .split('\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice('data: '.length)));
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
    const joined = (name) => deltas.map((delta) => delta[name] ?? '').join('');
    expect([joined('reasoning_content'), joined('content'), joined('signature')]).toEqual([
      'Let me see.',
      'I look.',
      'sig-1',
    ]);
    const pieces = deltas.flatMap(({ tool_calls: some = [] }) => some);
    expect(pieces.filter(({ id }) => id).map(({ index, id }) => [index, id])).toEqual([
      [0, 'toolu_1'],
      [1, 'toolu_2'],
    ]);
    const argumentsOf = (index) =>
      pieces.filter((each) => each.index === index).map((each) => each.function.arguments);
    expect([argumentsOf(0).join(''), argumentsOf(1).join('')]).toEqual(['{"city":"Bonn"}', '{}']);
    expect(chunks.at(-1).usage).toMatchObject({ prompt_tokens: 25, completion_tokens: 15 });

    const { body: job } = await gateway.submit({ model: 'claude-x', prompt: 'p', tools });
    expect(await gateway.ended(job.job_id)).toMatchObject({
      text: 'I look.',
      reasoning: 'Let me see.',
      tool_calls: calls,
      reason: 'tool_calls',
      upstream: 'claude',
    });
  });

  test('/v1/messages returns the thinking with its signature', async () => {
    const { post } = await serve(await claude(...events));
    const { body } = await post('/v1/messages', { model: 'm', max_tokens: 50, messages });
    expect(body).toMatchObject({
      stop_reason: 'tool_use',
      content: [
        { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' },
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Bonn' } },
        { type: 'tool_use', id: 'toolu_2', name: 'time', input: {} },
      ],
    });
  });

  test('a request that this dialect cannot express is a 400, or goes to an upstream that supports it', async () => {
    const a = await claude(...events);
    const b = await upstream('b');
    a.config.models = ['claude-x', 'both'];
    b.config.models = ['both'];
    const { post } = await serve(a, b);
    const ask = (model, body) => post('/v1/chat/completions', { model, messages, ...body });
    const audio = { type: 'input_audio', input_audio: { data: '', format: 'wav' } };
    for (const [body, param] of [
      [{ n: 2 }, 'n'],
      [{ messages: [{ role: 'user', content: [audio] }] }, 'messages[0].content[0]'],
    ]) {
      const { status, body: answer } = await ask('claude-x', body);
      expect([status, answer.error.code, answer.error.param]).toEqual([
        400,
        'unsupported_feature',
        param,
      ]);
      const taken = await ask('both', { ...body, stream: true });
      expect([taken.status, taken.headers.get('x-sluice-upstream')]).toEqual([200, 'b']);
    }
    expect(a.mock.exchanges).toHaveLength(0);
  });

  test('a refusal by the model', async () => {
    const { post } = await serve(await claude(anthropic.start(), ...anthropic.stop('refusal')));
    const { status, body } = await post('/v1/chat/completions', { model: 'm', messages });
    expect([status, body.choices?.[0].finish_reason]).toEqual([200, 'content_filter']);
  });
});
