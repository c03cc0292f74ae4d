/** Workflows and crawls of two gateways on one Redis: the same from both. */
import { createHash } from 'node:crypto';
import { byId, tokensOf, words } from '../../support/gateway/workflows.js';
import { closeSites, linking, site } from '../../support/upstream/site.js';
import { expectDense, readAcross } from '../../support/cluster/reader.js';
import { newSecret, startReceiver } from '../../support/upstream/webhook-receiver.js';
import { handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

/** Principals: ann without limits, bob with two places, cid with none but a bucket, dan to be erased. */
const KEYS = {
  ann: { admin: true },
  bob: { limits: { concurrent_jobs: 2 } },
  cid: { limits: { requests_per_minute: 3 } },
  dan: {},
};
let redis;
let a;
let b;
/** The calls of the provider, which both gateways have. */
let hand;
let receiver;

beforeAll(async () => {
  redis = await startRedis();
  hand = handProvider();
  receiver = await startReceiver();
  const events = ['workflow.completed', 'workflow.cancelled', 'crawl.completed'];
  const webhooks = [{ url: receiver.url, events, secret: newSecret(), text: true }];
  const sha256 = (name) => createHash('sha256').update(name).digest('hex');
  const access = {
    keys: Object.entries(KEYS).map(([id, more]) => ({ id, sha256: sha256(id), ...more })),
    prices: { '*': { prompt: 1, completion: 2 } },
    accounts: { '*': { overdraft: 1_000_000 } },
  };
  const open = async (reactors) => {
    const node = await start({
      ...{ provider: hand.provider, cache: { mode: 'off' }, access, reactors, webhooks },
      redis: { url: redis.url, leaseMs: 1000 },
      crawl: { allowPrivateAddresses: true },
    });
    await node.ready();
    return as(node, 'ann');
  };
  [a, b] = await Promise.all([open(1), open(3)]);
});
afterEach(closeSites);
afterAll(async () => {
  await stopAll();
  await redis.stop();
});

/** A gateway as a principal sees it. */
function as(node, name) {
  const headers = { authorization: `Bearer ${name}` };
  return {
    ...node,
    as: (other) => as(node, other),
    get: (path) => node.get(path, { headers }),
    post: (path, body, more) => node.post(path, body, { ...headers, ...more }),
    erase: (path) => node.call('DELETE', path, { headers }),
    /** The exact body of an answer. */
    text: async (path) => (await fetch(node.url + path, { headers })).text(),
  };
}

/** The next call of the provider: a test is the only one that makes calls. */
const nextCall = () => hand.call(hand.calls.length);

const CHAIN = {
  nodes: [
    { id: 'x', prompt: 'first' },
    { id: 'y', prompt: '{{x.text}}!', after: ['x'] },
  ],
  metadata: { of: 'chain' },
};

/** Begins a workflow at a gateway; its first call of the provider has started. */
async function begin(node, body = CHAIN, headers) {
  const next = nextCall();
  const { status, body: made } = await node.post('/v1/workflows', body, headers);
  expect({ status, made }).toMatchObject({ status: 201, made: { status: 'running' } });
  const call = await next;
  const path = `/v1/workflows/${made.workflow_id}`;
  return { id: made.workflow_id, path, url: made.stream_url, call, createdAt: made.created_at };
}

/** Answers a call of the provider, and resolves with the one that follows. */
async function answer(call, ...tokens) {
  const next = nextCall();
  call.push(...tokens);
  call.end();
  return next;
}
const end = (call, ...tokens) => {
  call.push(...tokens);
  call.end();
};

/** Resolves once a workflow is in its last state, at both. */
async function ended(flow) {
  for (const node of [a, b]) {
    await until(async () => (await node.get(flow.path)).body.status !== 'running', 'the end');
  }
}

/** The webhooks about a workflow or a crawl so far. */
const webhooksOf = (id) =>
  receiver.requests.map(({ body }) => body).filter(({ data }) => Object.values(data).includes(id));

/** Fails unless both answer with the same bytes for each path. */
async function expectSame(paths, [one, two] = [a, b]) {
  for (const path of paths) {
    expect([path, await two.text(path)]).toEqual([path, await one.text(path)]);
  }
}

test('streams and reads from the other process while it runs, and afterwards to the byte', async () => {
  const flow = await begin(a);
  const here = await a.stream(flow.url);
  const there = await b.stream(flow.url);
  expect((await b.get(flow.path)).body).toMatchObject({
    ...{ workflow_id: flow.id, status: 'running', created_at: flow.createdAt, attempt: 1 },
    ...{ metadata: { of: 'chain' }, has_more: false },
  });
  const nodes = async () => byId((await b.get(flow.path)).body);
  await until(async () => (await nodes()).x.status === 'running', 'the first node elsewhere');
  expect((await nodes()).y.status).toBe('pending');
  flow.call.push('one ');
  await until(() => tokensOf(there.events, 'x') === 'one ', 'a token elsewhere');
  const second = await answer(flow.call, 'two');
  await until(async () => (await nodes()).x.text === 'one two', 'the first text elsewhere');
  end(second, 'three');
  await Promise.all([here.done, there.done]);
  expect(there.raw).toBe(here.raw);
  expectDense(there.ids);
  expect(words(there.events)).toEqual([
    ...['node_started x', 'token x', 'node_complete x'],
    ...['node_started y', 'token y', 'node_complete y', 'workflow_complete'],
  ]);
  await expectSame([
    ...[flow.path, `${flow.path}?limit=1`, `${flow.path}?after=x`, '/v1/workflows'],
    ...[`${flow.path}/nodes/x`, `${flow.path}/nodes/x/text`, `${flow.path}/nodes/none`],
  ]);
  expect((await b.get(`${flow.path}/nodes/y/text`)).body).toBe('three');
  await until(() => webhooksOf(flow.id).length > 0, 'the webhook');
  expect(webhooksOf(flow.id)).toEqual([
    {
      type: 'workflow.completed',
      timestamp: expect.any(String),
      data: (await b.get(flow.path)).body,
    },
  ]);
  expect((await b.read(flow.url)).raw).toBe((await a.read(flow.url)).raw);
  const signed = (await b.post(`${flow.path}/stream_url`)).body;
  expect(signed.expires_at).toBeGreaterThan(flow.createdAt);
  expect((await b.read(signed.stream_url)).raw).toBe(there.raw);
  // Another principal's, and unknown ones, are unknown.
  for (const path of [flow.path, '/v1/workflows/wf_000000000000000000000000']) {
    expect((await b.as('bob').get(path)).body.error.code).toBe('workflow_not_found');
  }
  expect((await b.get(flow.path.replace('workflows', 'crawls'))).status).toBe(404);
});

test('a reader that changes the process after each event misses and repeats nothing', async () => {
  const flow = await begin(a);
  const reader = readAcross(() => [a.url, b.url], flow.url, { eventsPerConnection: 1, first: 1 });
  for (const token of ['a', 'b', 'c', 'd']) flow.call.push(token);
  end(await answer(flow.call), 'e', 'f');
  const { events, ids, connections } = await reader.done;
  expectDense(ids);
  expect(connections).toBeGreaterThan(5);
  expect(events.map(({ type }) => type)).not.toContain('gap');
  expect([tokensOf(events, 'x'), tokensOf(events, 'y')]).toEqual(['abcd', 'ef']);
  expect(events.at(-1).type).toBe('workflow_complete');
});

test('lists have the workflows of both processes, newest first, of one principal', async () => {
  const one = await begin(a.as('dan'));
  const two = await begin(b.as('dan'));
  end(await answer(one.call, '1'), '1');
  await until(async () => (await a.as('dan').get(one.path)).body.status === 'completed', 'the end');
  const ids = async (node, query = '') =>
    (await node.as('dan').get(`/v1/workflows${query}`)).body.data.map((each) => each.workflow_id);
  for (const node of [a, b]) {
    expect(await ids(node)).toEqual([two.id, one.id]);
    expect(await ids(node, `?after=${two.id}`)).toEqual([one.id]);
    expect(await ids(node, '?limit=1')).toEqual([two.id]);
    expect(await ids(node, '?status=running')).toEqual([two.id]);
    expect(await ids(node, '?status=completed')).toEqual([one.id]);
    const unknown = await node.as('dan').get('/v1/workflows?after=wf_x');
    expect(unknown).toMatchObject({ status: 400, body: { error: { param: 'after' } } });
  }
  await until(async () => {
    const { data } = (await a.as('dan').get('/v1/workflows')).body;
    return data[0].counts.running === 1 && data[1].counts.completed === 2;
  }, 'the counts elsewhere');
  await b.as('dan').post(`${two.path}/cancel`);
});

test('cancelled from the other process, it ends there as here, with its call', async () => {
  const flow = await begin(a);
  flow.call.push('half');
  const there = await b.stream(flow.url);
  await until(() => tokensOf(there.events, 'x') === 'half', 'a token elsewhere');
  const { status, body } = await b.post(`${flow.path}/cancel`);
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { status: 'cancelled', reason: 'client_request', counts: { cancelled: 2 } },
  });
  await flow.call.aborted;
  await there.done;
  expect(there.last().type).toBe('workflow_cancelled');
  await until(() => webhooksOf(flow.id).length > 0, 'the webhook');
  expect(webhooksOf(flow.id).map(({ type }) => type)).toEqual(['workflow.cancelled']);
  await expectSame([flow.path]);
  expect((await a.post(`${flow.path}/cancel`)).body).toEqual((await b.get(flow.path)).body);
});

