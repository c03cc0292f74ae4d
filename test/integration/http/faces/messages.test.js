/** `/v1/messages` as Anthropic's clients use it. */
import { stopAll } from '../../../support/gateway/gateway.js';
import { startBefore } from '../../../support/gateway/upstream.js';

let upstream;
afterEach(stopAll);

const delta = (content, more = {}) => ({
  model: 'up-model',
  choices: [{ index: 0, delta: content, finish_reason: null, ...more }],
});

const answer = [
  delta({ reasoning_content: 'Hmm.' }),
  delta({ content: 'Let me look.' }),
  delta({ tool_calls: [{ index: 0, id: 'c1', function: { name: 'f', arguments: '{"a":1}' } }] }),
  delta({}, { finish_reason: 'tool_calls' }),
  { choices: [], usage: { prompt_tokens: 9, completion_tokens: 5 } },
];

async function serve(options = {}) {
  const served = await startBefore((exchange) => exchange.stream(answer), options);
  upstream = served.upstream;
  return served;
}

const request = {
  model: 'm',
  max_tokens: 100,
  system: [{ type: 'text', text: 'be brief', cache_control: { type: 'ephemeral' } }],
  messages: [
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'x', signature: 's' },
        { type: 'text', text: 'ok' },
        { type: 'tool_use', id: 'c0', name: 'f', input: { a: 0 } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'c0', content: [{ type: 'text', text: '5' }] },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
      ],
    },
  ],
  tools: [{ name: 'f', description: 'd', input_schema: { type: 'object' } }],
  tool_choice: { type: 'any' },
  stop_sequences: ['END'],
};

test('a whole message, and the request to an OpenAI upstream', async () => {
  const { post } = await serve();
  const { status, body, headers } = await post('/v1/messages', request);
  expect(status).toBe(200);
  expect(body).toEqual({
    id: expect.stringMatching(/^msg_/),
    type: 'message',
    role: 'assistant',
    model: 'up-model',
    content: [
      { type: 'thinking', thinking: 'Hmm.', signature: '' },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool_use', id: 'c1', name: 'f', input: { a: 1 } },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 5 },
  });
  expect(headers.get('request-id')).toBe(headers.get('x-request-id'));
  const { body: sent } = upstream.exchanges[0];
  expect(sent).toMatchObject({
    model: 'm',
    max_tokens: 100,
    stop: ['END'],
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: 'ok',
        tool_calls: [{ id: 'c0', type: 'function', function: { name: 'f', arguments: '{"a":0}' } }],
      },
      { role: 'tool', tool_call_id: 'c0', content: '5' },
      {
        role: 'user',
        content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
      },
    ],
    tools: [
      {
        type: 'function',
        function: { name: 'f', description: 'd', parameters: { type: 'object' } },
      },
    ],
    tool_choice: 'required',
  });
  expect(sent.anthropic).toBeUndefined();
});

test('a stream of named events', async () => {
  const { url } = await serve();
  const response = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'k' },
    body: JSON.stringify({ ...request, stream: true }),
  });
  const text = await response.text();
  const events = text
    .trim()
    .split('\n\n')
    .map((block) => JSON.parse(/^data: (.*)$/m.exec(block)[1]));
  expect(events[0]).toMatchObject({ type: 'message_start', message: { role: 'assistant' } });
  const deltas = events.filter(({ type }) => type === 'content_block_delta').map((e) => e.delta);
  expect(deltas).toEqual([
    { type: 'thinking_delta', thinking: 'Hmm.' },
    { type: 'text_delta', text: 'Let me look.' },
    { type: 'input_json_delta', partial_json: '{"a":1}' },
  ]);
  expect(events.at(-2)).toMatchObject({
    type: 'message_delta',
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: { output_tokens: 5 },
  });
  expect(events.at(-1)).toEqual({ type: 'message_stop' });
});

test('errors have the shape of the API', async () => {
  const { post } = await serve();
  const { max_tokens: _, ...rest } = request;
  const { status, body } = await post('/v1/messages', rest);
  expect(status).toBe(400);
  expect(body).toEqual({
    type: 'error',
    error: { type: 'invalid_request_error', message: expect.stringContaining('max_tokens') },
    request_id: expect.any(String),
  });
});

test('tokens are estimated, and marked as such', async () => {
  const { post } = await serve();
  const { status, body } = await post('/v1/messages/count_tokens', {
    model: 'm',
    messages: [{ role: 'user', content: 'x'.repeat(400) }],
  });
  expect([status, body]).toEqual([200, { input_tokens: 100, estimated: true }]);
});

test.each([
  ['POST', '/v1/messages', '{', 400, 'invalid_request_error'],
  ['GET', '/v1/messages', undefined, 405, 'invalid_request_error'],
  ['POST', '/v1/messages/batches', '{}', 404, 'not_found_error'],
  ['POST', '/v1/messages', '{}', 401, 'authentication_error', { access: { keys: [] } }],
])('%s %s of %j has its shape, too', async (method, path, raw, status, type, options = {}) => {
  const { call } = await serve(options);
  const headers = { 'content-type': 'application/json' };
  const { body, headers: head, ...rest } = await call(method, path, { raw, headers });
  expect(rest.status).toBe(status);
  expect(body).toEqual({
    type: 'error',
    error: { type, message: expect.any(String) },
    request_id: head.get('request-id'),
  });
});

test('an OpenAI upstream gets the output format, and no tool that it does not support', async () => {
  const { post } = await serve();
  const schema = { type: 'object', properties: {} };
  const output_config = { format: { type: 'json_schema', schema }, effort: 'low' };
  await post('/v1/messages', { ...request, output_config });
  expect(upstream.exchanges[0].body).toMatchObject({
    reasoning_effort: 'low',
    response_format: { type: 'json_schema', json_schema: { schema, strict: true } },
  });
  const tools = [{ type: 'web_search_20250305', name: 'web_search' }];
  const { status, body } = await post('/v1/messages', { ...request, tools });
  expect([status, body.error.message]).toEqual([400, expect.stringContaining('tools[0].type')]);
});
