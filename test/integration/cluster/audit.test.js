/** The audit log of several gateways on one Redis. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { erasedName } from '../../../lib/services/audit/entries.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start } from '../../support/gateway/gateway.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { useDeployments } from '../../support/cluster/gateways.js';

const { server: redis, own } = useDeployments();

const access = {
  keys: [entry('ann', 'ann'), entry('bob', 'bob'), entry('ops', 'ops', { admin: true })],
};
async function* provider() {
  yield 'x';
}

async function open(options) {
  const deployment = { ...own, leaseMs: 1000 };
  const node = await start({ provider, access, redis: deployment, ...options });
  await node.ready();
  return node;
}

const auditOf = async ({ get }, query = '') =>
  (await get(`/v1/audit${query}`, { headers: bearer('ops') })).body;
/** Actor, action, target and outcome of each entry, newest first. */
const briefOf = async (node, query) =>
  (await auditOf(node, query)).data.map(({ actor, action, target, outcome }) =>
    [actor, action, target, outcome].map(String).join(' '),
  );
const refuse = (node, key) =>
  node.call('DELETE', '/v1/principals/bob', { headers: bearer(key) }).then(({ status }) => status);
/** Waits until the latest entry has this action: entries of other processes then come after it. */
const latest = (node, action) =>
  until(async () => (await auditOf(node)).data[0]?.action === action, `the entry ${action}`);

test('every process answers the same, also one that starts later', async () => {
  const [a, b] = [await open(), await open()];
  expect(await refuse(a, 'ann')).toBe(403);
  await latest(a, 'principal.erase');
  const deposit = await b.post(
    '/v1/transfers',
    { to: 'acme', amount: 500, key: 'k' },
    bearer('ops'),
  );
  await latest(a, 'credits.transfer');
  a.gateway.audit.record({ action: 'user.suspend', target: 'eve', details: { days: 3 } });
  await latest(a, 'user.suspend');
  expect(await refuse(b, 'bob')).toBe(403);
  await latest(a, 'principal.erase');
  const here = await auditOf(a);
  expect(await briefOf(a)).toEqual([
    `bob principal.erase ${erasedName('bob')} denied`,
    'null user.suspend eve success',
    `ops credits.transfer ${deposit.body.transfer_id} success`,
    `ann principal.erase ${erasedName('bob')} denied`,
  ]);
  expect(here.data.map(({ id }) => id)).toEqual(
    [4, 3, 2, 1].map((number) => `audit_${String(number).padStart(15, '0')}`),
  );
  expect(here.data[1].details).toEqual({ days: 3 });
  expect(await auditOf(b)).toEqual(here);
  expect(await auditOf(await open())).toEqual(here);
  const first = await auditOf(b, '?limit=3');
  expect(first).toMatchObject({ data: here.data.slice(0, 3), has_more: true });
  const rest = await auditOf(a, `?limit=3&after=${first.data[2].id}`);
  expect(rest).toEqual({ data: here.data.slice(3), has_more: false });
  expect(await auditOf(a, '?actor=ann')).toEqual({ data: here.data.slice(3), has_more: false });
  expect(await a.gateway.audit.list({ outcome: 'success' })).toMatchObject({ hasMore: false });
});

test('a busy caller of one process does not displace the entries of others', async () => {
  const audit = { maxEntries: 5 };
  const [a, b] = [await open({ audit }), await open({ audit })];
  expect(await refuse(a, 'ann')).toBe(403);
  for (let i = 0; i < 8; i += 1) expect(await refuse(b, 'bob')).toBe(403);
  await until(async () => (await briefOf(b)).length === 5, 'the bound');
  const actors = (await auditOf(a)).data.map(({ actor }) => actor);
  expect(actors).toEqual(['bob', 'bob', 'bob', 'bob', 'ann']);
  const keys = await redis.keys(`{${own.prefix}}:audit*`);
  // Five entries, their order, those of each of two actors, the actors, the last number.
  expect(keys).toHaveLength(10);
  const { body } = await b.get('/metrics', { headers: bearer('ops') });
  expect(body).toMatch(/^sluice_audit_dropped_total 4$/m);
});

test('an erased job and an erased caller leave digests', async () => {
  const [a, b] = [await open(), await open()];
  const { job_id: id } = (await a.submit({ prompt: 'x' }, bearer('ann'))).body;
  await until(
    async () =>
      (await b.get(`/v1/jobs/${id}`, { headers: bearer('ann') })).body.status === 'completed',
    'the end',
  );
  expect((await b.post(`/v1/jobs/${id}/cancel`, undefined, bearer('ann'))).status).toBe(200);
  const removed = await b.call('DELETE', `/v1/jobs/${id}`, { headers: bearer('ann') });
  expect(removed.status).toBe(204);
  expect(await briefOf(b)).toEqual([
    `ann job.delete ${erasedName(id)} success`,
    `ann job.cancel ${erasedName(id)} success`,
  ]);
  expect(await briefOf(a, `?target=${id}`)).toHaveLength(2);
  const erased = await a.call('DELETE', '/v1/principals/ann', { headers: bearer('ops') });
  expect(erased.status).toBe(204);
  const name = erasedName('ann');
  await until(async () => (await briefOf(b))[0].endsWith('success'), 'the end of the erasure');
  expect(await briefOf(b)).toEqual([
    `ops principal.erase ${name} success`,
    `${name} job.delete ${erasedName(id)} success`,
    `${name} job.cancel ${erasedName(id)} success`,
  ]);
  expect(await briefOf(a, '?actor=ann')).toHaveLength(2);
  for (const key of await redis.keys(`{${own.prefix}}:audit*`)) {
    expect(key).not.toContain('ann');
    if (!/audit:entry/.test(key)) continue;
    expect(JSON.stringify(await redis.call('HGETALL', key))).not.toMatch(/\bann\b/);
  }
});

test('an action that ends after its caller was erased keeps the digest', async () => {
  const node = await open();
  const { audit } = partsOf(node.gateway);
  const trail = audit.begin({ actor: 'ann', action: 'user.suspend', target: 'ann' });
  await until(async () => (await briefOf(node)).length === 1, 'the entry');
  await node.gateway.erasePrincipal('ann');
  trail.note({ details: { of: 'ann' } });
  trail.end({ code: 'gone' });
  const [kept] = (await auditOf(node)).data;
  const name = erasedName('ann');
  expect(kept).toMatchObject({ actor: name, target: name, outcome: 'failure', code: 'gone' });
});

test('while Redis is away the log answers 503, and has the entries of that time later', async () => {
  const away = await startRedis();
  const node = await start({
    ...{ provider, access },
    redis: { url: away.url, commandTimeoutMs: 200, leaseMs: 1000 },
  });
  await node.ready();
  await away.kill();
  expect(await refuse(node, 'ann')).toBe(403);
  const { status, body } = await node.get('/v1/audit', { headers: bearer('ops') });
  expect([status, body.error.code]).toEqual([503, 'storage_unavailable']);
  await away.start();
  await until(async () => (await auditOf(node)).data?.length === 1, 'the entry');
  expect(await briefOf(node)).toEqual([`ann principal.erase ${erasedName('bob')} denied`]);
  await node.gateway.close({ drainMs: 0 });
  await away.stop();
});