test('a retry runs at the process of the request, and keeps the completed nodes', async () => {
  const flow = await begin(a);
  const second = await answer(flow.call, 'kept');
  second.fail(new Error('refused'));
  await ended(flow);
  expect((await b.get(flow.path)).body).toMatchObject({
    ...{ status: 'failed', attempt: 1, error: { code: 'node_failed' } },
    counts: { completed: 1, failed: 1 },
  });
  const old = await a.read(flow.url);
  const next = nextCall();
  const { status, body } = await b.post(`${flow.path}/retry`);
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { status: 'running', attempt: 2, stream_url: expect.stringContaining(flow.id) },
  });
  expect((await a.post(`${flow.path}/retry`)).body.error.code).toBe('workflow_running');
  const call = await next;
  expect(call.request.prompt).toBe('kept!');
  // Former owner and all: a cursor of the first attempt leads to the second.
  for (const node of [a, b]) {
    expect((await node.get(flow.path)).body).toMatchObject({ status: 'running', attempt: 2 });
  }
  const here = await a.stream(flow.url, { headers: { 'last-event-id': old.ids.at(-1) } });
  const there = await b.stream(flow.url, { headers: { 'last-event-id': old.ids.at(-1) } });
  end(call, 'again');
  await Promise.all([here.done, there.done]);
  expect(here.raw).toBe(there.raw);
  expect(words(here.events)).toEqual([
    ...['workflow_retry', 'node_started y', 'token y', 'node_complete y', 'workflow_complete'],
  ]);
  expect(here.ids[0]).toBe('2-0');
  await ended(flow);
  await expectSame([flow.path, `${flow.path}/nodes/x`, `${flow.path}/nodes/y`]);
  expect(byId((await a.get(flow.path)).body)).toMatchObject({
    x: { text: 'kept' },
    y: { text: 'again' },
  });
  for (const node of [a, b]) {
    expect((await node.post(`${flow.path}/retry`)).body.error.code).toBe('nothing_to_retry');
  }
});

