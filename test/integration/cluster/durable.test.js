/** `/v1/durable` of several gateways on one Redis. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { eventsOf, testDurable } from '../../support/gateway/durable-tests.js';
import { partsOf } from '../../support/gateway/parts.js';
import { startDurable } from '../../support/gateway/durable.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { useDeployments } from '../../support/cluster/gateways.js';

const { server, own } = useDeployments();

/** A gateway of the deployment of a test. */
const open = (options, common) =>
  startDurable({ ...options, redis: { ...own, commandTimeoutMs: 30_000 } }, common);

/** Two gateways of one deployment. */
const openTwo = (options, common) => Promise.all([open(options, common), open(options, common)]);

const keysOf = () => server.keys(`{${own.prefix}}:durable*`);
const JSON_TYPE = { type: 'application/json' };

describe('in Redis', () =>
  testDurable(open, (gateway) => partsOf(gateway).deployed.streams.sweep()));

test('every process answers the same', async () => {
  const [a, b] = await openTwo();
  const { offset } = await a.put('dir/a', '[1,2]', { ...JSON_TYPE, 'stream-ttl': '600' });
  await b.append('dir/a', '3', { ...JSON_TYPE, 'stream-seq': '5' });
  const stateAt = async ({ read, head }) => {
    const answers = [];
    for (const answer of [
      await read('dir/a'),
      await read('dir/a', `?offset=${offset}`),
      await read('dir/a', '?offset=now'),
      await head('dir/a'),
    ]) {
      const headers = Object.fromEntries(answer.headers);
      for (const name of ['date', 'connection', 'keep-alive', 'x-request-id']) delete headers[name];
      answers.push([answer.status, answer.text, headers]);
    }
    return answers;
  };
  const here = await stateAt(a);
  expect(here.map(([, text]) => text)).toEqual(['[1,2,3]', '[3]', '[]', '']);
  expect(await stateAt(b)).toEqual(here);
  const lower = await a.append('dir/a', '4', { ...JSON_TYPE, 'stream-seq': '4' });
  expect(lower.error.code).toBe('stream_seq_conflict');
  expect((await b.put('dir/a', '[1,2]', { ...JSON_TYPE, 'stream-ttl': '600' })).status).toBe(200);
});

test('readers at one process get the data appended at another, up to the end', async () => {
  const [a, b] = await openTwo({ durable: { longPollMs: 600_000, sseMs: 600_000 } });
  await a.put('s', 'one ');
  const events = fetch(b.at('s?offset=-1&live=sse')).then((response) => response.text());
  const poll = b.read('s', '?offset=now&live=long-poll');
  await b.readers(2);
  const { offset } = await a.append('s', 'two ');
  expect(await poll).toMatchObject({ status: 200, text: 'two ', offset, upToDate: true });
  const last = b.read('s', `?offset=${offset}&live=long-poll`);
  await b.readers(2);
  await a.append('s', 'three', { 'stream-closed': 'true' });
  expect(await last).toMatchObject({ status: 200, text: 'three', closed: true });
  const received = eventsOf(await events);
  const data = received.filter(({ type }) => type === 'data').map((event) => event.data);
  expect(data.join('')).toBe('one two three');
  expect(JSON.parse(received.at(-1).data)).toMatchObject({ streamClosed: true });
  expect((await b.append('s', 'more')).error.code).toBe('stream_closed');
});

test('a reader gets the data that a lost message announced', async () => {
  const [a, b] = await openTwo({ durable: { longPollMs: 600_000 } });
  await a.put('s', 'one');
  const { cluster } = partsOf(b.gateway).deployed;
  cluster.removeAllListeners('published');
  const poll = b.read('s', '?offset=now&live=long-poll');
  await b.readers(1);
  await a.append('s', 'two');
  expect((await poll).text).toBe('two');
});

test('a deleted stream ends the readers of another process', async () => {
  const [a, b] = await openTwo({ durable: { longPollMs: 600_000 } });
  await a.put('s', 'one');
  const poll = b.read('s', '?offset=now&live=long-poll');
  await b.readers(1);
  expect((await a.remove('s')).status).toBe(204);
  expect((await poll).status).toBe(404);
  expect(await keysOf()).toEqual([`{${own.prefix}}:durable`]);
});

test('producers are fenced at every process, and may repeat safely', async () => {
  const [a, b] = await openTwo();
  await a.put('s', '');
  const as = (epoch, seq, id = 'p') => ({
    'producer-id': id,
    'producer-epoch': String(epoch),
    'producer-seq': String(seq),
  });
  expect((await a.append('s', 'a', as(0, 0))).status).toBe(200);
  expect((await b.append('s', 'a', as(0, 0))).status).toBe(204);
  expect((await b.append('s', 'c', as(0, 2))).headers.get('producer-expected-seq')).toBe('1');
  expect((await b.append('s', 'b', as(1, 0))).status).toBe(200);
  const fenced = await a.append('s', 'x', as(0, 1));
  expect([fenced.status, fenced.headers.get('producer-epoch')]).toEqual([403, '1']);
  expect((await a.append('s', 'x', as(2, 1))).error.param).toBe('producer-seq');
  // The same requests at both processes at once: each takes effect once.
  const nodes = [a, b];
  for (let seq = 0; seq < 10; seq += 1) {
    const answers = [...nodes, ...nodes].map(({ append }) =>
      append('s', `${seq}`, as(0, seq, 'q')),
    );
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 204, 204, 204]);
  }
  const closing = { ...as(0, 10, 'q'), 'stream-closed': 'true' };
  expect((await a.append('s', '.', closing)).status).toBe(200);
  expect((await b.append('s', '.', closing)).status).toBe(204);
  expect((await b.read('s')).text).toBe('ab0123456789.');
});

