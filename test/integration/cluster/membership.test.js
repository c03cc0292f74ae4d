/** The control client and the membership of processes, on a real Redis with several faults. */
import { EventEmitter, once } from 'node:events';
import { Cluster } from '../../../lib/cluster/cluster.js';
import { JobRecord } from '../../../lib/jobs/job.js';
import { parseRedisUrl } from '../../../lib/cluster/connection/address.js';
import { BeatingLink } from '../../support/cluster/beating-link.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { redisUnavailable } from '../../../lib/jobs/errors.js';
import { silent } from '../../support/cluster/silent-log.js';

const LEASE_MS = 1000;

let server;
const opened = [];

beforeEach(async () => {
  server = await startRedis();
});

afterEach(async () => {
  while (opened.length > 0) opened.pop().close();
  await server.stop();
});

/** A process of the deployment; `link.stop()` is its death. */
function open({ password = '', beats = true, nowMs, ...redis } = {}) {
  const address = parseRedisUrl('url', `redis://:${password}@127.0.0.1:${server.port}`);
  const cluster = new Cluster({
    redis: {
      ...{ url: '', prefix: 't', leaseMs: LEASE_MS, onProducerLost: 'fail', flushMs: 10 },
      ...{ commandTimeoutMs: 1000, address, tls: {}, waitReplicas: 0, ...redis },
    },
    keyTtlMs: 60_000,
    log: silent,
    nowMs,
  });
  opened.push(cluster);
  if (!beats) return cluster;
  const link = new BeatingLink({
    port: server.port,
    prefix: cluster.prefix,
    name: cluster.process,
    intervalMs: LEASE_MS / 5,
  });
  opened.push(link);
  cluster.useLink(link);
  return Object.assign(cluster, { link });
}

const member = async (options) => {
  const cluster = open(options);
  expect(await cluster.ready(20_000)).toBe(true);
  return cluster;
};

/** Whether a command is answered. */
const succeeds = (send) =>
  send().then(
    () => true,
    () => false,
  );

/** As a dead process is buried. */
const buryWhenDead = (cluster) =>
  cluster.on('dead', (name, beat) => {
    const args = ['', cluster.deadlineUs(), cluster.process, name, beat];
    cluster.redis.run('bury', ['procs'], args).catch(() => {});
  });

test('a process is ready while it is a member, and Redis has answered beats and commands within a lease', async () => {
  let timeMs = 1000;
  const cluster = open({ beats: false, nowMs: () => timeMs });
  const link = Object.assign(new EventEmitter(), {
    subscribe() {},
    unsubscribe() {},
    relocate() {},
  });
  cluster.useLink(link);
  const beat = () => {
    const times = { seconds: 1, microseconds: 0, sentMs: timeMs, answeredMs: timeMs };
    link.emit('beat', { ...times, member: true, processes: [], messages: [], dead: 0, offered: 0 });
  };
  expect(cluster.isReady).toBe(false);
  expect(await cluster.ready(20_000)).toBe(true);
  expect(cluster.isReady).toBe(true);
  // Only commands are answered.
  timeMs += LEASE_MS;
  expect(cluster.isReady).toBe(true);
  timeMs += 1;
  expect(cluster.isReady).toBe(false);
  beat();
  expect(cluster.isReady).toBe(true);
  // Only beats are answered.
  await server.kill();
  await until(() => !cluster.redis.usable, 'the end of the connection');
  timeMs += LEASE_MS;
  beat();
  expect(cluster.isReady).toBe(true);
  timeMs += 1;
  beat();
  expect(cluster.isReady).toBe(false);
  await server.start();
  await until(() => cluster.isReady, 'the connection to be back');
  await cluster.leave();
  expect(cluster.isReady).toBe(false);
});

test('a process without a connection is no member, and joins by itself', async () => {
  await server.kill();
  const cluster = open({ beats: false });
  expect(await cluster.ready(50)).toBe(false);
  await expect(cluster.redis.command('GET', 'x')).rejects.toMatchObject({ status: 503 });
  await server.start();
  expect(await cluster.ready(20_000)).toBe(true);
  expect(cluster.state).toBe('ok');
  expect(Math.abs(cluster.redisNowMs() - Date.now())).toBeLessThan(60_000);
});

