/**
 * Who writes to the socket: the reactor where it can, Node where it must.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import express from 'express';
import { createGateway } from '../../../../lib/index.js';
import { certificate, key } from '../../../support/upstream/localhost-certificate.js';
import { openSockets } from '../../../support/files/descriptors.js';
import { cleanUp, client, stopAll } from '../../../support/gateway/gateway.js';
import { handProvider, listProvider } from '../../../support/providers/providers.js';
import { until, untilStill } from '../../../support/until.js';

afterEach(stopAll);

const words = Array.from({ length: 200 }, (_, i) => `word-${i} `);

/** An app around a gateway, which counts the bytes that Node itself wrote to each stream's socket. */
async function startApp(options, { middleware, create = (app) => http.createServer(app) } = {}) {
  const gateway = createGateway({ provider: listProvider(words), logger: false, ...options });
  const written = [];
  const app = express();
  if (middleware) app.use(middleware);
  app.use((req, res, next) => {
    if (req.path === '/v1/stream') {
      const before = req.socket.bytesWritten;
      res.on('finish', () => written.push(req.socket.bytesWritten - before));
    }
    next();
  });
  app.use(gateway.router());
  const server = create(app);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp(async () => {
    await gateway.close({ drainMs: 0 });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const base = `http://127.0.0.1:${server.address().port}`;
  return { base, written, gateway, ...client(base) };
}

async function streamed(app) {
  const { body: job } = await app.submit({ prompt: 'hi' });
  const stream = await app.read(job.stream_url);
  expect(stream.text).toBe(words.join(''));
  await until(() => app.written.length === 1, 'the response to finish');
  return { body: Buffer.byteLength(stream.raw), byNode: app.written[0] };
}

test('on a plain socket the reactor writes the body, Node only head and end', async () => {
  const { body, byNode } = await streamed(await startApp({}));
  expect(body).toBeGreaterThan(10_000);
  expect(byNode).toBeLessThan(1000);
});

test('egress: "node" sends everything through Node', async () => {
  const { body, byNode } = await streamed(await startApp({ egress: 'node' }));
  expect(byNode).toBeGreaterThan(body);
});

test('a middleware that wraps the response sees the body', async () => {
  const seen = [];
  const app = await startApp(
    {},
    {
      middleware: (_req, res, next) => {
        const write = res.write;
        res.write = (chunk, ...rest) => {
          seen.push(Buffer.from(chunk).toString());
          return write.call(res, chunk, ...rest);
        };
        next();
      },
    },
  );
  await streamed(app);
  expect(seen.join('')).toContain('word-199');
});

test('TLS goes through Node, encrypted', async () => {
  const { base, gateway } = await startApp(
    {},
    { create: (app) => https.createServer({ key, cert: certificate }, app) },
  );
  const job = await gateway.submit({ prompt: 'hi' });
  const text = await new Promise((resolve, reject) => {
    const url = `${base.replace('http:', 'https:')}${job.streamUrl}`;
    https
      .get(url, { ca: certificate, servername: 'localhost' }, (response) => {
        let raw = '';
        response.setEncoding('utf8').on('data', (chunk) => (raw += chunk));
        response.on('end', () => resolve(raw));
      })
      .on('error', reject);
  });
  expect(text).toContain('word-199');
  expect(text).toContain('job_complete');
});

test('an HTTP/1.0 client gets unchunked frames and the end of the connection', async () => {
  const { base, gateway } = await startApp({});
  const job = await gateway.submit({ prompt: 'hi' });
  const raw = await new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(base).port), '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    socket.on('end', () => resolve(text)).on('error', reject);
    socket.write(`GET ${job.streamUrl} HTTP/1.0\r\n\r\n`);
  });
  expect(raw).toContain('\r\n\r\nretry: 2000\nid: 1-1\n');
  expect(raw).toContain('job_complete');
});

