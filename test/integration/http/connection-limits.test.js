/** Limits of the connections of a server, in all and from one address. */
import net from 'node:net';
import http from 'node:http';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { createGateway } from '../../../lib/index.js';
import { cleanUp, client, stopAll } from '../../support/gateway/gateway.js';
import { defaultMaxConnections, descriptorLimit } from '../../../lib/http/connection-limits.js';
import { handProvider } from '../../support/providers/providers.js';
import { killAll, serve } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

afterEach(stopAll);
afterEach(killAll);

/** A server with these options, and a way to connect to it. */
async function listening(options) {
  const hand = handProvider();
  const gateway = createGateway({ provider: hand.provider, logger: false });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  const server = await gateway.listen(options);
  const open = async () => {
    const socket = net.connect(server.port, '127.0.0.1');
    cleanUp(() => socket.destroy());
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    return socket;
  };
  /** Whether the server keeps the connection. */
  const kept = async (socket) => {
    if (socket.destroyed) return false;
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const ends = ['close', 'data'].map((event) => once(socket, event).then(() => event));
    return (await Promise.race(ends)) === 'data';
  };
  return { gateway, server, open, kept, hand, ...client(server.url) };
}

test('connections beyond the limit are closed at once, and counted', async () => {
  const { server, open, kept, gateway } = await listening({ maxConnections: 2 });
  const [a, b] = [await open(), await open()];
  expect([await kept(a), await kept(b)]).toEqual([true, true]);
  expect(await kept(await open())).toBe(false);
  b.destroy();
  await until(async () => kept(await open()), 'a place');
  a.destroy();
  // After that: fetch may wait forever on a connection that is closed while it opens.
  await until(
    async () => (await promisify(server.getConnections).call(server)) < 2,
    'another place',
  );
  const figures = await (await fetch(`${server.url}/metrics`)).text();
  expect(figures).toMatch(/^sluice_connections_refused_total\{limit="all"\} [1-9]/m);
  expect(gateway.ready()).toBe(true);
});

test('connections of one address count, whether Node has them or a stream', async () => {
  const { server, open, kept, submit, hand, get } = await listening({
    maxConnectionsPerAddress: 3,
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  cleanUp(() => agent.destroy());
  const { body } = await submit({ prompt: 'a' }, { connection: 'close' });
  const stream = http.get(server.url + body.stream_url, { agent });
  const [response] = await once(stream, 'response');
  (await hand.call(0)).push('text');
  await once(response, 'data');
  // The stream, one more, and the connection of the job, if it is still open.
  const sockets = [await open(), await open(), await open(), await open()];
  const states = [];
  for (const socket of sockets) states.push(await kept(socket));
  expect(states.filter(Boolean).length).toBeLessThanOrEqual(2);
  expect(states.at(-1)).toBe(false);
  // After the stream its connection is Node's again, and counts once.
  (await hand.call(0)).end();
  await once(response.resume(), 'end');
  const next = http.get(`${server.url}/healthz`, { agent });
  const [health] = await once(next, 'response');
  expect(health.statusCode).toBe(200);
  health.resume();
  expect(await kept(await open())).toBe(false);
  for (const socket of sockets) socket.destroy();
  await until(async () => kept(await open()), 'a place');
  agent.destroy();
  expect((await get('/healthz').catch(() => ({ status: 200 }))).status).toBe(200);
});

test('the default leaves a reserve', async () => {
  expect(defaultMaxConnections(1024, 1)).toBe(896);
  expect(defaultMaxConnections(65_536, 1)).toBe(57_344);
  expect(defaultMaxConnections(65_536, 2)).toBe(28_672);
  expect(defaultMaxConnections(64, 1)).toBe(1);
  expect(defaultMaxConnections(Infinity, 1)).toBe(Infinity);
  const { server } = await listening({});
  expect(server.maxConnections).toBe(defaultMaxConnections(descriptorLimit(), 1));
});

test('sluice serve logs the limit at start', async () => {
  const { output } = await serve('--max-connections', '123');
  await until(() => output.stderr.includes('"max_connections":123'));
});

test.each([
  [{ maxConnections: 0 }, 'maxConnections'],
  [{ maxConnectionsPerAddress: 1.5 }, 'maxConnectionsPerAddress'],
])('%j is refused by name', async (options, name) => {
  await expect(listening(options)).rejects.toThrow(name);
});