test('several concurrent retries at one process run it once', async () => {
  const flow = await begin(a);
  flow.call.fail(new Error('refused'));
  await ended(flow);
  const calls = hand.calls.length;
  const next = nextCall();
  const answers = await Promise.all([a, a, b, a].map((node) => node.post(`${flow.path}/retry`)));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  end(await next, 'again');
  end(await hand.call(calls + 1), 'more');
  await ended(flow);
  expect(hand.calls).toHaveLength(calls + 2);
  expect((await b.get(flow.path)).body).toMatchObject({ status: 'completed', attempt: 2 });
});

test('pages and items of a workflow are known elsewhere, and a retry there works with them', async () => {
  const { origin } = await site({ '/': linking('/a'), '/a': '<title>A</title>text of a' });
  const crawl = { start_url: `${origin}/`, per_host_per_second: 1000 };
  const flow = await begin(a, {
    nodes: [
      { id: 'site', crawl },
      {
        id: 'each',
        map: { over: 'site', prompt: 'of {{item.title}}', concurrency: 1 },
        after: ['site'],
      },
      { id: 'all', prompt: '{{each.text}} / {{site.text}}', after: ['each', 'site'] },
    ],
  });
  const last = await answer(await answer(flow.call, 'one'), 'two');
  last.fail(new Error('refused'));
  await ended(flow);
  const nodes = `${flow.path}/nodes`;
  await expectSame([
    ...[flow.path, `${nodes}/site`, `${nodes}/each`, `${nodes}/site/text`],
    ...[`${nodes}/site/text?item=1`, `${nodes}/each/text?item=1`, `${nodes}/each/text?item=2`],
  ]);
  expect((await b.get(`${nodes}/site/text?item=1`)).body).toBe('text of a');
  const next = nextCall();
  await b.post(`${flow.path}/retry`);
  const again = await next;
  expect(again.request.prompt).toBe(last.request.prompt);
  expect(again.request.prompt).toMatch(/^one\n\ntwo \/ page\n/);
  end(again, 'three');
  await ended(flow);
  await expectSame([flow.path, `${nodes}/site/text`, `${nodes}/all`]);
});

