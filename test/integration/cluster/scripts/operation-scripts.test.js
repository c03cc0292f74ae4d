/** Operations in Redis, script by script: lists, stored state, retries. */
import { useScripts } from '../../../support/cluster/scripts.js';

const t = useScripts('a', 'b');

const FIELDS = [
  'kind',
  'workflow',
  'snapshot',
  '{"n":0}',
  'status',
  'running',
  'request',
  '{"r":1}',
];
const place = (cost = 1) => [['c:principal/me', String(cost), '1']];

/** An operation of process a that holds a place. */
const admit = (id = 'w', options = {}) =>
  t.admit('a', id, { fields: FIELDS, parts: { quota: place() }, ...options });
const progress = (
  process = 'a',
  { id = 'w', attempt = '1', snapshot = '{"n":1}' } = {},
  nodes = [],
) => t.run('operations/progress', [`job:${id}`], [process, id, attempt, snapshot, ...nodes.flat()]);
const finish = (owner = 'a', last = '1-0', snapshot = '{"n":2}') =>
  t.finish(owner, 'w', last, { settlement: JSON.stringify({ snapshot }), status: 'failed' });
const reopen = (
  process = 'b',
  { attempt = '1', parts, deadline = '', token = 'r' } = {},
  nodes = [],
) =>
  t.run(
    'operations/reopen',
    ['job:w'],
    [
      ...['9000', deadline, process, 'w', attempt, '70000', '9'],
      ...[parts === undefined ? '' : JSON.stringify(parts), '{"n":3}', token, ...nodes.flat()],
    ],
  );
const nodes = (id = 'w') => t.admin.hgetall(`{t}:nodes:${id}`);
const outputs = (id = 'w') => t.admin.hgetall(`{t}:outputs:${id}`);
const listed = (key) => t.admin.zrange(`{t}:${key}`, 0, -1);
/** Two nodes, one with an output. */
const NODES = [
  ['x', '{"s":1}', '{"text":"X"}'],
  ['y', '{"s":2}', ''],
];

test('one is listed with its kind, and not with jobs', async () => {
  await admit();
  await t.admit('a', 'j');
  expect(await listed('workflows:me')).toEqual(['w']);
  expect(await listed('jobs:me')).toEqual(['j']);
  const [, , jobs] = await t.run('list', ['workflows:me'], ['', '10', 'running', '100']);
  expect(jobs.map(([id]) => id)).toEqual(['w']);
  expect(jobs[0]).not.toContain('request');
  expect(jobs[0]).toEqual(expect.arrayContaining(['snapshot', '{"n":0}']));
  await t.finish('a', 'j', '1-0');
  await finish();
  expect(await listed('ended_workflows:me')).toEqual(['w']);
  expect(await listed('ended:me')).toEqual(['j']);
});

describe('the latest ones of all principals', () => {
  const recent = async (limit = 10) =>
    t.run('operations/recent', ['recent_workflows'], [String(limit)]);

  test('are returned unchanged, newest first', async () => {
    await admit('w', { clock: '1000' });
    await admit('v', { clock: '2000', principal: 'you', parts: undefined });
    await t.admit('a', 'j', { clock: '3000' });
    await progress();
    expect(await recent()).toEqual([
      ['v', 'you', 'running', '1', '2000', '{"n":0}'],
      ['w', 'me', 'running', '1', '1000', '{"n":1}'],
    ]);
    expect((await recent(1)).map(([id]) => id)).toEqual(['v']);
    await finish();
    expect((await recent())[1]).toEqual(['w', 'me', 'failed', '1', '1000', '{"n":2}']);
    await reopen();
    expect((await recent())[1]).toEqual(['w', 'me', 'running', '2', '1000', '{"n":3}']);
    expect(await t.ttl('recent_workflows')).toBeGreaterThan(60_000);
  });

  test('omit missing ones, and have a hundred at most', async () => {
    for (let i = 0; i < 101; i += 1) {
      await admit(`w${i}`, { clock: String(1000 + i), parts: undefined });
    }
    expect(await listed('recent_workflows')).toHaveLength(100);
    expect(await listed('recent_workflows')).not.toContain('w0');
    await t.admin.del('{t}:job:w100');
    expect((await recent(2)).map(([id]) => id)).toEqual(['w99', 'w98']);
    expect(await listed('recent_workflows')).not.toContain('w100');
    await t.finish('a', 'w99', '1-0', { status: 'failed' });
    expect(await t.run('erase', ['job:w99'], ['w99', 'me'])).toBe('OK');
    expect(await listed('recent_workflows')).not.toContain('w99');
  });
});

