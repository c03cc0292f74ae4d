/** Integers beyond 2^53 keep their digits to the upstream and back, on every interface. */
import { providers } from '../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { startMockUpstream } from '../../support/upstream/mock-upstream.js';
import { until } from '../../support/until.js';
import * as anthropic from '../../support/upstream/anthropic-upstream.js';
import { startBefore } from '../../support/gateway/upstream.js';

afterEach(stopAll);

const ID = '9007199254740993';
const NEXT = '9007199254740994';
const user = '"messages":[{"role":"user","content":"hi"}]';
const schema = `{"type":"object","properties":{"id":{"const":${ID}}}}`;
const tools = `"tools":[{"type":"function","function":{"name":"f","parameters":${schema}}}]`;

/** An upstream whose calls have this text as arguments, and a gateway in front of it. */
async function serve(options = {}) {
  const call = { index: 0, id: 'c1', function: { name: 'f', arguments: `{"id":${ID}}` } };
  const answer = [
    { choices: [{ delta: { tool_calls: [call] } }] },
    { choices: [{ delta: {}, finish_reason: 'tool_calls' }] },
  ];
  return startBefore((exchange) => exchange.stream(answer), options);
}

/** Sends the bytes of a body; resolves with the bytes of the answer. */
async function send(url, path, raw, headers = {}) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: raw,
  });
  return { status: response.status, text: await response.text() };
}

test.each([
  ['/v1/chat/completions', `{${user},${tools},"seed":${ID},"top":[{"x":-${ID}}]}`],
  ['/v1/jobs', `{${user},${tools},"seed":${ID},"extra_body":{"top":[{"x":-${ID}}]}}`],
  ['/v1/responses', `{"input":"hi","seed":${ID},"top":[{"x":-${ID}}],"metadata":{"m":"${ID}"}}`],
  [
    '/v1/ui/chat',
    `{"id":"c","messages":[{"role":"user","parts":[{"type":"text","text":"hi"}]}],${tools},"seed":${ID},"top":[{"x":-${ID}}]}`,
  ],
  ['/v1/completions', `{"prompt":"hi","seed":${ID},"top":[{"x":-${ID}}]}`],
])('%s passes them on', async (path, raw) => {
  const { url, upstream } = await serve();
  const { status } = await send(url, path, raw);
  expect([200, 201]).toContain(status);
  const { text } = await until(() => upstream.exchanges[0], 'the call of the upstream');
  expect(text).toContain(`"seed":${ID}`);
  expect(text).toContain(`"top":[{"x":-${ID}}]`);
  if (raw.includes('"tools"')) expect(text).toContain(`"parameters":${schema}`);
});

test('calls of /v1/messages have them as arguments and as input', async () => {
  const { url, upstream } = await serve();
  const raw = `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"},
    {"role":"assistant","content":[{"type":"tool_use","id":"c0","name":"f","input":{"id":${ID}}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"c0","content":"5"}]}]}`;
  const { text } = await send(url, '/v1/messages', raw);
  expect(upstream.exchanges[0].body.messages[1].tool_calls[0].function.arguments).toBe(
    `{"id":${ID}}`,
  );
  expect(text).toContain(`"input":{"id":${ID}}`);
});

test('an Anthropic upstream receives and returns them in the inputs of calls', async () => {
  const use = `{"type":"tool_use","id":"c1","name":"f","input":{"id":${ID}}}`;
  const mock = await startMockUpstream((exchange) => {
    exchange.open(200, { 'content-type': 'application/json' });
    const { message } = anthropic.start({ stop_reason: 'tool_use' });
    exchange.res.end(JSON.stringify({ ...message, content: [] }).replace('[]', `[${use}]`));
  });
  cleanUp(() => mock.close());
  const { url } = await start({ provider: providers.anthropic({ baseUrl: mock.url }) });
  const call = { id: 'c0', type: 'function', function: { name: 'f', arguments: `{"id":${ID}}` } };
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c0', content: '5' },
  ];
  const chat = await send(url, '/v1/chat/completions', JSON.stringify({ model: 'm', messages }));
  expect(mock.exchanges[0].text).toContain(`"input":{"id":${ID}}`);
  const message = JSON.parse(chat.text).choices[0].message;
  expect(message.tool_calls[0].function.arguments).toBe(`{"id":${ID}}`);
  const native = `{"model":"m","max_tokens":5,${user},"top":${ID}}`;
  const { text } = await send(url, '/v1/messages', native);
  expect(mock.exchanges[1].text).toContain(`"top":${ID}`);
  expect(text).toContain(`"input":{"id":${ID}}`);
});

test('requests that differ in the last digit are different ones', async () => {
  const { url, upstream } = await serve();
  const body = (seed) => `{"model":"m",${user},"temperature":0,"seed":${seed}}`;
  const key = { 'idempotency-key': 'k' };
  const path = '/v1/chat/completions';
  expect((await send(url, path, body(ID), key)).status).toBe(200);
  expect((await send(url, path, body(NEXT), key)).status).toBe(422);
  await send(url, path, body('9007199254740992'));
  expect(upstream.exchanges).toHaveLength(2);
});

test('metadata of a job, and the response object', async () => {
  const { url, get } = await serve();
  const raw = `{"prompt":"hi","seed":${ID},"metadata":{"id":${ID}}}`;
  const { text } = await send(url, '/v1/jobs', raw);
  const { body: job } = await get(`/v1/jobs/${JSON.parse(text).job_id}`);
  // Metadata are the gateway's own: JavaScript reads them.
  expect(job.metadata).toEqual({ id: Number(ID) });
  const tool = `{"type":"function","name":"f","parameters":${schema}}`;
  const response = await send(url, '/v1/responses', `{"input":"hi","tools":[${tool}]}`);
  expect(response.text).toContain(`"parameters":${schema}`);
});

test('a wrong type is refused as before', async () => {
  const { url } = await serve();
  const { status, text } = await send(url, '/v1/jobs', `{"prompt":"hi","max_tokens":${ID}}`);
  expect([status, JSON.parse(text).error.param]).toEqual([400, 'max_tokens']);
});
