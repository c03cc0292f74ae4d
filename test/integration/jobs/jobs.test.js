/** The life of a job over HTTP: submit, stream, read, and where the API is mounted. */
import express from 'express';
import { once } from 'node:events';
import { createGateway } from '../../../lib/index.js';
import { client, start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

test('a prompt becomes a job, streams, completes and can be read', async () => {
  const { submit, stream, job } = await start({ provider: echo });
  const beforeS = Math.floor(Date.now() / 1000);
  const created = await submit({ prompt: 'one two three', metadata: { tab: 7 } });
  expect(created.status).toBe(201);
  const { job_id: id } = created.body;
  expect(id).toMatch(/^job_[\w-]{24,}$/);
  expect(created.body).toEqual({
    job_id: id,
    status: 'queued',
    stream_url: `/v1/stream?job_id=${id}`,
    created_at: expect.any(Number),
  });
  expect(created.body.created_at).toBeGreaterThanOrEqual(beforeS);
  expect(created.body.created_at).toBeLessThanOrEqual(Math.floor(Date.now() / 1000));
  expect(created.headers.get('location')).toBe(`/v1/jobs/${id}`);

  const events = await (await stream(created.body.stream_url)).done;
  const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
  expect(tokens).toEqual(['one ', 'two ', 'three']);
  const last = events.at(-1);
  expect(last.type).toBe('job_complete');
  expect(last.data).toMatchObject({ job_id: id, reason: 'stop' });
  // 13 bytes of prompt, a token per four.
  const counts = { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 };
  expect(last.data.usage).toEqual({ ...counts, estimated: true });

  expect(await job(id)).toEqual({
    job_id: id,
    status: 'completed',
    model: 'echo',
    created_at: created.body.created_at,
    text: 'one two three',
    usage: last.data.usage,
    metrics: last.data.metrics,
    reason: 'stop',
    metadata: { tab: 7 },
  });
});

test('a function is called with any model that the job names', async () => {
  const { submit, ended } = await start({
    provider: async function* own({ model }) {
      yield model;
    },
  });
  for (const model of [undefined, 'another']) {
    const { status, body } = await submit({ prompt: 'x', model });
    expect(status).toBe(201);
    const name = model ?? 'own';
    expect(await ended(body.job_id)).toMatchObject({ model: name, text: name });
  }
});

test('the provider gets the request', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({ provider });
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ];
  const { body } = await submit({ messages, max_tokens: 9, temperature: 0.5, stop: 'END' });
  const { request, end } = await call(0);
  expect(request).toMatchObject({
    id: body.job_id,
    messages,
    model: 'hand',
    maxTokens: 9,
    temperature: 0.5,
    stop: ['END'],
  });
  expect(request.prompt).toBeUndefined();
  end({ reason: 'length', usage: { prompt_tokens: 11, completion_tokens: 22 } });
  expect(await ended(body.job_id)).toMatchObject({
    status: 'completed',
    reason: 'length',
    text: '',
    usage: { prompt_tokens: 11, completion_tokens: 22 },
  });
});

test('a provider that ignores stop ends before the first stop string, and is stopped', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({ provider });
  const { body } = await submit({ prompt: 'x', stop: ['END', '###'] });
  const run = await call(0);
  run.push('one E', 'N', 'x two E', 'N', 'D three');
  expect(await ended(body.job_id)).toMatchObject({
    status: 'completed',
    reason: 'stop',
    text: 'one ENx two ',
  });
  await until(() => run.returned, 'the end of the generator');
});

test('a job is queued, then running, and its text grows', async () => {
  const { provider, call } = handProvider();
  const { submit, job } = await start({ provider, maxConcurrency: 1 });
  const first = (await submit({ prompt: 'a' })).body.job_id;
  const second = (await submit({ prompt: 'b' })).body.job_id;
  const run = await call(0);
  run.push('so ');
  run.push('far');
  await until(async () => (await job(first)).text === 'so far', 'both tokens');
  expect((await job(first)).status).toBe('running');
  expect(await job(second)).toMatchObject({ status: 'queued', text: '' });
});

test('the router mounts under a prefix and passes on other paths', async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  const app = express();
  app.use('/ai', gateway.router());
  app.get('/ai/mine', (_req, res) => res.send('mine'));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { submit, get, stream } = client(`http://127.0.0.1:${server.address().port}`);
    expect((await get('/ai/mine')).body).toBe('mine');
    expect((await submit({ prompt: 'a' })).status).toBe(404);
    const { post } = client(`http://127.0.0.1:${server.address().port}/ai`);
    const { status, headers, body } = await post('/v1/jobs', { prompt: 'hello there' });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/ai/v1/jobs/${body.job_id}`);
    expect(body.stream_url).toBe(`/ai/v1/stream?job_id=${body.job_id}`);
    expect((await (await stream(body.stream_url)).done).at(-1).type).toBe('job_complete');
    expect((await get(headers.get('location'))).body.text).toBe('hello there');
  } finally {
    await gateway.close({ drainMs: 0 });
    server.close();
  }
});
