/**
 * Particulars of upstream calls made by the reactor: they need no JavaScript,
 * they are there only where libcurl is, and they end with their thread.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { createGateway, providers } from '../../../lib/index.js';
import { startMockUpstream, streamTokens } from '../../support/upstream/mock-upstream.js';
import { certificate, certificatePath, key } from '../../support/upstream/localhost-certificate.js';
import { openStream } from '../../support/sse/sse-client.js';
import { until as eventually } from '../../support/until.js';

/** @type {(() => unknown)[]} */
const cleanups = [];
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.();
});

async function mock(respond) {
  const upstream = await startMockUpstream(respond);
  cleanups.push(() => upstream.close());
  return upstream;
}

/** A gateway in a separate thread that a test can block. */
async function startWorker(baseUrl) {
  const shared = new SharedArrayBuffer(4);
  const flag = new Int32Array(shared);
  const worker = new Worker(new URL('../../support/gateway/blocked-gateway.js', import.meta.url), {
    workerData: { baseUrl, client: 'native', shared },
  });
  const free = () => {
    Atomics.store(flag, 0, 0);
    Atomics.notify(flag, 0);
  };
  cleanups.push(() => worker.terminate());
  cleanups.push(free);
  const [url] = await once(worker, 'message');
  return {
    worker,
    async submit() {
      const response = await fetch(`${url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"prompt":"hi"}',
      });
      const { stream_url: path } = await response.json();
      return openStream(url + path);
    },
    async block() {
      worker.postMessage('block');
      await once(worker, 'message');
    },
    free,
  };
}

test('tokens and the end are relayed while JavaScript is blocked', async () => {
  let go = () => {};
  const started = new Promise((resolve) => (go = resolve));
  const upstream = await mock(async (exchange) => {
    exchange.open();
    await exchange.delta('first');
    await started;
    for (let i = 0; i < 50; i += 1) await exchange.delta(` ${i}`);
    await exchange.finish();
    await exchange.done();
    exchange.end();
  });
  const gateway = await startWorker(upstream.url);
  const stream = await gateway.submit();
  await eventually(() => stream.events.length === 1);
  await gateway.block();
  go();
  // The thread is blocked: everything below arrives without it.
  await eventually(() => stream.events.at(-1).type === 'job_complete');
  expect(stream.events).toHaveLength(52);
  gateway.free();
  await stream.done;
});

test('a thread that is terminated closes the sockets of its calls and of its streams', async () => {
  const upstream = await mock(async (exchange) => {
    exchange.open();
    await exchange.delta('first');
  });
  const gateway = await startWorker(upstream.url);
  const streams = await Promise.all(Array.from({ length: 5 }, () => gateway.submit()));
  await eventually(() => streams.every(({ events }) => events.length === 1));
  expect(upstream.openSockets).toBe(5);
  await gateway.worker.terminate();
  await Promise.all(upstream.exchanges.map(({ closed }) => closed));
  await Promise.all(streams.map(({ closed }) => closed));
  expect(streams.map(({ ended }) => ended)).toEqual(Array(5).fill(false));
});

test.each(['chat', 'completions'])(
  'jobs on several reactors all get their text, by %s',
  async (mode) => {
    const upstream = await mock(streamTokens({ tokens: ['a', 'b'] }));
    const provider = providers.openai({ baseUrl: upstream.url, mode, client: 'native' });
    const gateway = createGateway({ provider, reactors: 2, logger: false });
    cleanups.push(() => gateway.close({ drainMs: 0 }));
    const jobs = await Promise.all(['p', 'q', 'r'].map((prompt) => gateway.submit({ prompt })));
    for (const { id } of jobs) {
      await eventually(async () => (await gateway.get(id)).status === 'completed');
      expect((await gateway.get(id)).text).toBe('ab');
    }
  },
);

/** One job in a process with this environment. */
async function oneJob(baseUrl, client, env = {}) {
  const script = fileURLToPath(new URL('../../support/gateway/one-job.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, baseUrl, client], {
    env: { ...process.env, no_proxy: '*', ...env },
  });
  return JSON.parse(stdout);
}

describe('where there is no libcurl', () => {
  const env = { SLUICE_LIBCURL_PATH: '/nowhere/libcurl.so' };

  test('"auto" goes by undici', async () => {
    const upstream = await mock(streamTokens({ tokens: ['a', 'b'] }));
    expect(await oneJob(upstream.url, 'auto', env)).toMatchObject({
      type: 'job_complete',
      text: 'ab',
    });
  });

  test('"native" is refused, naming the missing part', async () => {
    expect(await oneJob('http://127.0.0.1:1', 'native', env)).toMatchObject({
      thrown: 'ERR_NO_NATIVE_CLIENT',
      message: expect.stringContaining('libcurl'),
    });
  });
});

describe('over TLS', () => {
  /** A server with a self-signed certificate, answering by HTTP/1.1 or HTTP/2. */
  async function secure(createServer) {
    const versions = [];
    const server = createServer((req, res) => {
      versions.push(req.httpVersion);
      req.resume();
      req.on('end', () => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const choice of [{ delta: { content: 'safe' } }, { finish_reason: 'stop' }]) {
          res.write(`data: ${JSON.stringify({ choices: [choice] })}\n\n`);
        }
        res.end('data: [DONE]\n\n');
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    return { url: `https://localhost:${server.address().port}`, versions };
  }
  const options = { key, cert: certificate };
  const http1 = (listener) => https.createServer(options, listener);
  const http12 = (listener) => http2.createSecureServer({ ...options, allowHTTP1: true }, listener);

  test('a certificate without a trusted issuer is refused', async () => {
    const { url, versions } = await secure(http1);
    expect(await oneJob(url, 'native')).toMatchObject({
      type: 'job_error',
      error: { code: 'upstream_unavailable', message: expect.stringMatching(/CERT_NOT_TRUSTED/) },
    });
    expect(versions).toEqual([]);
  });

  test.each([
    ['HTTP/1.1', http1, '1.1'],
    ['HTTP/2', http12, '2.0'],
  ])('a certificate in SSL_CERT_FILE is accepted, by %s', async (_, createServer, version) => {
    const { url, versions } = await secure(createServer);
    const env = { SSL_CERT_FILE: certificatePath };
    expect(await oneJob(url, 'native', env)).toMatchObject({ type: 'job_complete', text: 'safe' });
    expect(versions).toEqual([version]);
  });

  test('a long answer of a plain server arrives whole through a TLS proxy', async () => {
    const proxy = https.createServer({ key, cert: certificate }, async (req, res) => {
      for await (const chunk of req) void chunk;
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let i = 0; i < 100; i += 1) {
        res.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'x' } }] })}\n\n`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      res.write(`data: ${JSON.stringify({ choices: [{ finish_reason: 'stop' }] })}\n\n`);
      res.end('data: [DONE]\n\n');
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', () => resolve(undefined)));
    cleanups.push(() => new Promise((resolve) => proxy.close(resolve)));
    const env = {
      http_proxy: `https://localhost:${proxy.address().port}`,
      no_proxy: '',
      NO_PROXY: '',
      SSL_CERT_FILE: certificatePath,
    };
    expect(await oneJob('http://model.invalid/v1', 'native', env)).toMatchObject({
      type: 'job_complete',
      text: 'x'.repeat(100),
    });
  });

  test('certificates in the options of Node are trusted: "auto" then uses undici', async () => {
    const { url } = await secure(http1);
    const env = { NODE_EXTRA_CA_CERTS: certificatePath };
    expect(await oneJob(url, 'auto', env)).toMatchObject({ type: 'job_complete', text: 'safe' });
  });
});
