/**
 * The reactor owns a stream's connection: Node's state of it in the meantime, and its return to
 * Node. stream.test.js has the view of a client, over every egress.
 */
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { openSockets } from '../../../support/files/descriptors.js';
import {
  cleanUp,
  mountedBy,
  start,
  stopAll,
  testOwnServer,
} from '../../../support/gateway/gateway.js';
import { handProvider, listProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const words = ['one ', 'two ', 'three '];

/** A client that writes the given bytes, and keeps all received ones. */
function rawClient(port) {
  const socket = net.connect(port, '127.0.0.1');
  const raw = { socket, text: '', ended: false, closed: false };
  socket.setEncoding('utf8').on('data', (chunk) => (raw.text += chunk));
  socket.on('error', () => {});
  socket.on('end', () => (raw.ended = true)).on('close', () => (raw.closed = true));
  cleanUp(() => socket.destroy());
  return raw;
}

const get = (path, headers = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

/** The number of whole responses received, their last chunks included. */
const endings = (raw) => raw.text.split('\r\n0\r\n\r\n').length - 1;

const connectionsOf = (server) =>
  new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });

/** A server with one open stream, of which one token has been read. */
async function streaming({ headers = '', ...options } = {}) {
  const { provider, call } = handProvider();
  const app = await start({ provider, ...options });
  /** Sockets that are with Node. */
  const nodes = new Set();
  app.server.on('connection', (socket) => {
    nodes.add(socket);
    socket.once('close', () => nodes.delete(socket));
  });
  const { id, streamUrl } = await app.gateway.submit({ prompt: 'a', disconnect_grace_ms: 0 });
  const raw = rawClient(app.server.port);
  raw.socket.write(get(streamUrl, headers));
  const run = await call(0);
  run.push('hello');
  await until(() => raw.text.includes('hello'), 'the first token');
  return { ...app, raw, run, id, streamUrl, nodes };
}

test('the reactor sends the head that Node sends', async () => {
  const headOf = async (egress) => {
    const headers = 'X-Request-Id: r1\r\nOrigin: http://page.example\r\n';
    const { raw } = await streaming({ egress, corsOrigins: ['*'], headers });
    const head = raw.text.slice(0, raw.text.indexOf('\r\n\r\n'));
    return head.replace(/^Date: .*$/m, 'Date: now').split('\r\n');
  };
  const byReactor = await headOf('auto');
  expect(byReactor).toEqual(await headOf('node'));
  expect(byReactor).toContain('x-request-id: r1');
  expect(byReactor).toContain('Transfer-Encoding: chunked');
});

testOwnServer('Node has released the socket; the server still counts the connection', async () => {
  const app = await streaming();
  expect(app.nodes.size).toBe(0);
  expect(await connectionsOf(app.server)).toBe(1);
  expect(await app.metric('sluice_open_streams')).toBe(1);
  app.run.end();
  await until(() => endings(app.raw) === 1, 'the end');
  await until(() => app.nodes.size >= 1, 'the connection to be given back');
  expect(await app.metric('sluice_open_streams')).toBe(0);
});

test('egress: "shared" leaves it with Node', async () => {
  const app = await streaming({ egress: 'shared' });
  expect(app.nodes.size).toBe(1);
});

test('the same connection carries one stream after the other, and other requests between', async () => {
  const { gateway, server } = await start({ provider: listProvider(words) });
  const raw = rawClient(server.port);
  for (let i = 1; i <= 20; i += 1) {
    const job = await gateway.submit({ prompt: 'a' });
    raw.socket.write(get(job.streamUrl));
    await until(() => endings(raw) === i, `the end of stream ${i}`);
    raw.socket.write(get(`/v1/jobs/${job.id}`));
    await until(() => raw.text.split('"status":"completed"').length === i + 1, 'the job');
  }
  expect(raw.text.match(/event: job_complete/g)).toHaveLength(20);
  expect(raw.closed).toBe(false);
  expect(await connectionsOf(server)).toBe(1);
});

