/** `/v1/kv` of several gateways on one Redis. */
import { bearer, entry } from '../../../support/gateway/keys.js';
import { startKv } from '../../../support/gateway/kv.js';
import { testKv } from '../../../support/gateway/kv-tests.js';
import { startRedis } from '../../../support/cluster/redis.js';
import { until } from '../../../support/until.js';
import { useDeployments } from '../../../support/cluster/gateways.js';

const { server, own } = useDeployments();

/** A gateway of the deployment of a test. */
const open = (options) => startKv({ ...options, redis: { ...own, commandTimeoutMs: 30_000 } });

describe('in Redis', () => testKv(open));

/** Two gateways of one deployment. */
const openTwo = (options) => Promise.all([open(options), open(options)]);

const keysOf = async () => server.keys(`{${own.prefix}}:*`);

test('every process answers the same', async () => {
  const [a, b] = await openTwo();
  const made = await a.put('k', '{"n":1}', { type: 'application/json', query: '?ttl_s=60' });
  const version = made.headers.get('etag');
  const [here, there] = [await a.read('k'), await b.read('k')];
  expect(there.body).toEqual({ n: 1 });
  for (const name of ['etag', 'x-expires-at', 'content-type']) {
    expect(there.headers.get(name)).toBe(here.headers.get(name));
  }
  expect((await b.put('k', 'x', { headers: { 'if-match': '"99"' } })).status).toBe(412);
  expect((await b.put('k', 'x', { headers: { 'if-match': version } })).status).toBe(200);
  expect((await a.read('k')).body).toBe('x');
  for (const key of ['p1', 'p2', 'p3', 'p4']) await a.put(key, key);
  const first = (await a.get('/v1/kv?prefix=p&limit=2')).body;
  const rest = (await b.get(`/v1/kv?prefix=p&cursor=${first.cursor}`)).body;
  expect(rest.items.map(({ key }) => key)).toEqual(['p3', 'p4']);
  expect((await b.remove('k')).status).toBe(204);
  expect((await a.read('k')).status).toBe(404);
});

test('a watch at one process sees the changes of another', async () => {
  const [a, b] = await openTwo();
  const watching = await a.stream('/v1/kv?watch=true');
  await b.put('k', 'x');
  await b.remove('k');
  await until(() => watching.events.length >= 2, 'two changes');
  expect(watching.events.map(({ type, data }) => [type, data.key])).toEqual([
    ['set', 'k'],
    ['delete', 'k'],
  ]);
  watching.close();
});

test('counters, conditions and transactions of two processes at once lose nothing', async () => {
  const nodes = await openTwo();
  await nodes[0].put('n', '0', { type: 'application/json' });
  const compare = async (node) => {
    for (;;) {
      const { version, value } = (await node.txn({ success: [{ op: 'get', key: 'n' }] })).body
        .responses[0];
      const { status, body } = await node.txn({
        compare: [{ key: 'n', version }],
        success: [{ op: 'put', key: 'n', value: value + 1 }],
      });
      expect(status).toBe(200);
      if (body.succeeded) return;
    }
  };
  const work = Array.from({ length: 40 }, (_, i) => {
    const node = nodes[i % 2];
    if (i % 4 < 2) return compare(node);
    return node.call('PATCH', '/v1/kv/n', { body: { increment: i % 8 < 4 ? 1 : 0.5 } });
  });
  await Promise.all(work);
  // 20 by comparison, 10 by 1 and 10 by a half.
  expect((await nodes[1].read('n')).body).toBe(35);
});

test('limits apply to all processes together', async () => {
  const access = { keys: [entry('ann', 'ann'), entry('bob', 'bob')] };
  const [a, b] = await openTwo({ access, kv: { maxKeys: 3, maxKeysPerPrincipal: 2 } });
  const put = (node, principal, key) => node.put(key, 'x', { headers: bearer(principal) });
  expect((await put(a, 'ann', '1')).status).toBe(201);
  expect((await put(b, 'ann', '2')).status).toBe(201);
  const refused = await put(a, 'ann', '3');
  expect(refused).toMatchObject({ status: 507, body: { error: { code: 'kv_full' } } });
  expect(refused.body.error.message).toContain('maxKeysPerPrincipal is 2');
  expect((await put(a, 'bob', '1')).status).toBe(201);
  expect((await put(b, 'bob', '2')).body.error.message).toContain('maxKeys is 3');
});

