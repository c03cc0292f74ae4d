/** `/v1/chat/completions` as the unmodified OpenAI client sees it. */
import { stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';
import { startBefore } from '../../../support/gateway/upstream.js';
import { openaiOf } from '../../../support/client/openai.js';

const chunk = (delta, more = {}) => ({
  id: 'up_1',
  object: 'chat.completion.chunk',
  model: 'up-model',
  system_fingerprint: 'fp_1',
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});

let upstream;
afterEach(stopAll);

/** @param {(exchange: any) => Promise<void> | void} respond */
async function serve(respond, options = {}) {
  const served = await startBefore(respond, options);
  upstream = served.upstream;
  return { ...served, openai: openaiOf(served) };
}

/** @param {any} exchange @param {object[]} chunks */
const send = (exchange, chunks) => exchange.stream(chunks);

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
const messages = [{ role: 'user', content: 'Paris?' }];

test('a stream has text, reasoning, calls and usage; the upstream gets the settings', async () => {
  const usage = {
    prompt_tokens: 9,
    completion_tokens: 5,
    total_tokens: 14,
    completion_tokens_details: { reasoning_tokens: 2 },
  };
  const { openai } = await serve((exchange) =>
    send(exchange, [
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'Hmm. ' }),
      chunk({ content: 'Let me ' }),
      chunk({ content: 'look.' }),
      chunk({
        tool_calls: [
          { index: 0, id: 'c1', type: 'function', function: { name: 'weather', arguments: '' } },
        ],
      }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '"Paris"}' } }] }),
      chunk({}, { finish_reason: 'tool_calls' }),
      { choices: [], usage },
    ]),
  );
  const stream = await openai.chat.completions.create({
    model: 'm',
    messages,
    tools,
    seed: 7,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const each of stream) chunks.push(each);
  const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta));
  expect(deltas[0].role).toBe('assistant');
  expect(deltas.slice(1).every((delta) => delta.role === undefined)).toBe(true);
  expect(deltas.map((delta) => delta.reasoning_content ?? '').join('')).toBe('Hmm. ');
  expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('Let me look.');
  const calls = deltas.flatMap((delta) => delta.tool_calls ?? []);
  expect(calls[0]).toMatchObject({ index: 0, id: 'c1', function: { name: 'weather' } });
  expect(calls.map((call) => call.function.arguments).join('')).toBe('{"city":"Paris"}');
  expect(chunks.at(-2).choices[0].finish_reason).toBe('tool_calls');
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  expect(chunks[0]).toMatchObject({ model: 'up-model', system_fingerprint: 'fp_1' });
  const { body } = upstream.exchanges[0];
  expect(body).toMatchObject({ model: 'm', messages, tools, seed: 7, stream: true });
  expect(body.stream_options).toEqual({ include_usage: true });
});

test('a whole answer, and the same answer again by its id', async () => {
  const { openai, get, url } = await serve((exchange) =>
    send(exchange, [
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk({}, { finish_reason: 'stop' }),
      { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
    ]),
  );
  const { data, response } = await openai.chat.completions
    .create({ model: 'm', messages })
    .withResponse();
  expect(data).toMatchObject({
    object: 'chat.completion',
    model: 'up-model',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
  });
  expect(data.id).toMatch(/^chatcmpl-[\w-]{24}$/);
  expect(response.headers.get('x-sluice-job-id')).toBe(`job_${data.id.slice('chatcmpl-'.length)}`);
  expect(response.headers.get('openai-processing-ms')).toMatch(/^\d+$/);
  const again = await get(`/v1/chat/completions/${data.id}`);
  expect(again.body).toEqual(data);
  expect((await get('/v1/chat/completions/chatcmpl-none')).status).toBe(404);
  const stream = await fetch(`${url}/v1/chat/completions/${data.id}?stream=true`, {
    headers: { 'last-event-id': '1' },
  });
  const text = await stream.text();
  expect(text).not.toContain('Hel"');
  expect(text).toContain('"content":"lo"');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
});

test('several answers to one request', async () => {
  const { openai } = await serve((exchange) =>
    send(exchange, [
      { choices: [{ index: 1, delta: { content: 'b' } }] },
      { choices: [{ index: 0, delta: { content: 'a' } }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { choices: [{ index: 1, delta: {}, finish_reason: 'length' }] },
      { choices: [], usage: { prompt_tokens: 1, completion_tokens: 4 } },
    ]),
  );
  const whole = await openai.chat.completions.create({ model: 'm', messages, n: 2 });
  expect(
    whole.choices.map(({ message, finish_reason: reason }) => [message.content, reason]),
  ).toEqual([
    ['a', 'stop'],
    ['b', 'length'],
  ]);
  expect(whole.usage).toMatchObject({ prompt_tokens: 1, completion_tokens: 4, total_tokens: 5 });
  expect(upstream.exchanges[0].body.n).toBe(2);
  const stream = await openai.chat.completions.create({ model: 'm', messages, n: 2, stream: true });
  const texts = ['', ''];
  for await (const { choices } of stream) {
    for (const { index, delta } of choices) texts[index] += delta.content ?? '';
  }
  expect(texts).toEqual(['a', 'b']);
});

test.each([
  ['an end mark', (exchange) => exchange.done()],
  ['the end of the body', () => {}],
])(
  'an upstream that gives fewer answers than asked for fails by name, at %s',
  async (_name, end) => {
    const { openai, url } = await serve(async (exchange) => {
      exchange.open();
      await exchange.event({ choices: [{ index: 0, delta: { content: 'a' } }] });
      await exchange.finish('stop', 0);
      await end(exchange);
      exchange.end();
    });
    const request = { model: 'm', messages, n: 3 };
    const message = 'The upstream returned 1 of 3 choices: it does not support n for this model';
    const error = await openai.chat.completions.create(request).catch((each) => each);
    expect(error).toMatchObject({ status: 502, code: 'upstream_incomplete' });
    expect(error.message).toContain(message);
    expect(error.headers.get('x-should-retry')).toBe('false');
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...request, stream: true }),
    });
    const events = (await response.text()).trim().split('\n\n');
    expect(events[0]).toContain('"content":"a"');
    expect(events.at(-1)).toContain(message);
    // A call with as few answers is not repeated.
    expect(upstream.exchanges).toHaveLength(2);
  },
);

