/**
 * Pages of elsewhere and a server without keys on loopback: by a name of theirs that resolves to it
 * (DNS rebinding), and by requests that any page may send.
 */
import express from 'express';
import { ask } from '../../../support/gateway/ask.js';
import { createGateway } from '../../../../lib/index.js';
import { entry } from '../../../support/gateway/keys.js';
import { cleanUp, start, stopAll, testOwnServer } from '../../../support/gateway/gateway.js';
import { echo } from '../../../support/providers/providers.js';

afterEach(stopAll);

const evil = 'evil.example';

const json = { 'content-type': 'application/json' };

describe('without keys', () => {
  testOwnServer("a page's own name is refused, with advice", async () => {
    const { server, get } = await start({ provider: echo });
    const host = `${evil}:${server.port}`;
    const submission = { method: 'POST', headers: json, body: '{"prompt":"a"}' };
    for (const request of [
      {},
      submission,
      ...['/', '/v1/stream?job_id=x', '/v1/kv/a', '/v1/logs/errors', '/metrics', '/nowhere'].map(
        (path) => ({ path }),
      ),
    ]) {
      const { status, text } = await ask(server.port, host, request);
      expect(status).toBe(403);
      const { error } = JSON.parse(text);
      expect(error).toMatchObject({ code: 'host_not_allowed', type: 'permission_error' });
      expect(error.message).toContain(host);
      expect(error.message).toContain('--allowed-hosts');
      expect(error.message).toContain('--open');
    }
    expect((await get('/v1/jobs')).body.data).toEqual([]);
  });

  test('its own names are accepted, and health is public', async () => {
    const { server } = await start({ provider: echo });
    const { port } = server;
    for (const host of ['localhost', 'app.localhost', '127.0.0.1', '[::1]', 'upstream']) {
      expect([host, (await ask(port, `${host}:${port}`)).status]).toEqual([host, 200]);
    }
    for (const path of ['/healthz', '/readyz']) {
      expect((await ask(port, evil, { path })).status).toBe(200);
    }
  });

  test.each([
    ['allowedHosts', { allowedHosts: ['App.Example', evil] }],
    ['open', { open: true }],
  ])('%s allows names', async (_name, options) => {
    const { gateway } = await start({ provider: echo });
    const { port } = await gateway.listen(options);
    expect((await ask(port, evil)).status).toBe(200);
    expect((await ask(port, `app.example:${port}`)).status).toBe(200);
  });

  test('adminToken is required for the calls of administrators, on that server alone', async () => {
    const { gateway, server } = await start({ provider: echo });
    const { port } = await gateway.listen({ adminToken: 'let-me-in' });
    const status = async (at, headers) =>
      (await ask(at, 'localhost', { path: '/v1/logs/top-errors', headers })).status;
    expect(await status(port, {})).toBe(403);
    expect(await status(port, { authorization: 'Bearer let-me-out' })).toBe(403);
    expect(await status(port, { authorization: 'Bearer let-me-in' })).toBe(200);
    expect(await status(server.port, {})).toBe(200);
    gateway.reload({ access: { keys: [entry('ops', 'key-of-ops', { admin: true })] } });
    expect(await status(port, { authorization: 'Bearer let-me-in' })).toBe(401);
    expect(await status(port, { authorization: 'Bearer key-of-ops' })).toBe(200);
    for (const adminToken of ['', 'a b', 7]) {
      await expect(gateway.listen({ adminToken })).rejects.toThrow('adminToken takes a');
    }
  });

  test.each([
    ['app.example', TypeError, /^allowedHosts takes an array of names/],
    [[7], TypeError, /^allowedHosts takes an array of names/],
    [[''], RangeError, /^allowedHosts takes .* not ""/],
    [['http://app.example'], RangeError, /^allowedHosts takes .* without scheme or port/],
    [['app.example:80'], RangeError, /^allowedHosts takes/],
  ])('allowedHosts %j is refused', async (allowedHosts, type, message) => {
    const { gateway } = await start({ provider: echo });
    const error = await gateway.listen({ allowedHosts }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });
});

test("with keys, or the user's authenticate, any name is accepted: the caller is checked", async () => {
  const keyed = await start({ provider: echo, access: { keys: [entry('ann', 'key-of-ann')] } });
  const headers = { authorization: 'Bearer key-of-ann' };
  expect((await ask(keyed.server.port, evil, { headers })).status).toBe(200);
  expect((await ask(keyed.server.port, evil)).status).toBe(401);
  const own = await start({ provider: echo, authenticate: () => 'ann' });
  expect((await ask(own.server.port, evil)).status).toBe(200);
});

test("an app of the user's own decides for itself", async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  const server = express().use(gateway.router()).listen(0, '127.0.0.1');
  cleanUp(() => new Promise((resolve) => server.close(resolve)));
  await new Promise((resolve) => server.once('listening', resolve));
  expect((await ask(server.address().port, 'app.example')).status).toBe(200);
});

// Requests without a preflight: Fetch, "CORS-safelisted request-header".
test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
  'a body of %s starts nothing',
  async (type) => {
    const { call, get } = await start({ provider: echo });
    const page = { origin: 'http://evil.example', 'content-type': type };
    const raw = '{"prompt":"a","start_url":"http://127.0.0.1/","nodes":[],"job_ids":[]}';
    for (const path of ['jobs', 'workflows', 'crawls', 'stream_url', 'kv/txn']) {
      const foreign = await call('POST', `/v1/${path}`, { raw, headers: page });
      expect([path, foreign.status]).toEqual([path, 403]);
      expect(foreign.body.error.code).toBe('origin_not_allowed');
      // An old browser may leave the origin out.
      const headers = { 'content-type': type };
      const { status, body } = await call('POST', `/v1/${path}`, { raw, headers });
      expect([path, status]).toEqual([path, 415]);
      expect(body.error.code).toBe('unsupported_media_type');
    }
    const logs = await call('POST', '/v1/logs', { raw: 'ERROR forged', headers: page });
    expect(logs.status).toBe(403);
    expect((await get('/v1/jobs')).body.data).toEqual([]);
  },
);
