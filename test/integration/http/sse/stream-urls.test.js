/** Streams for clients that cannot send headers: signed addresses, their renewal, and their expiry. */
import express from 'express';
import { once } from 'node:events';
import { ManualClock, createGateway } from '../../../../lib/index.js';
import { cleanUp, client, everyEgress, start, stopAll } from '../../../support/gateway/gateway.js';
import { echo, handProvider } from '../../../support/providers/providers.js';
import { bearer, entry } from '../../../support/gateway/keys.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const ann = bearer('key-of-ann');
const bob = bearer('key-of-bob');
const keys = [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')];

async function submitted(server, headers = ann) {
  const { status, body } = await server.submit({ prompt: 'one two' }, headers);
  expect(status).toBe(201);
  return body;
}

const tokenIn = (url) => new URL(url, 'http://x').searchParams.get('token');

describe.each(everyEgress)('egress %s, %i reactors', (egress, reactors) => {
  test('the stream_url of a submission opens the stream without a header', async () => {
    const server = await start({ provider: echo, access: { keys }, egress, reactors });
    const { job_id: id, stream_url: url } = await submitted(server);
    expect(url).toMatch(/^\/v1\/stream\?job_id=job_[\w-]+&token=[\w-]+\.[\w-]+$/);
    const stream = await server.read(url);
    expect(stream.text).toBe('one two');
    expect(stream.headers['referrer-policy']).toBe('no-referrer');
    const rest = await server.read(`${url}&last_event_id=1-1`);
    expect(rest.text).toBe('two');
    // The header is still accepted, for any address.
    const query = `/v1/stream?job_id=${id}`;
    expect((await server.read(query, { headers: ann })).text).toBe('one two');
    expect((await server.read(`${query}&token=x`, { headers: ann })).text).toBe('one two');
  });

  test('several jobs on one connection, by one token', async () => {
    const server = await start({ provider: echo, access: { keys }, egress, reactors });
    const ids = [];
    for (let i = 0; i < 4; i += 1) ids.push((await submitted(server)).job_id);
    const { status, body, headers } = await server.post('/v1/stream_url', { job_ids: ids }, ann);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(Object.keys(body)).toEqual(['stream_url', 'expires_at']);
    const stream = await server.read(body.stream_url);
    const ended = stream.events.filter(({ type }) => type === 'job_complete');
    expect(ended.map(({ data }) => data.job_id).sort()).toEqual([...ids].sort());
    const [one] = ids;
    const part = `/v1/events?job_id=${one}&token=${tokenIn(body.stream_url)}`;
    expect((await server.get(part)).status).toBe(401);
  });
});

test('a token opens its own jobs only, and nothing but streams', async () => {
  const server = await start({ provider: echo, access: { keys } });
  const mine = await submitted(server);
  const other = await submitted(server);
  const token = tokenIn(mine.stream_url);
  for (const path of [
    `/v1/stream?job_id=${other.job_id}&token=${token}`,
    `/v1/stream?job_id=${mine.job_id}&token=${token.slice(0, -1)}`,
    `/v1/stream?job_id=${mine.job_id}&token=${token}&token=${token}`,
    `/v1/stream?job_id=${mine.job_id}&token=`,
    `/v1/stream?token=${token}`,
  ]) {
    const { status, headers, body } = await server.get(path);
    expect([path, status, body.error?.code]).toEqual([path, 401, 'stream_url_invalid']);
    expect(body.error.type).toBe('authentication_error');
    expect(headers.get('www-authenticate')).toBe('Bearer');
  }
  for (const path of [`/v1/jobs/${mine.job_id}`, '/v1/jobs', '/v1/models', '/metrics']) {
    const { status, body } = await server.get(`${path}?job_id=${mine.job_id}&token=${token}`);
    expect([path, status, body.error.code]).toEqual([path, 401, 'missing_api_key']);
  }
  const cancel = `/v1/jobs/${mine.job_id}/cancel?job_id=${mine.job_id}&token=${token}`;
  expect((await server.post(cancel)).status).toBe(401);
});

describe('renewal', () => {
  test("only for the caller's own jobs", async () => {
    const server = await start({ provider: echo, access: { keys } });
    const { job_id: id } = await submitted(server);
    const renew = (path, body, headers) => server.post(path, body, headers);
    const path = `/v1/jobs/${id}/stream_url`;
    const before = Math.floor(Date.now() / 1000);
    const { status, body } = await renew(path, undefined, ann);
    expect(status).toBe(200);
    expect(body.expires_at).toBeGreaterThanOrEqual(before + 300);
    // The job may run for 300 s, and is kept for 300 s after its end.
    expect(body.expires_at).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 600);
    expect((await server.read(body.stream_url)).text).toBe('one two');
    expect((await renew(path, undefined, bob)).status).toBe(404);
    expect((await renew(path)).status).toBe(401);
    expect((await renew('/v1/jobs/job_x/stream_url', undefined, ann)).status).toBe(404);
    const foreign = await renew('/v1/stream_url', { job_ids: [id] }, bob);
    expect([foreign.status, foreign.body.error.param]).toEqual([404, 'job_ids[0]']);
    const partly = await renew('/v1/stream_url', { job_ids: [id, 'job_x'] }, ann);
    expect([partly.status, partly.body.error.param]).toEqual([404, 'job_ids[1]']);
  });

  test.each([
    [[], 'invalid_type', null],
    [{}, 'missing_field', 'job_ids'],
    [{ job_ids: [] }, 'invalid_value', 'job_ids'],
    [{ job_ids: 'job_x' }, 'invalid_type', 'job_ids'],
    [{ job_ids: [7] }, 'invalid_type', 'job_ids[0]'],
    [{ job_ids: ['job_x'], ttl: 9 }, 'unknown_field', 'ttl'],
    [{ job_ids: Array.from({ length: 65 }, (_, i) => `job_${i}`) }, 'invalid_value', 'job_ids'],
  ])('of %j is refused', async (body, code, param) => {
    const server = await start({ provider: echo });
    const answer = await server.post('/v1/stream_url', body);
    expect([answer.status, answer.body.error.code, answer.body.error.param]).toEqual([
      400,
      code,
      param,
    ]);
  });

  test.each(['/v1/stream_url', '/v1/jobs/job_x/stream_url'])('%s takes POST', async (path) => {
    const server = await start({ provider: echo });
    const { status, headers } = await server.get(path);
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('without keys returns an unsigned address that does not expire', async () => {
    const server = await start({ provider: echo });
    const { job_id: id, stream_url: url } = await submitted(server, {});
    expect(url).toBe(`/v1/stream?job_id=${id}`);
    const one = await server.post(`/v1/jobs/${id}/stream_url`);
    expect(one.body).toEqual({ stream_url: url, expires_at: null });
    const many = await server.post('/v1/stream_url', { job_ids: [id, id] });
    expect(many.body).toEqual({ stream_url: `/v1/events?job_id=${id}`, expires_at: null });
  });
});

test('a URL resumes for the life of its job; one that is not used in time is refused', async () => {
  const clock = new ManualClock();
  const { provider, call } = handProvider();
  const access = { keys, stream_url_ttl_s: 2 };
  const server = await start({ provider, clock, access, stallMs: 600_000, retentionMs: 60_000 });
  const { job_id: id, stream_url: url } = await submitted(server);
  const open = await server.stream(url);
  const run = await call(0);
  run.push('before');
  await until(() => open.events.length === 1, 'the first token');
  open.close();
  clock.advanceMs(3000);
  const { body: renewed } = await server.post(`/v1/jobs/${id}/stream_url`, undefined, ann);
  clock.advanceMs(3000);
  const late = await server.get(renewed.stream_url);
  expect([late.status, late.body.error.code]).toEqual([401, 'stream_url_expired']);
  const resumed = await server.stream(url, { headers: { 'last-event-id': '1-1' } });
  run.push(' after');
  run.end();
  expect((await resumed.done).at(-1)).toMatchObject({ type: 'job_complete' });
  expect(resumed.text).toBe(' after');
  clock.advanceMs(59_000);
  expect((await server.read(url)).text).toBe('before after');
  clock.advanceMs(1000);
  await until(async () => (await server.get(url)).status === 404, 'the purge');
});

test('expires_at is the time of the purge at the latest', async () => {
  const { provider, call } = handProvider();
  const access = { keys, stream_url_ttl_s: 2 };
  const server = await start({ provider, access, maxWallMs: 100_000, retentionMs: 50_000 });
  const { job_id: id, created_at: created } = await submitted(server);
  const expiry = async () =>
    (await server.post(`/v1/jobs/${id}/stream_url`, undefined, ann)).body.expires_at;
  // Two seconds: roundings, and the time between the creation and the queue.
  expect(await expiry()).toBeGreaterThanOrEqual(created + 150);
  expect(await expiry()).toBeLessThanOrEqual(created + 152);
  const { body: own } = await server.post('/v1/jobs', { prompt: 'p', max_wall_ms: 200_000 }, ann);
  const both = { job_ids: [id, own.job_id] };
  const { body } = await server.post('/v1/stream_url', both, ann);
  expect(body.expires_at).toBeGreaterThanOrEqual(created + 250);
  const run = await call(0);
  run.end();
  await until(
    async () => (await server.get(`/v1/jobs/${id}`, { headers: ann })).body.status === 'completed',
    'the end',
  );
  expect(await expiry()).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 50);
});

test('lastEventId is another name of last_event_id, which wins', async () => {
  const server = await start({ provider: echo });
  const { stream_url: url } = await submitted(server, {});
  expect((await server.read(`${url}&lastEventId=1-1`)).text).toBe('two');
  expect((await server.read(`${url}&lastEventId=1-1&last_event_id=`)).text).toBe('one two');
  const twice = await server.get(`${url}&lastEventId=1-1&lastEventId=1-2`);
  expect([twice.status, twice.body.error.param]).toEqual([400, 'lastEventId']);
  const id = new URL(url, 'http://x').searchParams.get('job_id');
  const fanIn = await server.read(`/v1/events?job_id=${id}&lastEventId=${id}:1-1`);
  expect(fanIn.text).toBe('two');
});

test('revoking a key revokes its addresses alone', async () => {
  const server = await start({ provider: echo, access: { keys } });
  const [ofAnn, ofBob] = [await submitted(server, ann), await submitted(server, bob)];
  server.gateway.reload({ access: { keys: [keys[1]] } });
  expect((await server.get(ofAnn.stream_url)).status).toBe(401);
  expect((await server.read(ofBob.stream_url)).text).toBe('one two');
});

test('jobs that the program itself submits can be handed on, for any principal', async () => {
  const { gateway, read, get } = await start({ provider: echo, access: { keys } });
  for (const options of [undefined, { principal: 'user 7' }]) {
    const { streamUrl } = await gateway.submit({ prompt: 'one two' }, options);
    expect((await read(streamUrl)).text).toBe('one two');
    expect((await get(streamUrl.replace(/&token.*/, ''))).status).toBe(401);
  }
});

test('where a hook authenticates, a secret has addresses signed', async () => {
  const authenticate = (req) => req.get('x-user') ?? 'nobody';
  const access = { stream_url_secret: 'sixteen characters' };
  const server = await start({ provider: echo, authenticate, access });
  const { job_id: id, stream_url: url } = await submitted(server, { 'x-user': 'ann' });
  expect((await server.get(`/v1/stream?job_id=${id}`)).status).toBe(404);
  expect((await server.read(url)).text).toBe('one two');
});

test('under a prefix addresses carry it; from JavaScript they are signed too', async () => {
  const gateway = createGateway({ provider: echo, logger: false, access: { keys } });
  const listening = express().use('/api', gateway.router()).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  cleanUp(async () => {
    await gateway.close({ drainMs: 0 });
    listening.close();
    listening.closeAllConnections();
  });
  const base = `http://127.0.0.1:${listening.address().port}`;
  const { post } = client(`${base}/api`);
  const { body } = await post('/v1/jobs', { prompt: 'a' }, ann);
  expect(body.stream_url).toMatch(/^\/api\/v1\/stream\?/);
  expect((await client(base).read(body.stream_url)).text).toBe('a');
  const renewed = await post(`/v1/jobs/${body.job_id}/stream_url`, undefined, ann);
  expect((await client(base).read(renewed.body.stream_url)).text).toBe('a');
  const job = await gateway.submit({ prompt: 'b' }, { principal: 'ann' });
  expect((await client(`${base}/api`).read(job.streamUrl)).text).toBe('b');
});

test('neither keys nor tokens are logged', async () => {
  let logged = '';
  const write = (...args) => {
    logged += JSON.stringify(args, (_, value) =>
      value instanceof Error ? `${value.stack} ${JSON.stringify(value)}` : value,
    );
  };
  const logger = { info: write, warn: write, error: write };
  const server = await start({ provider: echo, access: { keys }, logger });
  const { stream_url: url, job_id: id } = await submitted(server);
  await server.read(url);
  await server.get(`${url}x`);
  await server.get(`/v1/jobs/%E0%A4%A?token=${tokenIn(url)}`, { headers: ann });
  await until(() => logged.includes(id), 'the line of the job');
  expect(logged).not.toContain('key-of-ann');
  expect(logged).not.toContain(tokenIn(url));
});
