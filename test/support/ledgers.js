/** Both implementations of a ledger, for tests of both. */
import { Ledger } from '../../lib/index.js';
import { openRedis } from '../../lib/cluster/open-redis.js';
import { startRedis } from './cluster/redis.js';

/**
 * A table for `describe.each`. `make({clock})` resolves with a new ledger, whose answers are to be awaited;
 * `start` and `stop` are for beforeAll and afterAll.
 */
export const implementations = [
  {
    name: 'Ledger',
    start: async () => {},
    stop: async () => {},
    make: async (options) => new Ledger(options),
  },
  ledgersOnRedis(),
];

function ledgersOnRedis() {
  let server;
  const opened = [];
  return {
    name: 'SharedLedger',
    start: async () => (server = await startRedis()),
    async make({ clock } = {}) {
      const prefix = `t${opened.length}`;
      const shared = await openRedis({ url: server.url, prefix, clock });
      opened.push(shared);
      return shared.ledger();
    },
    async stop() {
      await Promise.all(opened.map((shared) => shared.close()));
      await server.stop();
    },
  };
}

/** The code of the error of a call, synchronous or not; 'none' without one. */
export async function codeOf(call) {
  try {
    await call();
  } catch (error) {
    return error.code;
  }
  return 'none';
}
