/** The scripts of conversations on a real Redis, with time moved by hand, beside conversations in memory. */
import { Conversations } from '../../../../lib/services/conversations/service.js';
import { EventEmitter } from 'node:events';
import { ManualClock } from '../../../../lib/index.js';
import { ScriptCalls } from '../../../../lib/cluster/client/script-calls.js';
import { SharedStore } from '../../../../lib/services/conversations/shared-store.js';
import { SharedConversations } from '../../../../lib/cluster/shared-conversations.js';
import { notingProvider, user } from '../../../support/gateway/conversations.js';
import { useScripts } from '../../../support/cluster/scripts.js';
import { scripts } from '../../../../lib/cluster/client/scripts.js';
import { silent } from '../../../support/cluster/silent-log.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';

const LIMITS = {
  ...{ maxPerPrincipal: 4, maxBytesEach: 2000, maxBytesPerPrincipal: 4000, maxBytes: 6000 },
  ...{ ttlMs: Infinity, maxQueued: 100, queueWaitMs: 120_000 },
};
const me = { principal: 'me' };
const ids = ({ data }) => data.map(({ id }) => id);

const t = useScripts('a');
let clock;
let shared;

afterEach(stopAll);
beforeEach(() => {
  clock = new ManualClock();
  const redisClock = { deadlineUs: () => '' };
  const calls = new ScriptCalls({ send: t.run, runId: () => '', redisClock, clock });
  const cluster = Object.assign(new EventEmitter(), { redisNowMs: () => clock.nowMs() });
  shared = new SharedConversations({ cluster, calls });
});

test('each script has its tests here', () => {
  const names = Object.keys(scripts()).filter((name) => name.startsWith('conversations/'));
  const known = ['clear', 'create', 'delete', 'fork', 'history', 'list', 'read', 'recent'];
  expect(names.sort()).toEqual(known.map((name) => `conversations/${name}`));
});

/** Conversations of a place. */
const places = {
  memory: async () => {
    const { provider } = notingProvider();
    return (await start({ provider, clock, conversations: LIMITS })).gateway.conversations;
  },
  Redis: async () => {
    const directory = { find: () => undefined };
    const turns = { checkOpen() {} };
    const deps = { conversations: shared, limits: LIMITS, turns, directory, log: silent };
    return new Conversations({ store: new SharedStore(deps), limits: LIMITS });
  },
};

