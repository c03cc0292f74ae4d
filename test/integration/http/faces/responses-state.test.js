/** The stored state of `/v1/responses`: items, conversations, bounds. */
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';
import { openaiOf } from '../../../support/client/openai.js';

afterEach(stopAll);

/** A gateway whose model repeats the last message's text; `length` ends by the limit of tokens. */
async function serve(options = {}) {
  const seen = [];
  async function* provider(request) {
    seen.push(request);
    const { content } = request.messages.at(-1);
    yield `re: ${content}`;
    return { reason: content === 'length' ? 'length' : 'stop' };
  }
  const served = await start({ provider, ...options });
  const openai = openaiOf(served);
  const ask = (input, more = {}) => openai.responses.create({ model: 'm', input, ...more });
  return { ...served, openai, seen, ask };
}

test.each([['item_reference'], [undefined]])(
  'an item of a stored response stands for itself, by the type %s',
  async (type) => {
    const { ask, openai, seen } = await serve();
    const first = await ask([{ role: 'user', content: 'one' }]);
    const { data } = await openai.responses.inputItems.list(first.id);
    const references = [data[0].id, first.output[0].id].map((id) => ({
      id,
      ...(type && { type }),
    }));
    await ask([...references, { role: 'user', content: 'two' }]);
    expect(seen[1].messages).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 're: one' },
      { role: 'user', content: 'two' },
    ]);
  },
);

test('the item of an input that is a text has an id of its response', async () => {
  const { ask, openai, seen } = await serve();
  const ids = [];
  for (const text of ['one', 'two']) {
    const { id } = await ask(text);
    const { data } = await openai.responses.inputItems.list(id);
    expect(data[0].id).toBe(`msg_${id.slice('resp_'.length)}_in0`);
    ids.push(data[0].id);
  }
  await ask([...ids.map((id) => ({ type: 'item_reference', id })), { role: 'user', content: 'x' }]);
  expect(seen[2].messages.map(({ content }) => content)).toEqual(['one', 'two', 'x']);
});

test('a conversation keeps no instructions: each turn has its own', async () => {
  const { ask, post, seen } = await serve();
  const { body } = await post('/v1/conversations', {});
  const id = body.conversation_id;
  const first = await ask('one', { conversation: id, instructions: 'first' });
  expect(first.conversation).toEqual({ id });
  await ask('two', { conversation: { id } });
  await ask('three', { conversation: id, instructions: 'third' });
  const history = [
    { role: 'user', content: 'one' },
    { role: 'assistant', content: 're: one' },
    { role: 'user', content: 'two' },
  ];
  expect(seen[0].messages).toEqual([{ role: 'system', content: 'first' }, history[0]]);
  expect(seen[1].messages).toEqual(history);
  expect(seen[2].messages).toEqual([
    { role: 'system', content: 'third' },
    ...history,
    { role: 'assistant', content: 're: two' },
    { role: 'user', content: 'three' },
  ]);
});

test('an incomplete response cannot be continued', async () => {
  const { ask } = await serve();
  const { id, status } = await ask('length');
  expect(status).toBe('incomplete');
  await expect(ask('x', { previous_response_id: id })).rejects.toMatchObject({
    status: 400,
    code: 'previous_response_not_found',
    param: 'previous_response_id',
  });
});

test('a choice among allowed tools is nested', async () => {
  const { ask, seen } = await serve();
  await ask('x', {
    tools: [{ type: 'function', name: 'f', parameters: {} }],
    tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'f' }] },
  });
  expect(seen[0].body.tool_choice).toEqual({
    type: 'allowed_tools',
    allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'f' } }] },
  });
});

const isKept = async (openai, { id }) =>
  openai.responses.retrieve(id).then(
    () => true,
    ({ status }) => status !== 404,
  );

test('after ttlMs a response is gone', async () => {
  const { ask, openai } = await serve({ responses: { ttlMs: 30 } });
  const first = await ask('a');
  await until(async () => !(await isKept(openai, first)), 'its end');
  await expect(ask('x', { previous_response_id: first.id })).rejects.toMatchObject({
    code: 'previous_response_not_found',
  });
});

test('reading and cancelling name the job', async () => {
  const { ask, get, post } = await serve();
  const { id } = await ask('a');
  const answers = [
    await get(`/v1/responses/${id}`),
    await get(`/v1/responses/${id}?stream=true`),
    await post(`/v1/responses/${id}/cancel`),
  ];
  for (const { headers } of answers) {
    expect(headers.get('x-sluice-job-id')).toBe(id.replace('resp_', 'job_'));
    expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/);
  }
});

test('with unsupportedTools: drop, a choice of such a tool is dropped, too', async () => {
  const { ask, seen } = await serve({ unsupportedTools: 'drop' });
  const tools = [{ type: 'web_search' }, { type: 'function', name: 'f', parameters: {} }];
  await ask('x', { tools, tool_choice: { type: 'web_search' } });
  expect(seen[0].body.tool_choice).toBeUndefined();
  expect(seen[0].body.tools).toHaveLength(1);
});

test('beyond maxCount the oldest response is deleted', async () => {
  const { ask, openai, get } = await serve({ responses: { maxCount: 2 } });
  const all = [];
  for (const text of ['a', 'b', 'c']) all.push(await ask(text));
  await ask('not stored', { store: false });
  expect(await Promise.all(all.map((each) => isKept(openai, each)))).toEqual([false, true, true]);
  const job = all[0].id.replace('resp_', 'job_');
  await until(async () => (await get(`/v1/jobs/${job}`)).status === 404, 'its job is gone, too');
  await expect(ask('x', { previous_response_id: all[0].id })).rejects.toMatchObject({
    code: 'previous_response_not_found',
  });
});

test('beyond maxBytes the oldest responses are deleted, and the latest one stays', async () => {
  const { ask, openai } = await serve({ responses: { maxBytes: 20_000 } });
  const small = [await ask('a'), await ask('b')];
  const large = await ask('x'.repeat(30_000));
  const kept = [...small, large].map((each) => isKept(openai, each));
  expect(await Promise.all(kept)).toEqual([false, false, true]);
});
