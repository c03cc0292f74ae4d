/**
 * One case of the row of durability: node durable-case.mjs KIND CASE MILLISECONDS FOLDER. Prints one
 * line of JSON.
 *
 * Kinds `sluice` and `lmdb` with the cases `one` and `many`: records a second that are on the disk, 1
 * or 64 of them waited for at once. Kinds `memory` and `file` with the case `first`: milliseconds from
 * a submission to its first token, of a model that answers at once.
 */
import { join } from 'node:path';
import { createGateway } from '../../../lib/index.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { SqliteStore } from '../../../lib/jobs/storage/sqlite.js';
import { TOGETHER } from './durable.mjs';
import { median } from '../../lib/median.mjs';

const [, , kind, operation, ms, folder] = process.argv;

/** About the size of a small job in the data file. */
const BYTES = 200;
const value = 'x'.repeat(BYTES);

/** @returns {Promise<(n: number) => Promise<unknown>>} writes a record; resolves when it is on the disk */
async function writer() {
  if (kind === 'sluice') {
    const store = new SqliteStore(join(folder, 'data.db'));
    store.start(sharedReactor());
    return (n) => store.commit(['add_key', [`key-${n}`, 'f', value, 0]]);
  }
  const { open } = await import('lmdb');
  const db = open({ path: join(folder, 'lmdb') });
  return async (n) => {
    await db.put(n, value);
    // A put resolves once others can read it; this resolves once it is on the disk.
    await db.flushed;
  };
}

async function rate() {
  const write = await writer();
  const until = performance.now() + Number(ms);
  let [next, done] = [0, 0];
  const client = async () => {
    while (performance.now() < until) {
      await write(next++);
      done += 1;
    }
  };
  const start = performance.now();
  const clients = operation === 'one' ? 1 : TOGETHER;
  await Promise.all(Array.from({ length: clients }, client));
  return { perSecond: (done / (performance.now() - start)) * 1000 };
}

async function firstToken() {
  const gateway = createGateway({
    async *provider() {
      yield 'token';
    },
    logger: false,
    ...(kind === 'file' && { data: join(folder, 'data.db') }),
  });
  const spans = [];
  const until = performance.now() + Number(ms);
  while (performance.now() < until) {
    const start = performance.now();
    const { id } = await gateway.submit({ prompt: 'x' });
    for await (const { type } of gateway.stream(id)) {
      if (type === 'token') spans.push(performance.now() - start);
    }
  }
  await gateway.close();
  return { ms: median(spans) };
}

const result = operation === 'first' ? await firstToken() : await rate();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
