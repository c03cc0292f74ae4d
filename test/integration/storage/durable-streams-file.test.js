/** `/v1/durable` with a data file: acknowledged data is there after a crash. */
import { ManualClock } from '../../../lib/index.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { until } from '../../support/until.js';
import { partsOf } from '../../support/gateway/parts.js';
import { startDurable } from '../../support/gateway/durable.js';
import { stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

const producer = (seq, epoch = 0) => ({
  'producer-id': 'p',
  'producer-epoch': String(epoch),
  'producer-seq': String(seq),
});

test('streams, forks, producers and offsets survive a crash', async () => {
  const data = dataFile();
  const first = await startDurable({ data });
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const bytes = { type: 'application/octet-stream' };
  const { offset: middle } = await first.put('bytes', all, bytes);
  await first.append('bytes', all, { ...bytes, ...producer(0), 'stream-seq': '5' });
  await first.put('fork', undefined, {
    ...bytes,
    'stream-forked-from': '/v1/durable/bytes',
    'stream-fork-offset': middle,
    'stream-fork-sub-offset': '3',
  });
  await first.append('fork', 'end', bytes);
  await first.put('json', '[1,2]', { type: 'application/json', 'stream-closed': 'true' });
  await first.put('gone', 'x');
  await first.remove('gone');
  const stateOf = async ({ read, head }) => {
    const answers = [];
    for (const path of ['bytes', 'fork', 'json', 'gone']) {
      const { status, text, offset, closed, headers } = await read(path);
      const described = (await head(path)).headers;
      const tag = [headers.get('etag'), described.get('etag'), described.get('content-type')];
      answers.push([path, status, text, offset, closed, tag]);
    }
    return answers;
  };
  const before = await stateOf(first);
  expect(before.map(([, status]) => status)).toEqual([200, 200, 200, 404]);

  const second = await startDurable({ data: afterCrash(data) });
  expect(await stateOf(second)).toEqual(before);
  expect(partsOf(second.gateway).durable.size).toBe(3);
  const again = await second.append('bytes', all, { ...bytes, ...producer(0) });
  expect([again.status, again.headers.get('producer-seq')]).toEqual([204, '0']);
  const lower = await second.append('bytes', 'x', { ...bytes, 'stream-seq': '4' });
  expect(lower.error.code).toBe('stream_seq_conflict');
  expect((await second.append('bytes', 'x', { ...bytes, ...producer(1) })).status).toBe(200);
  // The source is deleted, and its fork still has the data of it.
  await second.remove('bytes');
  expect((await second.read('bytes')).status).toBe(410);
  const third = await startDurable({ data: afterCrash(partsOf(second.gateway).options.data) });
  expect((await third.read('bytes')).status).toBe(410);
  expect(
    (await third.read('fork')).bytes.equals(
      Buffer.concat([all, all.subarray(0, 3), Buffer.from('end')]),
    ),
  ).toBe(true);
  await third.remove('fork');
  expect((await third.read('bytes')).status).toBe(404);
  expect(partsOf(third.gateway).durable.size).toBe(1);
});

test('a new stream at an old path has new offsets, also after a crash', async () => {
  const data = dataFile();
  const first = await startDurable({ data });
  const { offset } = await first.put('a', 'one');
  await first.remove('a');
  const second = await startDurable({ data: afterCrash(data) });
  await second.put('a', 'two');
  const { status, error } = await second.read('a', `?offset=${offset}`);
  expect([status, error.code]).toEqual([410, 'offset_gone']);
});

test('the data of a large deleted stream is deleted, also after a crash', async () => {
  const data = dataFile();
  const first = await startDurable({ data });
  await first.put('a', '');
  await first.appendMany('a', 'x', 2100);
  const { store } = partsOf(first.gateway);
  const { kv } = store.file;
  const [bytes, size] = [kv.stats().bytes, kv.size];
  expect(size).toBeGreaterThan(2100);
  await first.remove('a');
  const second = await startDurable({ data: afterCrash(data) });
  const ended = async ({ gateway }) => {
    const { kv: there } = partsOf(gateway).store.file;
    // Only the counters and the deletion's entry in the audit log remain.
    await until(() => there.size <= 2, 'the end of the deletion');
    expect(there.stats().bytes).toBeLessThan(bytes);
    return [...there.scan().items].map(({ key }) => key.split('/', 1)[0]).sort();
  };
  expect(await ended(first)).toEqual(['audit', 'durable']);
  expect(await ended(second)).toEqual(['audit', 'durable']);
});

test('the time to live continues over a restart', async () => {
  const data = dataFile();
  const first = await startDurable({ data });
  const soon = new Date(Date.now() + 3600_000).toISOString();
  await first.put('ttl', 'x', { 'stream-ttl': '60' });
  await first.put('at', 'x', { 'stream-expires-at': soon });
  await first.put('stays', 'x');
  const clock = new ManualClock();
  const { head, read } = await startDurable({ data: afterCrash(data), clock });
  clock.advanceMs(50_000);
  expect((await read('ttl')).status).toBe(200);
  clock.advanceMs(50_000);
  expect((await head('ttl')).status).toBe(200);
  clock.advanceMs(20_000);
  expect((await head('ttl')).status).toBe(404);
  expect((await head('at')).headers.get('stream-expires-at')).toBe(soon);
  clock.advanceMs(3600_000);
  expect((await head('at')).status).toBe(404);
  expect((await head('stays')).status).toBe(200);
});
