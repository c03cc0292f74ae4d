/** Each script by itself on a real Redis: answers, effects, refusals and remains. */
import { useScripts } from '../../../support/cluster/scripts.js';
import { scripts } from '../../../../lib/cluster/client/scripts.js';
import { until } from '../../../support/until.js';

const t = useScripts('a', 'b');

/** A job of process a. */
const job = async (id = 'j', options = {}) => {
  expect((await t.admit('a', id, options))[0]).toBe('OK');
};

/** Buries a process of which nothing else is known. */
const bury = async (name) => expect(await t.bury('b', name, '1')).toBe('OK');

const outcome = async (promise) => (await promise)[0];

test('each script has its tests here', () => {
  const tested = `
    admit announce beat began bury cancel erase estate finish join known leave list messages note offer placed
    readers retain retract rewrite take`.trim();
  // The scripts of faces are covered by the tests of their routes.
  const faces = ['chat', 'delivered', 'forget_faces', 'orphan'];
  // The scripts of other subjects, `subject/name`, have separate tests.
  const own = Object.keys(scripts()).filter((name) => !name.includes('/'));
  expect(own.sort()).toEqual([...tested.split(/\s+/), ...faces].sort());
});

describe('announce', () => {
  test('sends the message to all processes but one, and to no unknown one', async () => {
    await t.join('c');
    expect(await t.run('announce', ['procs'], ['b', 'forget ann'])).toBe(2);
    for (const [name, messages] of [
      ['a', ['forget ann']],
      ['b', []],
      ['c', ['forget ann']],
      ['d', []],
    ]) {
      expect(await t.run('messages', [`ctl:${name}`], [])).toEqual(messages);
    }
  });
});

describe('join', () => {
  test('returns epoch and secret of the first process, and the lease of the members', async () => {
    expect(await t.join('c', { lease: '2000', clock: '77' })).toEqual([
      'OK',
      '77',
      'epoch1',
      'secret1',
      '10000',
      [],
    ]);
    await t.run('leave', ['procs'], ['a']);
    await t.run('leave', ['procs'], ['b']);
    await t.run('leave', ['procs'], ['c']);
    expect((await t.join('d', { lease: '2000' }))[4]).toBe('2000');
  });

  test('is refused by a newer schema, without a trace', async () => {
    await t.admin.hset('{t}:meta', 'schema', '2');
    const before = await t.dump();
    expect(await t.join('c')).toEqual(['NEWER', '2']);
    expect(await t.dump()).toEqual(before);
  });

  test('refuses the name of a process counted as dead', async () => {
    await job();
    await bury('a');
    expect(await t.join('a')).toEqual(['BURIED']);
  });

  test('takes over the jobs of its former name that were not taken', async () => {
    await job('j1');
    await job('j2');
    await bury('a');
    expect(await outcome(t.take('b', 'j1', 'a'))).toBe('RUN');
    const [answer, , , , , ids] = await t.join('a2', { was: 'a' });
    expect([answer, ids]).toEqual(['OK', ['j2']]);
    expect(await t.field('j2', 'owner')).toBe('a2');
    expect(await t.field('j1', 'owner')).toBe('b');
    expect(await t.members('dead')).toEqual([]);
    expect((await t.admin.keys('*')).filter((key) => key.endsWith(':a'))).toEqual([]);
    // An ending may still arrive under the old name.
    expect(await t.finish('a', 'j2', '1-0')).toBe('OK');
  });
});

