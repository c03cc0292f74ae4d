/** Bodies during their arrival: time limits and memory. */
import http from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { discardBody } from '../../../lib/http/middleware/body-guard.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

const MIB = 2 ** 20;
const sockets = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopAll();
});

/** A connection that has sent the head of a request, and records the answer. */
async function head({ port }, length, path = '/v1/jobs', { method = 'POST', headers = '' } = {}) {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const answer = { socket, text: '', closed: false };
  socket.setEncoding('utf8').on('data', (text) => (answer.text += text));
  socket.on('error', () => {}).on('close', () => (answer.closed = true));
  const size = length === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  socket.write(
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}` +
      `${size}\r\n\r\n`,
  );
  return answer;
}

/** Connections other than that of the test's own requests. */
const connectionsOf = (server) =>
  new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );

const HELD = 'sluice_memory_bytes{kind="bodies"}';

describe('time', () => {
  test.each(['/v1/jobs', '/v1/workflows', '/v1/kv/txn', '/v1/conversations'])(
    '%s: a client that sends nothing gets an error, and its connection is closed',
    async (path) => {
      const { server } = await start({ provider: echo, bodyIdleMs: 100 });
      const answer = await head(server, 100, path);
      answer.socket.write('{"prompt":');
      await until(() => answer.closed, 'the end of the connection');
      expect(answer.text).toMatch(/^HTTP\/1\.1 408 /);
      expect(answer.text).toContain('"code":"body_timeout"');
    },
  );

  test('the same for one that puts a value, and one that sends a log', async () => {
    const { server } = await start({ provider: echo, bodyIdleMs: 100 });
    const put = await head(server, 100, '/v1/kv/a', { method: 'PUT' });
    const log = await head(server, 100, '/v1/logs');
    for (const { socket } of [put, log]) socket.write('x');
    await until(() => put.closed && log.closed, 'the end of the connections');
    for (const { text } of [put, log]) {
      expect(text).toMatch(/^HTTP\/1\.1 408 /);
      expect(text).toMatch(/^connection: close\r$/im);
      expect(text).toContain('"code":"body_timeout"');
    }
  });

  test.each([
    ['POST', '/v1/jobs/job_1/cancel', 404, ''],
    ['GET', '/v1/jobs', 200, ''],
    ['DELETE', '/v1/kv/a', 404, ''],
    ['GET', '/v1/nothing', 404, ''],
    ['POST', '/v1/jobs/%ff', 400, ''],
    ['PATCH', '/v1/jobs', 405, ''],
    ['POST', '/v1/jobs', 403, 'origin: https://elsewhere.example\r\n'],
    [
      'OPTIONS',
      '/v1/jobs',
      204,
      'origin: https://listed.example\r\naccess-control-request-method: POST\r\n',
    ],
    ['GET', '/healthz', 200, ''],
    ['GET', '/', 200, ''],
    ['POST', '/elsewhere', 404, ''],
  ])(
    '%s %s is answered, and does not wait for ever for a body that nobody reads',
    async (method, path, status, headers) => {
      const { server } = await start({
        provider: echo,
        bodyIdleMs: 200,
        corsOrigins: ['https://listed.example'],
      });
      const answer = await head(server, 100, path, { method, headers });
      answer.socket.write('x');
      await until(() => answer.closed, 'the end of the connection');
      expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    },
  );

  test('a stream with such a body ends, too', async () => {
    const { provider } = handProvider();
    const { server, submit } = await start({ provider, bodyIdleMs: 200 });
    const { body } = await submit({ prompt: 'a' });
    const answer = await head(server, 100, body.stream_url, { method: 'GET' });
    await until(() => answer.closed, 'the end of the connection');
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ['is silent', 'x', 408, 'body_timeout'],
    ['sends too much', 'x'.repeat(11), 413, 'body_too_large'],
  ])('a client that %s gets an error', async (_name, text, status, code) => {
    const server = http.createServer((req, res) => {
      const fail = (error) => res.writeHead(error.status).end(error.wireCode);
      discardBody(req, res, { idleMs: 200, bytesMax: 10, fail });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const answer = await head(server.address(), 100);
    answer.socket.write(text);
    await until(() => answer.closed, 'the end of the connection');
    expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.text).toMatch(/^connection: close\r$/im);
    expect(answer.text).toContain(code);
    server.close();
  });

  test('an unread body has the same limit', async () => {
    const { server } = await start({ provider: echo, maxBodyBytes: 1000, bodyIdleMs: 60_000 });
    const answer = await head(server, 10_000, '/v1/jobs', { method: 'GET' });
    answer.socket.write('x'.repeat(1001));
    await until(() => answer.closed, 'the end of the connection');
  });

  test('the connection of a complete body is kept', async () => {
    const { server } = await start({ provider: echo, bodyIdleMs: 100 });
    const answer = await head(server, 3, '/v1/jobs', { method: 'GET' });
    answer.socket.write('abc');
    await until(() => answer.text.includes('"data":[]'), 'the answer');
    // Longer than the limit of silence within a body.
    await new Promise((resolve) => setTimeout(resolve, 300));
    answer.text = '';
    answer.socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until(() => answer.text !== '', 'the next answer');
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('one that continues to send has no total limit', async () => {
    const { server } = await start({ provider: echo, bodyIdleMs: 2000 });
    const body = JSON.stringify({ prompt: 'slow but sure' });
    const answer = await head(server, body.length);
    for (const letter of body) {
      answer.socket.write(letter);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until(() => answer.text !== '', 'the answer');
    expect(answer.text).toMatch(/^HTTP\/1\.1 201 /);
  });
});

describe('memory', () => {
  test('a body counts from its head on, until its request has been answered', async () => {
    const { server, metric, submit } = await start({ provider: echo, memoryBudgetBytes: 16 * MIB });
    const first = await head(server, 5 * MIB);
    await until(async () => (await metric(HELD)) === 10 * MIB, 'the first body');
    const second = await head(server, 5 * MIB);
    await until(() => second.text !== '', 'the refusal');
    expect(second.text).toMatch(/^HTTP\/1\.1 503 /);
    expect(second.text).toContain('"code":"memory_full"');
    expect(second.text).toMatch(/^retry-after: 1\r$/im);
    // A small body has room.
    expect((await submit({ prompt: 'a' })).status).toBe(201);
    first.socket.destroy();
    await until(async () => (await metric(HELD)) === 0, 'the end of the first');
    expect((await submit({ prompt: 'x'.repeat(4 * MIB) })).status).toBe(201);
    expect(await metric(HELD)).toBe(0);
  });

  test('a client that disconnects during its authentication leaves nothing behind', async () => {
    const waiting = [];
    const authenticate = (req) =>
      req.url === '/metrics' ? 'ops' : new Promise((resolve) => waiting.push(() => resolve('ann')));
    const { server, metric, gateway } = await start({ provider: echo, authenticate });
    const job = await gateway.submit({ prompt: 'a' }, { principal: 'ann' });
    const left = [
      await head(server, 5 * MIB),
      await head(server, 0, `/v1/stream?job_id=${job.id}`, { method: 'GET' }),
      await head(server, 0, '/v1/kv?watch=true', { method: 'GET' }),
    ];
    await until(() => waiting.length === 3, 'the hook');
    for (const { socket } of left) socket.destroy();
    await until(async () => (await connectionsOf(server)) === 0, 'the ends of the connections');
    for (const allow of waiting) allow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await metric(HELD)).toBe(0);
    expect(await metric('sluice_open_streams')).toBe(0);
  });

  test('a body of unknown length counts as it arrives', async () => {
    const { server, metric } = await start({ provider: echo, memoryBudgetBytes: 16 * MIB });
    const answer = await head(server, 'chunked');
    const chunk = 'x'.repeat(MIB);
    for (let i = 0; i < 10 && answer.text === ''; i += 1) {
      answer.socket.write(`${MIB.toString(16)}\r\n${chunk}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => answer.text !== '', 'the refusal');
    expect(answer.text).toMatch(/^HTTP\/1\.1 503 /);
    expect(await metric(HELD)).toBe(0);
  });
});
