/** gateway.fetch: a Web Request in, a Response out, whose body streams. */
import { createParser } from 'eventsource-parser';
import { createGateway, HttpError } from '../../../../lib/index.js';
import { cleanUp, stopAll } from '../../../support/gateway/gateway.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const ORIGIN = 'http://app.example';

function start(options) {
  const gateway = createGateway({ logger: false, ...options });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  // Frameworks call the function without its object and with further arguments.
  const { fetch } = gateway;
  const call = (path, init) => fetch(new Request(ORIGIN + path, init), { params: {} });
  const submit = async (body, path = '/v1/jobs') => {
    const response = await call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { response, job: await response.json() };
  };
  return { gateway, call, submit };
}

/** @param {string} text @returns {{id?: string, event?: string, data: any}[]} */
function eventsIn(text) {
  const events = [];
  const parser = createParser({ onEvent: (event) => events.push(event) });
  parser.feed(text);
  return events.map((event) => ({ ...event, data: JSON.parse(event.data) }));
}

test('submits, streams, resumes, and answers without a body', async () => {
  const { call, submit } = start({ provider: echo });
  const { response, job } = await submit({ prompt: 'one two three' });
  expect(response.status).toBe(201);
  expect(response.headers.get('location')).toBe(`/v1/jobs/${job.job_id}`);
  const stream = await call(job.stream_url);
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  expect(stream.headers.get('connection')).toBeNull();
  const events = eventsIn(await stream.text());
  expect(events.map(({ event }) => event)).toEqual(['token', 'token', 'token', 'job_complete']);
  const resumed = await call(job.stream_url, { headers: { 'last-event-id': events[1].id } });
  expect(eventsIn(await resumed.text())).toEqual(events.slice(2));
  const over = await call(job.stream_url, { headers: { 'last-event-id': events.at(-1).id } });
  expect(over.status).toBe(204);
  expect(over.body).toBeNull();
  const head = await call('/v1/jobs', { method: 'HEAD' });
  expect([head.status, head.body]).toEqual([200, null]);
});

test('answers below any prefix, and begins the URLs of its answers with it', async () => {
  const { call, submit } = start({ provider: echo });
  const { response, job } = await submit({ prompt: 'a' }, '/api/v1/ai/v1/jobs');
  expect(response.headers.get('location')).toBe(`/api/v1/ai/v1/jobs/${job.job_id}`);
  expect(job.stream_url).toBe(`/api/v1/ai/v1/stream?job_id=${job.job_id}`);
  expect((await call(job.stream_url)).status).toBe(200);
  expect((await call('/api/healthz')).status).toBe(200);
  expect((await call('/api/v1/unknown')).status).toBe(404);
  expect((await call(`${'/a'.repeat(17)}/v1/jobs`)).status).toBe(404);
});

test('a body streams in: read as it arrives, refused when it is too long or malformed', async () => {
  const { call } = start({ provider: echo, maxBodyBytes: 100 });
  const post = (chunks) => {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (pulled === chunks.length) controller.close();
        else controller.enqueue(Buffer.from(chunks[pulled++]));
      },
    });
    const headers = { 'content-type': 'application/json' };
    return call('/v1/jobs', { method: 'POST', headers, body, duplex: 'half' });
  };
  expect((await post(['{"prompt":', '"a b"', '}'])).status).toBe(201);
  expect((await post(['{"prompt":"', 'x'.repeat(100), '"}'])).status).toBe(413);
  expect((await post(['{'])).status).toBe(400);
  expect((await post([])).status).toBe(400);
});

test('cancelling the body counts as a disconnect', async () => {
  const hand = handProvider();
  const { gateway, call, submit } = start({ provider: hand.provider });
  const { job } = await submit({ prompt: 'p', disconnect_grace_ms: 0 });
  const made = await hand.call(0);
  const reader = (await call(job.stream_url)).body.getReader();
  made.push('one');
  let text = '';
  while (!text.includes('"token":"one"')) text += Buffer.from((await reader.read()).value);
  await reader.cancel();
  await made.aborted;
  const ended = await until(async () => {
    const found = await gateway.get(job.job_id);
    return found.status === 'cancelled' && found;
  }, 'the cancellation');
  expect(ended.reason).toBe('client_disconnected');
});

test('aborting the request counts as a disconnect, and the body fails with its reason', async () => {
  const hand = handProvider();
  const { call, submit } = start({ provider: hand.provider });
  const { job } = await submit({ prompt: 'p', disconnect_grace_ms: 0 });
  const made = await hand.call(0);
  const controller = new AbortController();
  const response = await call(job.stream_url, { signal: controller.signal });
  const reason = new Error('left');
  controller.abort(reason);
  await expect(response.text()).rejects.toBe(reason);
  await made.aborted;
  await expect(call('/v1/jobs', { signal: controller.signal })).rejects.toBe(reason);
});

test('a reader that does not read holds the provider back', async () => {
  let pulled = 0;
  async function* endless() {
    for (;;) {
      pulled += 1;
      yield 'x'.repeat(1000);
      await new Promise(setImmediate);
    }
  }
  const { call, submit } = start({ provider: endless, streamCapacity: 8, stallMs: 300_000 });
  const { job } = await submit({ prompt: 'p' });
  const reader = (await call(job.stream_url)).body.getReader();
  // What the response buffers, and the capacity of the stream, each a token of 1 KB.
  const settled = async () => {
    for (let last = -1; last !== pulled;) {
      last = pulled;
      for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    }
    return pulled;
  };
  const held = await settled();
  expect(held).toBeLessThan(100);
  let bytes = 0;
  while (bytes < 200_000) bytes += (await reader.read()).value.length;
  expect(await settled()).toBeGreaterThan(held);
  expect(pulled).toBeLessThan(400);
  await reader.cancel();
});

test('an authenticate hook gets the headers, and no caller is an administrator without keys', async () => {
  const authenticate = (req) => {
    if (req.get('X-User') === undefined) {
      throw new HttpError(401, { code: 'unknown_user', message: 'Send x-user.' });
    }
    return req.headers['x-user'];
  };
  const { call } = start({ provider: echo, authenticate });
  expect((await call('/v1/jobs')).status).toBe(401);
  expect((await call('/v1/jobs', { headers: { 'x-user': 'ann' } })).status).toBe(200);
  const open = start({ provider: echo });
  expect((await open.call('/v1/logs/top-errors')).status).toBe(403);
});

test('refuses anything but a Request, and a request whose body is read', async () => {
  const { gateway } = start({ provider: echo });
  await expect(gateway.fetch('/v1/jobs')).rejects.toThrow('gateway.fetch takes a Request');
  const request = new Request(`${ORIGIN}/v1/jobs`, { method: 'POST', body: '{}' });
  await request.text();
  await expect(gateway.fetch(request)).rejects.toThrow('whose body has not been read');
});