test('the head of several answers is sent with the first entry of any', async () => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const { openai } = await serve(
    async (exchange) => {
      exchange.open();
      await exchange.event({ choices: [{ index: 1, delta: { content: 'b' } }] });
      await gate;
      await exchange.event({ choices: [{ index: 0, delta: { content: 'a' } }] });
      for (const index of [0, 1]) await exchange.finish('stop', index);
      await exchange.done();
      exchange.end();
    },
    { headHoldMs: 600_000 },
  );
  const stream = await openai.chat.completions.create({ model: 'm', messages, n: 2, stream: true });
  const seen = [];
  for await (const { choices } of stream) {
    seen.push(...choices.map(({ index, delta }) => [index, delta.content]));
    release();
  }
  expect(seen[0]).toEqual([1, 'b']);
  expect(seen).toContainEqual([0, 'a']);
});

test('an answer of no tokens, and options that are null, are for the upstream to judge', async () => {
  const { post } = await serve((exchange) =>
    send(exchange, [chunk({ content: 'echo' }), chunk({}, { finish_reason: 'length' })]),
  );
  const body = { model: 'm', prompt: 'echo', echo: true, max_tokens: 0, sluice: null };
  expect((await post('/v1/completions', body)).status).toBe(200);
  expect(upstream.exchanges[0].body).toMatchObject({ echo: true, max_tokens: 0 });
  expect(upstream.exchanges[0].body).not.toHaveProperty('sluice');
});

test('the range of temperature is for the upstream to judge', async () => {
  const { post } = await serve((exchange) =>
    send(exchange, [chunk({ content: 'hot' }), chunk({}, { finish_reason: 'stop' })]),
  );
  for (const temperature of [5, -1]) {
    const { status } = await post('/v1/chat/completions', { model: 'm', messages, temperature });
    expect(status).toBe(200);
    expect(upstream.exchanges.at(-1).body.temperature).toBe(temperature);
  }
});

test.each([
  [
    400,
    {
      message: 'too long',
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
      param: 'messages',
    },
  ],
  [422, { message: 'no', type: 'x', code: 'y', param: 'z' }],
  [404, { message: 'no', type: 'x', code: null, param: null }],
])('a refusal of the upstream is passed on: %i', async (status, error) => {
  const { post } = await serve((exchange) => {
    exchange.open(status, { 'content-type': 'application/json' });
    void exchange.raw(JSON.stringify({ error }));
    exchange.end();
  });
  const answer = await post('/v1/chat/completions', { model: 'm', messages, stream: true });
  expect(answer.status).toBe(status);
  expect(answer.body.error).toEqual(error);
  expect(answer.headers.get('x-sluice-job-id')).toMatch(/^job_/);
  expect(answer.headers.get('openai-processing-ms')).toMatch(/^\d+$/);
});