describe('admit', () => {
  test('makes a job with a log, and with one per choice', async () => {
    expect(await t.admit('a', 'j', { choices: 3 })).toEqual(['OK', '5000', '']);
    for (const id of ['j', 'j.1', 'j.2']) expect(await t.log(id)).toEqual(['1-0 r {}']);
    expect(await t.admin.hgetall('{t}:job:j')).toMatchObject({
      ...{ owner: 'a', attempt: '1', lost: '0', status: 'queued', principal: 'me' },
      ...{ model: 'm', request: '{"prompt":"p"}', created_us: '5000', choices: '3' },
    });
    expect(await t.members('open:a')).toEqual(['j']);
    for (const key of ['job:j', 'log:j', 'log:j.2']) {
      expect(await t.ttl(key)).toBeGreaterThan(50_000);
    }
  });

  test('has no effect twice', async () => {
    await job();
    const before = await t.dump();
    expect(await t.admit('a', 'j', { clock: '9000' })).toEqual(['OK', '5000', '']);
    expect(await t.dump()).toEqual(before);
  });

  test('refuses after its deadline, and for a process that is no member', async () => {
    const before = await t.dump();
    expect(await t.admit('a', 'j', { clock: '5001', deadline: '5000' })).toEqual(['LATE']);
    expect(await t.admit('x', 'j', { key: 'k' })).toEqual(['BURIED']);
    expect(await t.dump()).toEqual(before);
    expect(await outcome(t.admit('a', 'j', { clock: '5000', deadline: '5000' }))).toBe('OK');
  });

  test('with an idempotency key is one job, with an answer once it is placed', async () => {
    expect(await outcome(t.admit('a', 'j', { key: 'k' }))).toBe('OK');
    const known = (key, print = 'f') => t.run('known', [`idem:${key}`], [print]);
    expect(await t.admit('b', 'j2', { key: 'k' })).toEqual(['PENDING', 'j']);
    expect(await known('k')).toEqual(['PENDING', 'j']);
    expect(await t.admit('b', 'j2', { key: 'k', print: 'g' })).toEqual(['REUSED']);
    expect(await known('k', 'g')).toEqual(['REUSED']);
    expect(await known('other')).toEqual(['NEW']);
    expect(await t.run('placed', ['job:j'], ['90000', '{"id":"j"}'])).toBe('OK');
    expect(await t.admit('b', 'j2', { key: 'k' })).toEqual(['KNOWN', 'j', '{"id":"j"}']);
    expect(await t.admin.exists('{t}:job:j2')).toBe(0);
    expect(await t.ttl('idem:k')).toBeGreaterThan(80_000);
    // The answer outlives the job.
    await t.admin.del('{t}:job:j');
    expect(await t.admit('b', 'j2', { key: 'k' })).toEqual(['KNOWN', 'j', '{"id":"j"}']);
    expect(await known('k')).toEqual(['KNOWN', 'j', '{"id":"j"}']);
  });

  test('reuses a key whose job was gone before it was placed', async () => {
    await t.admit('a', 'j', { key: 'k' });
    await t.run('retract', ['job:j'], ['a', 'j']);
    expect(await outcome(t.admit('b', 'j2', { key: 'k', print: 'g' }))).toBe('OK');
    expect(await t.admin.hget('{t}:idem:k', 'job')).toBe('j2');
  });
});

describe('retract', () => {
  test('leaves nothing', async () => {
    const before = await t.dump();
    await job('j', { choices: 2, key: 'k' });
    expect(await t.run('retract', ['job:j'], ['a', 'j'])).toBe('OK');
    expect(await t.dump()).toEqual(before);
    expect(await t.run('retract', ['job:j'], ['a', 'j'])).toBe('GONE');
  });

  test('is refused to another process', async () => {
    await job();
    const before = await t.dump();
    expect(await t.run('retract', ['job:j'], ['b', 'j'])).toBe('FENCED');
    expect(await t.dump()).toEqual(before);
  });

  test('is granted to the process that has admitted it, under its new name as well', async () => {
    const before = await t.dump();
    await job('j', { choices: 2, key: 'k' });
    expect(await t.run('retract', ['job:j'], ['b', 'j', '', 'a'])).toBe('OK');
    expect(await t.dump()).toEqual(before);
  });
});

test('placed reports a missing job, and marks a job as placed', async () => {
  expect(await t.run('placed', ['job:j'], ['90000', '{}'])).toBe('GONE');
  await job();
  const before = await t.dump();
  expect(await t.run('placed', ['job:j'], ['90000', '{}'])).toBe('OK');
  before['{t}:job:j'].placed = '1';
  expect(await t.dump()).toEqual(before);
});

test('began records the first start and the last attempt', async () => {
  await job();
  const began = (owner, at, attempt, upstream) =>
    t.run('began', ['job:j'], [owner, at, attempt, upstream]);
  expect(await began('b', '1', '1', '')).toBe('FENCED');
  expect(await began('a', '6000', '1', 'u1')).toBe('OK');
  expect(await began('a', '7000', '2', '')).toBe('OK');
  expect(await t.admin.hgetall('{t}:job:j')).toMatchObject({
    ...{ status: 'running', started_ms: '6000', attempt: '2' },
  });
  expect(await t.field('j', 'upstream')).toBeNull();
  await t.finish('a', 'j', '1-0');
  expect(await began('a', '8000', '3', 'u3')).toBe('ENDED');
  expect(await t.field('j', 'upstream')).toBeNull();
  expect(await began('a', '8000', '1', 'u1')).toBe('ENDED');
  expect(await t.field('j', 'upstream')).toBe('u1');
  expect(await t.run('began', ['job:x'], ['a', '1', '1', ''])).toBe('GONE');
});

