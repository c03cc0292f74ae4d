/** `/v1/kv` with a data file: acknowledged writes are there after a restart or a crash. */
import fs from 'node:fs';
import { ManualClock, createGateway, providers } from '../../../lib/index.js';
import { SqliteStore } from '../../../lib/jobs/storage/sqlite.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

async function startKv(data, options) {
  const made = await start({ provider: providers.demo(), data, ...options });
  const put = (key, raw, { query = '', headers = {}, type = 'text/plain' } = {}) =>
    made.call('PUT', `/v1/kv/${key}${query}`, {
      raw,
      headers: { 'content-type': type, ...headers },
    });
  const read = (key) => made.get(`/v1/kv/${key}`);
  const remove = (key) => made.call('DELETE', `/v1/kv/${key}`);
  const txn = (success) => made.post('/v1/kv/txn', { success });
  return { ...made, put, read, remove, txn };
}

test('acknowledged writes are there after a crash, versions included', async () => {
  const data = dataFile();
  const first = await startKv(data);
  await first.put('text', 'one');
  const json = JSON.stringify({ list: [1, 'ä', null] });
  await first.put('json', json, { type: 'application/json' });
  await first.put('bytes', Buffer.from([0, 255]), { type: 'application/octet-stream' });
  await first.put('text', 'two');
  const answer = await first.txn([
    { op: 'put', key: 'in txn', value: 7 },
    { op: 'delete', key: 'bytes' },
    { op: 'put', key: 'dir/ä', value: 'ü' },
  ]);
  expect(answer.status).toBe(200);
  const keys = ['text', 'json', 'in%20txn', 'dir/%C3%A4'];
  const stateOf = async ({ read }) => {
    const all = await Promise.all(keys.map(read));
    return all.map(({ status, body, headers }) => [status, body, headers.get('etag')]);
  };
  const before = await stateOf(first);
  expect(before.map(([status]) => status)).toEqual([200, 200, 200, 200]);

  const second = await startKv(afterCrash(data));
  expect(await stateOf(second)).toEqual(before);
  expect((await second.read('bytes')).status).toBe(404);
  // The last change was a deletion or a set with version 7: the next change has a higher one.
  const { body } = await second.put('bytes', 'again');
  expect(body.version).toBeGreaterThan(7);
});

test('versions do not repeat after everything was deleted', async () => {
  const data = dataFile();
  const first = await startKv(data);
  const { version } = (await first.put('a', 'one')).body;
  expect((await first.remove('a')).status).toBe(204);
  const second = await startKv(afterCrash(data));
  expect((await second.get('/v1/kv')).body.items).toEqual([]);
  expect((await second.put('a', 'two')).body.version).toBeGreaterThan(version + 1);
});

test('a time to live continues while no server has the file', async () => {
  const data = dataFile();
  const first = await startKv(data);
  await first.put('short', 'x', { query: '?ttl_s=0.05' });
  await first.put('long', 'x', { query: '?ttl_s=5000' });
  const expires = (await first.read('long')).headers.get('x-expires-at');
  const copy = afterCrash(data);
  await until(async () => (await first.read('short')).status === 404);
  const second = await startKv(copy);
  expect((await second.read('short')).status).toBe(404);
  expect((await second.read('long')).headers.get('x-expires-at')).toBe(expires);
  await second.gateway.close();
  // It is removed from the file, too.
  const raw = new SqliteStore(copy, { readOnly: true });
  const keys = raw.select('entries', [0, 10]).map(([, key]) => key.toString());
  raw.release();
  expect(keys).toEqual(['kv/anonymous/long']);
});

test('entries that expire in a running server leave the file', async () => {
  const data = dataFile();
  const first = await startKv(data);
  await first.put('short', 'x', { query: '?ttl_s=0.02' });
  const left = () => {
    const raw = new SqliteStore(data, { readOnly: true });
    const rows = raw.select('entries', [0, 10]);
    raw.release();
    return rows.length;
  };
  await until(() => left() === 0);
});

test('works under a clock that is moved by hand', async () => {
  const data = dataFile();
  const clock = new ManualClock();
  const first = await startKv(data, { clock });
  await first.put('a', 'x', { query: '?ttl_s=60' });
  await first.gateway.close();
  const later = new ManualClock();
  const second = await startKv(data, { clock: later });
  expect((await second.read('a')).body).toBe('x');
  later.advanceMs(61_000);
  expect((await second.read('a')).status).toBe(404);
});

test('an impossible entry is reported, and the file is not changed', async () => {
  const data = dataFile();
  const raw = new SqliteStore(data);
  raw.start(sharedReactor());
  await raw.commit(['set_entry', [1, Buffer.from('a/b'), 999, Buffer.from('x'), null]]);
  await raw.close();
  const before = fs.readFileSync(data);
  const open = () => createGateway({ provider: providers.demo(), data, logger: false });
  expect(open).toThrow(/data\.db is damaged; .* \(an entry behind version 0 cannot be\)/);
  expect(fs.readFileSync(data).equals(before)).toBe(true);
});

test('the store is in the metrics', async () => {
  const { put, get } = await startKv(dataFile());
  await put('a', 'x');
  const { body } = await get('/metrics');
  expect(body).toMatch(/^sluice_store_commits_total [1-9]/m);
  expect(body).toMatch(/^sluice_store_batches_total [1-9]/m);
  expect(body).toMatch(/^sluice_store_queued 0$/m);
  expect(body).toMatch(/^sluice_store_state\{state="ok"\} 1$/m);
  expect(body).toMatch(/^sluice_store_state\{state="full"\} 0$/m);
  const memory = await startKv(undefined);
  expect((await memory.get('/metrics')).body).not.toMatch(/sluice_store/);
});
