/** The ways to a server of Redis: TLS, Sentinels, and a Redis Cluster whose other node is asked. */
import { createGateway } from '../../../lib/index.js';
import { certificate, certificatePath, key } from '../../support/upstream/localhost-certificate.js';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/free-port.js';
import { handProvider } from '../../support/providers/providers.js';
import { killAll, sluiceWith } from '../../support/crash/cli.js';
import { readAcross } from '../../support/cluster/reader.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startRedis, startSentinel } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

const keyPath = fileURLToPath(new URL('../../support/upstream/localhost-key.pem', import.meta.url));

const servers = [];
afterEach(async () => {
  killAll();
  await stopAll();
  while (servers.length > 0) await servers.pop().stop();
});

async function redisServer(options) {
  const server = await startRedis(options);
  servers.push(server);
  return server;
}

/** Two gateways of one deployment, with one provider that the test plays. */
async function twoGateways(redis) {
  const hand = handProvider();
  const options = { provider: hand.provider, redis: { leaseMs: 1000, ...redis } };
  const [a, b] = [await start(options), await start(options)];
  for (const node of [a, b]) await whenReady(node);
  return { a, b, hand };
}

const whenReady = (node) =>
  until(async () => (await node.get('/readyz')).status === 200, 'the process to be ready');

/** Submits a job, again and again while Redis is away. */
const submitted = ({ submit }) =>
  until(async () => {
    const { status, body } = await submit({ prompt: 'p', on_disconnect: 'continue' });
    expect([201, 503]).toContain(status);
    return status === 201 && body;
  }, 'a job');

/** A job of `a` that is read at `b` while it is made, with something that befalls them between two tokens. */
async function readElsewhere({ a, b, hand }, befall = async () => {}) {
  const body = await submitted(a);
  const call = await hand.call(hand.calls.length - 1);
  const reader = readAcross(() => [b.url], body.stream_url);
  call.push('one ');
  const told = () => a.job(body.job_id).then(({ text }) => text);
  await until(async () => (await b.job(body.job_id)).text === 'one ', 'a token elsewhere');
  await befall();
  call.push('two');
  await until(async () => (await told()) === 'one two', 'a token here');
  call.end();
  const { events, text } = await reader.done;
  expect(events.at(-1).type).toBe('job_complete');
  expect(text).toBe('one two');
}

const isLinked = async (replica) => (await replica.info('replication')).master_link_status === 'up';

/** How `listen()` of a gateway fails. */
async function refusal(redis) {
  const gateway = createGateway({ provider: handProvider().provider, logger: false, redis });
  try {
    return await gateway.listen().then(
      () => undefined,
      (error) => error,
    );
  } finally {
    await gateway.close({ drainMs: 0 });
  }
}

