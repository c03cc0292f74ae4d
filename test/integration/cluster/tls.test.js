/** A server of Redis behind TLS. */
import { certificate, certificatePath, key } from '../../support/upstream/localhost-certificate.js';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/free-port.js';
import { killAll, sluiceWith } from '../../support/crash/cli.js';
import {
  readElsewhere,
  redisServer,
  refusal,
  stopServers,
  twoGateways,
} from '../../support/cluster/gateways.js';
import { until } from '../../support/until.js';

const keyPath = fileURLToPath(new URL('../../support/upstream/localhost-key.pem', import.meta.url));

afterEach(async () => {
  killAll();
  await stopServers();
});

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
    // The alert follows the greeting: on a busy machine it arrives after `listen()` has ended its wait.
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

  test('other programs of the machine cannot use the port of the relay', async () => {
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
    // One connection per call of INFO, and none for other calls.
    expect((await redis.info('stats')).total_connections_received).toBe(String(Number(before) + 1));
    expect(await say(command('AUTH', password) + command('PING'))).toBe('+OK\r\n+PONG\r\n');
    relay.close();
  });
});
