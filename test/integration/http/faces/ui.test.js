/** `/v1/ui/chat` as the AI SDK's `useChat` uses it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { ManualClock } from '../../../../lib/index.js';
import { tmpdir } from 'node:os';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const user = (text, id = 'u1') => ({ id, role: 'user', parts: [{ type: 'text', text }] });

/** A gateway whose model yields two words, the second after `release()`. */
async function serve(options = {}) {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const seen = [];
  async function* provider(request) {
    seen.push(request);
    yield 'one ';
    await gate;
    yield 'two';
  }
  const served = await start({ provider, ...options });
  const send = (body, init = {}) =>
    fetch(`${served.url}/v1/ui/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...init,
    });
  return { ...served, send, release, seen };
}

/** @param {string} text of a stream */
const framesOf = (text) =>
  text
    .trim()
    .split('\n\n')
    .map((block) => /^data: (.*)$/m.exec(block)[1])
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));

/** @param {any} response @param {string} text */
async function readUntil(response, text) {
  const reader = response.body.getReader();
  let read = '';
  while (!read.includes(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    read += Buffer.from(value).toString();
  }
  await reader.cancel();
  return read;
}

test('a chat, cut, resumed whole, and idle once it was read', async () => {
  const { send, release, get, url } = await serve();
  const first = await send({ id: 'c/1', messages: [user('hi')], trigger: 'submit-message' });
  expect(first.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1');
  await readUntil(first, 'one ');
  release();
  const again = await fetch(`${url}/v1/ui/chat/c%2F1/stream`);
  const frames = framesOf(await again.text());
  expect(frames[0]).toMatchObject({ type: 'start', messageId: expect.stringMatching(/^msg_/) });
  const text = frames.filter(({ type }) => type === 'text-delta').map(({ delta }) => delta);
  expect(text.join('')).toBe('one two');
  expect(frames.at(-2)).toMatchObject({ type: 'finish', finishReason: 'stop' });
  expect(frames.at(-1)).toBe('[DONE]');
  expect((await get('/v1/ui/chat/c%2F1/stream')).status).toBe(204);
  expect((await get('/v1/ui/chat/none/stream')).status).toBe(204);
});

test('stop ends the job, and leaves the chat idle', async () => {
  const { send, post, get } = await serve();
  await readUntil(await send({ id: 'c', messages: [user('hi')] }), 'one ');
  const stopped = await post('/v1/ui/chat/c/stop');
  expect(stopped.body).toEqual({ stopped: true, job_id: expect.stringMatching(/^job_/) });
  const { body: job } = await get(`/v1/jobs/${stopped.body.job_id}`);
  expect([job.status, job.reason]).toEqual(['cancelled', 'client_request']);
  expect((await post('/v1/ui/chat/c/stop')).body).toEqual({ ...stopped.body, stopped: false });
  expect((await get('/v1/ui/chat/c/stream')).status).toBe(204);
  expect((await post('/v1/ui/chat/none/stop')).body).toEqual({ stopped: false, job_id: null });
});

test('the same body joins the running job; another body replaces it', async () => {
  const { send, release, job } = await serve();
  const body = { id: 'c', messages: [user('hi')] };
  const first = await send(body);
  const second = await send(body);
  const id = first.headers.get('x-sluice-job-id');
  expect(second.headers.get('x-sluice-job-id')).toBe(id);
  const third = await send({ ...body, messages: [user('ho')] });
  expect(third.headers.get('x-sluice-job-id')).not.toBe(id);
  const frames = framesOf(await second.text());
  expect(frames.at(-2)).toMatchObject({ type: 'abort' });
  expect(await job(id)).toMatchObject({ status: 'cancelled', reason: 'superseded' });
  release();
  await third.text();
  await first.text();
});

test('another body replaces the job, also under a limit of one concurrent job', async () => {
  const access = { keys: [entry('k', 'secret', { limits: { concurrent_jobs: 1 } })] };
  const { url, release } = await serve({ access });
  const send = (text) =>
    fetch(`${url}/v1/ui/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer('secret') },
      body: JSON.stringify({ id: 'c', messages: [user(text)] }),
    });
  const first = await send('hi');
  const second = await send('ho');
  expect(second.status).toBe(200);
  release();
  expect(framesOf(await first.text()).at(-2)).toEqual({ type: 'abort', reason: 'superseded' });
  expect(framesOf(await second.text()).at(-2)).toMatchObject({ type: 'finish' });
});