test('concurrent appends of two processes are all stored, in one order', async () => {
  const [a, b] = await openTwo();
  await a.put('s', '[]', JSON_TYPE);
  const made = Array.from({ length: 60 }, (_, i) => i);
  await Promise.all(made.map((i) => [a, b][i % 2].append('s', String(i), JSON_TYPE)));
  const all = JSON.parse((await b.read('s')).text);
  expect([...all].sort((x, y) => x - y)).toEqual(made);
  expect(JSON.parse((await a.read('s')).text)).toEqual(all);
});

test('a fork reads the data of its source, also once that is deleted', async () => {
  const [a, b] = await openTwo();
  const from = { 'stream-forked-from': '/v1/durable/s' };
  const { offset } = await a.put('s', 'abc');
  await a.append('s', 'def');
  await a.append('s', 'ghi');
  const fork = { ...from, 'stream-fork-offset': offset, 'stream-fork-sub-offset': '2' };
  const made = await b.put('f', 'XYZ', fork);
  expect(made.status).toBe(201);
  expect((await a.put('f', 'XYZ', fork)).status).toBe(200);
  await a.append('f', '!');
  await b.put('ff', '?', { 'stream-forked-from': '/v1/durable/f' });
  expect((await a.remove('s')).status).toBe(204);
  for (const [path, text] of [
    ['f', 'abcdeXYZ!'],
    ['ff', 'abcdeXYZ!?'],
  ]) {
    expect((await a.read(path)).text).toBe(text);
    expect((await b.read(path)).text).toBe(text);
  }
  expect((await b.read('s')).status).toBe(410);
  expect((await b.remove('s')).status).toBe(410);
  expect((await b.put('g', '', from)).error.code).toBe('stream_exists');
  await b.remove('f');
  expect((await a.read('ff')).text).toBe('abcdeXYZ!?');
  await b.remove('ff');
  expect(await keysOf()).toEqual([`{${own.prefix}}:durable`]);
  expect((await a.read('s')).status).toBe(404);
});

test('a stream expires for all, but not while a reader of one of them waits', async () => {
  const [a, b] = await openTwo({ durable: { longPollMs: 600_000 } });
  const ttl = { 'stream-ttl': '1' };
  await a.put('read', 'x', ttl);
  await a.put('left', 'x', ttl);
  await a.put('fixed', 'x', { 'stream-expires-at': new Date(Date.now() + 1000).toISOString() });
  const poll = b.read('read', '?offset=now&live=long-poll');
  const fixed = b.read('fixed', '?offset=now&live=long-poll');
  await until(async () => (await a.head('left')).status === 404, 'the end of a stream');
  expect((await fixed).status).toBe(404);
  const { headers, status } = await a.head('read');
  expect([status, headers.get('stream-ttl')]).toEqual([200, '1']);
  await a.append('read', 'y');
  expect((await poll).text).toBe('y');
});

test('limits apply to all processes together', async () => {
  const access = { keys: [entry('ann', 'ann'), entry('bob', 'bob')] };
  const [a, b] = await openTwo({ access, durable: { maxStreams: 3, maxStreamsPerPrincipal: 2 } });
  const put = (node, key, path) => node.ask('PUT', path, { headers: bearer(key) });
  expect((await put(a, 'ann', '1')).status).toBe(201);
  expect((await put(b, 'ann', '2')).status).toBe(201);
  expect((await put(a, 'ann', '3')).error.message).toContain('there may be: 2');
  expect((await put(a, 'bob', '1')).status).toBe(201);
  expect((await put(b, 'bob', '2')).error.message).toContain('no room for more streams');
});

test('the erasure of a principal leaves nothing of its streams in Redis', async () => {
  const access = {
    keys: [entry('ann', 'ann'), entry('bob', 'bob'), entry('root', 'root', { admin: true })],
  };
  const [a, b] = await openTwo({ access });
  for (const key of ['ann', 'bob']) {
    await a.ask('PUT', 's', { headers: { ...bearer(key), 'stream-ttl': '600' }, body: key });
    const fork = { ...bearer(key), 'stream-forked-from': '/s' };
    await b.ask('PUT', 'f', { headers: fork, body: key });
  }
  const erased = await b.ask('DELETE', '../principals/ann', { headers: bearer('root') });
  expect(erased.status).toBe(204);
  const keys = await keysOf();
  expect(keys.filter((key) => key.includes('ann'))).toEqual([]);
  // Two streams of bob and the data of each, the paths, the deadlines, the bytes and the counts.
  expect(keys).toHaveLength(8);
  expect((await a.read('s', '', bearer('ann'))).status).toBe(404);
  expect((await a.read('f', '', bearer('bob'))).text).toBe('bobbob');
});

test('while Redis is away nothing is answered from memory', async () => {
  const away = await startRedis();
  const prefix = own.prefix;
  const node = await startDurable({ redis: { url: away.url, prefix, commandTimeoutMs: 200 } });
  expect((await node.put('s', 'x')).status).toBe(201);
  await away.kill();
  for (const answer of [
    await node.put('t', 'x'),
    await node.append('s', 'y'),
    await node.read('s'),
    await node.read('s', '?offset=now&live=sse'),
    await node.remove('s'),
  ]) {
    expect([answer.status, answer.error.code]).toEqual([503, 'storage_unavailable']);
    expect(answer.headers.get('retry-after')).toBe('1');
  }
  await away.stop();
});
