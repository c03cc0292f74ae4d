/** `openRedis().kv()` on a real Redis: the tables of all key-value stores, and what Redis adds. */
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { ManualClock, openRedis } from '../../../lib/index.js';
import { changesTable } from '../../support/kv/changes-table.js';
import { startRedis } from '../../support/cluster/redis.js';
import { storeTable } from '../../support/kv/store-table.js';
import { transactionTable } from '../../support/kv/transaction-table.js';
import { watchTable } from '../../support/kv/watch-table.js';

let server;
const opened = [];
let stores = 0;

beforeAll(async () => {
  server = await startRedis();
});

afterAll(() => server.stop());

afterEach(async () => {
  for (const shared of opened.splice(0)) await shared.close();
});

async function open(options) {
  const shared = await openRedis({ url: server.url, ...options });
  opened.push(shared);
  return shared;
}

/** A store under a clock of its own. */
async function make(options) {
  const clock = new ManualClock();
  const shared = await open({ clock });
  stores += 1;
  return { clock, store: shared.kv({ name: `store${stores}`, ...options }) };
}

storeTable(make);
changesTable(make);
transactionTable(make);
watchTable(make);