test('note changes a job that exists', async () => {
  expect(await t.run('note', ['job:j'], ['extra', '{}'])).toBe(0);
  expect(await t.admin.exists('{t}:job:j')).toBe(0);
  await job();
  expect(await t.run('note', ['job:j'], ['extra', '{"a":1}'])).toBe(1);
  expect(await t.field('j', 'extra')).toBe('{"a":1}');
});

describe('finish', () => {
  beforeEach(async () => {
    await job('j', { choices: 2 });
    await t.token('j', '1-5');
  });

  test('writes the ending once, and ends the job', async () => {
    expect(await t.finish('a', 'j', '1-5')).toBe('OK');
    expect(await t.log('j')).toEqual(['1-0 r {}', '1-5 t hi', '1-6 x {"type":"e"} f {"f":1}']);
    expect(await t.admin.hgetall('{t}:job:j')).toMatchObject({
      ...{ status: 'completed', ended_ms: '7000', final: '{"f":1}' },
    });
    expect(await t.field('j', 'request')).toBeNull();
    expect(await t.members('open:a')).toEqual([]);
    expect(await t.admin.zrange('{t}:ended:me', 0, -1, 'WITHSCORES')).toEqual(['j', '7000']);
    for (const key of ['job:j', 'log:j']) expect(await t.ttl(key)).toBeLessThanOrEqual(30_000);
    const before = await t.dump();
    expect(await t.finish('a', 'j', '1-5')).toBe('DONE');
    expect(await t.finish('a', 'j', '1-6')).toBe('FENCED');
    expect(await t.dump()).toEqual(before);
  });

  test.each([
    ['another owner', { owner: 'b' }],
    ['another last id', { last: '1-4' }],
    ['a later attempt', { last: '2-0' }],
    ['another ending at its place', { last: '1-4' }],
  ])('is refused for %s', async (_name, { owner = 'a', last = '1-5' }) => {
    const before = await t.dump();
    expect(await t.finish(owner, 'j', last)).toBe('FENCED');
    expect(await t.dump()).toEqual(before);
  });

  test('of a choice ends its log only', async () => {
    expect(await t.finish('a', 'j', '1-0', { role: 'choice', log: 'j.1' })).toBe('OK');
    expect(await t.log('j.1')).toEqual(['1-0 r {}', '1-1 x {"type":"e"} f {"f":1}']);
    expect(await t.field('j', 'status')).toBe('queued');
    expect(await t.finish('a', 'j', '1-5')).toBe('OK');
  });

  test('reports a missing job or log', async () => {
    await t.admin.del('{t}:log:j');
    expect(await t.finish('a', 'j', '1-5')).toBe('GONE');
    expect(await t.finish('a', 'x', '1-5')).toBe('GONE');
  });
});

