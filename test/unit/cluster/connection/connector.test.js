/** The sockets for ioredis. */
import { EventEmitter } from 'node:events';
import { createServer } from 'node:net';
import { connectorFor } from '../../../../lib/cluster/connection/connector.js';

test('a stream with two errors is harmless; ioredis reads the first', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  const locator = Object.assign(new EventEmitter(), {
    locate: async () => ({ host: '127.0.0.1', port }),
    isElsewhere: () => false,
    forget() {},
  });
  const connector = new (connectorFor(locator))();
  try {
    const stream = await connector.connect();
    const [first, second] = [new Error('alert'), new Error('reset')];
    stream.emit('error', first);
    stream.emit('error', second);
    expect(connector.firstError).toBe(first);
    stream.destroy();
  } finally {
    server.close();
  }
});
