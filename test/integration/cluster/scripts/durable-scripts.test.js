/** The scripts of durable streams on a real Redis, with time moved by hand. */
import { EventEmitter } from 'node:events';
import { ManualClock } from '../../../../lib/index.js';
import { ScriptCalls } from '../../../../lib/cluster/client/script-calls.js';
import { SharedDurable } from '../../../../lib/cluster/durable/shared-durable.js';
import { useScripts } from '../../../support/cluster/scripts.js';
import { scripts } from '../../../../lib/cluster/client/scripts.js';

const LIMITS = { streams: 10, ownStreams: 5, bytes: 100_000, ownBytes: 50_000 };
const TEXT = {
  ...{ type: 'text/plain', media: 'text/plain', asked: {}, ttlMs: null, expiresMs: null },
  ...{ closed: false, content: Buffer.alloc(0), isBad: false },
};
const HEAD = { maxBytes: 0, maxChunks: 0, isAccess: false };
const PAGE = { from: 0, maxBytes: 1000, maxChunks: 100, isAccess: true };

const t = useScripts();
let clock;
let streams;
const made = [];

afterEach(() => {
  for (const each of made.splice(0)) each.close();
});
beforeEach(() => {
  clock = new ManualClock();
  const redisClock = { deadlineUs: () => '' };
  const calls = new ScriptCalls({ send: t.run, runId: () => '', redisClock, clock });
  const channels = Object.assign(new EventEmitter(), { listen() {}, unlisten() {} });
  streams = new SharedDurable({ calls, channels });
  made.push(streams);
});

const create = (path, more, principal = 'me') =>
  streams.create(principal, path, { limits: LIMITS, ...TEXT, ...more });
const append = (path, text, more) => {
  const content = Buffer.from(text);
  const body = { hasBody: text !== '', media: 'text/plain', content, isBad: false, close: false };
  return streams.append('me', path, { limits: LIMITS, ...body, ...more });
};
const textOf = async (path, page) => {
  const { chunks } = await streams.read('me', path, { ...PAGE, ...page });
  return chunks.map(String);
};
const status = async (path) => (await streams.read('me', path, HEAD))?.head.deleted;

test('each script has its tests here', () => {
  const names = Object.keys(scripts()).filter((name) => name.startsWith('durable/'));
  const known = ['append', 'clear', 'create', 'delete', 'read', 'sweep', 'wait'];
  expect(names.sort()).toEqual(known.map((name) => `durable/${name}`));
});

test('a script that Redis runs after its deadline changes nothing', async () => {
  await create('a', { content: Buffer.from('one') });
  const before = await t.dump();
  const late = new ScriptCalls({
    ...{ send: t.run, runId: () => '' },
    redisClock: { deadlineUs: () => '1', sync: async () => {} },
  });
  const channels = Object.assign(new EventEmitter(), { listen() {}, unlisten() {} });
  const other = new SharedDurable({ calls: late, channels });
  made.push(other);
  const refused = { status: 503, code: 'storage_unavailable' };
  const content = Buffer.from('two');
  for (const call of [
    () => other.create('me', 'b', { limits: LIMITS, ...TEXT }),
    () =>
      other.append('me', 'a', {
        ...{ limits: LIMITS, hasBody: true, media: 'text/plain', content, isBad: false },
        close: true,
      }),
    () => other.delete('me', 'a'),
    () => other.clear('me'),
  ]) {
    const { status: code, wireCode } = await call().catch((error) => error);
    expect({ status: code, code: wireCode }).toEqual(refused);
  }
  expect(await t.dump()).toEqual(before);
});

