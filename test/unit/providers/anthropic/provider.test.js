/** Answers of Anthropic's Messages API, over real HTTP: their pieces, their ends, their failures. */
import { anthropic } from '../../../../lib/providers/anthropic/provider.js';
import { until } from '../../../support/until.js';
import {
  answerJson,
  block,
  frame,
  ping,
  refuse,
  start,
  startAnthropic,
  stop,
  streamEvents,
  text,
  thinking,
  toolUse,
} from '../../../support/upstream/anthropic-upstream.js';

const cleanups = [];
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()();
});

/** A mock server with these answers, and a provider that calls it. */
async function setUp(answers, options = {}) {
  const upstream = await startAnthropic(...[answers].flat());
  const provider = anthropic({ baseUrl: upstream.url, apiKey: 'key-1', ...options });
  cleanups.push(
    () => upstream.close(),
    () => provider.close(),
  );
  return { upstream, provider };
}

/** The pieces of an answer, and its end or its error. */
async function collect(provider, fields = {}, signal = new AbortController().signal) {
  const request = { id: 'job_1', prompt: 'hi', model: 'claude-x', ...fields };
  const iterator = provider.generate(request, { signal });
  const pieces = [];
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return { pieces, end: value };
      pieces.push(value);
    }
  } catch (error) {
    return { pieces, error };
  }
}

const hello = [start(), ping, ...text(0, 'Hel', 'lo'), ...stop()];

test('text, with the usage of its beginning and its end', async () => {
  const { upstream, provider } = await setUp(streamEvents(...hello));
  expect(await collect(provider)).toEqual({
    pieces: ['Hel', 'lo'],
    end: {
      reason: 'stop',
      rawReason: 'end_turn',
      usage: {
        prompt_tokens: 25,
        completion_tokens: 15,
        total_tokens: 40,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    },
  });
  const [{ path, headers }] = upstream.exchanges;
  expect(path).toBe('/v1/messages');
  expect(headers).toMatchObject({
    'x-api-key': 'key-1',
    'anthropic-version': '2023-06-01',
    'content-type': 'application/json',
  });
  expect(headers.authorization).toBeUndefined();
});

test('tokens read from a cache count as prompt', async () => {
  const usage = {
    input_tokens: 5,
    cache_creation_input_tokens: 30,
    cache_read_input_tokens: 100,
    output_tokens: 1,
    service_tier: 'standard',
    inference_geo: null,
  };
  const { provider } = await setUp(
    streamEvents(start({ usage }), ...text(0, 'x'), ...stop('end_turn', { output_tokens: 7 })),
  );
  expect((await collect(provider)).end.usage).toEqual({
    prompt_tokens: 135,
    completion_tokens: 7,
    total_tokens: 142,
    prompt_tokens_details: { cached_tokens: 100 },
    cache_creation_input_tokens: 30,
    cache_read_input_tokens: 100,
    service_tier: 'standard',
  });
});

test('thinking with its signature, then calls of tools', async () => {
  const { provider } = await setUp(
    streamEvents(
      start(),
      ...thinking(0, 'sig-1', 'Let me ', 'see.'),
      ...block(1, { type: 'redacted_thinking', data: 'xyz' }),
      ...text(2, 'I look.'),
      ...toolUse(3, { id: 'toolu_1', name: 'weather' }, '{"city"', ': "Bonn"}'),
      ...toolUse(4, { id: 'toolu_2', name: 'time' }),
      ...block(5, { type: 'tool_use', id: 'toolu_3', name: 'f', input: { a: 1 } }),
      ...stop('tool_use'),
    ),
  );
  const { pieces, end } = await collect(provider);
  expect(pieces).toEqual([
    { reasoning: 'Let me ' },
    { reasoning: 'see.' },
    { extra: { signature: 'sig-1' } },
    {
      extra: {
        thinking_blocks: [
          { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' },
          { type: 'redacted_thinking', data: 'xyz' },
        ],
      },
    },
    'I look.',
    { tool_call: { index: 0, id: 'toolu_1', name: 'weather' } },
    { tool_call: { index: 0, arguments: '{"city"' } },
    { tool_call: { index: 0, arguments: ': "Bonn"}' } },
    { tool_call: { index: 1, id: 'toolu_2', name: 'time' } },
    { tool_call: { index: 2, id: 'toolu_3', name: 'f' } },
    { tool_call: { index: 2, arguments: '{"a":1}' } },
  ]);
  expect(end.reason).toBe('tool_calls');
});

test('several blocks of thinking are yielded whole, too', async () => {
  const { provider } = await setUp(
    streamEvents(
      start(),
      ...thinking(0, 's0', 'a'),
      ...text(1, 'b'),
      ...thinking(2, 's2', 'c'),
      ...thinking(3, 's3', 'd'),
      ...stop(),
    ),
  );
  const thought = (content, signature) => ({ type: 'thinking', thinking: content, signature });
  expect((await collect(provider)).pieces).toEqual([
    { reasoning: 'a' },
    { extra: { signature: 's0' } },
    'b',
    { reasoning: 'c' },
    { extra: { signature: 's2' } },
    { extra: { thinking_blocks: [thought('a', 's0'), thought('c', 's2')] } },
    { reasoning: 'd' },
    { extra: { signature: 's3' } },
    { extra: { thinking_blocks: [thought('d', 's3')] } },
  ]);
});

test('tools run by the API, and citations, are passed as extra members', async () => {
  const search = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} };
  const found = { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] };
  const citation = { type: 'char_location', cited_text: 'x' };
  const { provider } = await setUp(
    streamEvents(
      start(),
      ...block(0, search, { type: 'input_json_delta', partial_json: '{"query":"a"}' }),
      ...block(1, found),
      ...block(
        2,
        { type: 'text', text: 'It ' },
        { type: 'text_delta', text: 'is.' },
        { type: 'citations_delta', citation },
        { type: 'a_new_delta', x: 1 },
      ),
      { type: 'a_new_event' },
      ...stop(),
    ),
  );
  expect((await collect(provider)).pieces).toEqual([
    { extra: { content_blocks: [{ ...search, input: { query: 'a' } }] } },
    { extra: { content_blocks: [found] } },
    'It ',
    'is.',
    { extra: { citations: [citation] } },
  ]);
});