test('the erasure of a principal leaves nothing of its keys, conversations and jobs in Redis', async () => {
  const access = {
    keys: [entry('ann', 'ann'), entry('bob', 'bob'), entry('root', 'root', { admin: true })],
  };
  const provider = async function* () {
    yield 'said';
  };
  const talks = {};
  const [a, b] = await openTwo({ access, provider });
  for (const [node, principal] of [
    [a, 'ann'],
    [b, 'ann'],
    [a, 'bob'],
  ]) {
    await node.put(`of ${principal}`, 'x', { headers: bearer(principal), query: '?ttl_s=600' });
    talks[principal] ??= (
      await node.post('/v1/conversations', { ttl_s: 600 }, bearer(principal))
    ).body;
    const { body } = await node.submit(
      { prompt: `of ${principal}`, conversation_id: talks[principal].conversation_id },
      { ...bearer(principal), 'idempotency-key': principal },
    );
    const path = `/v1/jobs/${body.job_id}`;
    await until(
      async () =>
        /completed/.test((await node.get(path, { headers: bearer(principal) })).body.status),
      'the end',
    );
  }
  for (const principal of ['ann', 'bob']) {
    const message = { id: 'm', role: 'user', parts: [{ type: 'text', text: principal }] };
    const chat = await a.post('/v1/ui/chat', { id: 'c', messages: [message] }, bearer(principal));
    expect(chat.status).toBe(200);
    const response = await b.post(
      '/v1/responses',
      { model: 'default', input: principal },
      bearer(principal),
    );
    expect(response.status).toBe(200);
  }
  expect(await keysOf()).toContainEqual(expect.stringContaining(':faces:ann'));
  const begun = await b.post('/v1/conversations', { title: 'secret' }, bearer('ann'));
  expect(begun.status).toBe(201);
  expect((await keysOf()).join()).toContain('ann');
  expect((await a.call('DELETE', '/v1/principals/ann', { headers: bearer('root') })).status).toBe(
    204,
  );
  expect((await keysOf()).filter((key) => key.includes('ann'))).toEqual([]);
  expect((await keysOf()).filter((key) => /:conv:conv_[^:]*$/.test(key))).toHaveLength(1);
  // Their names do not reveal their owners.
  expect((await keysOf()).filter((key) => /:(chat|orphan|resp):/.test(key))).toHaveLength(1);
  for (const node of [a, b]) {
    expect((await node.get('/v1/kv', { headers: bearer('ann') })).body.items).toEqual([]);
    expect((await node.get('/v1/jobs', { headers: bearer('ann') })).body.data).toEqual([]);
    const path = '/v1/conversations';
    expect((await node.get(path, { headers: bearer('ann') })).body.data).toEqual([]);
    expect((await node.read('of bob', bearer('bob'))).body).toBe('x');
  }
  // The key is new again.
  const again = await b.submit(
    { prompt: 'of ann' },
    { ...bearer('ann'), 'idempotency-key': 'ann' },
  );
  expect(again.status).toBe(201);
});

test('while Redis is away nothing is answered from memory, and streams of changes are 503', async () => {
  const away = await startRedis();
  const prefix = own.prefix;
  const node = await startKv({ redis: { url: away.url, prefix, commandTimeoutMs: 200 } });
  expect((await node.put('k', 'x')).status).toBe(201);
  await away.kill();
  const unavailable = { status: 503, body: { error: { code: 'storage_unavailable' } } };
  expect(await node.put('k', 'y')).toMatchObject(unavailable);
  expect(await node.read('k')).toMatchObject(unavailable);
  expect(await node.txn({ success: [{ op: 'get', key: 'k' }] })).toMatchObject(unavailable);
  expect(await node.get('/v1/kv?watch=true')).toMatchObject(unavailable);
  await away.stop();
});
