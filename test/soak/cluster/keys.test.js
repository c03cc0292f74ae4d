/** Keys that are changed over HTTP at one process of a deployment, and the dashboard of another one. */
import { readFileSync } from 'node:fs';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { bearer, entry } from '../../support/gateway/keys.js';
import { file } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

const ops = bearer('ops');
const KEYS = [
  entry('ops', 'ops', { admin: true }),
  entry('ann', 'ann', { limits: { requests_per_minute: 10 } }),
];

let deployment;
let path;
let a;
let b;

beforeAll(async () => {
  path = await file('keys.json', JSON.stringify({ keys: KEYS }));
  deployment = await deploy({ flags: ['--config', path] });
  [a, b] = deployment.nodes;
});
afterAll(async () => {
  await stopDeployments();
  await removeFiles();
});

const change = (node, rest, body) => node.post(`/v1/keys${rest}`, body, ops);
const statusFor = async (node, key) =>
  (await node.get('/v1/jobs', { headers: bearer(key) })).status;
const becomes = (node, key, status) =>
  until(async () => (await statusFor(node, key)) === status, `${status} for ${key}`);
const idsAt = async (node) =>
  (await node.get('/v1/keys', { headers: ops })).body.data.map(({ id }) => id);

test('every process follows a change, and the file is not changed', async () => {
  const made = await change(a, '', { id: 'bob', limits: { concurrent_jobs: 1 } });
  expect(made.status).toBe(201);
  const { key } = made.body;
  expect(await statusFor(a, key)).toBe(200);
  await becomes(b, key, 200);
  expect((await change(b, '/bob/disable')).body.disabled).toBe(true);
  await becomes(a, key, 401);
  // Keys of the file, too.
  const rotated = (await change(b, '/ann/rotate', { keep_old: false })).body.key;
  await becomes(a, rotated, 200);
  expect(await statusFor(a, 'ann')).toBe(401);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ keys: KEYS });
  // SIGHUP reads the file; the keys in Redis override it.
  a.child.kill('SIGHUP');
  await until(() => a.output.stderr.includes('configuration reloaded'), 'the reload');
  expect([await statusFor(a, 'ann'), await statusFor(a, rotated)]).toEqual([401, 200]);
  const stored = JSON.stringify(await deployment.redis.call('HGETALL', '{sluice}:keys'));
  expect(stored).toContain('bob');
  expect(stored).not.toContain(key);
});

test('concurrent changes at several processes all apply, and a new process has them', async () => {
  const ids = Array.from('123456789', (digit) => `c${digit}`);
  const made = await Promise.all(ids.map((id, i) => change(i % 2 ? a : b, '', { id })));
  expect(made.map(({ status }) => status)).toEqual(ids.map(() => 201));
  expect((await a.call('DELETE', '/v1/keys/ann', { headers: ops })).status).toBe(204);
  expect((await b.call('DELETE', '/v1/keys/c9', { headers: ops })).status).toBe(204);
  const expected = ['ops', 'bob', ...ids.slice(0, -1)];
  await until(async () => (await idsAt(a)).join() === expected.join(), 'the keys of a');
  await until(async () => (await idsAt(b)).join() === expected.join(), 'the keys of b');
  const c = await deployment.add();
  expect(await idsAt(c)).toEqual(expected);
  expect(await statusFor(c, made[0].body.key)).toBe(200);
  expect((await change(c, '/ops/disable')).body.error.code).toBe('last_admin_key');
});

test('when Redis has lost the changes, a disabled key stays disabled', async () => {
  const { key } = (await change(a, '', { id: 'eve' })).body;
  await becomes(b, key, 200);
  expect((await change(a, '/eve/disable')).status).toBe(200);
  await becomes(b, key, 401);
  await deployment.redis.call('DEL', '{sluice}:keys');
  await deployment.redis.call('PUBLISH', '{sluice}:all', 'keys');
  await until(
    async () =>
      JSON.stringify(await deployment.redis.call('HGETALL', '{sluice}:keys')).includes('eve'),
    'the changes in Redis',
  );
  expect((await change(b, '', { id: 'fay' })).status).toBe(201);
  await until(async () => (await idsAt(a)).includes('fay'), 'the keys of a');
  expect([await statusFor(a, key), await statusFor(b, key)]).toEqual([401, 401]);
});

test('the dashboard names the processes, and the remainder of shared limits', async () => {
  const limits = { requests_per_minute: 5 };
  const { key } = (await change(a, '', { id: 'dan', limits })).body;
  await becomes(b, key, 200);
  await deployment.submit(b, {}, { headers: bearer(key) });
  const stream = await a.stream('/v1/admin/events', { headers: ops });
  const state = await until(
    () => stream.events.find(({ type }) => type === 'state')?.data,
    'the state',
  );
  stream.close();
  expect(state.cluster.members).toHaveLength(deployment.urls().length);
  expect(state.cluster.members).toContain(state.cluster.process);
  const dan = state.limits.data.find(({ name }) => name === 'dan');
  expect(dan.entries).toEqual([{ dimension: 'requests', limit: 5, remaining: 4 }]);
  // Entries are recorded by the process that received the request.
  const actions = async (node) =>
    (await node.get('/v1/audit?action=key.create&target=dan', { headers: ops })).body.data.length;
  expect([await actions(a), await actions(b)]).toEqual([1, 0]);
});