describe.each(Object.keys(places))('in %s', (place) => {
  let talks;
  beforeEach(async () => {
    talks = await places[place]();
  });

  test('the latest activity comes first, in pages', async () => {
    const made = [];
    for (let i = 0; i < 4; i += 1) {
      made.unshift((await talks.create({ title: `${i}`, metadata: { i } }, me)).id);
      clock.advanceMs(1000);
    }
    const { id: other } = await talks.create({}, { principal: 'you' });
    const recent = await talks.recent({ limit: 3, scanMax: 100 });
    expect(recent.data.map(({ id, owner }) => [id, owner])).toEqual([
      ...[[other, 'you']],
      ...made.slice(0, 2).map((id) => [id, 'me']),
    ]);
    const first = await talks.list({ ...me, limit: 3 });
    expect([ids(first), first.hasMore]).toEqual([made.slice(0, 3), true]);
    expect(first.data[0]).toMatchObject({ title: '3', metadata: { i: 3 }, messageCount: 0 });
    expect(first.data[0]).not.toHaveProperty('messages');
    const rest = await talks.list({ ...me, limit: 3, after: made[2] });
    expect([ids(rest), rest.hasMore]).toEqual([made.slice(3), false]);
    await talks.delete(made[1], me);
    expect(ids(await talks.list(me))).toEqual([made[0], ...made.slice(2)]);
    await expect(talks.list({ ...me, after: made[1] })).rejects.toMatchObject({ param: 'after' });
    await expect(talks.list({ principal: 'you', after: made[0] })).rejects.toMatchObject({
      ...{ status: 400, param: 'after' },
    });
  });

  test('one with a time to live expires, and makes room', async () => {
    const long = [user('x'.repeat(1500))];
    const { id, expiresAt, createdAt } = await talks.create({ ttl_s: 60, messages: long }, me);
    expect(expiresAt - createdAt).toBe(60);
    clock.advanceMs(30_000);
    const fork = await talks.fork(id, {}, me);
    await expect(talks.create({ messages: long }, me)).rejects.toMatchObject({
      ...{ status: 507, code: 'ERR_CONVERSATIONS_FULL' },
    });
    clock.advanceMs(30_000);
    expect(await talks.get(id, me)).toBeDefined();
    clock.advanceMs(1000);
    expect(await talks.get(id, me)).toBeUndefined();
    expect(ids(await talks.list(me))).toEqual([fork.id]);
    await talks.create({ messages: long }, me);
    // All callers together have no room for a fourth one.
    await talks.create({ messages: [user('x'.repeat(500))] }, { principal: 'you' });
    await expect(talks.create({ messages: long }, { principal: 'you' })).rejects.toMatchObject({
      ...{ status: 507, message: 'The server has no room for more conversations.' },
    });
    clock.advanceMs(60_000);
    await talks.create({ messages: long }, { principal: 'you' });
    expect(ids(await talks.list(me))).toHaveLength(1);
  });

  test('their number is limited', async () => {
    const made = [];
    for (let i = 0; i < 4; i += 1) made.push((await talks.create({ ttl_s: i + 1 }, me)).id);
    const full = { status: 507, message: 'There are as many conversations as there may be: 4.' };
    await expect(talks.create({}, me)).rejects.toMatchObject(full);
    await expect(talks.fork(made[0], {}, me)).rejects.toMatchObject(full);
    await talks.create({}, { principal: 'you' });
    clock.advanceMs(1001);
    await talks.create({}, me);
    await expect(talks.create({}, me)).rejects.toMatchObject(full);
  });

  test('a fork copies its source, except for the fields of its request', async () => {
    const messages = [user('a'), { role: 'assistant', content: 'b' }, user('é\u2028\u0000"')];
    const { id } = await talks.create({ title: 'Té"', metadata: { a: [] }, messages }, me);
    const same = await talks.fork(id, {}, me);
    expect(same).toMatchObject({ title: 'Té"', metadata: { a: [] }, expiresAt: null });
    expect(same.messages).toEqual((await talks.get(id, me)).messages);
    expect(same.forkedFrom).toEqual({ id, messageCount: 3 });
    const none = await talks.fork(id, { at: 0, title: '', metadata: {}, ttl_s: 5 }, me);
    expect(none).toMatchObject({ title: '', metadata: {}, messages: [], messageCount: 0 });
    await expect(talks.fork(id, { at: 4 }, me)).rejects.toMatchObject({
      ...{ status: 400, param: 'at', message: 'at must be at most 3, the number of its messages.' },
    });
    await expect(talks.fork(id, {}, { principal: 'you' })).rejects.toMatchObject({ status: 404 });
  });
});

