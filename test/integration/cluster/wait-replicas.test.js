/** `waitReplicas`: what is acknowledged for good is on replicas; without them it is not acknowledged. */
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

  const { status, body } = await submit('one');
  expect(status).toBe(201);
  const [key] = await replica.keys('{sluice}:idem:*');
  expect(await replica.call('HGET', key, 'job')).toBe(body.job_id);
  const stream = node.read(body.stream_url);
  const call = await hand.call(0);
  call.push('text');
  call.end();
  expect((await stream).events.at(-1).type).toBe('job_complete');
  expect(await replica.call('HGET', `{sluice}:job:${body.job_id}`, 'status')).toBe('completed');

  const made = await node.post('/v1/conversations', {});
  expect(made.status).toBe(201);
  const conversations = () => replica.keys('{sluice}:conv:*');
  expect(await conversations()).toEqual([`{sluice}:conv:${made.body.conversation_id}`]);

  replica.freeze();
  expect((await node.post('/v1/conversations', {})).status).toBe(503);
  const refused = await submit('two');
  expect(refused.status).toBe(503);
  expect(refused.body.error.code).toBe('storage_unavailable');
  // Without a key nothing is promised.
  expect((await node.submit({ prompt: 'p' })).status).toBe(201);
  replica.thaw();
  await until(async () => (await submit('two')).status === 201, 'the replica to answer');
  // The requests that were refused have made nothing.
  await until(async () => (await conversations()).length === 1, 'one conversation');
  expect((await node.get('/v1/jobs')).body.data).toHaveLength(3);
  expect(hand.calls).toHaveLength(3);
});