describe('progress', () => {
  beforeEach(() => admit());

  test('writes the snapshot and the nodes that have changed, which live as long as the operation', async () => {
    expect(await progress('a', {}, NODES)).toBe('OK');
    expect(await t.field('w', 'snapshot')).toBe('{"n":1}');
    expect([await nodes(), await outputs()]).toEqual([
      { x: '{"s":1}', y: '{"s":2}' },
      { x: '{"text":"X"}' },
    ]);
    for (const key of ['nodes:w', 'outputs:w']) expect(await t.ttl(key)).toBeGreaterThan(50_000);
    // y gets an output; that of x stays, then is removed; then both are as in a new one.
    await progress('a', {}, [
      ['x', '{"s":3}', ''],
      ['y', '{"s":4}', '{"text":"Y"}'],
    ]);
    expect(await outputs()).toEqual({ x: '{"text":"X"}', y: '{"text":"Y"}' });
    await progress('a', {}, [['x', '', '-']]);
    expect([await nodes(), await outputs()]).toEqual([{ y: '{"s":4}' }, { y: '{"text":"Y"}' }]);
  });

  test.each([
    ['another process', 'FENCED', () => progress('b', {}, NODES)],
    ['another attempt', 'FENCED', () => progress('a', { attempt: '2' }, NODES)],
    ['an unknown one', 'GONE', () => progress('a', { id: 'v' }, NODES)],
  ])('has no effect for %s', async (_name, answer, call) => {
    const before = await t.dump();
    expect(await call()).toBe(answer);
    expect(await t.dump()).toEqual(before);
  });

  test('has no effect on one that has ended', async () => {
    await finish();
    const before = await t.dump();
    expect(await progress('a', {}, NODES)).toBe('ENDED');
    expect(await t.dump()).toEqual(before);
  });
});

test('the ending has the last snapshot, keeps the request and the nodes, and frees the place', async () => {
  await admit();
  await progress('a', {}, NODES);
  expect(await t.members('c:principal/me')).toEqual(['w']);
  expect(await finish()).toBe('OK');
  expect(await t.admin.hgetall('{t}:job:w')).toMatchObject({
    ...{ status: 'failed', snapshot: '{"n":2}', request: '{"r":1}' },
  });
  expect(await t.members('c:principal/me')).toEqual([]);
  for (const key of ['job:w', 'log:w', 'nodes:w', 'outputs:w']) {
    const ttl = await t.ttl(key);
    expect([key, ttl > 20_000 && ttl <= 30_000]).toEqual([key, true]);
  }
});

describe('take', () => {
  const take = (options) => t.take('b', 'w', 'a', { room: '0', ...options });
  beforeEach(() => admit());

  test('fails a lost one, with and without events, also where jobs are run again', async () => {
    expect(await t.bury('b', 'a', '1')).toBe('OK');
    const [answer, ...flat] = await take({ onLost: 'rerun' });
    expect(answer).toBe('FAIL');
    expect(flat).toEqual(expect.arrayContaining(['kind', 'workflow', 'attempt', '1', 'lost', '1']));
    expect(await t.log('w')).toEqual(['1-0 r {}']);
    expect(await finish('b', '1-0')).toBe('OK');
    expect(await t.members('c:principal/me')).toEqual([]);
  });

  test('cancels one with a requested cancellation', async () => {
    await t.run('cancel', ['job:w'], ['', '', 'b', 'w', 'me', 'client_request']);
    expect((await take({ reason: 'cancel' }))[0]).toBe('CANCEL');
  });
});