describe('take', () => {
  const fieldsOf = (flat) =>
    Object.fromEntries(flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : [])));

  test('of a job that the heir no longer has is the same, or one more loss', async () => {
    const again = (onLost = 'fail') =>
      t.take('b', 'j', 'a', { reason: 'again', onLost, room: '0' });
    await job();
    expect(await again()).toEqual(['FENCED']);
    await bury('a');
    const [first, ...flat] = await t.take('b', 'j', 'a');
    expect(first).toBe('RUN');
    const before = await t.dump();
    expect(await again()).toEqual(['RUN', ...flat]);
    expect(await t.dump()).toEqual(before);
    await t.token('j', '2-1');
    const [next, ...fields] = await again('rerun');
    expect(next).toBe('RUN');
    expect(fieldsOf(fields)).toMatchObject({ owner: 'b', attempt: '3', lost: '2' });
    expect(await t.log('j')).toContain('3-0 r {}');
    await t.token('j', '3-1');
    expect(await outcome(again())).toBe('FAIL');
    expect(await outcome(again())).toBe('FAIL');
    expect(await t.members('open:b')).toEqual(['j']);
    await t.admit('b', 'k');
    expect(await t.take('b', 'k', 'a', { reason: 'again' })).toEqual(['FENCED']);
  });

  test('of a job without a token is its next attempt', async () => {
    await job('j', { choices: 2 });
    await bury('a');
    const [answer, ...flat] = await t.take('b', 'j', 'a');
    expect(answer).toBe('RUN');
    expect(fieldsOf(flat)).toMatchObject({
      ...{ owner: 'b', attempt: '2', lost: '1', status: 'queued', request: '{"prompt":"p"}' },
    });
    for (const id of ['j', 'j.1']) expect(await t.log(id)).toEqual(['1-0 r {}', '2-0 r {}']);
    expect(await t.members('open:a')).toEqual([]);
    expect(await t.members('open:b')).toEqual(['j']);
    // No entry of the earlier attempt can follow.
    await expect(t.token('j', '1-1')).rejects.toThrow(/equal or smaller/);
    expect(await t.finish('a', 'j', '1-0')).toBe('FENCED');
    const before = await t.dump();
    expect(await t.take('b', 'j', 'a')).toEqual([answer, ...flat]);
    expect(await t.dump()).toEqual(before);
  });

  test('of a job with a shared answer makes it call by itself, unless it ends', async () => {
    const parts = { usage: { model: 'm', shares: '1' } };
    const shared = async () => JSON.parse(await t.field('j', 'held')).usage.shares;
    await job('j', { parts });
    await t.run('note', ['job:j'], ['cache', 'join']);
    await bury('a');
    expect(await outcome(t.take('b', 'j', 'a', { room: '0' }))).toBe('ROOM');
    expect(await shared()).toBe('1');
    const [answer, ...flat] = await t.take('b', 'j', 'a');
    expect([answer, fieldsOf(flat).cache]).toEqual(['RUN', 'miss']);
    expect(JSON.parse(fieldsOf(flat).held)).toEqual({ usage: { model: 'm' } });
    await t.admin.flushall();
    for (const name of ['a', 'b']) await t.join(name);
    await job('j', { parts });
    await t.token('j', '1-1');
    await bury('a');
    expect(await outcome(t.take('b', 'j', 'a'))).toBe('FAIL');
    expect(await shared()).toBe('1');
  });

  test('counts from the attempt that the log has reached', async () => {
    await job();
    await t.admin.xadd('{t}:log:j', '3-0', 'r', '{}');
    await bury('a');
    const [, ...flat] = await t.take('b', 'j', 'a');
    expect(fieldsOf(flat).attempt).toBe('4');
  });

  test('of a job with tokens fails it, in the same attempt', async () => {
    await job('j', { choices: 2 });
    await t.token('j.1', '1-1');
    await bury('a');
    const [answer, ...flat] = await t.take('b', 'j', 'a');
    expect([answer, fieldsOf(flat).attempt]).toEqual(['FAIL', '1']);
    expect(await t.log('j')).toEqual(['1-0 r {}']);
    expect(await t.finish('b', 'j', '1-0', { ending: '1-4294967297' })).toBe('OK');
    await expect(t.token('j', '1-80')).rejects.toThrow(/equal or smaller/);
  });

  test('reruns a job with tokens on request', async () => {
    await job();
    await t.token('j', '1-1');
    await bury('a');
    expect(await outcome(t.take('b', 'j', 'a', { onLost: 'rerun' }))).toBe('RUN');
    expect(await t.log('j')).toEqual(['1-0 r {}', '1-1 t hi', '2-0 r {}']);
  });

  test('runs a job three times at most', async () => {
    await job();
    let owner = 'a';
    for (const [heir, expected] of [
      ['b', 'RUN'],
      ['c', 'RUN'],
      ['d', 'FAIL'],
    ]) {
      await t.join(heir);
      await t.join('watch');
      expect(await t.bury('watch', owner, '1')).toBe('OK');
      expect(await outcome(t.take(heir, 'j', owner, { onLost: 'rerun' }))).toBe(expected);
      owner = heir;
    }
    expect(await t.field('j', 'lost')).toBe('3');
    expect(await t.field('j', 'attempt')).toBe('3');
  });

  test('of a job with a requested cancellation cancels it', async () => {
    await job();
    await t.token('j', '1-1');
    expect(await t.run('cancel', ['job:j'], ['', '', 'b', 'j', 'me', 'client_request'])).toEqual([
      'TOLD',
      'a',
    ]);
    // A frozen owner, and a dead one.
    expect(await outcome(t.take('b', 'j', 'a', { reason: 'cancel' }))).toBe('CANCEL');
    await t.join('c');
    expect(await t.bury('a', 'b', '1')).toBe('OK');
    expect(await outcome(t.take('c', 'j', 'b', { onLost: 'rerun' }))).toBe('CANCEL');
  });

  test('without room leaves a job to be run in its place', async () => {
    await job();
    await bury('a');
    const before = await t.dump();
    expect(await t.take('b', 'j', 'a', { room: '0' })).toEqual(['ROOM']);
    expect(await t.dump()).toEqual(before);
    await t.token('j', '1-1');
    expect(await outcome(t.take('b', 'j', 'a', { room: '0' }))).toBe('FAIL');
  });

  test('is refused', async () => {
    await job();
    const before = await t.dump();
    expect(await t.take('b', 'j', 'a')).toEqual(['ALIVE']);
    expect(await t.take('b', 'j', 'a', { reason: 'cancel' })).toEqual(['ALIVE']);
    expect(await t.take('b', 'j', '-', { reason: 'offered' })).toEqual(['FENCED']);
    expect(await t.take('b', 'j', 'a', { deadline: '4999' })).toEqual(['LATE']);
    expect(await t.take('b', 'x', 'a')).toEqual(['GONE']);
    expect(await t.dump()).toEqual(before);
    await bury('a');
    expect(await t.take('x', 'j', 'a')).toEqual(['BURIED']);
    await t.finish('a', 'j', '1-0');
    expect(await t.take('b', 'j', 'a')).toEqual(['ENDED']);
  });

  test('answers the idempotency key left pending by the dead process', async () => {
    await job('j', { key: 'k', clock: '7000000' });
    await bury('a');
    expect(await t.admit('b', 'j2', { key: 'k' })).toEqual(['PENDING', 'j']);
    await t.take('b', 'j', 'a');
    const [answer, id, json] = await t.admit('b', 'j2', { key: 'k' });
    expect([answer, id, JSON.parse(json)]).toEqual(['KNOWN', 'j', { id: 'j', createdAt: 7 }]);
  });

  test('by two processes succeeds for one', async () => {
    await job();
    await bury('a');
    await t.join('c');
    const answers = await Promise.all([t.take('b', 'j', 'a'), t.take('c', 'j', 'a')]);
    expect(answers.map(([answer]) => answer).sort()).toEqual(['FENCED', 'RUN']);
  });
});

