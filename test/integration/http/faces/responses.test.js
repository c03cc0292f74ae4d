/** `/v1/responses` as the unmodified OpenAI client sees it. */
import { stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';
import { startBefore } from '../../../support/gateway/upstream.js';
import { openaiOf } from '../../../support/client/openai.js';

let upstream;
afterEach(stopAll);

const delta = (content, more = {}) => ({
  model: 'up-model',
  choices: [{ index: 0, delta: content, finish_reason: null, ...more }],
});

const hello = [
  delta({ reasoning_content: 'Think.' }),
  delta({ content: 'Hel' }),
  delta({ content: 'lo' }),
  delta({}, { finish_reason: 'stop' }),
  { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
];

/** @param {(exchange: any) => Promise<void> | void} respond */
async function serve(respond = (exchange) => send(exchange, hello), options = {}) {
  const served = await startBefore(respond, options);
  upstream = served.upstream;
  return { ...served, openai: openaiOf(served) };
}

/** @param {any} exchange @param {object[]} chunks */
const send = (exchange, chunks) => exchange.stream(chunks);

test('a whole response, and the request to the upstream', async () => {
  const { openai } = await serve();
  const response = await openai.responses.create({
    model: 'm',
    instructions: 'be brief',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: '5' },
    ],
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: true }],
    text: {
      format: { type: 'json_schema', name: 's', schema: {}, strict: true },
      verbosity: 'low',
    },
    reasoning: { effort: 'low' },
    max_output_tokens: 50,
    top_p: 0.5,
  });
  expect(response).toMatchObject({
    object: 'response',
    status: 'completed',
    model: 'up-model',
    instructions: 'be brief',
    error: null,
    incomplete_details: null,
    output_text: 'Hello',
    usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
  });
  expect(response.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
  const { body } = upstream.exchanges[0];
  expect(body).toMatchObject({
    model: 'm',
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '5' },
    ],
    tools: [
      { type: 'function', function: { name: 'f', parameters: { type: 'object' }, strict: true } },
    ],
    response_format: { type: 'json_schema', json_schema: { name: 's', schema: {}, strict: true } },
    verbosity: 'low',
    reasoning_effort: 'low',
    max_tokens: 50,
    top_p: 0.5,
  });
});

test('a stream, and each of its events again from any number', async () => {
  const { openai, url } = await serve();
  const events = [];
  for await (const event of await openai.responses.create({
    model: 'm',
    input: 'hi',
    stream: true,
  })) {
    events.push(event);
  }
  expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, i) => i));
  expect(events[0].type).toBe('response.created');
  expect(events[1].type).toBe('response.in_progress');
  expect(events.at(-1).type).toBe('response.completed');
  const { id } = events.at(-1).response;
  for (const after of [0, 3, events.length - 2]) {
    const again = [];
    const stream = await openai.responses.retrieve(id, { stream: true, starting_after: after });
    for await (const event of stream) again.push(event);
    expect(again).toEqual(events.slice(after + 1));
  }
  expect(await openai.responses.retrieve(id)).toMatchObject({ ...events.at(-1).response });
  const bad = await fetch(`${url}/v1/responses/${id}?stream=true&starting_after=x`);
  expect(bad.status).toBe(400);
});

test('in the background: at once, resumable, and complete without a reader', async () => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const { openai } = await serve(async (exchange) => {
    exchange.open();
    await exchange.event(hello[1]);
    await gate;
    for (const each of hello.slice(2)) await exchange.event(each);
    await exchange.done();
    exchange.end();
  });
  const begun = await openai.responses.create({ model: 'm', input: 'hi', background: true });
  expect(['queued', 'in_progress']).toContain(begun.status);
  release();
  const done = await until(async () => {
    const now = await openai.responses.retrieve(begun.id);
    return now.status === 'completed' && now;
  }, 'the end');
  expect(done.output_text).toBe('Hello');
});

test('cancel is for any response that runs, and changes no finished one', async () => {
  const { openai } = await serve(async (exchange) => {
    exchange.open();
    await exchange.event(hello[1]);
  });
  const { id } = await openai.responses.create({ model: 'm', input: 'hi', background: true });
  const cancelled = await openai.responses.cancel(id);
  expect(cancelled.status).toBe('cancelled');
  expect((await openai.responses.cancel(id)).status).toBe('cancelled');
  await openai.responses.delete(id);
  await expect(openai.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
});

test('a chain has the messages and answers before it, without their instructions', async () => {
  const { openai, post } = await serve();
  const first = await openai.responses.create({ model: 'm', input: 'one', instructions: 'x' });
  const second = await openai.responses.create({
    model: 'm',
    input: 'two',
    previous_response_id: first.id,
  });
  expect(second.previous_response_id).toBe(first.id);
  expect(upstream.exchanges[1].body.messages).toEqual([
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'two' },
  ]);
  const { body, status } = await post('/v1/responses', {
    model: 'm',
    input: 'x',
    previous_response_id: 'resp_none',
  });
  expect([status, body.error.code, body.error.param]).toEqual([
    400,
    'previous_response_not_found',
    'previous_response_id',
  ]);
});

test('a response that is not stored cannot be found, and its input can be listed', async () => {
  const { openai } = await serve();
  const loose = await openai.responses.create({ model: 'm', input: 'x', store: false });
  await expect(openai.responses.retrieve(loose.id)).rejects.toMatchObject({ status: 404 });
  const kept = await openai.responses.create({
    model: 'm',
    input: [
      { role: 'user', content: 'one' },
      { role: 'user', content: 'two' },
    ],
  });
  const page = await openai.responses.inputItems.list(kept.id, { order: 'asc', limit: 1 });
  expect(page.data).toMatchObject([{ type: 'message', role: 'user', content: 'one' }]);
  expect(page.has_more).toBe(true);
});

test.each([
  [{}, 'input', 'missing_field'],
  [{ input: [] }, 'input', 'invalid_value'],
  [{ input: 'x', prompt: { id: 'p' } }, 'prompt', 'unsupported_feature'],
  [{ input: 'x', background: true, store: false }, 'background', 'invalid_value'],
  [{ input: 'x', tools: [{ type: 'web_search' }] }, 'tools[0].type', 'unsupported_tool'],
  [{ input: [{ type: 'computer_call' }] }, 'input[0].type', 'invalid_value'],
  [{ input: 'x', stream: 'yes' }, 'stream', 'invalid_type'],
])('a bad request names the member: %j', async (body, param, code) => {
  const { post } = await serve();
  const answer = await post('/v1/responses', { model: 'm', ...body });
  expect([answer.status, answer.body.error.param, answer.body.error.code]).toEqual([
    400,
    param,
    code,
  ]);
});

test('an upstream that fails in a stream ends it as failed', async () => {
  const { openai } = await serve(async (exchange) => {
    exchange.open();
    await exchange.event(hello[1]);
    exchange.cut();
  });
  const events = [];
  for await (const event of await openai.responses.create({
    model: 'm',
    input: 'x',
    stream: true,
  })) {
    events.push(event);
  }
  expect(events.at(-1)).toMatchObject({
    type: 'response.failed',
    response: { status: 'failed', error: { code: 'upstream_disconnected' } },
  });
});
