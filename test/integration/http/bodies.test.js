/** Bodies while they come in: how long they may take, and what they hold meanwhile. */
import { connect } from 'node:net';
import { echo } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

const MIB = 2 ** 20;
const sockets = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopAll();
});

/** A connection that has sent the head of a POST, and writes down what comes back. */
async function head({ port }, length, path = '/v1/jobs') {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const answer = { socket, text: '', closed: false };
  socket.setEncoding('utf8').on('data', (text) => (answer.text += text));
  socket.on('error', () => {}).on('close', () => (answer.closed = true));
  const size = length === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${size}\r\n\r\n`,
  );
  return answer;
}

const held = async (get) => {
  const { body } = await get('/metrics');
  return Number(/^sluice_memory_bytes\{kind="bodies"\} (\d+)$/m.exec(body)[1]);
};

describe('time', () => {
  test.each(['/v1/jobs', '/v1/workflows', '/v1/kv/txn', '/v1/conversations'])(
    '%s: a client that sends nothing is told so, and its connection is closed',
    async (path) => {
      const { server } = await start({ provider: echo, bodyIdleMs: 100 });
      const answer = await head(server, 100, path);
      answer.socket.write('{"prompt":');
      await until(() => answer.closed, 'the end of the connection');
      expect(answer.text).toMatch(/^HTTP\/1\.1 408 /);
      expect(answer.text).toContain('"code":"body_timeout"');
    },
  );

  test('so is one that puts a value, and one that sends a log', async () => {
    const { server } = await start({ provider: echo, bodyIdleMs: 100 });
    const put = await head(server, 100, '/v1/kv/a');
    const log = await head(server, 100, '/v1/logs');
    for (const { socket } of [put, log]) socket.write('x');
    await until(() => put.closed && log.closed, 'the end of the connections');
  });

  test('one that goes on sending may take its time', async () => {
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
    const { server, get, submit } = await start({ provider: echo, memoryBudgetBytes: 16 * MIB });
    const first = await head(server, 5 * MIB);
    await until(async () => (await held(get)) === 10 * MIB, 'the first body');
    const second = await head(server, 5 * MIB);
    await until(() => second.text !== '', 'the refusal');
    expect(second.text).toMatch(/^HTTP\/1\.1 503 /);
    expect(second.text).toContain('"code":"memory_full"');
    expect(second.text).toMatch(/^retry-after: 1\r$/im);
    // What is small has room.
    expect((await submit({ prompt: 'a' })).status).toBe(201);
    first.socket.destroy();
    await until(async () => (await held(get)) === 0, 'the end of the first');
    expect((await submit({ prompt: 'x'.repeat(4 * MIB) })).status).toBe(201);
    expect(await held(get)).toBe(0);
  });

  test('one of unknown length counts as it comes', async () => {
    const { server, get } = await start({ provider: echo, memoryBudgetBytes: 16 * MIB });
    const answer = await head(server, 'chunked');
    const chunk = 'x'.repeat(MIB);
    for (let i = 0; i < 10 && answer.text === ''; i += 1) {
      answer.socket.write(`${MIB.toString(16)}\r\n${chunk}\r\n`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => answer.text !== '', 'the refusal');
    expect(answer.text).toMatch(/^HTTP\/1\.1 503 /);
    expect(await held(get)).toBe(0);
  });
});
