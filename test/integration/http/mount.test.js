/** One handler, mounted in plain node:http and in each framework, at the root and under a prefix. */
import { once } from 'node:events';
import http from 'node:http';
import fastifyCompress from '@fastify/compress';
import fastifyHelmet from '@fastify/helmet';
import { getRequestListener } from '@hono/node-server';
import compression from 'compression';
import express from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import helmet from 'helmet';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { secureHeaders } from 'hono/secure-headers';
import Koa from 'koa';
import KoaRouter from '@koa/router';
import koaCompress from 'koa-compress';
import koaHelmet from 'koa-helmet';
import { createGateway } from '../../../lib/index.js';
import { cleanUp, client, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

/** Fastify with the gateway under `/ai`, as docs/frameworks/fastify.md has it. */
async function fastify(gateway, ...plugins) {
  const app = Fastify();
  for (const plugin of plugins) await app.register(plugin);
  await app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _body, done) => done(null));
      scope.all('/*', (request, reply) => {
        reply.hijack();
        for (const [name, value] of Object.entries(reply.getHeaders())) {
          reply.raw.setHeader(name, value);
        }
        gateway.handler()(request.raw, reply.raw);
      });
    },
    { prefix: '/ai' },
  );
  await app.ready();
  return (req, res) => app.routing(req, res);
}

function koa(gateway, ...middleware) {
  const router = new KoaRouter();
  router.all('/ai/{*path}', (ctx) => {
    ctx.respond = false;
    gateway.handler()(ctx.req, ctx.res);
  });
  const app = new Koa();
  for (const each of middleware) app.use(each);
  return app.use(router.routes()).callback();
}

const hono = (gateway) =>
  getRequestListener(new Hono().all('/ai/*', (c) => gateway.fetch(c.req.raw)).fetch);

const mounts = [
  ['a listener of node:http', '', (gateway) => gateway.handler()],
  ['a listener of node:http, under a prefix', '/v1/ai', (gateway) => gateway.handler()],
  [
    'node:http with a next of its own',
    '',
    (gateway) => (req, res) => gateway.handler()(req, res, () => res.writeHead(418).end()),
  ],
  [
    'node:http, behind compression and helmet',
    '/ai',
    (gateway) => {
      const [compressed, protectedBy] = [compression({ threshold: 0 }), helmet()];
      const handle = gateway.handler();
      return (req, res) =>
        compressed(req, res, () => protectedBy(req, res, () => handle(req, res)));
    },
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
  [
    'Express, behind compression and helmet',
    '/ai',
    (gateway) =>
      express()
        .use(compression({ threshold: 0 }), helmet())
        .use('/ai', gateway.router()),
  ],
  [
    'Express 4, behind compression, helmet and its JSON parser',
    '/ai',
    (gateway) =>
      express4()
        .use(compression({ threshold: 0 }), helmet(), express4.json())
        .use('/ai', gateway.router()),
  ],
  ['Fastify', '/ai', (gateway) => fastify(gateway)],
  [
    'Fastify, behind its compression and helmet',
    '/ai',
    (gateway) => fastify(gateway, fastifyCompress, fastifyHelmet),
  ],
  ['Koa', '/ai', (gateway) => koa(gateway)],
  [
    'Koa, behind its compression and helmet',
    '/ai',
    (gateway) => koa(gateway, koaCompress({ threshold: 0 }), koaHelmet()),
  ],
  ['Hono', '/ai', hono],
  [
    'Hono, behind its compression and secure headers',
    '/ai',
    (gateway) =>
      getRequestListener(
        new Hono().use(compress(), secureHeaders()).all('/ai/*', (c) => gateway.fetch(c.req.raw))
          .fetch,
      ),
  ],
];

async function serve(provider, listener) {
  const gateway = createGateway({ provider, logger: false });
  const server = http.createServer(await listener(gateway)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp(async () => {
    await gateway.close({ drainMs: 0 });
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

describe.each(mounts)('%s', (_name, prefix, listener) => {
  async function start(provider = echo) {
    const url = await serve(provider, listener);
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

  test('delivers each token at once, and notices the departure of a client', async () => {
    const hand = handProvider();
    const { submit, stream, ended } = await start(hand.provider);
    const { body } = await submit({ prompt: 'p', disconnect_grace_ms: 0 });
    const call = await hand.call(0);
    const headers = { 'accept-encoding': 'gzip, br' };
    const open = await stream(`/v1/stream?job_id=${body.job_id}`, { headers });
    for (const text of ['one ', 'two ', 'three ']) {
      call.push(text);
      await until(() => open.text.endsWith(text), text);
    }
    expect(open.headers['content-encoding']).toBeUndefined();
    expect(call.signal.aborted).toBe(false);
    open.close();
    const job = await ended(body.job_id);
    expect(job).toMatchObject({ status: 'cancelled', reason: 'client_disconnected' });
    await call.aborted;
  });

  test('begins the URLs of its answers with the prefix that a proxy has stripped', async () => {
    const { post, url } = await start();
    const outer = { 'x-forwarded-prefix': '/outer/' };
    const { headers, body } = await post('/v1/jobs', { prompt: 'a' }, outer);
    expect(body.stream_url).toBe(`/outer${prefix}/v1/stream?job_id=${body.job_id}`);
    expect(headers.get('location')).toBe(`/outer${prefix}/v1/jobs/${body.job_id}`);
    const stream = await fetch(url + body.stream_url.replace('/outer', ''));
    expect(await stream.text()).toContain('event: job_complete');
  });
});

test('a body may begin with a byte order mark', async () => {
  const url = await serve(echo, (gateway) => gateway.handler());
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '\ufeff{"prompt":"a"}',
  });
  expect(response.status).toBe(201);
});
