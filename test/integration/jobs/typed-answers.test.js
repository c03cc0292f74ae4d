/** Answers that are more than text, from a generator to the readers, the caches and the histories. */
import { start, stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

const tools = [{ type: 'function', function: { name: 'weather' } }];
const call = (index, fields) => ({ tool_call: { index, ...fields } });

/** Thinks, calls two tools in alternation, and answers once it has their results. */
async function* agent({ messages = [] }) {
  if (messages.at(-1)?.role === 'tool') {
    yield `It is ${messages.at(-1).content}.`;
    return;
  }
  yield { reasoning: 'The user ' };
  yield { reasoning: 'wants weather.' };
  yield call(0, { id: 'c0', name: 'weather', arguments: '{"at":' });
  yield call(1, { id: 'c1', name: 'weather', arguments: '{"at":"Rome"}' });
  yield call(0, { arguments: '"Oslo"}' });
}

const calls = ['Oslo', 'Rome'].map((at, index) => ({
  id: `c${index}`,
  type: 'function',
  function: { name: 'weather', arguments: `{"at":"${at}"}` },
}));

test('readers get events of each kind, and the job its parts', async () => {
  const { submit, read, job } = await start({ provider: agent });
  const { body } = await submit({ prompt: 'weather?', tools });
  const { events } = await read(body.stream_url);
  const { job_id } = body;
  expect(events.map(({ id, type, data }) => [id, type, data]).slice(0, -1)).toEqual([
    ['1-1', 'reasoning', { job_id, reasoning: 'The user ' }],
    ['1-2', 'reasoning', { job_id, reasoning: 'wants weather.' }],
    ['1-3', 'tool_call', { job_id, index: 0, id: 'c0', name: 'weather', arguments: '' }],
    ['1-4', 'tool_call', { job_id, index: 0, arguments: '{"at":' }],
    ['1-5', 'tool_call', { job_id, index: 0, arguments: '"Oslo"}' }],
    ['1-6', 'tool_call', { job_id, index: 1, id: 'c1', name: 'weather', arguments: '' }],
    ['1-7', 'tool_call', { job_id, index: 1, arguments: '{"at":"Rome"}' }],
  ]);
  expect(events.at(-1)).toMatchObject({
    id: '1-8',
    type: 'job_complete',
    data: { reason: 'tool_calls', metrics: { tokens: 7 } },
  });
  expect(await job(job_id)).toMatchObject({
    status: 'completed',
    text: '',
    reasoning: 'The user wants weather.',
    tool_calls: calls,
  });
});

test('a conversation keeps the calls, and continues with their results', async () => {
  const seen = [];
  const { post, get, submit, read } = await start({
    provider: (request, options) => {
      seen.push(request.messages);
      return agent(request, options);
    },
  });
  const { body: made } = await post('/v1/conversations', {});
  const id = made.conversation_id;
  const say = async (fields) => {
    const { status, body } = await submit({ conversation_id: id, ...fields });
    expect(status).toBe(201);
    await read(body.stream_url);
  };
  const question = { role: 'user', content: 'weather?' };
  const results = calls.map(({ id: tool_call_id }, index) => ({
    role: 'tool',
    tool_call_id,
    content: `${index} degrees`,
  }));
  await say({ prompt: 'weather?', tools });
  await say({ messages: results, tools });
  const assistant = { role: 'assistant', content: null, tool_calls: calls };
  expect(seen[1]).toEqual([question, assistant, ...results]);
  const { body } = await get(`/v1/conversations/${id}`);
  expect(body.messages).toMatchObject([
    question,
    { ...assistant, finish_reason: 'tool_calls', reasoning: 'The user wants weather.' },
    ...results,
    { role: 'assistant', content: 'It is 1 degrees.', finish_reason: 'stop' },
  ]);
});

test('a shared answer has all kinds; an empty one is not shared', async () => {
  let callCount = 0;
  const { submit, read } = await start({
    async *provider({ prompt }) {
      callCount += 1;
      if (prompt !== 'empty') {
        yield { reasoning: 'hm' };
        yield { text: 'a', logprobs: { content: [{ token: 'a' }] } };
        yield call(0, { id: 'c', name: 'f' });
        yield { extra: { images: ['x'] } };
      }
    },
  });
  const ask = async (prompt) => {
    const { body, headers } = await submit({ prompt, temperature: 0 });
    const { events } = await read(body.stream_url);
    const data = events.map(({ id, type, data: { job_id: _job, metrics: _metrics, ...rest } }) => [
      id,
      type,
      rest,
    ]);
    return [headers.get('x-cache'), data];
  };
  const [miss, first] = await ask('p');
  const [hit, second] = await ask('p');
  expect([miss, hit]).toEqual(['MISS', 'HIT']);
  expect(first.map(([, type]) => type)).toEqual([
    ...['reasoning', 'token', 'tool_call', 'tool_call', 'extra', 'job_complete'],
  ]);
  expect(first[1][2]).toEqual({ token: 'a', logprobs: { content: [{ token: 'a' }] } });
  expect(first[4][2]).toEqual({ delta: { images: ['x'] } });
  expect(second).toEqual(first);
  expect(callCount).toBe(1);
  expect((await ask('empty'))[0]).toBe('MISS');
  expect((await ask('empty'))[0]).toBe('MISS');
  expect(callCount).toBe(3);
});

test('entries of every kind count for the size of the cache', async () => {
  const half = 'x'.repeat(6000);
  const { submit, read } = await start({
    cache: { maxBytes: 10_000 },
    async *provider({ prompt }) {
      if (prompt === 'reasoning') yield { reasoning: half + half };
      else if (prompt === 'call') yield call(0, { name: 'f', arguments: { half, more: half } });
      else yield half;
    },
  });
  const ask = async (prompt) => {
    const { body, headers } = await submit({ prompt, temperature: 0 });
    await read(body.stream_url);
    return headers.get('x-cache');
  };
  for (const [prompt, again] of [
    ['reasoning', 'MISS'],
    ['call', 'MISS'],
    ['text', 'HIT'],
  ]) {
    expect([prompt, await ask(prompt)]).toEqual([prompt, 'MISS']);
    expect([prompt, await ask(prompt)]).toEqual([prompt, again]);
  }
});

test('an answer without text or calls adds no turn to a conversation', async () => {
  const { post, get, submit, read } = await start({
    async *provider({ messages }) {
      if (messages.at(-1).content === 'think') yield { reasoning: 'hm' };
    },
  });
  const { body: made } = await post('/v1/conversations', {});
  for (const prompt of ['nothing', 'think']) {
    const { body } = await submit({ conversation_id: made.conversation_id, prompt });
    await read(body.stream_url);
  }
  const { body } = await get(`/v1/conversations/${made.conversation_id}`);
  expect(body.messages).toEqual([]);
});

test("a workflow's node has the calls of an answer that has nothing else", async () => {
  const prompts = [];
  const { post, get, read } = await start({
    async *provider({ prompt }) {
      prompts.push(prompt);
      if (prompt === 'calls') yield call(0, { id: 'c', name: 'f', arguments: '{}' });
      else yield 'text';
    },
  });
  const { body } = await post('/v1/workflows', {
    nodes: [
      { id: 'a', prompt: 'calls' },
      { id: 'b', prompt: '{{a.text}}', after: ['a'] },
    ],
  });
  await read(body.stream_url);
  const document = JSON.stringify([
    { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } },
  ]);
  expect(prompts).toEqual(['calls', document]);
  const { body: whole } = await get(`/v1/workflows/${body.workflow_id}`);
  expect(whole.nodes[0]).toMatchObject({ status: 'completed', text: document });
});

test('the usage reported by a generator is passed on whole', async () => {
  const usage = {
    prompt_tokens: 3,
    completion_tokens: 4,
    completion_tokens_details: { reasoning_tokens: 2 },
  };
  const { submit, ended } = await start({
    async *provider() {
      yield 'a';
      return { usage };
    },
  });
  const { body } = await submit({ prompt: 'p' });
  expect((await ended(body.job_id)).usage).toEqual({ ...usage, total_tokens: 7 });
});