test('one key makes one workflow, at any process, and a separate crawl', async () => {
  const headers = { 'idempotency-key': 'once' };
  const next = nextCall();
  const answers = await Promise.all(
    [a, b, a, b].map((node) => node.post('/v1/workflows', CHAIN, headers)),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  const ids = new Set(answers.map(({ body }) => body.workflow_id));
  expect(ids.size).toBe(1);
  const again = await b.post('/v1/workflows', CHAIN, headers);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(ids).toContain(again.body.workflow_id);
  const other = await b.post('/v1/workflows', { nodes: [{ id: 'z', prompt: 'z' }] }, headers);
  expect(other).toMatchObject({ status: 422, body: { error: { code: 'idempotency_key_reused' } } });
  const { origin } = await site({ '/': linking() });
  const crawl = { start_url: `${origin}/` };
  const [one, two] = [
    await a.post('/v1/crawls', crawl, headers),
    await b.post('/v1/crawls', crawl, headers),
  ];
  expect([one.status, two.status, two.body.crawl_id]).toEqual([201, 200, one.body.crawl_id]);
  await b.post(`/v1/crawls/${one.body.crawl_id}/cancel`);
  const [id] = ids;
  (await next).end();
  await a.post(`/v1/workflows/${id}/cancel`);
});

test('places and requests count for the deployment, and are returned at the end', async () => {
  const flow = await begin(a.as('bob'));
  // Its child job has the place of the workflow.
  const two = await begin(b.as('bob'));
  const refused = await a.as('bob').post('/v1/workflows', CHAIN);
  expect(refused).toMatchObject({ status: 429, body: { error: { code: 'rate_limit_exceeded' } } });
  expect((await b.as('bob').submit({ prompt: 'p' })).status).not.toBe(201);
  end(await answer(flow.call, '1'), '2');
  await (
    await a.stream(flow.url)
  ).done;
  const third = await begin(b.as('bob'));
  await a.as('bob').post(`${two.path}/cancel`);
  await a.as('bob').post(`${third.path}/cancel`);
  expect(await redis.call('SMEMBERS', '{sluice}:c:principal/bob')).toEqual([]);

  // Two calls: the first one is covered by the request of the workflow.
  const cid = await begin(a.as('cid'));
  end(await answer(cid.call, '1'), '2');
  await (
    await a.stream(cid.url)
  ).done;
  const created = await b.as('cid').post('/v1/workflows', CHAIN);
  expect(created.status).toBe(201);
  expect(created.headers.get('x-ratelimit-remaining-requests')).toBe('0');
  expect((await a.as('cid').post('/v1/crawls', { start_url: 'http://127.0.0.1/' })).status).toBe(
    429,
  );
  (await nextCallNow()).end();
  await a.as('cid').post(`/v1/workflows/${created.body.workflow_id}/cancel`);
});

/** The latest call. */
const nextCallNow = () => hand.call(hand.calls.length - 1);

test('after its end its jobs are charged and counted at the other process', async () => {
  const spent = async () => (await b.get('/v1/accounts/ann')).body;
  const before = await spent();
  const flow = await begin(a);
  end(await answer(flow.call, 'one', 'two'), 'three');
  const { events } = await b.read(flow.url);
  const { usage } = events.at(-1).data;
  const after = await spent();
  expect(after.held).toBe(before.held);
  expect(before.posted - after.posted).toBe(usage.prompt_tokens + 2 * usage.completion_tokens);
});

test('the last reader elsewhere ends it after its grace, not before', async () => {
  const flow = await begin(a, { ...CHAIN, on_disconnect: 'cancel', disconnect_grace_ms: 50 });
  const there = await b.stream(flow.url);
  const here = await a.stream(flow.url);
  await until(
    async () => (await redis.call('HKEYS', `{sluice}:readers:${flow.id}`)).length === 1,
    'b',
  );
  here.close();
  flow.call.push('on');
  await until(() => tokensOf(there.events, 'x') === 'on', 'it to go on');
  there.close();
  await ended(flow);
  expect((await b.get(flow.path)).body.reason).toBe('client_disconnected');
});

test('a crawl is the same from both, and a cancelled one', async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const { origin } = await site({
    '/': linking('/a', '/slow'),
    '/a': '<title>A</title>text',
    '/slow': async (_req, res) => {
      await held;
      res.end('late');
    },
  });
  const body = { start_url: `${origin}/`, per_host_per_second: 1000, metadata: { of: 'crawl' } };
  const made = (await a.post('/v1/crawls', body)).body;
  const path = `/v1/crawls/${made.crawl_id}`;
  const there = await b.stream(made.stream_url);
  await until(() => there.events.length === 2, 'two pages elsewhere');
  await until(async () => (await b.get(path)).body.pages === 2, 'their count elsewhere');
  expect((await b.get(path)).body).toMatchObject({
    ...{ crawl_id: made.crawl_id, status: 'running', start_url: `${origin}/` },
    metadata: { of: 'crawl' },
  });
  const second = (await b.post('/v1/crawls', body)).body;
  const url = `/v1/crawls/${second.crawl_id}`;
  const cancelled = await a.post(`${url}/cancel`);
  expect(cancelled.body).toMatchObject({ status: 'cancelled', reason: 'client_request' });
  release();
  await there.done;
  expect(there.raw).toBe((await a.read(made.stream_url)).raw);
  expect(there.last().type).toBe('crawl_complete');
  await expectSame([path, url, '/v1/crawls', `/v1/crawls?after=${second.crawl_id}`]);
});