describe('offer', () => {
  const offer = (owner, again) => t.run('offer', ['job:j'], [owner, 'j', again]);

  test('of a queued job keeps its attempt', async () => {
    await job();
    expect(await offer('a', '0')).toBe('OK');
    expect([await t.members('open:a'), await t.members('open:-')]).toEqual([[], ['j']]);
    const before = await t.dump();
    expect(await offer('a', '0')).toBe('OK');
    expect(await t.dump()).toEqual(before);
    expect(await outcome(t.take('b', 'j', '-', { reason: 'offered' }))).toBe('RUN');
    expect([await t.log('j'), await t.field('j', 'lost')]).toEqual([['1-0 r {}'], '0']);
  });

  test('of a running one begins the next attempt', async () => {
    await job('j', { choices: 2 });
    await t.token('j', '1-1');
    expect(await offer('a', '1')).toBe('OK');
    expect(await t.log('j.1')).toEqual(['1-0 r {}', '2-0 r {}']);
    expect(await outcome(t.take('b', 'j', '-', { reason: 'offered' }))).toBe('RUN');
    expect(await t.field('j', 'attempt')).toBe('2');
    expect(await t.log('j')).toEqual(['1-0 r {}', '1-1 t hi', '2-0 r {}']);
  });

  test('is refused', async () => {
    expect(await offer('a', '0')).toBe('GONE');
    await job();
    expect(await offer('b', '0')).toBe('FENCED');
    await t.finish('a', 'j', '1-0');
    expect(await offer('a', '0')).toBe('ENDED');
  });
});

test('bury compares the beat, the observer and the deadline', async () => {
  const before = await t.dump();
  expect(await t.bury('b', 'a', '2')).toBe('ALIVE');
  expect(await t.bury('x', 'a', '1')).toBe('BURIED');
  expect(await t.bury('b', 'a', '1', { clock: '2', deadline: '1' })).toBe('LATE');
  expect(await t.dump()).toEqual(before);
  expect(await t.bury('b', 'a', '1')).toBe('OK');
  expect(await t.bury('b', 'a', '1')).toBe('GONE');
  expect(await t.members('dead')).toEqual(['a']);
});

