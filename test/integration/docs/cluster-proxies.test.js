/**
 * The steps of ops/docker/cluster.yaml without containers: its commands, its Redis, its nginx; and HAProxy in front of the
 * same processes. Requests and streams go through the balancers while one process leaves.
 */
import { createHash } from 'node:crypto';
import yaml from 'js-yaml';
import { client } from '../../support/gateway/gateway.js';
import { expectDense, readAcross } from '../../support/cluster/reader.js';
import { file, killAll, removeFiles, sluiceWith } from '../../support/crash/cli.js';
import { freePort } from '../../support/free-port.js';
import {
  haproxy,
  nginx,
  proxyFolder,
  read,
  replaced,
  startProxy,
  stopProxies,
} from '../../support/proxies/proxies.js';
import { plan, startScriptedUpstream, textOf } from '../../support/cluster/upstream.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { which } from '../../../scripts/lib/run.mjs';

const PASSWORD = 'secret123';
const KEY = 'sk-test';
const headers = { authorization: `Bearer ${KEY}` };

const { services } = yaml.load(
  read('docker/cluster.yaml').replaceAll('${REDIS_PASSWORD:?}', PASSWORD),
);

let redis;
let upstream;
/** Of the two services, by name. */
const nodes = {};

/** Runs the command of a service on a free port of this machine. */
async function startService(name, config) {
  const { command, environment, volumes } = services[name];
  const [mount] = volumes;
  expect(mount).toBe('./config.json:/etc/sluice/config.json:ro');
  const replacements = {
    '--host=0.0.0.0': '--host=127.0.0.1',
    '--upstream=http://ollama:11434': `--upstream=${upstream.url}`,
    '--config=/etc/sluice/config.json': `--config=${config}`,
    '--drain-ms=20000': '--drain-ms=10000',
  };
  for (const given of Object.keys(replacements)) expect(command).toContain(given);
  const args = command.map((arg) => replacements[arg] ?? arg);
  const url = replaced(environment.SLUICE_REDIS_URL, 'redis:6379', `127.0.0.1:${redis.port}`);
  const port = await freePort();
  const more = ['--port', String(port), '--lease-ms', '1000', '--cache', 'off'];
  const node = sluiceWith({ SLUICE_REDIS_URL: url }, ...args, ...more);
  nodes[name] = Object.assign(node, { port });
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );
  await Promise.race([
    until(ready, `${name} to be ready`),
    node.exited.then(({ stderr }) => Promise.reject(new Error(stderr))),
  ]);
}

beforeAll(async () => {
  const [program, ...args] = services.redis.command;
  expect(program).toBe('redis-server');
  const own = args.filter((arg, i) => arg !== '--requirepass' && args[i - 1] !== '--requirepass');
  redis = await startRedis({ password: PASSWORD, args: own });
  upstream = await startScriptedUpstream();
  const given = JSON.parse(read('docker/config.json'));
  const sha256 = createHash('sha256').update(KEY).digest('hex');
  const limits = { ...given.limits, requests_per_minute: 10_000, concurrent_jobs: 100 };
  const config = { ...given, limits, keys: [{ id: 'test', sha256 }] };
  const path = await file('config.json', JSON.stringify(config));
  await Promise.all(['sluice-1', 'sluice-2'].map((name) => startService(name, path)));
});

afterAll(async () => {
  await stopProxies();
  killAll();
  await upstream?.close();
  await redis?.stop();
  await removeFiles();
});

/** The addresses of a configuration, as they are here. */
const placed = (config) =>
  Object.keys(nodes).reduce(
    (text, name) => replaced(text, `${name}:8080`, `127.0.0.1:${nodes[name].port}`),
    config,
  );

const balancers = [
  [
    'nginx',
    (folder, port) => {
      const [mount] = services.nginx.volumes;
      const [path] = mount.split(':');
      const config = read(path.replace('../', ''));
      return nginx(folder, placed(replaced(config, 'listen 80;', `listen 127.0.0.1:${port};`)));
    },
  ],
  [
    'haproxy',
    (folder, port) => {
      const config = read('haproxy/sluice.cfg');
      return haproxy(folder, placed(replaced(config, 'bind :80', `bind 127.0.0.1:${port}`)));
    },
  ],
].filter(([program]) => which(program));

const testHere = balancers.length > 0 ? test : test.skip;

/** Posts plans, one after the other; gives the statuses. */
async function post(origin, count) {
  const statuses = [];
  for (let i = 0; i < count; i += 1) {
    const { prompt } = plan({ tokens: 2 });
    const { status } = await client(origin).submit({ prompt }, headers);
    statuses.push(status);
  }
  return statuses;
}

testHere('requests, streams and their resumption go on while a process leaves', async () => {
  const origins = [];
  for (const [, command] of balancers) {
    const folder = proxyFolder();
    const port = await freePort();
    await startProxy(folder, command(folder, port), `http://127.0.0.1:${port}/healthz`);
    origins.push(`http://127.0.0.1:${port}`);
  }
  // Each event on a connection of its own: the balancers spread them over both processes.
  const resumed = await Promise.all(
    origins.map(async (origin) => {
      const { prompt, plan: own } = plan({ tokens: 12 });
      const { status, body } = await client(origin).submit({ prompt }, headers);
      expect(status).toBe(201);
      const options = { eventsPerConnection: 1, headers };
      return { own, reader: await readAcross(() => [origin], body.stream_url, options).done };
    }),
  );
  for (const { own, reader } of resumed) {
    expect(reader.text).toBe(textOf(own));
    expectDense(reader.ids);
    expect(reader.events.some(({ type }) => type === 'gap')).toBe(false);
  }
  // Two jobs at each process, or nearly, with readers at any.
  const waiting = await Promise.all(
    [...origins, ...origins, ...origins].map(async (origin) => {
      const { prompt, plan: own } = plan({ tokens: 6, stopAt: 3 });
      const { body } = await client(origin).submit({ prompt, on_disconnect: 'continue' }, headers);
      const reader = readAcross(() => [origin], body.stream_url, { headers });
      await until(() => reader.events.length >= 3, 'the first tokens');
      return { own, reader };
    }),
  );
  const leaving = nodes['sluice-1'];
  leaving.child.kill('SIGTERM');
  await until(() => leaving.output.stderr.includes('draining'), 'the process to leave');
  // It refuses them, and the balancers ask the other one.
  const during = await Promise.all(origins.map((origin) => post(origin, 10)));
  for (const { own } of waiting) upstream.go(own.name);
  expect((await leaving.exited).code).toBe(0);
  const after = await Promise.all(origins.map((origin) => post(origin, 10)));
  for (const statuses of [...during, ...after]) expect(new Set(statuses)).toEqual(new Set([201]));
  for (const { own, reader } of waiting) {
    await reader.done;
    expect(reader.events.at(-1).type).toBe('job_complete');
    expect(reader.text).toBe(textOf(own));
    expect(new Set(reader.statuses)).toEqual(new Set([200]));
  }
});
