/** `openRedis().kv()` when Redis is killed, restarted, frozen, full, read-only, or refuses the user. */
import { once } from 'node:events';
import net from 'node:net';
import { openRedis } from '../../../../lib/index.js';
import { useRedis } from '../../../support/cluster/redis.js';
import { until } from '../../../support/until.js';

const PASSWORD = 'not-to-be-shown';

const server = useRedis({
  args: ['--appendonly', 'yes', '--appendfsync', 'always'],
  password: PASSWORD,
});
const opened = [];

afterEach(async () => {
  for (const shared of opened.splice(0)) await shared.close();
  await server.call('FLUSHALL');
});

async function open(options) {
  const shared = await openRedis({ url: server.url, ...options });
  opened.push(shared);
  return shared;
}

/** The error of a call, which must not contain the password. */
async function failure(promise) {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  expect(`${error.message} ${error.stack}`).not.toContain(PASSWORD);
  return error;
}

test('a restart with the file keeps all keys, and no version returns', async () => {
  const kv = (await open()).kv();
  const kept = await kv.set('kept', 1);
  const deleted = await kv.set('deleted', 1);
  await kv.delete('deleted');
  const last = await kv.version;
  await server.kill();
  expect(await failure(kv.get('kept'))).toMatchObject({
    code: 'ERR_REDIS_UNREACHABLE',
    message: expect.stringContaining(`127.0.0.1:${server.port}`),
  });
  await server.start();
  await until(() => kv.get('kept').catch(() => false), 'Redis to answer');
  expect(await kv.get('kept')).toMatchObject({ value: 1, version: kept });
  const next = await kv.set('deleted', 2);
  expect(next).toBeGreaterThan(last);
  expect(last).toBeGreaterThan(deleted);
  await expect(kv.set('deleted', 3, { ifVersion: deleted })).rejects.toMatchObject({
    code: 'ERR_CONFLICT',
    version: next,
  });
  expect(await kv.set('deleted', 3)).toBe(next + 1);
});

test('versions that a server has lost with its last second do not return', async () => {
  const kv = (await open()).kv();
  await kv.set('k', 1);
  const lost = await kv.set('k', 'lost');
  // The state after a loss: an earlier version, and another run of the server.
  await server.call('HSET', '{sluice}:kv:store:default', 'version', 1, 'run', 'another');
  expect(await kv.set('k', 'other')).toBeGreaterThan(lost);
});

test('commands that a frozen server runs at its thaw have no effect', async () => {
  const kv = (await open({ commandTimeoutMs: 200 })).kv();
  await kv.set('k', 'before');
  server.freeze();
  const error = await failure(kv.set('k', 'late'));
  expect(error).toMatchObject({ code: 'ERR_REDIS_UNREACHABLE', uncertain: true });
  // No connection waits again.
  expect(await failure(kv.get('k'))).toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' });
  server.thaw();
  await until(() => kv.get('k').catch(() => false), 'Redis to answer');
  expect((await kv.get('k')).value).toBe('before');
});

test('a full server refuses growing writes, and accepts deletions', async () => {
  const kv = (await open()).kv();
  await kv.set('k', 'x'.repeat(1000));
  await server.call('CONFIG', 'SET', 'maxmemory', 1);
  const error = await failure(kv.set('other', 1));
  expect(error).toMatchObject({
    code: 'ERR_REDIS_FULL',
    message: expect.stringContaining(`127.0.0.1:${server.port}`),
  });
  expect(await kv.get('other')).toBeUndefined();
  expect(await kv.stats()).toMatchObject({ keys: 1, bytes: 1001 });
  expect(await kv.delete('k')).toBe(true);
  await server.call('CONFIG', 'SET', 'maxmemory', 0);
  expect(await kv.set('other', 1)).toBeGreaterThan(0);
});

test('a read-only replica is reported', async () => {
  const kv = (await open()).kv();
  await kv.set('k', 1);
  await server.call('CONFIG', 'SET', 'masterauth', 'none');
  await server.call('REPLICAOF', '127.0.0.1', '1');
  expect((await failure(kv.set('k', 2))).code).toMatch(/^ERR_REDIS_(READONLY|UNREACHABLE)$/);
  await server.call('REPLICAOF', 'NO', 'ONE');
  await until(() => kv.set('k', 3).catch(() => false), 'Redis to take writes');
});

test('the loss of a store ends its watches', async () => {
  const kv = (await open()).kv();
  const watch = kv.watch();
  await kv.set('k', 1);
  await kv.set('k', 2);
  await watch.next();
  await watch.next();
  await server.call('FLUSHALL');
  await kv.set('k', 3);
  expect(await failure(watch.next())).toMatchObject({ code: 'ERR_WATCH_OVERFLOW' });
});

test('scripts are sent again when the server has forgotten them', async () => {
  const kv = (await open()).kv();
  await kv.set('k', 1);
  await server.call('SCRIPT', 'FLUSH');
  expect(await kv.increment('k')).toBe(2);
});

test('a user with the rights of the documentation can do all of it', async () => {
  const rights =
    '~{sluice}:* &{sluice}:* +@read +@write +@pubsub +@scripting +@connection +@transaction +time +wait -@dangerous +info';
  await server.call('ACL', 'SETUSER', 'gw', 'on', '>secret', ...rights.split(' '));
  const kv = (await open({ url: `redis://gw:secret@127.0.0.1:${server.port}` })).kv();
  const watch = kv.watch();
  await kv.set('k', 1, { ttlMs: 60_000 });
  await kv.transaction(async (tx) => {
    await tx.scan();
    await tx.increment('k');
  });
  expect((await watch.next()).value).toMatchObject({ key: 'k', value: 1 });
  expect(await kv.delete('k')).toBe(true);
});

test('a wrong password, an old server and a newer schema are refused at once', async () => {
  const wrong = `redis://:${PASSWORD}x@127.0.0.1:${server.port}`;
  expect(await failure(openRedis({ url: wrong }))).toMatchObject({
    code: 'ERR_REDIS_AUTHENTICATION',
    message: expect.stringContaining(`127.0.0.1:${server.port}`),
  });
  await server.call('HSET', '{sluice}:meta', 'schema', 2);
  expect(await failure(openRedis({ url: server.url }))).toMatchObject({ code: 'ERR_REDIS_SCHEMA' });
  const old = net.createServer((socket) => {
    const info = 'redis_version:6.0.16\r\nrole:master\r\n';
    socket.on('data', (data) => {
      const isInfo = /info/i.test(String(data));
      socket.write(isInfo ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
    });
  });
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  const { port } = old.address();
  const error = await failure(openRedis({ url: `redis://127.0.0.1:${port}` }));
  expect(error).toMatchObject({
    code: 'ERR_REDIS_VERSION',
    message: expect.stringContaining('6.2'),
  });
  old.close();
});

test('an unreachable server is named', async () => {
  const error = await failure(openRedis({ url: `redis://:${PASSWORD}@127.0.0.1:1` }));
  expect(error).toMatchObject({
    code: 'ERR_REDIS_UNREACHABLE',
    message: expect.stringContaining('127.0.0.1:1'),
  });
});