test('a request during the stream is answered after it', async () => {
  const { raw, run } = await streaming();
  raw.socket.write(get('/healthz'));
  run.push('world');
  await until(() => raw.text.includes('world'), 'the second token');
  expect(raw.text).not.toContain('"status":"ok"');
  run.end();
  await until(() => raw.text.includes('"status":"ok"'), 'the answer');
  expect(endings(raw)).toBe(1);
  expect(raw.text.indexOf('"status":"ok"')).toBeGreaterThan(raw.text.indexOf('job_complete'));
});

test.each([
  ['whole', 0],
  ['but for its last line end', 2],
  ['but for half of it', 20],
])('a request in one packet with the first, %s, is not lost', async (_, held) => {
  const { gateway, server } = await start({ provider: listProvider(words) });
  const [first, second] = [
    await gateway.submit({ prompt: 'a' }),
    await gateway.submit({ prompt: 'b' }),
  ];
  const both = get(first.streamUrl) + get(second.streamUrl);
  const raw = rawClient(server.port);
  raw.socket.write(both.slice(0, both.length - held));
  await until(() => raw.text.includes(first.id) && raw.text.includes('job_complete'), 'the first');
  raw.socket.write(both.slice(both.length - held));
  await until(() => endings(raw) === 2, 'both');
  expect(raw.text).not.toContain('400 Bad Request');
  expect(raw.text.indexOf(second.id)).toBeGreaterThan(raw.text.indexOf('job_complete'));
});

test('the body of a request for a stream is not parsed as the next request', async () => {
  const { gateway, server } = await start({ provider: listProvider(words) });
  const job = await gateway.submit({ prompt: 'a' });
  const raw = rawClient(server.port);
  const body = get('/v1/models');
  raw.socket.write(get(job.streamUrl, `Content-Length: ${body.length}\r\n`));
  await until(() => raw.text.includes('job_complete'), 'the end');
  raw.socket.write(body);
  raw.socket.write(get('/healthz'));
  await until(() => raw.text.includes('"status":"ok"'), 'the next answer');
  expect(raw.text).not.toContain('"data":[');
});

