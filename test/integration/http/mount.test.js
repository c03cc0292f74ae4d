/** One handler, mounted in plain node:http and in Express, at the root and under a prefix. */
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { once } from 'node:events';
import http from 'node:http';
import { createGateway } from '../../../lib/index.js';
import { cleanUp, client, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';

afterEach(stopAll);

const mounts = [
  ['a listener of node:http', '', (gateway) => gateway.handler()],
  [
    'node:http with a next of its own',
    '',
    (gateway) => (req, res) => gateway.handler()(req, res, () => res.writeHead(418).end()),
  ],
  ['Express, by router()', '', (gateway) => express().use(gateway.router())],
  ['Express, by handler()', '', (gateway) => express().use(gateway.handler())],
  ['Express, under a prefix', '/ai', (gateway) => express().use('/ai', gateway.router())],
  [
    'Express, in a router of a router',
    '/a/b',
    (gateway) => express().use('/a', express.Router().use('/b', gateway.router())),
  ],
  [
    'Express, behind its JSON parser',
    '/ai',
    (gateway) => express().use(express.json()).use('/ai', gateway.router()),
  ],
];

describe.each(mounts)('%s', (_name, prefix, listener) => {
  async function start() {
    const gateway = createGateway({ provider: echo, logger: false });
    const server = http.createServer(listener(gateway)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp(async () => {
      await gateway.close({ drainMs: 0 });
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${server.address().port}`;
    return { url, ...client(url + prefix) };
  }

  test('submits, streams, resumes and cancels', async () => {
    const { url, submit, get, cancel, read } = await start();
    const { status, headers, body } = await submit({ prompt: 'one two three' });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`${prefix}/v1/jobs/${body.job_id}`);
    expect(body.stream_url).toBe(`${prefix}/v1/stream?job_id=${body.job_id}`);
    const response = await fetch(url + body.stream_url);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toContain('event: job_complete');
    const path = `/v1/stream?job_id=${body.job_id}`;
    const whole = await read(path);
    const [first, ...rest] = whole.events.filter(({ id }) => id !== undefined);
    const resumed = await read(path, { headers: { 'last-event-id': first.id } });
    expect(resumed.events.map(({ id }) => id)).toEqual(rest.map(({ id }) => id));
    expect((await cancel(body.job_id)).body.status).toBe('completed');
    expect((await get('/v1/jobs/')).body.data).toHaveLength(1);
  });

  test('refuses other methods of its paths, and passes other paths on', async () => {
    const { call } = await start();
    const refused = await call('PATCH', '/v1/jobs');
    expect(refused.status).toBe(405);
    expect(refused.headers.get('allow')).toBe('GET, HEAD, POST');
    expect((await call('POST', '/v1/jobs', { body: { prompt: 1 } })).body.error.param).toBe(
      'prompt',
    );
    const other = await call('GET', '/v1/unknown');
    expect([404, 418]).toContain(other.status);
    expect((await call('HEAD', '/v1/models')).status).toBe(200);
  });
});

test('a body may begin with a byte order mark', async () => {
  const gateway = createGateway({ provider: echo, logger: false });
  const server = http.createServer(gateway.handler()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp(async () => {
    await gateway.close({ drainMs: 0 });
    server.closeAllConnections();
    server.close();
  });
  const response = await fetch(`http://127.0.0.1:${server.address().port}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '\ufeff{"prompt":"a"}',
  });
  expect(response.status).toBe(201);
});
