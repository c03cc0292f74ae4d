/** The address of Redis by Sentinels, and by another node of a Redis Cluster. */
import { handProvider } from '../../support/providers/providers.js';
import {
  isLinked,
  readElsewhere,
  redisServer,
  refusal,
  stopLater,
  stopServers,
  submitted,
  twoGateways,
} from '../../support/cluster/gateways.js';
import { start } from '../../support/gateway/gateway.js';
import { startSentinel } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

afterEach(stopServers);

test('a Sentinel: the master is found, and its replica after it has died', async () => {
  const master = await redisServer({ password: 'secret', args: ['--masterauth', 'secret'] });
  const replica = await redisServer({
    ...{ password: 'secret' },
    args: ['--masterauth', 'secret', '--replicaof', `127.0.0.1 ${master.port}`],
  });
  await until(() => isLinked(replica), 'the replica to follow');
  const sentinel = await startSentinel({ name: 'main', port: master.port });
  stopLater(sentinel);
  await sentinel.call('SENTINEL', 'SET', 'main', 'auth-pass', 'secret');
  const nodes = await twoGateways({
    url: `redis-sentinel://:secret@127.0.0.1:1,127.0.0.1:${sentinel.port}/main/1`,
  });
  await until(
    async () => (await sentinel.call('SENTINEL', 'REPLICAS', 'main')).length === 1,
    'the Sentinel to know the replica',
  );
  await readElsewhere(nodes, () => master.kill());
  expect((await replica.info('replication')).role).toBe('master');
  for (const node of [nodes.a, nodes.b]) await node.ready();
  await readElsewhere(nodes);
});

test('a Redis Cluster: the node that has the keys is found, and again after they have moved', async () => {
  const args = ['--cluster-enabled', 'yes'];
  const [a, b] = [await redisServer({ args }), await redisServer({ args })];
  await a.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
  await b.call('CLUSTER', 'MEET', '127.0.0.1', a.port);
  const isWhole = async () => (await b.call('CLUSTER', 'INFO')).includes('cluster_state:ok');
  await until(isWhole, 'the cluster to be whole');
  const nodes = await twoGateways({ url: `redis://127.0.0.1:${b.port}` });
  expect(await a.call('DBSIZE')).toBeGreaterThan(0);
  const idA = await a.call('CLUSTER', 'MYID');
  await b.call('CLUSTER', 'REPLICATE', idA);
  await until(() => isLinked(b), 'the other node to follow');
  const isKnown = async () => (await a.call('CLUSTER', 'REPLICAS', idA)).length === 1;
  await until(isKnown, 'the node to know its replica');
  await readElsewhere(nodes, async () => {
    await b.call('CLUSTER', 'FAILOVER');
    await until(
      async () => (await b.info('replication')).role === 'master',
      'the other node to lead',
    );
  });
  await submitted(nodes.a);
  // The URL names a replica now, which sends its callers to its master.
  const redis = `redis://127.0.0.1:${a.port}`;
  await (await start({ provider: handProvider().provider, redis })).ready();
  expect(await refusal(`redis://127.0.0.1:${b.port}/1`)).toMatchObject({
    code: 'ERR_REDIS_DATABASE',
  });
});
