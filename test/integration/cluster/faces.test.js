/** Faces of two processes on one Redis: an answer of one is read, resumed and stopped at the other. */
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { plan, textOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

let deployment;
let a;
let b;

beforeAll(async () => {
  deployment = await deploy();
  [a, b] = deployment.nodes;
});
afterAll(async () => {
  await stopDeployments();
  await removeFiles();
});

const background = { model: 'm', background: true, store: true };
const messages = (prompt) => [{ role: 'user', content: prompt }];

test('a chat completion is read and streamed again elsewhere', async () => {
  const { prompt, plan: own } = plan();
  const made = await a.post('/v1/chat/completions', { model: 'm', messages: messages(prompt) });
  expect(made.body.choices[0].message.content).toBe(textOf(own));
  const path = `/v1/chat/completions/${made.body.id}`;
  expect((await b.get(path)).body).toEqual(made.body);
  const texts = await Promise.all(
    [a, b].map(async ({ url }) => (await fetch(`${url}${path}?stream=true`)).text()),
  );
  expect(texts[1]).toBe(texts[0]);
  expect((await b.get('/v1/chat/completions/chatcmpl-x')).status).toBe(404);
});

test('a response and its chain are known elsewhere', async () => {
  const { prompt, plan: own } = plan();
  const made = await a.post('/v1/responses', { model: 'm', input: prompt });
  expect(made.status).toBe(200);
  const path = `/v1/responses/${made.body.id}`;
  expect((await b.get(path)).body).toEqual(made.body);
  expect((await b.get(`${path}/input_items`)).body.data[0].content[0].text).toBe(prompt);
  const next = plan();
  const chained = await b.post('/v1/responses', {
    ...{ model: 'm', input: next.prompt, previous_response_id: made.body.id },
  });
  expect(chained.status).toBe(200);
  const [call] = deployment.upstream.calls(next.plan.name);
  expect(call.body.messages.map(({ content }) => content)).toEqual([
    ...[prompt, textOf(own), next.prompt],
  ]);
  expect((await b.call('DELETE', path)).status).toBe(200);
  expect((await a.get(path)).status).toBe(404);
  expect((await b.get(path)).status).toBe(404);
});

test('a response is continued elsewhere as soon as its reader has the end', async () => {
  const { prompt, plan: own } = plan({ stopAt: 2 });
  const made = await a.post('/v1/responses', { ...background, input: prompt });
  const path = `/v1/responses/${made.body.id}`;
  // The other process follows it already.
  expect((await b.get(path)).body.status).not.toBe('completed');
  const reading = fetch(`${a.url}${path}?stream=true`).then((answer) => answer.text());
  deployment.upstream.go(own.name);
  await reading;
  const next = plan();
  const chained = await b.post('/v1/responses', {
    ...{ model: 'm', input: next.prompt, previous_response_id: made.body.id },
  });
  expect(chained.body).toMatchObject({ status: 'completed' });
});

test('a face of one process is a turn at the other', async () => {
  const { conversation_id: id } = (await a.post('/v1/conversations', {})).body;
  const first = plan();
  const sluice = { conversation_id: id };
  const made = await a.post('/v1/chat/completions', {
    ...{ model: 'm', messages: messages(first.prompt), sluice },
  });
  expect(made.status).toBe(200);
  const second = plan();
  const response = await b.post('/v1/responses', {
    ...{ model: 'm', input: second.prompt, conversation: id },
  });
  expect(response.status).toBe(200);
  const [call] = deployment.upstream.calls(second.plan.name);
  const contents = [first.prompt, textOf(first.plan), second.prompt];
  expect(call.body.messages.map(({ content }) => content)).toEqual(contents);
  const { body } = await a.get(`/v1/conversations/${id}`);
  expect(body.messages.map(({ content }) => content)).toEqual([...contents, textOf(second.plan)]);
});

test('a background response is cancelled elsewhere', async () => {
  const { prompt, plan: own } = plan({ stopAt: 2 });
  const body = { model: 'm', input: prompt, background: true, store: true };
  const made = await a.post('/v1/responses', body);
  await until(() => deployment.upstream.calls(own.name).length === 1, 'the call');
  const { status, body: cancelled } = await b.post(`/v1/responses/${made.body.id}/cancel`);
  expect(status).toBe(200);
  expect(cancelled.status).toBe('cancelled');
  await deployment.upstream.calls(own.name)[0].closed;
});

const chat = (id, prompt) => ({
  ...{ id, messages: [{ id: 'u1', role: 'user', parts: [{ type: 'text', text: prompt }] }] },
});

test('a UI chat is resumed and stopped elsewhere', async () => {
  const { prompt, plan: own } = plan({ stopAt: 3 });
  const first = await fetch(`${a.url}/v1/ui/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(chat('c1', prompt)),
  });
  expect(first.status).toBe(200);
  const resumed = await fetch(`${b.url}/v1/ui/chat/c1/stream`);
  expect(resumed.status).toBe(200);
  const stopped = await b.post('/v1/ui/chat/c1/stop');
  expect(stopped.body).toMatchObject({ stopped: true });
  await deployment.upstream.calls(own.name)[0].closed;
  const [one, two] = await Promise.all([first.text(), resumed.text()]);
  expect(two).toBe(one);
  for (const node of [a, b]) {
    expect((await node.get('/v1/ui/chat/c1/stream')).status).toBe(204);
    expect((await node.post('/v1/ui/chat/c1/stop')).body).toMatchObject({ stopped: false });
  }
});

test('a chat that was read to its end is not sent again by the other process', async () => {
  const { prompt } = plan();
  const body = JSON.stringify(chat('c2', prompt));
  const headers = { 'content-type': 'application/json' };
  const made = await fetch(`${a.url}/v1/ui/chat`, { method: 'POST', headers, body });
  expect(await made.text()).toContain('[DONE]');
  await until(async () => (await b.get('/v1/ui/chat/c2/stream')).status === 204, 'the delivery');
});

test('equal requests of a chat at two processes are one job', async () => {
  const { prompt, plan: own } = plan({ stopAt: 2 });
  const body = JSON.stringify(chat('c3', prompt));
  const headers = { 'content-type': 'application/json' };
  const send = ({ url }) => fetch(`${url}/v1/ui/chat`, { method: 'POST', headers, body });
  const answers = await Promise.all([send(a), send(b)]);
  const ids = answers.map((answer) => answer.headers.get('x-sluice-job-id'));
  expect(ids[1]).toBe(ids[0]);
  deployment.upstream.go(own.name);
  const [one, two] = await Promise.all(answers.map((answer) => answer.text()));
  expect(two).toBe(one);
});

test('a retry joins the job that its client has lost at the other process', async () => {
  const { prompt, plan: own } = plan({ stopAt: 2 });
  const body = JSON.stringify({ model: 'm', messages: messages(prompt), stream: true });
  const headers = { 'content-type': 'application/json' };
  const lost = new AbortController();
  const path = '/v1/chat/completions';
  const options = { method: 'POST', headers, body };
  const first = await fetch(a.url + path, { ...options, signal: lost.signal });
  const id = first.headers.get('x-sluice-job-id');
  lost.abort();
  await until(async () => (await deployment.redis.keys('*orphan:*')).length > 0, 'an orphan');
  const again = await fetch(b.url + path, {
    ...{ ...options, headers: { ...headers, 'x-stainless-retry-count': '1' } },
  });
  expect(again.headers.get('x-sluice-job-id')).toBe(id);
  deployment.upstream.go(own.name);
  expect(await again.text()).toContain('[DONE]');
  expect(deployment.upstream.calls(own.name)).toHaveLength(1);
});

test('a call that the upstream has refused gets its answer elsewhere, live and later', async () => {
  const { prompt, plan: own } = plan({ stopAt: 0, refuseWith: 422 });
  const headers = { 'idempotency-key': 'refused' };
  const body = { model: 'm', messages: messages(prompt) };
  const first = a.post('/v1/chat/completions', body, headers);
  await until(() => deployment.upstream.calls(own.name).length === 1, 'the call');
  const second = b.post('/v1/chat/completions', body, headers);
  const replicas = async () => b.metric('sluice_redis_followed_jobs');
  await until(async () => (await replicas()) > 0, 'the other process to follow');
  deployment.upstream.go(own.name);
  const answers = [await first, await second, await b.post('/v1/chat/completions', body, headers)];
  for (const { status, body: answer } of answers) {
    expect(status).toBe(422);
    expect(answer.error).toEqual(answers[0].body.error);
  }
  expect(answers[0].body.error.message).toBe('no such thing');
  expect(deployment.upstream.calls(own.name)).toHaveLength(1);
});