test('a pipelined request waits its turn', async () => {
  const { base, gateway } = await startApp({});
  const job = await gateway.submit({ prompt: 'hi' });
  const raw = await new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(base).port), '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      if (text.split('job_complete').length === 3 && text.endsWith('0\r\n\r\n')) {
        socket.destroy();
        resolve(text);
      }
    });
    socket.on('error', reject);
    const get = `GET ${job.streamUrl} HTTP/1.1\r\nHost: x\r\n\r\n`;
    socket.write(get + get);
  });
  const [, first, second] = raw.split('HTTP/1.1 200 OK');
  expect(first.split('id: 1-').length).toBe(202);
  expect(second.split('id: 1-').length).toBe(202);
});

test.each(['auto', 'shared'])(
  'a time-out of the server, which sees no writes of the reactor, does not cut a stream: %s',
  async (egress) => {
    const hand = handProvider();
    let server;
    const app = await startApp(
      { provider: hand.provider, egress },
      { create: (handler) => (server = http.createServer(handler)) },
    );
    server.timeout = 1000;
    server.keepAliveTimeout = 0;
    const job = await app.gateway.submit({ prompt: 'hi' });
    const agent = new http.Agent({ keepAlive: true });
    cleanUp(() => agent.destroy());
    const stream = await app.stream(job.streamUrl, { agent });
    const { socket } = stream.response;
    const run = await hand.call(0);
    for (let i = 1; i <= 30; i += 1) {
      run.push(`${i} `);
      await until(() => stream.events.length === i, `token ${i}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    run.end();
    await stream.done;
    expect(stream.ended).toBe(true);
    // It goes for the connection as before once the stream is over.
    await until(() => socket.destroyed, 'the idle connection to be closed');
  },
);

// The kernel's own buffers grow to 4 MB on Linux; other kernels are theirs to tune.
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('a reader that stands still leaves little with the kernel', async () => {
  let yielded = 0;
  let begin = () => {};
  const begun = new Promise((resolve) => (begin = () => resolve(undefined)));
  const provider = async function* () {
    // Nobody holds it back before there is a reader.
    await begun;
    for (;;) yield `${'x'.repeat(1000)}${yielded++}`;
  };
  const { base, submit } = await startApp({ provider });
  const { body: job } = await submit({ prompt: 'hi' });
  const socket = net.connect(new URL(base).port, '127.0.0.1');
  cleanUp(() => socket.destroy());
  socket.pause();
  socket.write(`GET ${job.stream_url} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const isRead = async () =>
    /^sluice_open_streams 1$/m.test(await (await fetch(`${base}/metrics`)).text());
  await until(isRead, 'the reader');
  begin();
  await untilStill(() => yielded, 'the provider to stand still');
  expect(yielded).toBeGreaterThanOrEqual(256);
  expect(yielded).toBeLessThan(2000);
});

/** `SLUICE_STRESS_STREAMS=20000` for the long run. */
const stressStreams = Number(process.env.SLUICE_STRESS_STREAMS ?? 2000);

test('every descriptor is closed, however its stream ended', async () => {
  const { gateway, stream: open } = await startApp({
    provider: async function* tokens(_request, { signal }) {
      for (let i = 0; i < 20 && !signal.aborted; i += 1) {
        yield 'token ';
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    maxConcurrency: 1000,
    incomingCapacity: 1000,
  });
  const before = openSockets();
  const one = async (i) => {
    const job = await gateway.submit({ prompt: 'hi', disconnect_grace_ms: 0 });
    const stream = await open(job.streamUrl, { agent: false });
    if (i % 4 === 0) stream.close();
    else if (i % 4 === 1) await gateway.cancel(job.id);
    else if (i % 4 === 2) stream.response.socket.resetAndDestroy();
    await stream.closed;
    return stream;
  };
  let terminals = 0;
  for (let done = 0; done < stressStreams; done += 200) {
    const streams = await Promise.all(Array.from({ length: 200 }, (_, i) => one(i)));
    // Every uninterrupted or cancelled stream has received its whole ending.
    terminals += streams.filter(({ ended }) => ended).length;
  }
  expect(terminals).toBeGreaterThanOrEqual(stressStreams / 2);
  await until(() => openSockets() <= before, 'descriptors to be closed');
}, 300_000);