test('with JavaScript, promises of the same, and streams of both', async () => {
  const flow = await begin(a.as('dan'));
  const own = { principal: 'dan' };
  expect(await b.gateway.workflow(flow.id, own)).toMatchObject({ id: flow.id, status: 'running' });
  const { data } = await b.gateway.workflows.list(own);
  expect(data.map(({ id }) => id)).toContain(flow.id);
  const streams = [b.gateway.stream(flow.id, own), b.gateway.workflows.stream(flow.id, own)];
  const types = streams.map(async (stream) => {
    const seen = [];
    for await (const { type } of stream) seen.push(type);
    return seen.at(-1);
  });
  end(await answer(flow.call, '1'), '2');
  expect(await Promise.all(types)).toEqual(['workflow_complete', 'workflow_complete']);
  await expect(b.gateway.workflows.stream('wf_none', own).next()).rejects.toMatchObject({
    code: 'ERR_WORKFLOW_NOT_FOUND',
  });
  await expect(b.gateway.stream('wf_none', own).next()).rejects.toMatchObject({
    code: 'ERR_JOB_NOT_FOUND',
  });
  expect(await b.gateway.crawls.get('crawl_none', own)).toBeUndefined();
});

test('the erasure of its principal removes it at every process', async () => {
  const running = await begin(a.as('dan'));
  const old = await begin(b.as('dan'));
  end(await answer(old.call, '1'), '2');
  await until(async () => (await a.as('dan').get(old.path)).body.status === 'completed', 'the end');
  expect((await a.erase('/v1/principals/dan')).status).toBe(204);
  await running.call.aborted;
  for (const node of [a, b]) {
    for (const { path } of [running, old]) {
      expect((await node.as('dan').get(path)).status).toBe(404);
    }
    expect((await node.as('dan').get('/v1/workflows')).body.data).toEqual([]);
  }
  expect(await redis.keys(`*${running.id}*`)).toEqual([]);
  expect(await redis.keys(`*${old.id}*`)).toEqual([]);
  expect(await redis.keys('*:dan')).toEqual(
    expect.not.arrayContaining([expect.stringMatching(/flows/)]),
  );
});