test.each([
  // A producer at epoch 2, seq 1.
  ['an earlier epoch', { epoch: 1, seq: 2 }, { status: 'STALE', detail: '2' }],
  ['the same request', { epoch: 2, seq: 1 }, { status: 'SAME', producerSeq: 1 }],
  ['an earlier request', { epoch: 2, seq: 0 }, { status: 'SAME', producerSeq: 1 }],
  ['the next request', { epoch: 2, seq: 2 }, { status: 'OK' }],
  ['one too far', { epoch: 2, seq: 3 }, { status: 'GAP', detail: '2' }],
  ['a later epoch', { epoch: 3, seq: 0 }, { status: 'OK' }],
  ['a later epoch that does not begin', { epoch: 3, seq: 1 }, { status: 'ZERO' }],
  ['another producer', { id: 'q', epoch: 0, seq: 0 }, { status: 'OK' }],
  [
    'another producer that does not begin',
    { id: 'q', epoch: 0, seq: 1 },
    { status: 'GAP', detail: '0' },
  ],
])('%s of a producer', async (_name, producer, expected) => {
  await create('a');
  for (const seq of [0, 1]) await append('a', 'x', { producer: { id: 'p', epoch: 2, seq } });
  const outcome = await append('a', 'y', { producer: { id: 'p', ...producer } });
  expect(outcome).toMatchObject(expected);
  expect(await textOf('a')).toEqual(expected.status === 'OK' ? ['x', 'x', 'y'] : ['x', 'x']);
});

test.each([
  ['b', undefined, 'OK'],
  ['b', 'a', 'OK'],
  ['a', 'a', 'SEQ'],
  ['a', 'b', 'SEQ'],
  ['aa', 'a', 'OK'],
  ['a', 'aa', 'SEQ'],
  // By bytes, in any locale of the server.
  ['a', 'B', 'OK'],
  ['10', '9', 'SEQ'],
  ['é', 'z', 'OK'],
  ['', undefined, 'OK'],
  ['', 'a', 'SEQ'],
])('Stream-Seq %j after %j: %s', async (seq, last, expected) => {
  await create('a');
  if (last !== undefined) await append('a', 'x', { seq: last });
  expect(await append('a', 'y', { seq })).toMatchObject({ status: expected });
});

test.each([
  ['no such stream', 'b', {}, 'NONE'],
  ['nothing to do', 'a', { text: '' }, 'EMPTY'],
  ['a body without a type', 'a', { media: undefined }, 'UNTYPED'],
  ['another type', 'a', { media: 'text/html' }, 'MISMATCH'],
  ['bad content', 'a', { isBad: true }, 'BAD'],
  ['too much', 'a', { limits: { ...LIMITS, ownBytes: 10 } }, 'FULL'],
  ['too much of all', 'a', { limits: { ...LIMITS, bytes: 10 } }, 'FULL'],
])('an append is refused: %s', async (_name, path, { text = 'x', ...more }, expected) => {
  await create('a');
  const before = await t.dump();
  expect(await append(path, text, more)).toMatchObject({ status: expected });
  expect(await t.dump()).toEqual(before);
  // None of that keeps it from closing.
  expect(await append('a', '', { close: true, limits: { bytes: 0, ownBytes: 0 } })).toMatchObject({
    status: 'OK',
    head: { closed: true },
  });
});

test('a page ends at its bytes or appends, and begins anywhere', async () => {
  await create('a');
  for (const text of ['abc', 'defg', 'h', 'ijklmnop']) await append('a', text);
  const page = async (from, maxBytes, maxChunks = 100) => {
    const { chunks, to, isBoundary } = await streams.read('me', 'a', {
      ...{ from, maxBytes, maxChunks, isAccess: false },
    });
    return [chunks.join('|'), to, isBoundary];
  };
  expect(await page(0, 100)).toEqual(['abc|defg|h|ijklmnop', 16, true]);
  expect(await page(0, 8)).toEqual(['abc|defg|h', 8, true]);
  expect(await page(0, 7)).toEqual(['abc|defg', 7, true]);
  expect(await page(0, 6)).toEqual(['abc', 3, true]);
  expect(await page(8, 3)).toEqual(['ijklmnop', 16, true]);
  expect(await page(0, 100, 2)).toEqual(['abc|defg', 7, true]);
  expect(await page(5, 100)).toEqual(['fg|h|ijklmnop', 16, false]);
  expect(await page(15, 100)).toEqual(['p', 16, false]);
  expect(await page(16, 100)).toEqual(['', 16, true]);
  expect(await page(17, 100)).toEqual(['', 17, false]);
});

