/** Redis servers that are or become unfit: the reports, and the work that continues. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { createGateway } from '../../../lib/index.js';
import { expectDense, readAcross } from '../../support/cluster/reader.js';
import { handProvider } from '../../support/providers/providers.js';
import { start } from '../../support/gateway/gateway.js';
import { startSentinel } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { redisServer, stopLater, stopServers } from '../../support/cluster/gateways.js';

afterEach(stopServers);

/** A logger that keeps its lines. */
function listLogger() {
  const lines = [];
  const keep = (level) => (fields, message) => lines.push({ level, message, ...fields });
  return { lines, ...{ debug() {}, info: keep('info'), warn: keep('warn'), error: keep('error') } };
}

/** Gateways of one deployment with a provider controlled by the test. */
async function gateways(count, url) {
  const hand = handProvider();
  const logger = listLogger();
  const redis = { url, leaseMs: 1000 };
  const nodes = [];
  for (let i = 0; i < count; i += 1) {
    const node = await start({ provider: hand.provider, redis, logger });
    await until(async () => (await node.get('/readyz')).status === 200, 'to be ready');
    nodes.push(node);
  }
  return { nodes, hand, lines: logger.lines };
}

/** A job of a node, its call at the provider, and a reader of another node. */
async function begin(node, reading, hand) {
  const { body } = await node.submit({ prompt: 'p', on_disconnect: 'continue' });
  const call = await hand.call(hand.calls.length - 1);
  const reader = readAcross(() => [reading.url], body.stream_url);
  return { id: body.job_id, call, reader };
}

const seen = (job, text) => until(() => job.reader.text === text, `"${text}" elsewhere`);

test('a failover that has lost the tail: owners write the missing entries again', async () => {
  const master = await redisServer();
  const replica = await redisServer({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
  const linked = async () => (await replica.info('replication')).master_link_status === 'up';
  await until(linked, 'the replica to follow');
  const sentinel = await startSentinel({ name: 'main', port: master.port });
  stopLater(sentinel);
  const url = `redis-sentinel://127.0.0.1:${sentinel.port}/main`;
  const { nodes, hand } = await gateways(2, url);
  const [a, b] = nodes;
  const [live, ended] = [await begin(a, b, hand), await begin(a, b, hand)];
  for (const job of [live, ended]) {
    job.call.push('one ');
    await seen(job, 'one ');
  }
  const offset = async (server) => Number((await server.info('replication')).master_repl_offset);
  await until(async () => (await offset(replica)) > 0 && (await linked()), 'the replica to follow');
  const written = async (id) => (await replica.call('XLEN', `{sluice}:log:${id}`)) === 2;
  await until(async () => (await written(live.id)) && (await written(ended.id)), 'its tokens');
  // Later writes reach the master alone.
  replica.freeze();
  for (const job of [live, ended]) {
    job.call.push('two ');
    await seen(job, 'one two ');
  }
  ended.call.end();
  await ended.reader.done;
  await master.kill();
  replica.thaw();
  const status = (id) => replica.call('HGET', `{sluice}:job:${id}`, 'status');
  await until(async () => (await status(ended.id)) === 'completed', 'the ending at the new master');
  live.call.push('three');
  await seen(live, 'one two three');
  live.call.end();
  await live.reader.done;
  for (const [job, text] of [
    [live, 'one two three'],
    [ended, 'one two '],
  ]) {
    expectDense(job.reader.ids);
    expect(job.reader.events.map(({ type }) => type)).not.toContain('gap');
    for (const node of nodes) {
      await until(async () => (await node.job(job.id)).text === text, 'the text at each process');
    }
  }
});

test('a server that has become a replica: no new work, live streams continue to their end', async () => {
  const redis = await redisServer();
  const { nodes, hand, lines } = await gateways(2, redis.url);
  const [a, b] = nodes;
  const job = await begin(a, b, hand);
  job.call.push('one ');
  await seen(job, 'one ');
  await redis.call('REPLICAOF', '127.0.0.1', '1');
  const own = readAcross(() => [a.url], `/v1/stream?job_id=${job.id}`);
  job.call.push('two ');
  await until(() => own.text === 'one two ', 'the token here');
  const refused = await a.submit({ prompt: 'p' });
  expect([refused.status, refused.body.error.code]).toEqual([503, 'storage_unavailable']);
  await until(
    async () => (await a.get('/metrics')).body.includes('sluice_redis_state{state="readonly"} 1'),
    'the state',
  );
  await redis.call('REPLICAOF', 'NO', 'ONE');
  await seen(job, 'one two ');
  job.call.end();
  await job.reader.done;
  expect((await b.job(job.id)).status).toBe('completed');
  // One line per change of state, however often the server was tried.
  const notices = lines.filter(({ state }) => state === 'readonly');
  expect(notices.length).toBeLessThanOrEqual(nodes.length);
});

test('a policy that evicts is warned of once', async () => {
  const redis = await redisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  const { nodes, lines } = await gateways(1, redis.url);
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(async () => (await nodes[0].submit({ prompt: 'p' })).status === 201, 'a job');
  const warnings = lines.filter(({ message }) => message.includes('maxmemory-policy noeviction'));
  expect(warnings).toMatchObject([{ level: 'warn', maxmemory_policy: 'allkeys-lru' }]);
});

/** How `listen()` of a gateway fails. */
async function refusal(url) {
  const gateway = createGateway({ provider: handProvider().provider, logger: false, redis: url });
  try {
    return await gateway.listen().catch((error) => error);
  } finally {
    await gateway.close({ drainMs: 0 });
  }
}

test('a command that was renamed is named, also where a script calls it', async () => {
  const without = await redisServer({ args: ['--rename-command', 'EVALSHA', ''] });
  const error = await refusal(without.url);
  expect(error).toMatchObject({ code: 'ERR_REDIS_COMMAND' });
  expect(error.message).toContain('EVALSHA');

  const redis = await redisServer({ args: ['--rename-command', 'XADD', ''] });
  const { nodes, lines } = await gateways(1, redis.url);
  expect((await nodes[0].submit({ prompt: 'p' })).status).toBe(503);
  const line = lines.find(({ state }) => state === 'refused');
  expect(line.detail).toContain("unknown command 'XADD'");
});

test('Redis before 6.2 is refused', async () => {
  const old = createServer((socket) => {
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (text) => {
      const info = '# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\n';
      for (const [, name] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
        const isInfo = name.toUpperCase() === 'INFO';
        socket.write(isInfo ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(old, 'listening');
  const error = await refusal(`redis://:secret@127.0.0.1:${old.address().port}`);
  old.close();
  expect(error).toMatchObject({ code: 'ERR_REDIS_VERSION' });
  expect(error.message).toContain('6.0.16');
  expect(error.message).not.toContain('secret');
});