describe('turns', () => {
  const limits = { count: 9, ofPrincipal: 5000, total: 9000 };
  const us = () => String(clock.nowMs() * 1000);

  /** A conversation with the id `c`. */
  const create = (more = {}) =>
    shared.create('me', { id: 'c', ttlMs: null, messages: [user('a')], ...more }, limits);

  const ask = (more = {}) => ({
    ...{ conversation: 'c', count: '1', bytes: '60', of_principal: '5000', total: '9000' },
    asked: [JSON.stringify({ ...user('b'), jobId: 'j' })],
    ...more,
  });

  const admit = (id, turn, more) => t.admit('a', id, { clock: us(), parts: { turn }, ...more });

  const answer = JSON.stringify({ role: 'assistant', content: 'B', jobId: 'j' });
  const finish = (id, settlement) => t.finish('a', id, '1-0', { settlement, clock: us() });

  /** The counters of the limits. */
  const counted = async () => [
    Number(await t.admin.hget('{t}:convbytes', 'me')),
    Number(await t.admin.get('{t}:convbytes:total')),
  ];

  test('it begins with its job, and ends with it', async () => {
    await create({ ttlMs: 60_000 });
    clock.advanceMs(59_000);
    const [before] = await counted();
    expect((await admit('j', ask()))[0]).toBe('OK');
    expect(await counted()).toEqual([before + 60, before + 60]);
    // It does not expire in the meantime.
    clock.advanceMs(120_000);
    const { head, asked, messages } = await shared.read('me', 'c');
    expect(head).toMatchObject({ jobId: 'j', expiresMs: null, count: 1, updatedMs: 0 });
    expect(asked).toEqual([{ ...user('b'), jobId: 'j', createdAt: 59 }]);
    expect(messages).toHaveLength(1);
    expect(await finish('j', JSON.stringify({ turn: { answer } }))).toBe('OK');
    const whole = await shared.read('me', 'c');
    expect(whole.head).toMatchObject({ count: 3, updatedMs: 179_000, expiresMs: 239_000 });
    expect(whole.head).not.toHaveProperty('jobId');
    expect(whole.head.bytes).toBe(JSON.stringify(whole.messages).length);
    expect(whole.messages.slice(1)).toEqual([
      { ...user('b'), jobId: 'j', createdAt: 59 },
      { role: 'assistant', content: 'B', jobId: 'j', createdAt: 179 },
    ]);
    clock.advanceMs(60_001);
    expect(await shared.read('me', 'c')).toBeUndefined();
    expect(await counted()).toEqual([0, 0]);
    expect((await t.admin.keys('{t}:conv*')).sort()).toEqual(['{t}:convbytes:total']);
  });

  test('nothing is added without an answer, or by a retraction', async () => {
    await create();
    const before = await shared.read('me', 'c');
    const bytes = await counted();
    await admit('j', ask());
    expect(await finish('j', '{}')).toBe('OK');
    expect(await shared.read('me', 'c')).toEqual(before);
    await admit('k', ask());
    expect(await t.run('retract', ['job:k'], ['a', 'k', us()])).toBe('OK');
    expect(await shared.read('me', 'c')).toEqual(before);
    expect(await counted()).toEqual(bytes);
  });

  test.each([
    ['another one that runs', {}, { word: 'BUSY', job: 'other' }],
    ['messages that it does not know', { count: '0' }, { word: 'CHANGED' }],
    ['no conversation', { conversation: 'd' }, { word: 'GONE' }],
    ['no room', { of_principal: '500' }, { word: 'FULL', limit: 'principal' }],
    ['no room for all', { total: '500' }, { word: 'FULL', limit: 'total' }],
    ['a refusal that the process knows of', { refused: '1' }, { word: 'REFUSED' }],
  ])('it is refused for %s, and leaves nothing', async (_, more, refusal) => {
    await create();
    if (refusal.word === 'BUSY') await admit('other', ask());
    const before = await t.dump();
    const [word, part, json] = await admit('j', ask(more));
    expect([word, part, JSON.parse(json)]).toEqual(['REFUSED', 'turn', refusal]);
    expect(await t.dump()).toEqual(before);
  });

  test('another principal has no turn of it', async () => {
    await create();
    const [, , json] = await admit('j', ask(), { principal: 'you' });
    expect(JSON.parse(json)).toEqual({ word: 'GONE' });
    expect(await shared.history('you', 'c')).toEqual({ refused: 'gone' });
  });

  test('one without its job has ended', async () => {
    await create();
    await admit('j', ask());
    expect(await shared.history('me', 'c')).toEqual({ refused: 'busy', job: 'j' });
    // Its own job still finds its messages.
    expect((await shared.history('me', 'c', 'j')).messages).toHaveLength(1);
    await t.admin.del('{t}:job:j');
    expect((await shared.history('me', 'c')).messages).toHaveLength(1);
    expect((await admit('k', ask()))[0]).toBe('OK');
  });

  test('a takeover keeps it, and the new owner ends it', async () => {
    await t.join('b');
    await create();
    await admit('j', ask());
    await t.token('j', '1-1');
    await t.bury('b', 'a', '1');
    expect((await t.take('b', 'j', 'a'))[0]).toBe('FAIL');
    expect((await shared.read('me', 'c')).head.jobId).toBe('j');
    const ending = { status: 'failed', ending: '1-4294967298', settlement: '{}', clock: us() };
    expect(await t.finish('b', 'j', '1-1', ending)).toBe('OK');
    const { head, messages } = await shared.read('me', 'c');
    expect([head.jobId, messages.length]).toEqual([undefined, 1]);
  });

  test('a deletion names the job that holds the turn; not while that job waits for its place', async () => {
    await create();
    await admit('j', ask());
    expect(await shared.remove('me', 'c')).toEqual({ refused: 'busy', job: 'j' });
    expect(await shared.remove('you', 'c')).toEqual({ refused: 'gone' });
    await t.run('placed', ['job:j'], ['1000', '']);
    expect(await shared.remove('me', 'c')).toEqual({ job: 'j' });
    expect(await t.field('j', 'cancel')).toBe('client_request');
    expect(await t.admin.lrange('{t}:ctl:a', 0, -1)).toEqual(['cancel j client_request']);
    expect(await shared.remove('me', 'c')).toEqual({ refused: 'gone' });
    expect(await counted()).toEqual([0, 0]);
    // The ending finds nothing to add to.
    expect(await finish('j', JSON.stringify({ turn: { answer } }))).toBe('OK');
    expect(await t.admin.keys('{t}:conv:*')).toEqual([]);
  });

  test('a script after its deadline, or once more, changes nothing', async () => {
    const args = ['me', '9', '5000', '9000', '', '{}', JSON.stringify([JSON.stringify(user('a'))])];
    const call = (name, at, deadline, ...rest) =>
      t.run(`conversations/${name}`, ['conv:c', 'conv:s'], [at, deadline, 'c', ...rest]);
    expect(await call('create', '6000', '5000', ...args)).toEqual(['LATE']);
    expect(await call('delete', '6000', '5000', 'me')).toEqual(['LATE']);
    const limited = ['me', '9', '5000', '9000', 's', '', '{}'];
    expect(await call('fork', '6000', '5000', ...limited)).toEqual(['LATE']);
    expect(await t.admin.keys('{t}:conv*')).toEqual([]);
    const made = await call('create', '5000', '5000', ...args);
    const before = await t.dump();
    expect(await call('create', '7000', '', ...args)).toEqual(made);
    expect(await call('fork', '7000', '', ...limited)).toEqual(made);
    expect(await t.dump()).toEqual(before);
  });

  test('all of a principal go, and the jobs of their turns with them', async () => {
    await create();
    for (let i = 0; i < 120; i += 1) {
      await shared.create(
        'me',
        { id: `c${i}`, ttlMs: null, messages: [] },
        { ...limits, count: 200, ofPrincipal: 1e6, total: 1e6 },
      );
    }
    await shared.create(
      'you',
      { id: 'other', ttlMs: 60_000, messages: [] },
      { ...limits, total: 1e6 },
    );
    await admit('j', ask({ of_principal: '1000000', total: '1000000' }));
    await shared.clear('me');
    expect(await t.field('j', 'cancel')).toBe('client_request');
    expect((await shared.recent(10)).map(({ owner }) => owner)).toEqual(['you']);
    const [mine, all] = await counted();
    expect(mine).toBe(0);
    expect(all).toBe(Number(await t.admin.hget('{t}:conv:other', 'charged')));
    const keys = ['conv:other', 'convbytes', 'convbytes:total', 'convexpiry', 'convrecent'];
    expect((await t.admin.keys('{t}:conv*')).sort()).toEqual(
      [...keys, 'convs:you'].map((key) => `{t}:${key}`),
    );
  });

  test('many messages are as few', async () => {
    const messages = Array.from({ length: 2500 }, (_, i) => user(`${i}`));
    const wide = { count: 9, ofPrincipal: 1e6, total: 1e6 };
    await shared.create('me', { id: 's', ttlMs: null, messages }, wide);
    const { messages: kept } = await shared.fork('me', { id: 'f', source: 's', at: 2400 }, wide);
    expect(kept.map(({ content }) => content)).toEqual(
      messages.slice(0, 2400).map(({ content }) => content),
    );
  });
});