test('forks of forks read every part of their sources', async () => {
  const forkAt = (head, path, base) => ({
    ...{ id: head.id, path, space: head.space, base },
    inherited: [...head.inherited, { id: head.id, from: head.base, to: head.tail }]
      .map((part) => ({ ...part, to: Math.min(part.to, base) }))
      .filter(({ from, to }) => from < to),
  });
  const headOf = async (path) => (await streams.read('me', path, HEAD)).head;
  await create('a');
  for (const text of ['abcd', 'efgh']) await append('a', text);
  await create('b', { origin: forkAt(await headOf('a'), 'a', 6), content: Buffer.from('BB') });
  await create('c', { origin: forkAt(await headOf('b'), 'b', 7), content: Buffer.from('C') });
  expect(await textOf('b')).toEqual(['abcd', 'ef', 'BB']);
  expect(await textOf('c')).toEqual(['abcd', 'ef', 'B', 'C']);
  expect(await textOf('c', { from: 5 })).toEqual(['f', 'B', 'C']);
  const { origin } = { origin: forkAt(await headOf('a'), 'a', 2) };
  await streams.delete('me', 'a');
  expect((await create('d', { origin })).status).toBe('MOVED');
  await streams.delete('me', 'b');
  expect([await status('a'), await status('b')]).toEqual([true, true]);
  expect(await textOf('c')).toEqual(['abcd', 'ef', 'B', 'C']);
  await streams.delete('me', 'c');
  expect(Object.keys(await t.dump())).toEqual(['{t}:durable']);
  expect(await t.admin.hmget('{t}:durable', 'streams', 'bytes')).toEqual(['0', '0']);
});

test('a stream expires when its time is over, unless it is used or waited for', async () => {
  const { head } = await create('a', { ttlMs: 1000 });
  await create('b', { expiresMs: clock.nowMs() + 3000 });
  for (let i = 0; i < 3; i += 1) {
    clock.advanceMs(900);
    expect(await textOf('a')).toEqual([]);
  }
  clock.advanceMs(999);
  const look = async (...ids) =>
    (await t.run('durable/wait', ['durable'], [String(clock.nowMs() * 1000), '', ...ids])).slice(1);
  expect(await look(head.id)).toEqual(['0']);
  clock.advanceMs(999);
  // A look at the head alone is no use.
  expect(await status('a')).toBe(false);
  expect(await status('b')).toBeUndefined();
  clock.advanceMs(1);
  expect(await look(head.id)).toEqual(['0']);
  clock.advanceMs(1000);
  expect(await append('a', 'x')).toEqual({ status: 'NONE' });
  expect(await look(head.id)).toEqual(['-']);
});

test('expired streams free their room by themselves, and on demand', async () => {
  for (const path of ['a', 'b', 'c', 'd', 'e']) await create(path, { ttlMs: 1000 });
  expect(await create('f')).toEqual({ status: 'FULL', detail: 'maxStreamsPerPrincipal' });
  for (let i = 0; i < 5; i += 1) await create(`${i}`, { ttlMs: 2000 }, 'you');
  expect(await create('f', {}, 'him')).toEqual({ status: 'FULL', detail: 'maxStreams' });
  clock.advanceMs(1000);
  expect(await create('f')).toMatchObject({ status: 'OK' });
  expect(await t.admin.hget('{t}:durable', 'streams')).toBe('9');
  clock.advanceMs(1000);
  expect(await streams.sweep()).toBe(1);
});

test('an id never returns, also where Redis has lost its data', async () => {
  const first = (await create('a')).head.id;
  await streams.delete('me', 'a');
  const second = (await create('a')).head.id;
  expect(second).toBeGreaterThan(first);
  await t.admin.flushall();
  clock.advanceMs(1);
  expect((await create('a')).head.id).toBeGreaterThan(second);
});

test('a full server still reads and deletes, and changes nothing else', async () => {
  await create('a', { ttlMs: 1000, content: Buffer.from('x') });
  clock.advanceMs(500);
  const [, used] = /used_memory:(\d+)/.exec(await t.admin.info('memory'));
  await t.admin.config('SET', 'maxmemory', String(Math.floor(Number(used) / 2)));
  try {
    expect(await append('a', 'y').catch(({ status: code }) => code)).toBe(507);
    expect(await textOf('a')).toEqual(['x']);
    expect(await streams.delete('me', 'a')).toEqual({ status: 'OK' });
    expect(await status('a')).toBeUndefined();
  } finally {
    await t.admin.config('SET', 'maxmemory', '0');
  }
});