test('an estate lasts until its last job is taken, and then leaves nothing of the process', async () => {
  const before = await t.dump();
  await t.join('c');
  await t.admit('c', 'j1');
  await t.admit('b', 'j2');
  await t.admin.sadd('{t}:reading:c', 'j2');
  await t.admin.hset('{t}:readers:j2', 'c', '1');
  await t.admin.rpush('{t}:ctl:c', 'cancel x');
  await bury('c');
  const estate = () => t.run('estate', ['dead'], ['c', '10']);
  expect(await estate()).toEqual(['j1']);
  expect(await outcome(t.take('a', 'j1', 'c'))).toBe('RUN');
  expect(await estate()).toEqual([]);
  // The owner of the job that it read has a message.
  expect(await t.run('messages', ['ctl:b'])).toEqual(['readers j2']);
  expect(await t.run('messages', ['ctl:b'])).toEqual([]);
  await t.run('retract', ['job:j1'], ['a', 'j1']);
  await t.run('retract', ['job:j2'], ['b', 'j2']);
  expect(await t.dump()).toEqual(before);
});

test('beat counts, returns the work to do, and takes the messages', async () => {
  await job();
  await t.admin.rpush('{t}:ctl:a', 'cancel j', 'readers j');
  const beat = (name) => t.run('beat', ['procs'], [name, '1']);
  const [seconds, microseconds, isMember, procs, dead, offered, messages] = await beat('a');
  expect(Math.abs(seconds + microseconds / 1e6 - Date.now() / 1000)).toBeLessThan(60);
  expect([isMember, dead, offered, messages]).toEqual([1, 0, 0, ['cancel j', 'readers j']]);
  expect(procs.sort()).toEqual(['1', '2', 'a', 'b']);
  await t.admin.hdel('{t}:procs', 'a');
  await t.admin.sadd('{t}:dead', 'a');
  expect((await beat('a')).slice(2)).toEqual([0, ['b', '1'], 1, 0, []]);
  // A beat does not make it a member.
  expect(await t.admin.hexists('{t}:procs', 'a')).toBe(0);
});

test('leave removes a process without jobs; the jobs of another become its estate', async () => {
  const before = await t.dump();
  await t.join('c');
  expect(await t.run('leave', ['procs'], ['c'])).toBe(0);
  expect(await t.dump()).toEqual(before);
  await job();
  expect(await t.run('leave', ['procs'], ['a'])).toBe(1);
  expect(await t.members('dead')).toEqual(['a']);
  expect(await outcome(t.take('b', 'j', 'a'))).toBe('RUN');
});

test('cancel notifies the owner once', async () => {
  const cancel = (by, principal = 'me', deadline = '') =>
    t.run('cancel', ['job:j'], ['5000', deadline, by, 'j', principal, 'superseded']);
  expect(await cancel('b')).toEqual(['GONE']);
  await job();
  expect(await cancel('b', 'you')).toEqual(['GONE']);
  expect(await cancel('b', 'me', '4999')).toEqual(['LATE']);
  expect(await cancel('b')).toEqual(['TOLD', 'a']);
  expect(await cancel('b')).toEqual(['TOLD', 'a']);
  expect(await cancel('a')).toEqual(['OWN']);
  expect(await t.run('messages', ['ctl:a'])).toEqual(['cancel j superseded']);
  await t.run('offer', ['job:j'], ['a', 'j', '0']);
  expect(await cancel('b')).toEqual(['FREE']);
  expect(await outcome(t.take('b', 'j', '-', { reason: 'cancel' }))).toBe('CANCEL');
  await t.finish('b', 'j', '1-0', { status: 'cancelled' });
  expect(await cancel('a')).toEqual(['ENDED']);
});

test('list continues after an id, newest first, and drops missing jobs', async () => {
  for (const id of ['j1', 'j2', 'j3', 'j4']) {
    await job(id, { clock: `${5000 + Number(id[1])}` });
  }
  await t.finish('a', 'j2', '1-0');
  await t.admin.del('{t}:job:j3');
  const list = async (after, limit, status = '', steps = '1000') => {
    const [answer, cursor, jobs] = await t.run('list', ['jobs:me'], [after, limit, status, steps]);
    return [answer, cursor, jobs?.map(([id]) => id)];
  };
  expect(await list('', '2')).toEqual(['OK', 'j2', ['j4', 'j2']]);
  expect(await t.admin.zrange('{t}:jobs:me', 0, -1)).toEqual(['j1', 'j2', 'j4']);
  expect(await list('j2', '2')).toEqual(['OK', '', ['j1']]);
  expect(await list('', '9', 'completed')).toEqual(['OK', '', ['j2']]);
  expect(await list('', '9', 'completed', '1')).toEqual(['OK', 'j4', []]);
  expect(await list('x', '2')).toEqual(['UNKNOWN', undefined, undefined]);
  const [, , [first]] = await t.run('list', ['jobs:me'], ['', '1', '', '1000']);
  expect(first).not.toContain('request');
});

