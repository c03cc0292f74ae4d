/** `waitReplicas`: acknowledged endings are on replicas; without replicas there is no acknowledgement. */
import { openRedis } from '../../../lib/index.js';
import { handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

let master;
let replica;

beforeAll(async () => {
  master = await startRedis();
  replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
  const isLinked = async () => (await replica.info('replication')).master_link_status === 'up';
  await until(isLinked, 'the replica to follow');
});
afterAll(async () => {
  await stopAll();
  await replica.stop();
  await master.stop();
});

test('keys, endings and conversations are on the replica when they are answered', async () => {
  const hand = handProvider();
  const redis = { url: master.url, leaseMs: 1000, waitReplicas: 1 };
  const node = await start({ provider: hand.provider, redis });
  await until(async () => (await node.get('/readyz')).status === 200, 'the process to be ready');
  const submit = (key) =>
    node.submit({ prompt: 'p', on_disconnect: 'continue' }, { 'idempotency-key': key });

  // On a busy machine the replica may not answer within the time of a command.
  const made = async (ask) =>
    until(async () => {
      const { status, body } = await ask();
      expect([201, 503]).toContain(status);
      return status === 201 && body;
    }, 'the replica to answer');

  const body = await made(() => submit('one'));
  const [key] = await replica.keys('{sluice}:idem:*');
  expect(await replica.call('HGET', key, 'job')).toBe(body.job_id);
  const stream = node.read(body.stream_url);
  const call = await hand.call(0);
  call.push('text');
  call.end();
  expect((await stream).events.at(-1).type).toBe('job_complete');
  expect(await replica.call('HGET', `{sluice}:job:${body.job_id}`, 'status')).toBe('completed');

  const { conversation_id: id } = await made(() => node.post('/v1/conversations', {}));
  const conversations = () => replica.keys('{sluice}:conv:*');
  expect(await conversations()).toContain(`{sluice}:conv:${id}`);

  replica.freeze();
  expect((await node.post('/v1/conversations', {})).status).toBe(503);
  const refused = await submit('two');
  expect(refused.status).toBe(503);
  expect(refused.body.error.code).toBe('storage_unavailable');
  // Without a key nothing is promised.
  expect((await node.submit({ prompt: 'p' })).status).toBe(201);
  replica.thaw();
  await made(() => submit('two'));
  // The requests that were refused have made nothing.
  await until(async () => (await conversations()).length === 1, 'one conversation');
  const jobs = async () => (await node.get('/v1/jobs')).body.data;
  await until(async () => (await jobs()).length === 3, 'three jobs');
  expect(hand.calls).toHaveLength(3);
});

test('a write of a key and a transfer are acknowledged when the replica has them', async () => {
  const options = { url: master.url, prefix: 'kv', waitReplicas: 1, commandTimeoutMs: 2000 };
  const shared = await openRedis(options);
  try {
    const kv = shared.kv();
    const onRefused = ({ code }) => {
      expect(code).toBe('ERR_REDIS_UNREACHABLE');
      return false;
    };
    const answered = (ask) =>
      until(() => ask().then(() => true, onRefused), 'the replica to answer');
    await answered(() => kv.set('a', 1));
    expect(await replica.keys('{kv}:*')).not.toEqual([]);
    const ledger = shared.ledger();
    await ledger.open({ account: 'alice' }).catch(() => {});
    await answered(() => ledger.deposit({ key: 'd1', account: 'alice', amount: 5n }));
    replica.freeze();
    const unreachable = { code: 'ERR_REDIS_UNREACHABLE', uncertain: true };
    await expect(kv.set('a', 2)).rejects.toMatchObject(unreachable);
    const deposit = () => ledger.deposit({ key: 'd2', account: 'alice', amount: 7n });
    await expect(deposit()).rejects.toMatchObject(unreachable);
    replica.thaw();
    await until(() => deposit().catch(() => undefined), 'the replica to answer');
    // The key has made one deposit of the two calls.
    expect((await ledger.balance('alice')).posted).toBe(12n);
    await until(() => kv.set('a', 3).catch(() => undefined), 'the replica to answer');
  } finally {
    await shared.close();
  }
});
