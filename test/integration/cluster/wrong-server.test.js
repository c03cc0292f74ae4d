/** Other servers at the address of Redis: one line of error, without a request for a report. */
import { createServer } from 'node:net';
import { createServer as createWebServer } from 'node:http';
import { once } from 'node:events';
import { RedisClient } from '../../../lib/cluster/client/redis-client.js';
import { killAll, sluiceWith } from '../../support/crash/cli.js';
import { parseRedisUrl } from '../../../lib/cluster/connection/address.js';
import { refusal } from '../../support/cluster/gateways.js';

const servers = [];
const sockets = new Set();
afterEach(() => {
  killAll();
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** @returns {Promise<number>} the port of a server that listens from now on */
async function listen(server) {
  servers.push(server);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

const web = () => createWebServer((_req, res) => res.end('hello'));
/** Answers each line as memcached does. */
const memcached = () =>
  createServer((socket) => {
    socket.on('data', (data) => socket.write('ERROR\r\n'.repeat(String(data).split('\n').length)));
  });

test.each([
  ['a web server', web, '"H"'],
  ['memcached', memcached, '"E"'],
])('%s is named by the error of listen()', async (_name, make, first) => {
  const port = await listen(make());
  const error = await refusal({ url: `redis://:secret@127.0.0.1:${port}` });
  expect(error).toMatchObject({ code: 'ERR_REDIS_PROTOCOL' });
  expect(error.message).toBe(
    `Redis at redis://127.0.0.1:${port} is no server of Redis (its answer begins with ${first}).`,
  );
});

test('`serve` reports it in one line, and exits with 1', async () => {
  const port = await listen(web());
  const args = ['serve', '--port', '0', '--redis', `redis://127.0.0.1:${port}`];
  const { code, stderr } = await sluiceWith({}, ...args).exited;
  expect(code).toBe(1);
  const lines = stderr.split('\n').filter((line) => line.startsWith('sluice: '));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('is no server of Redis (its answer begins with "H").');
  expect(stderr).not.toContain('report');
});

test('TLS to a server without it: an alert of a web server is final, the silence of Redis a hint', async () => {
  const port = await listen(web());
  const error = await refusal({ url: `rediss://127.0.0.1:${port}` });
  expect(error).toMatchObject({ code: 'ERR_REDIS_TLS' });
  expect(error.message).toMatch(/^[^\n]+cannot be reached by TLS \([^\n]+\)\.$/);
  // As Redis does, which waits for the end of a line.
  const silentPort = await listen(createServer(() => {}));
  const client = new RedisClient({
    address: parseRedisUrl('url', `rediss://127.0.0.1:${silentPort}`),
    ...{ prefix: '{t}:', commandTimeoutMs: 5000 },
  });
  const [state, detail] = await once(client, 'state');
  client.close();
  expect(state).toBe('unreachable');
  expect(detail).toMatch(/TLS.*: a server without TLS takes redis:\/\//);
});