test('erase leaves nothing of an ended job', async () => {
  const before = await t.dump();
  const erase = (principal = 'me') => t.run('erase', ['job:j'], ['j', principal]);
  await job('j', { key: 'k', choices: 2 });
  expect([await erase('you'), await erase()]).toEqual(['GONE', 'OPEN']);
  await t.run('placed', ['job:j'], ['90000', '{}']);
  await t.finish('a', 'j', '1-0');
  expect(await erase()).toBe('OK');
  // Its former owner has it in memory.
  expect(await t.run('messages', ['ctl:a'])).toEqual(['erased j']);
  expect(await t.dump()).toEqual(before);
  expect(await erase()).toBe('GONE');
});

describe('retain', () => {
  const retain = (max, principals, removedMax = 100) =>
    t.run('retain', ['retained', 'retained:total'], ['', max, removedMax, ...principals]);
  const end = async (id, principal) => {
    await job(id, { principal });
    await t.finish('a', id, '1-0');
  };
  const left = async () =>
    (await t.admin.keys('{t}:job:*')).map((key) => key.slice('{t}:job:'.length)).sort();

  test('removes the oldest job of the principal with the most jobs', async () => {
    const before = await t.dump();
    for (const id of ['m1', 'm2', 'm3']) await end(id, 'much');
    await end('l1', 'little');
    expect(await retain(4, ['much', 'little'])).toBe(0);
    await end('m4', 'much');
    const published = [];
    const messages = t.admin.duplicate();
    messages.on('message', (_channel, text) => published.push(text));
    await messages.subscribe('{t}:all');
    expect(await retain(3, ['much'])).toBe(2);
    expect(await left()).toEqual(['l1', 'm3', 'm4']);
    // The processes that have them in memory forget them as well.
    await until(() => published.length === 2, 'both messages');
    expect(published).toEqual(['erased m1', 'erased m2']);
    messages.disconnect();
    // As after a lost answer.
    expect(await retain(3, ['much'])).toBe(0);
    expect(await retain(0, ['much'], 1)).toBe(1);
    expect(await retain(0, [])).toBe(2);
    await t.admin.del('{t}:retained:total');
    expect(await t.dump()).toEqual(before);
  });

  test('does not count jobs beyond their retention', async () => {
    for (const id of ['m1', 'm2', 'm3']) await end(id, 'much');
    await end('l1', 'little');
    await retain(4, ['much', 'little']);
    await t.admin.del('{t}:job:m1', '{t}:job:m2', '{t}:job:m3');
    await end('l2', 'little');
    expect(await retain(2, ['little'])).toBe(0);
    expect(await left()).toEqual(['l1', 'l2']);
    expect(await t.admin.get('{t}:retained:total')).toBe('2');
  });
});

test('the indexes of a principal live as long as its jobs, and lose expired ones', async () => {
  await job('j1');
  expect(await t.ttl('jobs:me')).toBeGreaterThan(50_000);
  await t.finish('a', 'j1', '1-0');
  expect(await t.ttl('ended:me')).toBeGreaterThan(20_000);
  await t.admin.del('{t}:job:j1');
  await job('j2');
  expect(await t.admin.zrange('{t}:jobs:me', 0, -1)).toEqual(['j2']);
  await t.finish('a', 'j2', '1-0');
  expect(await t.admin.zrange('{t}:ended:me', 0, -1)).toEqual(['j2']);
});

test('the owner is sent the number of readers; an ended job has none', async () => {
  const readers = (by, present) => t.run('readers', ['job:j'], [by, 'j', present]);
  expect(await readers('b', '1')).toBe('GONE');
  await job();
  expect(await readers('x', '1')).toBe('BURIED');
  expect(await readers('b', '1')).toBe('OK');
  expect(await t.admin.hgetall('{t}:readers:j')).toEqual({ b: '1' });
  expect(await t.members('reading:b')).toEqual(['j']);
  expect(await t.ttl('readers:j')).toBeGreaterThan(50_000);
  expect(await readers('b', '0')).toBe('OK');
  expect(await t.admin.exists('{t}:readers:j', '{t}:reading:b')).toBe(0);
  expect(await t.run('messages', ['ctl:a'])).toEqual(['readers j', 'readers j']);
  await t.finish('a', 'j', '1-0');
  expect(await readers('b', '1')).toBe('ENDED');
});

