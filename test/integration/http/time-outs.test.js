/** Connections stay open longer than the load balancers in front keep them. */
import net from 'node:net';
import { once } from 'node:events';
import { createGateway } from '../../../lib/index.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';

afterEach(stopAll);

async function listen(options) {
  const gateway = createGateway({ provider: echo, logger: false });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  return gateway.listen(options);
}

test('by default over 60 s, with more time for a head', async () => {
  const { keepAliveTimeout, headersTimeout, requestTimeout } = await listen();
  expect(keepAliveTimeout).toBe(75_000);
  expect(headersTimeout).toBe(80_000);
  expect(requestTimeout).toBeGreaterThanOrEqual(headersTimeout);
});

test('are those of the options', async () => {
  const own = await listen({ keepAliveTimeoutMs: 400_000 });
  expect([own.keepAliveTimeout, own.headersTimeout]).toEqual([400_000, 405_000]);
  expect(own.requestTimeout).toBeGreaterThanOrEqual(405_000);
  const both = await listen({ keepAliveTimeoutMs: 200, headersTimeoutMs: 250 });
  expect([both.keepAliveTimeout, both.headersTimeout]).toEqual([200, 250]);
});

test('a head never has less time than an idle connection', async () => {
  for (const headersTimeoutMs of [1000, 75_000]) {
    await expect(listen({ headersTimeoutMs })).rejects.toThrow(
      `headersTimeoutMs takes more than keepAliveTimeoutMs (75000), not ${headersTimeoutMs}`,
    );
  }
});

test('an idle connection is closed after that time, which answers announce', async () => {
  const { port } = await listen({ keepAliveTimeoutMs: 1000 });
  const socket = net.connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'end');
  expect(text).toContain('Keep-Alive: timeout=1\r\n');
  socket.destroy();
});