test('a whole message in place of a stream', async () => {
  const content = [
    { type: 'thinking', thinking: 'hm', signature: 's' },
    { type: 'text', text: 'Hi' },
    { type: 'tool_use', id: 't', name: 'f', input: {} },
  ];
  const usage = { input_tokens: 2, output_tokens: 3 };
  const { message } = start({ content, stop_reason: 'tool_use', usage });
  const { provider } = await setUp(answerJson(200, message));
  const { pieces, end } = await collect(provider);
  expect(pieces).toEqual([
    { reasoning: 'hm' },
    { extra: { signature: 's' } },
    'Hi',
    { tool_call: { index: 0, id: 't', name: 'f' } },
  ]);
  expect(end).toMatchObject({ reason: 'tool_calls', usage: { total_tokens: 5 } });
});

test.each([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['pause_turn', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'tool_calls'],
  ['refusal', 'content_filter'],
])('stop_reason %s is %s', async (reason, expected) => {
  const { provider } = await setUp(streamEvents(start(), ...text(0, 'x'), ...stop(reason)));
  expect((await collect(provider)).end.reason).toBe(expected);
});

test('bytes in any form: CRLF, comments, one at a time, several in one', async () => {
  const bytes = Buffer.from(
    `: hello\r\n\r\n${frame(start()).replaceAll('\n', '\r\n')}${[...text(0, 'ä', '€😀'), ...stop()].map(frame).join('')}`,
  );
  const { provider } = await setUp([
    async (exchange) => {
      exchange.open(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      for (const byte of bytes) await exchange.raw(Uint8Array.of(byte));
      exchange.end();
    },
    async (exchange) => {
      exchange.open();
      await exchange.raw(bytes);
      exchange.end();
    },
  ]);
  for (let i = 0; i < 2; i += 1) {
    const { pieces, end } = await collect(provider);
    expect([pieces.join(''), end.reason]).toEqual(['ä€😀', 'stop']);
  }
});

test('an answer is over with message_stop, also if the server does not close it', async () => {
  const { upstream, provider } = await setUp(async (exchange) => {
    exchange.open();
    for (const event of hello) await exchange.raw(frame(event));
  });
  const { end } = await collect(provider);
  expect(end.reason).toBe('stop');
  await until(() => upstream.openSockets === 0, 'the connection to close');
});

test('the connection is used again', async () => {
  const { upstream, provider } = await setUp(streamEvents(...hello));
  for (let i = 0; i < 3; i += 1) {
    await collect(provider);
    await until(() => upstream.exchanges[i].res.writableFinished, 'the end of the body');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(upstream.connections).toBe(1);
});

describe('failures', () => {
  const error = (type, message = 'x') => ({ type: 'error', error: { type, message } });

  test.each([
    ['overloaded_error', 'upstream_error', true, true],
    ['api_error', 'upstream_error', true, true],
    ['rate_limit_error', 'upstream_error', true, true],
    ['timeout_error', 'upstream_error', true, true],
    ['invalid_request_error', 'upstream_error', false, false],
    ['authentication_error', 'upstream_unauthorized', false, false],
    ['permission_error', 'upstream_unauthorized', false, false],
    ['a_new_error', 'upstream_error', false, true],
  ])('the event %s', async (type, wireCode, retryable, elsewhere) => {
    const { provider } = await setUp(streamEvents(start(), ping, error(type)));
    const { pieces, error: thrown } = await collect(provider);
    expect(pieces).toEqual([]);
    expect(thrown).toMatchObject({ wireCode, retryable, elsewhere });
  });

  test('an error after text', async () => {
    const { provider } = await setUp(
      streamEvents(start(), ...text(0, 'Hel'), error('overloaded_error', 'Overloaded')),
    );
    const { pieces, error: thrown } = await collect(provider);
    expect([pieces, thrown.message]).toEqual([['Hel'], 'The upstream reported: Overloaded']);
  });

  test.each([
    [400, 'invalid_request_error', 'upstream_bad_request', false, /\(400\): messages: bad$/],
    [401, 'authentication_error', 'upstream_unauthorized', false, /credentials \(401\)$/],
    [403, 'permission_error', 'upstream_unauthorized', false, /credentials \(403\)$/],
    [404, 'not_found_error', 'upstream_bad_request', false, /\(404\): messages: bad$/],
    [413, 'request_too_large', 'upstream_bad_request', false, /\(413\): messages: bad$/],
    [429, 'rate_limit_error', 'upstream_rate_limited', true, /\(429\): messages: bad$/],
    [500, 'api_error', 'upstream_unavailable', true, /500: messages: bad$/],
    [529, 'overloaded_error', 'upstream_unavailable', true, /529: messages: bad$/],
  ])('%i %s', async (status, type, wireCode, retryable, message) => {
    const { provider } = await setUp(refuse(status, type, 'messages: bad', { 'retry-after': '2' }));
    const { error: thrown } = await collect(provider);
    expect(thrown).toMatchObject({ wireCode, retryable, message: expect.stringMatching(message) });
    if (status === 429) expect(thrown.retryAfterMs).toBe(2000);
  });

  test.each([
    ['an empty stream', streamEvents(), 'upstream_incomplete', true],
    ['no end', streamEvents(start(), ...text(0, 'x')), 'upstream_incomplete', false],
    [
      'no JSON',
      (exchange) => exchange.open() && exchange.raw('data: {\n\n'),
      'upstream_invalid_response',
      false,
    ],
    [
      'another content type',
      (exchange) => exchange.open(200, { 'content-type': 'text/html' }) && exchange.end(),
      'upstream_invalid_response',
      false,
    ],
    ['other JSON', answerJson(200, { id: 1 }), 'upstream_invalid_response', false],
    ['an unknown stop reason', streamEvents(start(), ...stop('odd')), 'upstream_error', false],
    ['a cut', (exchange) => exchange.cut(), 'upstream_unavailable', true],
    [
      'a cut after the head',
      async (exchange) => {
        exchange.open();
        await exchange.raw(frame(start()));
        setTimeout(() => exchange.cut(), 20);
      },
      'upstream_disconnected',
      true,
    ],
  ])('%s', async (_name, answer, wireCode, retryable) => {
    const { provider } = await setUp(answer);
    expect((await collect(provider)).error).toMatchObject({ wireCode, retryable });
  });

  test('silence', async () => {
    const { provider } = await setUp((exchange) => exchange.open(), { idleMs: 50 });
    expect((await collect(provider)).error).toMatchObject({ wireCode: 'upstream_stalled' });
  });

  test('a refused connection', async () => {
    const provider = anthropic({ baseUrl: 'http://127.0.0.1:1' });
    cleanups.push(() => provider.close());
    const { error: thrown } = await collect(provider);
    expect(thrown).toMatchObject({ wireCode: 'upstream_unavailable', retryable: true });
    expect(thrown.message).toContain('ECONNREFUSED');
  });

  test('an end that is known counts, however the connection breaks', async () => {
    const { provider } = await setUp(streamEvents(start(), ...text(0, 'x'), stop()[0]));
    expect((await collect(provider)).end.reason).toBe('stop');
  });
});

describe('members that a server refuses', () => {
  const message = '`temperature` is deprecated for this model.';

  test('are omitted, and remembered by model', async () => {
    const { upstream, provider } = await setUp([
      refuse(400, 'invalid_request_error', message),
      streamEvents(...hello),
    ]);
    const fields = { temperature: 0.5 };
    expect((await collect(provider, fields)).pieces).toEqual(['Hel', 'lo']);
    await collect(provider, fields);
    await collect(provider, { ...fields, model: 'other' });
    const sent = upstream.exchanges.map(({ body }) => body.temperature);
    expect(sent).toEqual([0.5, undefined, undefined, 0.5]);
  });

  test('an effort goes as a budget, else adaptive, else not at all', async () => {
    const { upstream, provider } = await setUp([
      refuse(400, 'invalid_request_error', 'thinking.type.enabled is not supported'),
      refuse(400, 'invalid_request_error', 'adaptive thinking is not supported'),
      streamEvents(...hello),
    ]);
    expect((await collect(provider, { body: { reasoning_effort: 'low' } })).end.reason).toBe(
      'stop',
    );
    expect(upstream.exchanges.map(({ body }) => body.thinking?.type)).toEqual([
      'enabled',
      'adaptive',
      undefined,
    ]);
  });

  test('a refusal of something else is an error', async () => {
    const { upstream, provider } = await setUp(
      refuse(400, 'invalid_request_error', 'max_tokens: 9 > 8'),
    );
    const { error: thrown } = await collect(provider, { temperature: 0.5 });
    expect(thrown.wireCode).toBe('upstream_bad_request');
    expect(upstream.exchanges).toHaveLength(1);
  });
});

describe('an abort', () => {
  test.each(['before the head', 'after text'])('%s closes the connection', async (phase) => {
    const { upstream, provider } = await setUp(async (exchange) => {
      if (phase === 'before the head') return;
      exchange.open();
      for (const event of [start(), ...text(0, 'x')]) await exchange.raw(frame(event));
    });
    const controller = new AbortController();
    const answer = collect(provider, {}, controller.signal);
    const exchange = await upstream.exchange(0);
    if (phase === 'after text') await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort();
    expect((await answer).end).toBeUndefined();
    await exchange.closed;
  });

  test('of a signal that was aborted before makes no call', async () => {
    const { upstream, provider } = await setUp(streamEvents(...hello));
    expect(await collect(provider, {}, AbortSignal.abort())).toEqual({
      pieces: [],
      end: undefined,
    });
    expect(upstream.exchanges).toHaveLength(0);
  });
});

test('its models, with the date of each', async () => {
  const { upstream, provider } = await setUp(streamEvents());
  upstream.list = answerList;
  expect(await provider.listModels()).toEqual([{ id: 'claude-x', created: 1_738_800_000 }]);
  expect(upstream.lists[0].url).toBe('/v1/models?limit=1000');
  expect(upstream.lists[0].headers).toMatchObject({ 'x-api-key': 'key-1' });
  expect(await provider.check()).toEqual([]);
});

function answerList(_req, res) {
  const model = { type: 'model', id: 'claude-x', created_at: '2025-02-06T00:00:00Z' };
  res.end(JSON.stringify({ data: [model], has_more: false, first_id: 'claude-x' }));
}
