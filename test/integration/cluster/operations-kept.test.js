/** Workflows and jobs in Redis, as other processes and administrators read them, unreadable fields included. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { byId } from '../../support/gateway/workflows.js';
import { handProvider } from '../../support/providers/providers.js';
import { redisServer, startTwo, stopServers } from '../../support/cluster/gateways.js';
import { until } from '../../support/until.js';

const ops = bearer('ops');
const ann = bearer('ann');
let redis;
let a;
let b;
/** The calls of the provider, which both gateways have. */
let hand;
/** Messages of errors that the gateways log. */
const logged = [];

beforeAll(async () => {
  redis = await redisServer();
  hand = handProvider();
  const access = { keys: [entry('ops', 'ops', { admin: true }), entry('ann', 'ann')] };
  const error = ({ job_id: id }, message) => logged.push([id, message]);
  const logger = { error, warn() {}, info() {}, debug() {}, child: () => logger };
  [a, b] = await startTwo(redis, { provider: hand.provider, access, logger });
});
afterAll(stopServers);

const get = (node, path, headers = ann) => node.get(path, { headers });
const CHAIN = {
  nodes: [
    { id: 'x', prompt: 'first' },
    { id: 'y', prompt: '{{x.text}}!', after: ['x'] },
  ],
  metadata: { of: 'chain' },
};
const keyOf = (kind, id) => `{sluice}:${kind}:${id}`;

/** Begins a workflow at a gateway; its first call of the provider has started. */
async function begin(node, headers = ann) {
  const next = hand.call(hand.calls.length);
  const { body } = await node.post('/v1/workflows', CHAIN, headers);
  const [id, url] = [body.workflow_id, body.stream_url];
  return { id, url, path: `/v1/workflows/${id}`, call: await next };
}

/** A workflow of `a` whose second node has failed, once both know it. */
async function failedFlow() {
  const flow = await begin(a);
  const next = hand.call(hand.calls.length);
  flow.call.push('one');
  flow.call.end();
  (await next).fail(new Error('refused'));
  for (const node of [a, b]) {
    await until(async () => (await get(node, flow.path)).body.status === 'failed', 'the end');
  }
  return flow;
}

test('a reader that has seen a node complete finds its output in Redis', async () => {
  const flow = await begin(a);
  const reader = await b.stream(flow.url, { headers: ann });
  // The state of the node was written just before: the next write for a small change would have to wait.
  const stateOf = async (node) => {
    const json = await redis.call('HGET', keyOf('nodes', flow.id), node);
    return json && JSON.parse(json).status;
  };
  await until(async () => (await stateOf('x')) === 'running', 'the first state');
  const next = hand.call(hand.calls.length);
  flow.call.push('one');
  flow.call.end();
  await until(() => reader.events.some(({ type }) => type === 'node_complete'), 'the first node');
  expect(await stateOf('x')).toBe('completed');
  const output = await redis.call('HGET', keyOf('outputs', flow.id), 'x');
  expect(JSON.parse(output)).toEqual({ text: 'one' });
  (await next).end();
  await reader.done;
});

describe('an administrator', () => {
  const stateAt = async (node) => {
    const stream = await node.stream('/v1/admin/events', { headers: ops });
    const state = await until(() => stream.events.find(({ type }) => type === 'state'), 'a state');
    stream.close();
    return state.data;
  };

  test('sees the workflows of all processes and principals, and each of them, at any', async () => {
    const flow = await begin(a);
    const other = await begin(b, ops);
    await until(async () => {
      const [running] = (await stateAt(b)).workflows.filter(({ id }) => id === flow.id);
      return running?.counts.running === 1;
    }, 'the counts');
    for (const node of [a, b]) {
      const { workflows, crawls } = await stateAt(node);
      expect(workflows.slice(0, 2)).toMatchObject([
        { id: other.id, key: 'ops', status: 'running', attempt: 1 },
        { id: flow.id, key: 'ann', status: 'running', attempt: 1 },
      ]);
      expect(crawls).toEqual([]);
      const { status, body } = await get(node, `/v1/admin${flow.path.slice('/v1'.length)}`, ops);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { workflow_id: flow.id, key: 'ann', status: 'running' },
      });
      expect(byId(body).x.status).toBe('running');
      const unknown = await get(node, '/v1/admin/workflows/wf_000000000000000000000000', ops);
      expect(unknown.status).toBe(404);
    }
    for (const { path, headers } of [
      { path: flow.path, headers: ann },
      { path: other.path, headers: ops },
    ]) {
      await a.post(`${path}/cancel`, undefined, headers);
    }
    expect((await stateAt(b)).workflows[1].status).toBe('cancelled');
  });
});

describe('invalid fields in Redis', () => {
  const spoil = (id, field, value) => redis.call('HSET', keyOf('job', id), field, value);

  test.each([
    '{',
    '5',
    'null',
    '[]',
    '{"nodes":5}',
    '{"nodes":[{}]}',
    '{"nodes":[{"id":"x","after":1}]}',
  ])(
    'a workflow whose request is %s is shown without its nodes, and not tried again',
    async (request) => {
      const { id, path } = await failedFlow();
      await spoil(id, 'request', request);
      const { status, body } = await get(b, path);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { status: 'failed', error: { code: 'node_failed' }, metadata: { of: 'chain' } },
      });
      expect(body.nodes).toEqual([]);
      expect((await get(b, '/v1/workflows')).body.data[0]).toMatchObject({ workflow_id: id });
      const retried = await b.post(`${path}/retry`, undefined, ann);
      expect([retried.status, retried.body.error.code]).toEqual([409, 'nothing_to_retry']);
      expect(retried.body.error.message).toMatch('cannot be read');
    },
  );

  test('states and outputs of nodes that cannot be read are made again by a retry', async () => {
    const { id, path } = await failedFlow();
    await redis.call('HSET', keyOf('nodes', id), 'y', '{');
    await redis.call('HSET', keyOf('outputs', id), 'x', '7');
    const { status, body } = await get(b, path);
    expect(status).toBe(200);
    expect(byId(body)).toMatchObject({
      x: { status: 'completed', text_omitted: true },
      y: { status: 'pending' },
    });
    const next = hand.call(hand.calls.length);
    expect((await b.post(`${path}/retry`, undefined, ann)).status).toBe(200);
    const call = await next;
    expect(call.request.prompt).toBe('first');
    const last = hand.call(hand.calls.length);
    call.push('two');
    call.end();
    expect((await last).request.prompt).toBe('two!');
    await b.post(`${path}/cancel`, undefined, ann);
  });

  test.each([
    ['metadata', '{'],
    ['extra', '3'],
    ['refusal', '{'],
    ['final', '{"state":{}}'],
    ['final', 'null'],
  ])('a job is shown without its %s %s, alone and in lists', async (field, value) => {
    const next = hand.call(hand.calls.length);
    const { body: made } = await a.submit({ prompt: 'p', metadata: { m: 1 } }, ann);
    const call = await next;
    call.push('text');
    call.fail(new Error('refused'));
    await until(
      async () => (await get(a, `/v1/jobs/${made.job_id}`)).body.status === 'failed',
      'the end',
    );
    await spoil(made.job_id, field, value);
    logged.length = 0;
    const { status, body } = await get(b, `/v1/jobs/${made.job_id}`);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { status: 'failed', text: 'text', error: { code: 'provider_error' } },
    });
    const [listed] = (await get(b, '/v1/jobs')).body.data;
    expect(listed).toMatchObject({ job_id: made.job_id, status: 'failed' });
    expect(logged).toContainEqual([made.job_id, 'a field of a job in Redis cannot be read']);
  });
});