test('failures before the first token are HTTP statuses', async () => {
  const { post } = await serve(
    (exchange) => {
      const { status, headers } = exchange.body.answer;
      exchange.open(status, { 'content-type': 'application/json', ...headers });
      void exchange.raw('{"error":{"message":"nope"}}');
      exchange.end();
    },
    { retry: { attempts: 1 } },
  );
  const ask = (answer) =>
    post('/v1/chat/completions', { model: 'm', messages, stream: true, answer });
  const limited = await ask({ status: 429, headers: { 'retry-after': '7' } });
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
  expect(limited.body.error.code).toBe('upstream_rate_limited');
  const broken = await ask({ status: 500 });
  expect([broken.status, broken.headers.get('x-should-retry')]).toEqual([502, 'false']);
  const busy = await ask({ status: 503 });
  expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '1']);
  const refused = await ask({ status: 401 });
  expect(refused.status).toBe(502);
  expect(refused.body.error.code).toBe('upstream_unauthorized');
});

test('a failure after the head is an error chunk, and no end marker', async () => {
  let cut;
  const { url } = await serve(async (exchange) => {
    cut = () => exchange.cut();
    exchange.open();
    await exchange.event(chunk({ content: 'Hel' }));
  });
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages, stream: true }),
  });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  cut();
  const text = await response.text();
  const [last] = text.trimEnd().split('\n').slice(-1);
  expect(JSON.parse(last.slice('data: '.length)).error).toMatchObject({
    code: 'upstream_disconnected',
    param: null,
  });
  expect(text).not.toContain('[DONE]');
  expect(text).not.toContain('retry:');
});

test.each([
  [{}, 'messages'],
  [{ messages: [] }, 'messages'],
  [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content'],
  [{ messages, stream: 'yes' }, 'stream'],
  [{ messages, n: 17 }, 'n'],
  [{ messages, temperature: 'hot' }, 'temperature'],
  [{ messages, sluice: { on_busy: 'maybe' } }, 'sluice.on_busy'],
])('a bad request names the member: %j', async (body, param) => {
  const { post } = await serve(() => {});
  const answer = await post('/v1/chat/completions', { model: 'm', ...body });
  expect(answer.status).toBe(400);
  expect(answer.body.error.param).toBe(param);
  expect(Object.keys(answer.body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
});

test('a number beyond all doubles is refused, because JSON could not pass it on', async () => {
  const { url } = await serve(() => {});
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"messages":[{"role":"user","content":"x"}],"budget":{"max":[1e400]}}',
  });
  const { error } = await response.json();
  expect([response.status, error.param]).toEqual([400, 'budget']);
});

test('an unknown conversation is named by its member', async () => {
  const { post } = await serve(() => {});
  const sluice = { conversation_id: 'conv_none' };
  const { status, body } = await post('/v1/chat/completions', { model: 'm', messages, sluice });
  expect([status, body.error.param]).toEqual([404, 'sluice.conversation_id']);
});

test('a job is cancelled after its client has left; an earlier retry joins it', async () => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const { url, job } = await serve(async (exchange) => {
    exchange.open();
    await exchange.event(chunk({ content: 'one ' }));
    await gate;
    await exchange.event(chunk({ content: 'two' }));
    await exchange.finish();
    await exchange.done();
    exchange.end();
  });
  const ask = (headers = {}, signal = undefined) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'm', messages, stream: true }),
      signal,
    });
  const leave = new AbortController();
  const first = await ask({}, leave.signal);
  const id = first.headers.get('x-sluice-job-id');
  leave.abort();
  await first.text().catch(() => {});
  const second = await until(async () => {
    const answer = await ask({ 'x-stainless-retry-count': '1' });
    return answer.headers.get('x-sluice-job-id') === id && answer;
  }, 'a retry that joins');
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  release();
  const text = await second.text();
  expect(text).toContain('"content":"one "');
  expect(text).toContain('"content":"two"');
  expect((await job(id)).status).toBe('completed');
});

test('the same idempotency key gives the same answer, another body 422', async () => {
  const { post } = await serve((exchange) =>
    send(exchange, [chunk({ content: 'x' }), chunk({}, { finish_reason: 'stop' })]),
  );
  const ask = (more) =>
    post('/v1/chat/completions', { model: 'm', messages, ...more }, { 'idempotency-key': 'k' });
  const first = await ask();
  const second = await ask();
  expect(second.body).toEqual(first.body);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  expect((await ask({ seed: 1 })).status).toBe(422);
  expect(upstream.exchanges).toHaveLength(1);
});

test('completions of several prompts', async () => {
  const { openai } = await serve((exchange) =>
    send(exchange, [
      { choices: [{ index: 0, delta: { content: `re: ${exchange.body.messages[0].content}` } }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    ]),
  );
  const whole = await openai.completions.create({ model: 'm', prompt: ['a', 'b'] });
  expect(whole.object).toBe('text_completion');
  expect(whole.id).toMatch(/^cmpl-/);
  expect(whole.choices.map(({ index, text }) => [index, text])).toEqual([
    [0, 're: a'],
    [1, 're: b'],
  ]);
});