describe('rewrite', () => {
  const NO_KEY = ['', '', ''];
  const rewrite = (owner, { ended = '0', key, keyFields = NO_KEY, parts = '' } = {}) =>
    t.run(
      'rewrite',
      ['job:j', ...(key ? [key] : [])],
      [
        ...[owner, 'j', 'me', '60000', '5000', parts, ended, ...keyFields],
        ...['attempt', '2', 'status', 'running', 'choices', '1'],
      ],
    );

  test('makes a job again that Redis has lost', async () => {
    expect(await rewrite('x')).toBe('BURIED');
    expect(await rewrite('a')).toBe('OK');
    expect(await t.members('open:a')).toEqual(['j']);
    const before = await t.dump();
    expect(await rewrite('a')).toBe('THERE');
    expect(await t.dump()).toEqual(before);
    expect(await rewrite('b')).toBe('FENCED');
    // It keeps the jobs of its former name.
    await t.admin.hset('{t}:proc:b', 'was', 'a');
    expect(await rewrite('b')).toBe('THERE');
    await t.admin.xadd('{t}:log:j', '2-0', 'r', '{}');
    await t.finish('a', 'j', '2-0');
    expect(await rewrite('a')).toBe('ENDED');
  });

  test('has the idempotency key point to it, unless another job has the key', async () => {
    const known = () => t.run('known', ['idem:k'], ['print']);
    const keyFields = ['print', '90000', '{"id":"j"}'];
    expect(await rewrite('a', { key: 'idem:k', keyFields })).toBe('OK');
    expect(await known()).toEqual(['KNOWN', 'j', '{"id":"j"}']);
    expect(await t.ttl('idem:k')).toBeGreaterThan(80_000);
    expect(await t.admin.hget('{t}:job:j', 'key')).toBe('idem:k');
    await t.admin.del('{t}:job:j');
    await t.admin.hset('{t}:idem:k', 'job', 'other', 'answer', '{"id":"other"}');
    expect(await rewrite('a', { key: 'idem:k', keyFields })).toBe('OK');
    expect(await known()).toEqual(['KNOWN', 'other', '{"id":"other"}']);
    expect(await t.admin.hget('{t}:job:j', 'key')).toBeNull();
  });

  test('settles an ended job no second time, and no process runs it again', async () => {
    const parts = JSON.stringify({ quota: [['c:principal/me', '1', '9']] });
    const settlement = JSON.stringify({
      hold: { account: 'me', overdraft: '9', cost: '5', amount: '0', rest: '5', nothing: '1' },
    });
    expect(await rewrite('a', { ended: '1', parts })).toBe('OK');
    expect(await t.admin.exists('{t}:c:principal/me')).toBe(0);
    await t.admin.xadd('{t}:log:j', '2-0', 'r', '{}');
    await t.admin.sadd('{t}:dead', 'a');
    await t.admin.hdel('{t}:procs', 'a');
    const take = ['', '', 'b', 'j', 'a', 'lost', 'rerun', '1', '2'];
    const saved = await t.admin.hgetall('{t}:job:j');
    expect((await t.run('take', ['job:j'], take))[0]).toBe('FAIL');
    await t.admin.hset('{t}:job:j', saved);
    await t.finish('a', 'j', '2-0', { settlement });
    expect(await t.admin.hget('{t}:job:j', 'settled')).toBeNull();
    expect(await t.admin.exists('{t}:ledger')).toBe(0);
    // A job that is still in Redis is settled.
    await t.admit('b', 'k');
    await t.finish('b', 'k', '1-0', { settlement });
    expect(await t.admin.exists('{t}:ledger')).toBe(1);
  });
});

test('a lowered bound of the audit log is reached by steps, each of a bounded number of entries', async () => {
  const write = (token, most) =>
    t.run('audit/write', ['auditorder'], [token, '', 'ann', '', '{}', String(most)]);
  for (let i = 0; i < 130; i += 1) expect(await write(`e${i}`, 200)).toBe(0);
  expect([await write('x', 5), await write('y', 5), await write('z', 5)]).toEqual([100, 27, 1]);
  const left = ['e128', 'e129', 'x', 'y', 'z'];
  expect(await t.admin.zrange('{t}:auditorder', 0, -1)).toEqual(left);
});
