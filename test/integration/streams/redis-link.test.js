// The link to Redis against a real server: its reports while the server is stopped, killed, full, a
// replica, loading, or refuses it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { RedisLink, hasRedis } from '../../../lib/streams/redis-link.js';
import { until } from '../../support/until.js';
import { freePort } from '../../support/free-port.js';
import { startRedis } from '../../support/cluster/redis.js';
import { which } from '../../../scripts/lib/run.mjs';

const isRunnable = hasRedis() && which('redis-server') !== undefined;
const describeWithRedis = isRunnable ? describe : describe.skip;

/** Of the form that the deployment's own script has. */
const BEAT = `
  redis.call('HINCRBY', KEYS[1], ARGV[2], ARGV[3])
  local time = redis.call('TIME')
  local mailbox = ARGV[1] .. 'ctl:' .. ARGV[2]
  local messages = redis.call('LRANGE', mailbox, 0, -1)
  redis.call('DEL', mailbox)
  return {tonumber(time[1]), tonumber(time[2]), 1, redis.call('HGETALL', KEYS[1]), 2, 3, messages}`;
const scripts = { beat: { source: BEAT, sha: createHash('sha1').update(BEAT).digest('hex') } };

/** The output of redis-cli, errors of commands and plain texts included. */
const cli = ({ port }, ...words) =>
  execFileSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' });