test('a beat that was sent before it joined does not make it join again', async () => {
  const cluster = await member();
  const { link, process: name } = cluster;
  link.stop();
  const beat = { seconds: 1, microseconds: 0, member: false, processes: [], messages: [] };
  link.emit('beat', { ...beat, sentMs: 0, answeredMs: performance.now() });
  expect([cluster.process, cluster.isMember]).toEqual([name, true]);
  const joined = once(cluster, 'joined');
  link.emit('beat', { ...beat, sentMs: performance.now(), answeredMs: performance.now() });
  await joined;
  expect(cluster.process).not.toBe(name);
});

test('an error that waiting does not resolve is a refusal with a code', async () => {
  await server.call('CONFIG', 'SET', 'requirepass', 'secret');
  const wrong = open({ password: 'no', beats: false });
  await expect(wrong.ready(20_000)).rejects.toMatchObject({
    code: 'ERR_REDIS_AUTHENTICATION',
    message: expect.not.stringContaining('secret'),
  });
  const none = open({ beats: false });
  await expect(none.ready(20_000)).rejects.toMatchObject({ code: 'ERR_REDIS_AUTHENTICATION' });
});

test('data of a newer version is not changed', async () => {
  await server.call('HSET', '{t}:meta', 'schema', '2');
  const cluster = open({ beats: false });
  await expect(cluster.ready(20_000)).rejects.toMatchObject({ code: 'ERR_REDIS_SCHEMA' });
  expect(await server.keys()).toEqual(['{t}:meta']);
});

test('a right that is missing is named', async () => {
  await server.call('ACL', 'SETUSER', 'default', '-eval', '-evalsha');
  const cluster = open({ beats: false });
  await expect(cluster.ready(20_000)).rejects.toMatchObject({
    code: 'ERR_REDIS_PERMISSION',
    message: expect.stringContaining('evalsha'),
  });
});

test('a frozen Redis fails one command in its time, and the next ones at once', async () => {
  const { redis } = await member({ beats: false, commandTimeoutMs: 300 });
  const states = [];
  redis.on('state', (state) => states.push(state));
  server.freeze();
  await expect(redis.command('GET', 'x')).rejects.toMatchObject({ status: 503, uncertain: true });
  expect(redis.usable).toBe(false);
  await expect(redis.command('GET', 'x')).rejects.not.toHaveProperty('uncertain');
  server.thaw();
  await until(() => redis.usable, 'Redis to be usable');
  expect(await redis.command('GET', 'x')).toBeNull();
  expect([states[0], states.at(-1)]).toEqual(['unreachable', 'ok']);
});

test('survives a cut connection, forgotten scripts, a full server and a replica', async () => {
  const { redis } = await member({ beats: false });
  const states = [];
  redis.on('state', (state) => states.push(state));
  const note = () => redis.run('note', ['job:x'], ['a', 'b']);
  await server.call('SCRIPT', 'FLUSH');
  expect(await note()).toBe(0);
  await server.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => succeeds(note), 'the connection to be back');
  await server.call('CONFIG', 'SET', 'maxmemory', '1');
  await expect(redis.command('SET', 'x', 'y')).rejects.toMatchObject({ status: 507 });
  expect(redis.state).toBe('full');
  await server.call('CONFIG', 'SET', 'maxmemory', '0');
  expect(await redis.command('SET', 'x', 'y')).toBe('OK');
  await server.call('REPLICAOF', '127.0.0.1', '1');
  await expect(redis.command('SET', 'x', 'y')).rejects.toMatchObject({ status: 503 });
  expect(redis.state).toBe('readonly');
  await server.call('REPLICAOF', 'NO', 'ONE');
  // The client disconnected, because another server might have become the master.
  await until(() => succeeds(() => redis.command('SET', 'x', 'z')), 'the connection to be back');
  expect(states).toEqual(['unreachable', 'ok', 'full', 'ok', 'readonly', 'ok']);
});