test('two equal concurrent requests are one job', async () => {
  const { send, release, seen } = await serve();
  const body = { id: 'c', messages: [user('hi')] };
  const [first, second] = await Promise.all([send(body), send(body)]);
  const idOf = ({ headers }) => headers.get('x-sluice-job-id');
  expect(idOf(first)).toBe(idOf(second));
  release();
  expect(await first.text()).toBe(await second.text());
  expect(seen).toHaveLength(1);
});

test('a reader with the id of its last frame receives the following frames, although all were sent', async () => {
  const { send, release, url } = await serve();
  release();
  const whole = await (await send({ id: 'c', messages: [user('hi')] })).text();
  const from = whole.indexOf('id: 4\n');
  const rest = await fetch(`${url}/v1/ui/chat/c/stream`, { headers: { 'last-event-id': '3' } });
  expect([rest.status, await rest.text()]).toEqual([200, whole.slice(from)]);
  expect((await fetch(`${url}/v1/ui/chat/c/stream`)).status).toBe(204);
});

test('a chat is of one principal', async () => {
  const keys = [entry('a', 'secret-a'), entry('b', 'secret-b')];
  const { url, call, release } = await serve({ access: { keys } });
  const send = (key, text) =>
    fetch(`${url}/v1/ui/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(key) },
      body: JSON.stringify({ id: 'c', messages: [user(text)] }),
    });
  const first = await send('secret-a', 'hi');
  const other = { headers: bearer('secret-b') };
  expect((await call('GET', '/v1/ui/chat/c/stream', other)).status).toBe(204);
  const stopped = await call('POST', '/v1/ui/chat/c/stop', other);
  expect(stopped.body).toEqual({ stopped: false, job_id: null });
  // The same id and another body end no chat of the other principal.
  const second = await send('secret-b', 'ho');
  release();
  for (const response of [first, second]) {
    expect(framesOf(await response.text()).at(-2)).toMatchObject({ type: 'finish' });
  }
  const idOf = ({ headers }) => headers.get('x-sluice-job-id');
  expect(idOf(first)).not.toBe(idOf(second));
});

test('a late retry of an older request gets its answer, and does not change the chat', async () => {
  const { send, release, url } = await serve();
  const body = { id: 'c', messages: [user('hi')] };
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
  const first = await send(body, { headers });
  const second = await send({ ...body, messages: [user('ho')] });
  const again = await send(body, { headers });
  expect(framesOf(await again.text()).at(-2)).toMatchObject({ type: 'abort' });
  expect(again.headers.get('x-sluice-job-id')).toBe(first.headers.get('x-sluice-job-id'));
  release();
  expect(framesOf(await second.text()).at(-2)).toMatchObject({ type: 'finish' });
  expect((await fetch(`${url}/v1/ui/chat/c/stream`)).status).toBe(204);
  await first.text();
});

/** The parts of one step. */
const earlier = [
  { type: 'step-start' },
  { type: 'reasoning', text: 'hm' },
  { type: 'text', text: 'wait' },
  {
    type: 'tool-f',
    toolCallId: 't1',
    state: 'output-available',
    input: { a: 1 },
    output: { b: 2 },
  },
];

test('a replay has the earlier steps of the message; the continuing response does not', async () => {
  const { send, release, url } = await serve();
  const assistant = { id: 'a1', role: 'assistant', parts: earlier };
  const sent = await send({ id: 'c', messages: [user('hi'), assistant] });
  await readUntil(sent, 'one ');
  release();
  const replay = async (id) => {
    const headers = id === undefined ? {} : { 'last-event-id': id };
    return (await fetch(`${url}/v1/ui/chat/c/stream`, { headers })).text();
  };
  const whole = await replay();
  expect(framesOf(whole)).toMatchObject([
    { type: 'start', messageId: 'a1' },
    { type: 'start-step' },
    { type: 'reasoning-start' },
    { type: 'reasoning-delta', delta: 'hm' },
    { type: 'reasoning-end' },
    { type: 'text-start' },
    { type: 'text-delta', delta: 'wait' },
    { type: 'text-end' },
    { type: 'tool-input-start', toolCallId: 't1', toolName: 'f' },
    { type: 'tool-input-delta', toolCallId: 't1', inputTextDelta: '{"a":1}' },
    { type: 'tool-output-available', toolCallId: 't1', output: { b: 2 } },
    { type: 'finish-step' },
    { type: 'start-step' },
    { type: 'text-start' },
    { type: 'text-delta', delta: 'one ' },
    { type: 'text-delta', delta: 'two' },
    { type: 'text-end' },
    { type: 'finish-step' },
    { type: 'finish' },
    '[DONE]',
  ]);
  // Wherever it breaks off, the rest follows.
  const blocks = whole.split(/(?<=\n\n)/);
  const ids = blocks.map((block) => /^id: (.*)$/m.exec(block)[1]);
  expect(new Set(ids).size).toBe(blocks.length);
  for (const [i, id] of ids.entries()) expect(await replay(id)).toBe(blocks.slice(i + 1).join(''));
  // A reader of the request's own stream has these steps.
  expect(framesOf(await replay('1'))[1]).toMatchObject({ type: 'text-start' });
  expect(framesOf(await replay('0'))[1]).toMatchObject({ type: 'start-step' });
});

test('with a data file, a stop is stored before its answer, and an idle chat stays idle over a restart', async () => {
  const data = join(await mkdtemp(join(tmpdir(), 'sluice-')), 'jobs.db');
  cleanUp(() => rm(dirname(data), { recursive: true }));
  const first = await serve({ data });
  await readUntil(await first.send({ id: 'stopped', messages: [user('hi')] }), 'one ');
  const stop = () => first.post('/v1/ui/chat/stopped/stop');
  expect((await stop()).body.stopped).toBe(true);
  expect((await stop()).body.stopped).toBe(false);
  expect((await first.get('/v1/ui/chat/stopped/stream')).status).toBe(204);
  await readUntil(await first.send({ id: 'unread', messages: [user('hi')] }), 'one ');
  first.release();
  await (await first.send({ id: 'read', messages: [user('hi')] })).text();
  await first.gateway.close({ drainMs: 5000 });
  const { get } = await serve({ data });
  expect((await get('/v1/ui/chat/stopped/stream')).status).toBe(204);
  expect((await get('/v1/ui/chat/read/stream')).status).toBe(204);
  const unread = await get('/v1/ui/chat/unread/stream');
  expect([unread.status, unread.body]).toEqual([200, expect.stringContaining('"delta":"two"')]);
  expect((await get('/v1/ui/chat/unread/stream')).status).toBe(204);
});

test('messages of the page become messages of the model', async () => {
  const { send, release, seen } = await serve();
  release();
  const response = await send({
    id: 'c',
    messages: [
      { id: 's', role: 'system', parts: [{ type: 'text', text: 'brief' }] },
      {
        id: 'u',
        role: 'user',
        parts: [
          { type: 'text', text: 'look' },
          { type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,AA' },
        ],
      },
      {
        id: 'a1',
        role: 'assistant',
        parts: [
          ...earlier,
          { type: 'tool-g', toolCallId: 't2', state: 'input-available', input: {} },
          { type: 'step-start' },
          { type: 'text', text: 'done' },
        ],
      },
    ],
  });
  const [first] = framesOf(await response.text());
  expect(first.messageId).toBe('a1');
  expect(seen[0].messages).toEqual([
    { role: 'system', content: 'brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'look' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
      ],
    },
    {
      role: 'assistant',
      content: 'wait',
      tool_calls: [{ id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
    },
    { role: 'tool', tool_call_id: 't1', content: '{"b":2}' },
    { role: 'assistant', content: 'done' },
  ]);
});

test('a page has 30 s to return after it left, unless its request sets another time', async () => {
  const clock = new ManualClock();
  const { send, get, metric, job, url } = await serve({ clock });
  const leave = async (response) => {
    await readUntil(response, 'one ');
    await until(
      async () => (await metric('sluice_open_streams')) === 0,
      'the departure of the page',
    );
    return response.headers.get('x-sluice-job-id');
  };
  const id = await leave(await send({ id: 'c', messages: [user('hi')] }));
  clock.advanceMs(29_999);
  expect(await job(id)).toMatchObject({ status: 'running' });
  // A reload: the time restarts.
  await leave(await fetch(`${url}/v1/ui/chat/c/stream`));
  clock.advanceMs(29_999);
  expect(await job(id)).toMatchObject({ status: 'running' });
  clock.advanceMs(1);
  expect(await job(id)).toMatchObject({ status: 'cancelled', reason: 'client_disconnected' });
  // The frames that the page has not received are replayed.
  expect((await get('/v1/ui/chat/c/stream')).body).toContain('"type":"abort"');
  const sluice = { disconnect_grace_ms: 5 };
  const brief = await leave(await send({ id: 'd', messages: [user('hi')], sluice }));
  clock.advanceMs(5);
  expect(await job(brief)).toMatchObject({ status: 'cancelled' });
});

test.each([
  [{ messages: [user('x')] }, 'id'],
  [{ id: 'c' }, 'messages'],
  [{ id: 'c', messages: [{ id: 'u', role: 'robot', parts: [] }] }, 'messages[0].role'],
])('a bad request names the member: %j', async (body, param) => {
  const { post } = await serve();
  const { status, body: answer } = await post('/v1/ui/chat', body);
  expect([status, answer.error.param]).toEqual([400, param]);
});