const MESSAGES = [{ role: 'user', content: 'hi' }];
// With a body that contains the end of a head.
const CHAT = `{"stream":true,\r\n\r\n"model":"gpt","messages":${JSON.stringify(MESSAGES)}\n\n}`;
const post = (path, body) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
  `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** A server, its sockets that are with Node, and a client. */
async function facing(options) {
  const { provider, call } = handProvider();
  const { server } = await start({ provider, ...options });
  const nodes = new Set();
  server.on('connection', (socket) => {
    nodes.add(socket);
    socket.once('close', () => nodes.delete(socket));
  });
  return { call, nodes, raw: rawClient(server.port) };
}

testOwnServer('the stream of a POST leaves Node, too, and returns its connection', async () => {
  const { call, nodes, raw } = await facing();
  const request = post('/v1/chat/completions', CHAT);
  // Whole, and in two pieces.
  for (const [i, cut] of [request.length, request.length - 9].entries()) {
    raw.socket.write(request.slice(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 20));
    raw.socket.write(request.slice(cut));
    const run = await call(i);
    run.push(`hello ${i}`);
    await until(() => raw.text.includes(`hello ${i}`), 'the first token');
    await until(() => nodes.size === 0, 'Node to let go');
    run.push(' and more');
    run.end();
    await until(() => endings(raw) === i + 1, 'the end');
  }
  raw.socket.write(get('/healthz'));
  await until(() => raw.text.includes('"status":"ok"'), 'the next answer');
});

test('a request after the body of a POST is answered after its stream', async () => {
  const { call, raw } = await facing();
  raw.socket.write(post('/v1/chat/completions', CHAT) + get('/healthz'));
  const run = await call(0);
  run.push('hello');
  await until(() => raw.text.includes('hello'), 'the first token');
  run.end();
  await until(() => raw.text.includes('"status":"ok"'), 'the answer');
  expect(endings(raw)).toBe(1);
  expect(raw.text.indexOf('"status":"ok"')).toBeGreaterThan(raw.text.indexOf('[DONE]'));
});

test('after Connection: close the server closes, with nothing lost', async () => {
  const { raw, run } = await streaming({ headers: 'Connection: close\r\n' });
  run.push('x'.repeat(100_000));
  run.end();
  await until(() => raw.ended, 'the end of the connection');
  expect(endings(raw)).toBe(1);
  expect(raw.text).toContain('job_complete');
});

test.each([
  ['a FIN', (socket) => socket.end()],
  ['an RST', (socket) => socket.resetAndDestroy()],
  [
    'a FIN behind a request that nobody has read yet',
    async (socket) => {
      socket.write(get('/healthz'));
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.end();
    },
  ],
])('a disconnect by %s is noticed while nothing is sent', async (_, leave) => {
  const { raw, run, ended, id, server, nodes, ...app } = await streaming();
  await leave(raw.socket);
  await run.aborted;
  expect(await ended(id)).toMatchObject({ status: 'cancelled', reason: 'client_disconnected' });
  expect(await app.metric('sluice_open_streams')).toBe(0);
  expect(await connectionsOf(server)).toBe(nodes.size);
});

test('server.close() waits for the stream', async () => {
  const { server, raw, run } = await streaming();
  let isClosed = false;
  server.close(() => (isClosed = true));
  run.push('more');
  await until(() => raw.text.includes('more'), 'the next token');
  expect(isClosed).toBe(false);
  run.end();
  await once(server, 'close');
  await until(() => raw.closed, 'the connection to be closed');
  expect(endings(raw)).toBe(1);
});

test('server.closeAllConnections() cuts the stream, and the job loses its reader', async () => {
  const { server, raw, run, ended, id } = await streaming();
  server.closeAllConnections();
  await until(() => raw.closed, 'the connection to be closed');
  expect(endings(raw)).toBe(0);
  await run.aborted;
  expect(await ended(id)).toMatchObject({ reason: 'client_disconnected' });
});

test('a returned connection is closed when it stays idle', async () => {
  const { server, raw, run } = await streaming();
  server.keepAliveTimeout = 50;
  run.end();
  await until(() => raw.ended, 'the connection to be closed');
  expect(endings(raw)).toBe(1);
  await until(async () => (await connectionsOf(server)) === 0, 'it to be forgotten');
});

test('its idle time counts no longer once it has a request', async () => {
  const { server, gateway, raw, run } = await streaming();
  const { streamUrl } = await gateway.submit({ prompt: 'b' });
  // Long enough for the immediate next request to arrive in time on a busy machine.
  server.keepAliveTimeout = 1500;
  run.end();
  await until(() => endings(raw) === 1, 'the end');
  raw.socket.write(get(streamUrl));
  await until(() => raw.text.split('retry: 2000').length === 3, 'the second stream');
  await new Promise((resolve) => setTimeout(resolve, 2000));
  expect(raw.ended).toBe(false);
});

/** Makes Node check every 20 ms for heads that take longer than `ms`. */
function limitHeads(server, ms) {
  server.headersTimeout = ms;
  server.connectionsCheckingInterval = 20;
  server.emit('listening'); // it sets that interval then
}

test('a returned connection is idle: it is not late with a head', async () => {
  const { server, raw, run } = await streaming();
  server.keepAliveTimeout = 60_000;
  limitHeads(server, 50);
  run.end();
  await until(() => endings(raw) === 1, 'the end');
  await new Promise((resolve) => setTimeout(resolve, 300));
  raw.socket.write(get('/healthz'));
  await until(() => raw.text.includes('"status":"ok"'), 'the answer');
  expect(raw.text).not.toContain('HTTP/1.1 408');
});

test('the head of its next request must arrive in time, as any other', async () => {
  const { server, raw, run } = await streaming();
  server.keepAliveTimeout = 60_000;
  limitHeads(server, 50);
  run.end();
  await until(() => endings(raw) === 1, 'the end');
  raw.socket.write('GET /heal');
  await until(() => raw.closed, 'the connection to be closed');
  expect(raw.text).toContain('HTTP/1.1 408');
});

test('server.closeAllConnections() closes returned idle connections', async () => {
  const { server, raw, run } = await streaming();
  server.keepAliveTimeout = 60_000;
  run.end();
  await until(() => endings(raw) === 1, 'the end');
  server.closeAllConnections();
  await until(() => raw.closed, 'the connection to be closed');
  await until(async () => (await connectionsOf(server)) === 0, 'it to be forgotten');
});

test('gateway.close() closes returned idle connections', async () => {
  const { gateway, raw, run } = await streaming();
  run.end();
  await until(() => endings(raw) === 1, 'the end');
  await gateway.close({ drainMs: 0 });
  await until(() => raw.closed, 'the connection to be closed');
});

const onLinux = process.platform === 'linux' ? test : test.skip;

// A mounted gateway shares the connection with Node, and has a separate descriptor.
const onOwnServer = mountedBy() === 'listen' ? onLinux : test.skip;
onOwnServer('a stream takes one descriptor of the server', async () => {
  const { gateway, stream } = await start({ provider: handProvider().provider });
  const before = openSockets();
  const job = await gateway.submit({ prompt: 'a' });
  const agent = new http.Agent({ keepAlive: false, maxSockets: 100 });
  const open = await Promise.all(
    Array.from({ length: 50 }, () => stream(job.streamUrl, { agent })),
  );
  await until(() => open.every(({ raw }) => raw !== ''), 'all streams');
  // The other end of each is in this process too.
  expect(openSockets() - before).toBe(100);
  for (const each of open) each.close();
  await until(() => openSockets() <= before, 'descriptors to be closed');
});

/** `SLUICE_STRESS_STREAMS=20000` for the long run. */
const stressStreams = Number(process.env.SLUICE_STRESS_STREAMS ?? 2000);

onLinux(
  'every descriptor is closed once, however its stream ended, and nobody is sent what is not his',
  async () => {
    const {
      gateway,
      server,
      stream: open,
    } = await start({
      provider: async function* tokens(request, { signal }) {
        for (let i = 0; i < 20 && !signal.aborted; i += 1) {
          yield `<${request.id}>`;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      },
      maxConcurrency: 1000,
      incomingCapacity: 1000,
    });
    const before = openSockets();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 200 });
    cleanUp(() => agent.destroy());
    let whole = 0;
    const one = async (i) => {
      const job = await gateway.submit({ prompt: 'hi', disconnect_grace_ms: 0 });
      // Half of them on connections that are used again, the numbers of the others are. One that
      // was closed just before its next use is no fault.
      const stream = await open(job.streamUrl, { agent: i % 2 === 0 && agent }).catch(() =>
        open(job.streamUrl, { agent: false }),
      );
      if (i % 5 === 0) stream.close();
      else if (i % 5 === 1) await gateway.cancel(job.id);
      else if (i % 5 === 2) stream.response.socket.resetAndDestroy();
      await stream.closed;
      // A write to a number that is another connection's by now would be in another's stream.
      const strangers = (stream.raw.match(/job_[\w-]{24}/g) ?? []).filter((id) => id !== job.id);
      expect(strangers).toEqual([]);
      if (stream.ended) whole += 1;
    };
    for (let done = 0; done < stressStreams; done += 200) {
      const round = Promise.all(Array.from({ length: 200 }, (_, i) => one(i)));
      // Everybody is cut in mid-stream now and then.
      if (done % 1000 === 800) setTimeout(() => server.closeAllConnections(), 40);
      await round;
    }
    // Every uninterrupted or cancelled stream has received its whole ending.
    expect(whole).toBeGreaterThanOrEqual(((stressStreams * 3) / 5) * (4 / 5));
    agent.destroy();
    await until(() => openSockets() <= before, 'descriptors to be closed');
    await until(async () => (await connectionsOf(server)) === 0, 'connections to be forgotten');
  },
  300_000,
);