test('dead processes are found, and no others', async () => {
  const a = await member();
  const b = await member();
  buryWhenDead(a);
  await until(() => a.members.names.length === 2, 'both to be seen');
  const dead = once(a, 'dead');
  b.link.stop();
  expect((await dead)[0]).toBe(b.process);
  await until(async () => (await server.call('SMEMBERS', '{t}:dead')).length === 1, 'the burial');
  expect(await server.call('SMEMBERS', '{t}:dead')).toEqual([b.process]);
  // The process was alive, and joins again under another name.
  const was = b.process;
  const joined = once(b, 'joined');
  await b.link.beat();
  expect((await joined)[0]).toEqual({
    ...{ ids: [], isFirst: false, isLost: false, awayMs: expect.any(Number) },
  });
  expect(b.process).not.toBe(was);
  expect(await server.call('HKEYS', '{t}:procs')).toEqual(
    expect.arrayContaining([a.process, b.process]),
  );
});

test('a process disconnected while it joins again keeps the jobs that were not taken over', async () => {
  const a = await member();
  await server.call('HSET', '{t}:job:j', 'owner', a.process);
  await server.call('SADD', `{t}:open:${a.process}`, 'j');
  // Its first attempt to join again fails.
  const { run } = a.redis;
  jest.spyOn(a.redis, 'run').mockImplementation((name, ...rest) => {
    if (name !== 'join') return run.call(a.redis, name, ...rest);
    a.redis.run.mockRestore();
    return Promise.reject(redisUnavailable());
  });
  const joined = once(a, 'joined');
  await server.call('SADD', '{t}:dead', a.process);
  await server.call('HDEL', '{t}:procs', a.process);
  expect((await joined)[0]).toMatchObject({ ids: ['j'], isFirst: false });
  expect(await server.call('HGET', '{t}:job:j', 'owner')).toBe(a.process);
  expect(await server.call('SMEMBERS', '{t}:dead')).toEqual([]);
});

test('a loss of the data is seen by its epoch', async () => {
  const a = await member();
  const { epoch, secret } = a;
  const joined = once(a, 'joined');
  await server.call('FLUSHALL');
  expect((await joined)[0]).toEqual({
    ...{ ids: [], isFirst: false, isLost: true, awayMs: expect.any(Number) },
  });
  expect(a.epoch).not.toBe(epoch);
  // URLs that were signed with it stay valid.
  expect(a.secret).toBe(secret);
  expect(await server.call('HGET', '{t}:meta', 'secret')).toBe(secret);
});

test('a clock of Redis that is set forward refuses no job', async () => {
  const a = await member({ beats: false });
  // As if the server's clock had been an hour earlier when it was read.
  jest.spyOn(a.redis, 'timeUs');
  const realDeadline = a.deadlineUs();
  jest
    .spyOn(a.clock, 'deadlineUs')
    .mockReturnValueOnce(String(Number(realDeadline) - 3_600_000_000));
  const record = new JobRecord({
    ...{ principal: 'me', model: 'm', request: { prompt: 'p' }, createdAtMs: 0 },
  });
  const limits = { maxWallMs: 1000, retentionMs: 1000 };
  expect(await a.sharedJobs.admit(record, limits, { asked: {} })).toBeUndefined();
  expect(a.redis.timeUs).toHaveBeenCalledTimes(1);
  expect(Math.abs(record.createdAtMs - Date.now())).toBeLessThan(60_000);
});

test('messages arrive by the channel, and by the heartbeat', async () => {
  const a = await member();
  const message = once(a, 'message');
  await server.call('RPUSH', `{t}:ctl:${a.process}`, 'cancel j client_request');
  expect((await message)[0]).toBe('cancel j client_request');
});

test('a leaving process is removed at once', async () => {
  const a = await member();
  await a.leave();
  expect(await server.call('HKEYS', '{t}:procs')).toEqual([]);
  expect(await server.keys()).toEqual(['{t}:meta']);
});