describeWithRedis('the link to Redis', () => {
  /** @type {(() => any)[]} */
  let ends = [];
  afterEach(async () => {
    for (const end of ends.reverse()) await end();
    ends = [];
  });

  async function redisServer(options) {
    const redis = await startRedis(options);
    ends.push(() => redis.stop());
    return redis;
  }

  /** A link that records its events in order, so that a test can wait for the next matching one. */
  function linkTo(port, { host = '127.0.0.1', ...credentials } = {}, options = {}) {
    const link = new RedisLink({
      reactor: sharedReactor(),
      address: { host, port, ...credentials },
      ...{ prefix: '{t}:', process: 'p1', leaseMs: 2000, scripts, ...options },
    });
    ends.push(() => link.close());
    const events = [];
    let wake = () => {};
    for (const name of ['state', 'beat', 'server', 'subscribed', 'message']) {
      link.on(name, (...values) => {
        events.push([name, ...values]);
        wake();
      });
    }
    /** The next matching event of this name; earlier ones are dropped. */
    async function next(name, fits = () => true) {
      for (;;) {
        while (events.length > 0) {
          const [kind, ...values] = events.shift();
          if (kind === name && fits(...values)) return values;
        }
        await new Promise((resolve) => (wake = resolve));
      }
    }
    const nextState = (wanted) => next('state', (state) => state === wanted);
    return { link, events, next, nextState };
  }

  test('beats, and reports the answer with the times of sending and answering', async () => {
    const redis = await redisServer();
    await redis.call('RPUSH', '{t}:ctl:p1', 'cancel:j1', 'x');
    await redis.call('HSET', '{t}:procs', 'p0', '41');
    const beforeMs = performance.now();
    const { link, next } = linkTo(redis.port, { host: 'localhost' });
    const [server] = await next('server');
    expect(server).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      mode: 'standalone',
      evictionPolicy: 'noeviction',
      memoryMax: 0,
      writesAppendFile: false,
    });
    await next('state', (state) => state === 'ok');
    const [first] = await next('beat');
    expect(first).toMatchObject({
      member: true,
      dead: 2,
      offered: 3,
      messages: ['cancel:j1', 'x'],
    });
    expect(first.processes).toEqual(['p0', '41', 'p1', '1']);
    expect(Math.abs(first.seconds - Date.now() / 1000)).toBeLessThan(60);
    expect(first.sentMs).toBeGreaterThan(beforeMs);
    expect(first.answeredMs).toBeGreaterThanOrEqual(first.sentMs);
    expect(first.answeredMs).toBeLessThanOrEqual(performance.now());
    const [second] = await next('beat');
    expect(second).toMatchObject({ processes: ['p0', '41', 'p1', '2'], messages: [] });
    expect(second.sentMs - first.sentMs).toBeGreaterThanOrEqual(400);
    expect(link.figures()).toMatchObject({ state: 'ok', connections: 1 });
    expect(link.figures().beats).toBeGreaterThanOrEqual(2);
    expect(link.figures().roundtripMs).toBeGreaterThan(0);
  });

  test('beats under its new name after a renaming, and not without a name', async () => {
    const redis = await redisServer();
    const { link, next } = linkTo(redis.port, {}, { process: '' });
    await next('state', (state) => state === 'ok');
    expect(await redis.keys()).toEqual([]);
    link.rename('p2');
    const [beat] = await next('beat');
    expect(beat.processes).toEqual(['p2', '1']);
    link.rename('p3');
    await next('beat', ({ processes }) => processes.includes('p3'));
  });

  test('beats while the main thread is blocked', async () => {
    const redis = await redisServer();
    const { next } = linkTo(redis.port);
    await next('beat');
    // These calls block the main thread, which dispatches no event until the last one returns.
    const args = ['-p', String(redis.port), 'HGET', '{t}:procs', 'p1'];
    const beats = () => Number(execFileSync('redis-cli', args, { encoding: 'utf8' }));
    const atFirst = beats();
    const deadline = performance.now() + 60_000;
    let last = atFirst;
    while (last < atFirst + 6 && performance.now() < deadline) last = beats();
    expect(last).toBeGreaterThanOrEqual(atFirst + 6);
  });

  test('delivers the messages of its channels, again after a cut of either connection', async () => {
    const redis = await redisServer();
    const { link, next } = linkTo(redis.port);
    link.subscribe('{t}:all');
    link.subscribe('{t}:left');
    link.unsubscribe('{t}:left');
    await next('subscribed', (channel) => channel === '{t}:all');
    await redis.call('PUBLISH', '{t}:left', 'no');
    await redis.call('PUBLISH', '{t}:all', 'ä 1');
    expect(await next('message')).toEqual(['{t}:all', 'ä 1']);
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await next('subscribed');
    await redis.call('PUBLISH', '{t}:all', '2');
    expect(await next('message')).toEqual(['{t}:all', '2']);
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await next('state', (state) => state === 'unreachable');
    await next('state', (state) => state === 'ok');
    await next('beat');
    expect(link.figures()).toMatchObject({ connections: 2, channels: 1 });
  });

  test('disconnects from a frozen server, and returns when it thaws', async () => {
    const redis = await redisServer();
    const { link, next, nextState } = linkTo(redis.port);
    link.subscribe('{t}:all');
    await next('subscribed');
    await next('beat');
    redis.freeze();
    expect((await nextState('unreachable'))[1]).toBe('no answer within 1200 ms');
    expect(link.state).toBe('unreachable');
    redis.thaw();
    await nextState('ok');
    await next('beat');
    expect(link.detail).toBe('');
  });

  test('finds a server again that was killed and restarted', async () => {
    const redis = await redisServer();
    const { link, next, nextState } = linkTo(redis.port);
    link.subscribe('{t}:all');
    await next('subscribed');
    await next('beat');
    await redis.kill();
    await nextState('unreachable');
    await redis.start();
    await nextState('ok');
    // A server without data: the counter restarts.
    await next('beat', ({ processes }) => processes[1] === '1');
    // Its answer is the number of receivers: the subscriber connects on its own.
    await until(async () => (await redis.call('PUBLISH', '{t}:all', 'again')) > 0);
    expect(await next('message')).toEqual(['{t}:all', 'again']);
  });

  test('waits for a server that is not there yet', async () => {
    const port = await freePort();
    const { nextState, next } = linkTo(port);
    expect((await nextState('unreachable'))[1]).toMatch(/ECONNREFUSED/);
    await redisServer({ port });
    await nextState('ok');
    await next('beat');
  });

  test('beats on after the server has forgotten its scripts', async () => {
    const redis = await redisServer();
    const { next } = linkTo(redis.port);
    await next('beat');
    await redis.call('SCRIPT', 'FLUSH');
    const flushed = Number(await redis.call('HGET', '{t}:procs', 'p1'));
    await next('beat', ({ processes }) => Number(processes[1]) > flushed);
  });

  test('reports a wrong password, without showing it, and connects once it is right', async () => {
    const redis = await redisServer({ password: 'right' });
    const { link, nextState, next } = linkTo(redis.port, { password: 'hunter2' });
    const [, detail] = await nextState('refused');
    expect(detail).toMatch(/^WRONGPASS /);
    expect(detail).not.toContain('hunter2');
    await redis.call('ACL', 'SETUSER', 'default', '>hunter2');
    await nextState('ok');
    await next('beat');
    expect(link.state).toBe('ok');
  });

  test('reports a missing password', async () => {
    const redis = await redisServer({ password: 'right' });
    const { nextState } = linkTo(redis.port);
    expect((await nextState('refused'))[1]).toMatch(/^NOAUTH /);
  });

  test('sends no command outside the rights of the documented user', async () => {
    const redis = await redisServer();
    const rights = [
      ...['on', '>secret', '~{t}:*', '&{t}:*', '+@read', '+@write', '+@pubsub', '+@scripting'],
      ...['+@connection', '+@transaction', '+time', '+wait', '-@dangerous', '+info'],
    ];
    await redis.call('ACL', 'SETUSER', 'gw', ...rights);
    const { link, next } = linkTo(redis.port, { user: 'gw', password: 'secret', db: 3 });
    link.subscribe('{t}:all');
    await next('subscribed');
    await next('beat');
    await next('beat');
    link.unsubscribe('{t}:all');
    await next('beat');
    expect(await redis.call('ACL', 'LOG')).toEqual([]);
    const clients = cli(redis, 'CLIENT', 'LIST');
    expect(clients).toMatch(/name=sluice:p1:writer .*db=3 .*user=gw/);
    expect(clients).toMatch(/name=sluice:p1:subscriber .*user=gw/);
  });

  test('names the command that the user may not send', async () => {
    const redis = await redisServer();
    await redis.call('ACL', 'SETUSER', 'gw', 'on', '>secret', '~*', '&*', '+@all', '-info');
    const { nextState } = linkTo(redis.port, { user: 'gw', password: 'secret' });
    expect((await nextState('refused'))[1]).toMatch(/^NOPERM .*'info'/);
  });

  test('names a missing database and a forbidden channel', async () => {
    const redis = await redisServer();
    const { nextState } = linkTo(redis.port, { db: 99 });
    expect((await nextState('refused'))[1]).toMatch(/DB index/);
    await redis.call('ACL', 'SETUSER', 'gw', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const second = linkTo(redis.port, { user: 'gw', password: 'secret' });
    second.link.subscribe('{t}:all');
    expect((await second.nextState('refused'))[1]).toMatch(/^NOPERM .*channel/);
  });

  test('reports a server of another kind', async () => {
    const server = createServer((req, res) => res.end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close());
    const { nextState } = linkTo(server.address().port);
    expect((await nextState('refused'))[1]).toMatch(/does not answer as Redis does/);
  });

  test('disconnects from a server that became a replica, until it is a master again', async () => {
    const redis = await redisServer();
    const { next, nextState } = linkTo(redis.port);
    await next('beat');
    await redis.call('REPLICAOF', '127.0.0.1', String(await freePort()));
    await nextState('readonly');
    await redis.call('REPLICAOF', 'NO', 'ONE');
    await nextState('ok');
    await next('beat');
  });

  test('is full while the server has no memory, and beats once it has', async () => {
    const redis = await redisServer();
    const { link, next, nextState } = linkTo(redis.port);
    await next('beat');
    await redis.call('CONFIG', 'SET', 'maxmemory', '1');
    expect((await nextState('full'))[1]).toMatch(/OOM/);
    await redis.call('CONFIG', 'SET', 'maxmemory', '0');
    await nextState('ok');
    await next('beat');
    expect(link.figures().connections).toBe(1);
  });

  test('waits while the server loads its data', async () => {
    // Twenty milliseconds for each key, and a look at the connections for each kilobyte.
    const args = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
    const redis = await redisServer({ args: [...args, '--rdbcompression', 'no'] });
    const fill = "for i = 1, 100 do redis.call('SET', 'k' .. i, string.rep('x', 2000)) end";
    await redis.call('EVAL', fill, '0');
    await redis.call('SAVE');
    await redis.kill();
    const started = redis.start();
    await until(() => {
      try {
        return cli(redis, 'PING').startsWith('LOADING');
      } catch {
        return false;
      }
    });
    const { next, nextState } = linkTo(redis.port);
    expect(await nextState('unreachable')).toEqual(['unreachable', 'Redis is loading its data']);
    await nextState('ok');
    await started;
    await next('beat');
  });

  test('connects to another address, and reports an unknown name', async () => {
    const redis = await redisServer();
    let address = { host: 'redis.invalid', port: redis.port };
    const { link, nextState, next } = linkTo(redis.port, {}, { locate: async () => address });
    expect((await nextState('unreachable'))[1]).toMatch(/redis\.invalid/);
    address = { host: 'localhost', port: redis.port };
    await nextState('ok');
    const other = await redisServer();
    address = { host: '127.0.0.1', port: other.port };
    link.relocate();
    await nextState('unreachable');
    await nextState('ok');
    await next('beat');
    expect(await other.call('HGET', '{t}:procs', 'p1')).not.toBeNull();
  });

  test('is silent once it is closed', async () => {
    const redis = await redisServer();
    const { link, events, next } = linkTo(redis.port);
    await next('beat');
    link.close();
    link.close();
    events.length = 0;
    await until(() => !cli(redis, 'CLIENT', 'LIST').includes('name=sluice:'));
    expect(events).toEqual([]);
    link.subscribe('{t}:all');
    expect(link.figures()).toMatchObject({ connections: 0, channels: 0 });
  });

  test('refuses a reactor with a manual clock', async () => {
    const { manualReactor } = await import('../../../lib/internal/native/reactor.js');
    const { ManualClock } = await import('../../../lib/internal/time/clock.js');
    const reactor = manualReactor(new ManualClock());
    const address = { host: '127.0.0.1', port: 1 };
    expect(
      () => new RedisLink({ reactor, address, prefix: '{t}:', leaseMs: 1000, scripts }),
    ).toThrow(TypeError);
  });
});