describe('reopen', () => {
  beforeEach(async () => {
    await admit();
    await t.token('w', '1-5');
    await progress('a', {}, NODES);
    await finish('a', '1-5');
  });

  test('transfers it to the calling process, with only a new attempt in its log', async () => {
    const [answer, results] = await reopen('b', { parts: { quota: place() } }, [['x', '', '-']]);
    expect([answer, JSON.parse(results)]).toEqual(['OK', { quota: [['1', '0', '0', '0']] }]);
    const fields = await t.admin.hgetall('{t}:job:w');
    expect(fields).toMatchObject({
      ...{ owner: 'b', attempt: '2', status: 'running', started_ms: '9', snapshot: '{"n":3}' },
      request: '{"r":1}',
    });
    for (const gone of ['final', 'ended_ms']) expect(fields).not.toHaveProperty(gone);
    expect(await t.log('w')).toEqual(['2-0 r {}']);
    expect([await nodes(), await outputs()]).toEqual([{ y: '{"s":2}' }, {}]);
    expect(await t.members('open:b')).toEqual(['w']);
    expect(await t.members('c:principal/me')).toEqual(['w']);
    expect(await listed('ended_workflows:me')).toEqual([]);
    expect(await listed('workflows:me')).toEqual(['w']);
    for (const key of ['job:w', 'log:w', 'nodes:w']) {
      expect(await t.ttl(key)).toBeGreaterThan(60_000);
    }
    // As after a lost answer.
    const before = await t.dump();
    expect(await reopen('b')).toEqual(['OK', '']);
    expect(await reopen('b', { deadline: '8999' })).toEqual(['OK', '']);
    // Another request of the same process.
    expect(await reopen('b', { token: 'other' })).toEqual(['MOVED']);
    expect(await t.dump()).toEqual(before);
    // The former owner is fenced, and cannot write its ending.
    expect(await finish('a', '1-5')).toBe('FENCED');
    expect(await finish('b', '2-0')).toBe('OK');
    expect(await t.members('c:principal/me')).toEqual([]);
  });

  test.each([
    ['another attempt', ['MOVED'], () => reopen('b', { attempt: '2' })],
    ['a process that is no member', ['BURIED'], () => reopen('x')],
    ['a deadline that has passed', ['LATE'], () => reopen('b', { deadline: '8999' })],
  ])('has no effect for %s', async (_name, answer, call) => {
    const before = await t.dump();
    expect(await call()).toEqual(answer);
    expect(await t.dump()).toEqual(before);
  });

  test('has no effect on a running one, or on one already tried again', async () => {
    await reopen('a');
    const before = await t.dump();
    expect(await reopen('b')).toEqual(['MOVED']);
    expect(await t.dump()).toEqual(before);
    await t.admin.del('{t}:job:w');
    expect(await reopen('b')).toEqual(['GONE']);
  });

  test('is refused by a limit, and reserves nothing', async () => {
    await t.admin.sadd('{t}:c:principal/me', 'other');
    await t.admin.hset('{t}:job:other', 'owner', 'a');
    const before = await t.dump();
    const [answer, part] = await reopen('b', { parts: { quota: place() } });
    expect([answer, part]).toEqual(['REFUSED', 'quota']);
    expect(await t.dump()).toEqual(before);
  });
});

test('erased, withdrawn, or beyond the bound, one leaves nothing', async () => {
  const before = await t.dump();
  await admit();
  await progress('a', {}, NODES);
  expect(await t.run('retract', ['job:w'], ['a', 'w', '5000', 'a'])).toBe('OK');
  expect(await t.dump()).toEqual(before);
  await admit();
  await progress('a', {}, NODES);
  await finish();
  expect(await t.run('erase', ['job:w'], ['w', 'me'])).toBe('OK');
  await t.admin.del('{t}:ctl:a');
  expect(await t.dump()).toEqual(before);
  await admit();
  await progress('a', {}, NODES);
  await finish();
  const retained = ['retained_workflows', 'retained_workflows:total'];
  expect(await t.run('retain', retained, ['workflow', '1', '100', 'me'])).toBe(0);
  expect(await t.run('retain', retained, ['workflow', '0', '100', 'me'])).toBe(1);
  await t.admin.del('{t}:retained_workflows:total');
  expect(await t.dump()).toEqual(before);
});

test('lost with all data, one is written again with its kind', async () => {
  await t.admin.flushall();
  await t.join('a');
  const parts = JSON.stringify({ quota: place() });
  const args = ['a', 'w', 'me', '60000', '5000', parts, '0', '', '', '', ...FIELDS];
  expect(await t.run('rewrite', ['job:w'], [...args, 'attempt', '2'])).toBe('OK');
  expect(await listed('workflows:me')).toEqual(['w']);
  expect(await t.members('c:principal/me')).toEqual(['w']);
  expect(await progress('a', { attempt: '2' }, NODES)).toBe('OK');
});