describe('TLS', () => {
  async function tlsServer(...args) {
    const port = await freePort();
    const redis = await redisServer({
      password: 'secret',
      args: [
        ...['--tls-port', String(port), '--tls-cert-file', certificatePath],
        ...['--tls-key-file', keyPath, '--tls-ca-cert-file', certificatePath, ...args],
      ],
    });
    return { redis, url: `rediss://:secret@localhost:${port}`, port };
  }

  test('jobs are read elsewhere, by a user with a client certificate, and after cuts', async () => {
    const { redis, url } = await tlsServer('--tls-auth-clients', 'yes');
    const nodes = await twoGateways({ url, tls: { ca: certificate, cert: certificate, key } });
    await readElsewhere(nodes, async () => {
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    });
    const clients = await redis.call('CLIENT', 'LIST');
    expect(clients.match(/name=sluice:\S+:writer/g)).toHaveLength(2);
    expect(clients.match(/name=sluice:\S+:subscriber/g)).toHaveLength(2);
  });

  test('a certificate that is not trusted, or of another name, is an error of listen()', async () => {
    const { url, port } = await tlsServer('--tls-auth-clients', 'no');
    const unknown = await refusal({ url });
    expect(unknown).toMatchObject({ code: 'ERR_REDIS_TLS' });
    expect(unknown.message).toContain(`rediss://localhost:${port} cannot be reached by TLS`);
    expect(unknown.message).not.toContain('secret');
    const other = { url, tls: { ca: certificate, servername: 'example.org' } };
    expect(await refusal(other)).toMatchObject({ code: 'ERR_REDIS_TLS' });
    expect(await refusal({ url, tls: { rejectUnauthorized: false } })).toBeUndefined();
  });

  test('a server that wants a client certificate refuses a client without', async () => {
    const { url } = await tlsServer('--tls-auth-clients', 'yes');
    // The alert follows the greeting: on a busy machine it comes after `listen()` has ended its wait.
    const isRefused = async () =>
      (await refusal({ url, tls: { ca: certificate } }))?.code === 'ERR_REDIS_TLS';
    await until(isRefused, 'the refusal');
  });

  test('the environment names the server and further authorities; a mistake is exit code 1', async () => {
    const { url } = await tlsServer('--tls-auth-clients', 'no');
    const serve = (variables) =>
      sluiceWith({ SLUICE_REDIS_URL: url, ...variables }, 'serve', '--port', '0');
    const trusting = serve({ NODE_EXTRA_CA_CERTS: certificatePath });
    await until(() => trusting.output.stderr.includes('Redis answers'), 'Redis to answer');
    trusting.child.kill('SIGTERM');
    const { code, stderr } = await serve({}).exited;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^sluice: .*cannot be reached by TLS.*$/m);
    for (const text of [stderr, trusting.output.stderr]) expect(text).not.toContain('secret');
    expect((await trusting.exited).code).toBe(0);
  });

  test('other programs of the machine get nothing out of the port of the relay', async () => {
    const { TlsRelay } = await import('../../../lib/cluster/connection/tls-relay.js');
    const { redis, port } = await tlsServer('--tls-auth-clients', 'no');
    const relay = new TlsRelay({ tls: { ca: certificate }, user: '', password: 'secret' });
    const at = await relay.connectTo({ host: 'localhost', port });
    const before = (await redis.info('stats')).total_connections_received;
    const say = async (text) => {
      const socket = connect(at);
      let answer = '';
      socket.setEncoding('utf8').on('data', (part) => (answer += part));
      socket.on('error', () => {});
      socket.write(text);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await until(() => answer.includes('PONG') || socket.destroyed, 'an answer');
      if (!socket.destroyed) socket.destroy();
      await closed;
      return answer;
    };
    const command = (...words) =>
      `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
    const { password } = relay.credentials;
    const wrong = password.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    expect(await say(command('AUTH', wrong) + command('PING'))).toBe('');
    expect(await say(command('PING').repeat(5))).toBe('');
    // One connection more for each call of INFO, and none for the others.
    expect((await redis.info('stats')).total_connections_received).toBe(String(Number(before) + 1));
    expect(await say(command('AUTH', password) + command('PING'))).toBe('+OK\r\n+PONG\r\n');
    relay.close();
  });
});

test('a Sentinel: the master is found, and its replica after it has died', async () => {
  const master = await redisServer({ password: 'secret', args: ['--masterauth', 'secret'] });
  const replica = await redisServer({
    ...{ password: 'secret' },
    args: ['--masterauth', 'secret', '--replicaof', `127.0.0.1 ${master.port}`],
  });
  await until(() => isLinked(replica), 'the replica to follow');
  const sentinel = await startSentinel({ name: 'main', port: master.port });
  servers.push(sentinel);
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
  for (const node of [nodes.a, nodes.b]) await whenReady(node);
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
  await whenReady(
    await start({ provider: handProvider().provider, redis: `redis://127.0.0.1:${a.port}` }),
  );
  expect(await refusal(`redis://127.0.0.1:${b.port}/1`)).toMatchObject({
    code: 'ERR_REDIS_DATABASE',
  });
});
