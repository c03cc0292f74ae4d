/** Workflows and crawls of processes that die, freeze or leave, and of a Redis that goes away or forgets. */
import { setTimeout as sleep } from 'node:timers/promises';
import { byId, tokensOf } from '../../support/gateway/workflows.js';
import { closeSites, linking, site } from '../../support/upstream/site.js';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { expectDense } from '../../support/cluster/reader.js';
import { plan, textOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

afterEach(stopDeployments);
afterEach(closeSites);
afterAll(removeFiles);

/** Two nodes in a row; the second one stops at its second token. */
function chain(fields) {
  const [one, two] = [plan({ tokens: 3 }), plan({ tokens: 5, stopAt: 2 })];
  const nodes = [
    { id: 'x', prompt: one.prompt },
    { id: 'y', prompt: two.prompt, after: ['x'] },
  ];
  return { body: { nodes, on_disconnect: 'continue', ...fields }, one: one.plan, two: two.plan };
}

/** A workflow of a process, whose second node has two tokens. */
async function begin(node, reader, fields) {
  const { body, one, two } = chain(fields);
  const { status, body: made } = await node.post('/v1/workflows', body);
  expect(status).toBe(201);
  const path = `/v1/workflows/${made.workflow_id}`;
  const reading = reader(made.stream_url);
  await until(() => tokensOf(reading.events, 'y').split(' ').length === 3, 'two tokens of y');
  return { id: made.workflow_id, path, url: made.stream_url, one, two, reading };
}

/** Fails unless all running processes have the same state and stream of a workflow or a crawl. */
async function expectSame(deployment, paths) {
  for (const path of paths) {
    const texts = await Promise.all(
      deployment.urls().map(async (url) => (await fetch(url + path)).text()),
    );
    expect(new Set(texts).size).toBe(1);
  }
}

/** Permitted remains of operations and of the jobs of nodes. */
const leftovers = async ({ redis }) =>
  (await redis.keys('*')).filter((key) => /^\{sluice\}:(open|leases?|c|dead|ctl)(:|$)/.test(key));

test('when its process dies, its readers see a failure, and it continues at another process', async () => {
  const deployment = await deploy({ processes: 3 });
  const [a, b, c] = deployment.nodes;
  const flow = await begin(a, (url) => deployment.read(url, { first: 1 }));
  const known = async () => byId((await b.get(flow.path)).body).x.status === 'completed';
  await until(known, 'the first node elsewhere');
  const diedMs = performance.now();
  await a.crash();
  const { events, ids } = await flow.reading.done;
  expect(performance.now() - diedMs).toBeLessThan(deployment.leaseMs + 10_000);
  expectDense(ids.slice(0, -1));
  expect(events.at(-1)).toMatchObject({
    type: 'workflow_failed',
    data: { error: { code: 'producer_lost', type: 'server_error' } },
  });
  const { body } = await b.get(flow.path);
  expect(body).toMatchObject({ status: 'failed', error: { code: 'producer_lost' } });
  expect(byId(body)).toMatchObject({
    x: { status: 'completed', text: textOf(flow.one) },
    y: { status: 'cancelled' },
  });
  await expectSame(deployment, [flow.path, flow.url, '/v1/workflows']);
  await until(async () => (await leftovers(deployment)).length === 0, 'nothing to be left');
  // The new owner has an ended attempt when the next one is lost.
  const second = await c.post(`${flow.path}/retry`);
  expect(second.body).toMatchObject({ status: 'running', attempt: 2 });
  const lost = deployment.read(flow.url, { first: 0 });
  await until(() => tokensOf(lost.events, 'y').split(' ').length === 3, 'two tokens again');
  await c.crash();
  expect((await lost.done).events.at(-1)).toMatchObject({
    ...{ type: 'workflow_failed', data: { error: { code: 'producer_lost' } } },
  });
  expect((await b.get(flow.path)).body).toMatchObject({ status: 'failed', attempt: 2 });
  deployment.upstream.go(flow.two.name);
  const third = await b.post(`${flow.path}/retry`);
  expect(third.body).toMatchObject({ status: 'running', attempt: 3 });
  const again = deployment.read(flow.url);
  expect((await again.done).events.at(-1).type).toBe('workflow_complete');
  expect(again.events.at(-1).data.metrics.duration_ms).toBeGreaterThan(0);
  expect(tokensOf(again.events, 'y')).toBe(textOf(flow.two));
  expect(deployment.upstream.calls(flow.one.name)).toHaveLength(1);
  await expectSame(deployment, [flow.path, flow.url]);
});

test('a crawl whose process dies fails with the pages so far', async () => {
  const { origin } = await site({ '/': linking('/slow'), '/slow': () => {} });
  const deployment = await deploy({ flags: ['--allow-private-addresses'] });
  const [a, b] = deployment.nodes;
  const body = { start_url: `${origin}/`, per_host_per_second: 1000, on_disconnect: 'continue' };
  const made = (await a.post('/v1/crawls', body)).body;
  const reading = deployment.read(made.stream_url, { first: 1 });
  await until(() => reading.events.length === 1, 'a page');
  await until(
    async () => (await b.get(`/v1/crawls/${made.crawl_id}`)).body.pages === 1,
    'its count',
  );
  await a.crash();
  const { events } = await reading.done;
  expect(events.map(({ type }) => type)).toEqual(['page', 'crawl_failed']);
  expect((await b.get(`/v1/crawls/${made.crawl_id}`)).body).toMatchObject({
    ...{ status: 'failed', pages: 1, error: { code: 'producer_lost' } },
  });
});

test('one of a frozen process is cancelled by another, and given up by the thawed process', async () => {
  const deployment = await deploy();
  const [a, b] = deployment.nodes;
  const flow = await begin(a, (url) => deployment.read(url, { first: 1 }));
  a.child.kill('SIGSTOP');
  const { body } = await b.post(`${flow.path}/cancel`);
  expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request' });
  expect((await flow.reading.done).events.at(-1).type).toBe('workflow_cancelled');
  a.child.kill('SIGCONT');
  const [call] = deployment.upstream.calls(flow.two.name);
  await call.closed;
  await until(async () => (await a.get(flow.path)).body.status === 'cancelled', 'the truth at a');
  await expectSame(deployment, [flow.path, flow.url]);
});

test('one of a leaving process ends as shutdown after its drain', async () => {
  const deployment = await deploy({ flags: ['--drain-ms', '200'] });
  const [a, b] = deployment.nodes;
  const flow = await begin(a, (url) => deployment.read(url, { first: 1 }));
  a.child.kill('SIGTERM');
  expect((await flow.reading.done).events.at(-1)).toMatchObject({
    ...{ type: 'workflow_cancelled', data: { reason: 'shutdown' } },
  });
  await a.exited;
  expect((await b.get(flow.path)).body).toMatchObject({ status: 'cancelled', reason: 'shutdown' });
  await until(async () => (await leftovers(deployment)).length === 0, 'nothing to be left');
});

test.each([
  [
    'killed and started again empty',
    async ({ redis }) => {
      await redis.kill();
      await redis.start();
    },
  ],
  ['flushed', ({ redis }) => redis.call('FLUSHALL')],
  [
    'frozen',
    async ({ redis }) => {
      redis.freeze();
      await sleep(1500);
      redis.thaw();
    },
  ],
])('with a Redis that is %s one continues, visible at all processes', async (_name, befall) => {
  const deployment = await deploy();
  const [a, b] = deployment.nodes;
  const flow = await begin(a, (url) => deployment.read(url, { first: 0 }));
  await befall(deployment);
  const known = async () => {
    const { body } = await b.get(flow.path);
    return body.nodes !== undefined && byId(body).x.text === textOf(flow.one);
  };
  await until(known, 'the first text elsewhere');
  deployment.upstream.go(flow.two.name);
  const { events } = await flow.reading.done;
  expect(events.at(-1).type).toBe('workflow_complete');
  expect(tokensOf(events, 'y')).toBe(textOf(flow.two));
  await until(
    async () => (await b.get(flow.path)).body.status === 'completed',
    'the end elsewhere',
  );
  await expectSame(deployment, [flow.path, flow.url]);
});

test('while Redis is away, new ones and those of other processes get 503, and running ones continue', async () => {
  const deployment = await deploy({ redis: { args: ['--appendonly', 'yes'] } });
  const [a, b] = deployment.nodes;
  const flow = await begin(a, (url) => deployment.read(url, { first: 0 }));
  await deployment.redis.kill();
  const refused = async (call) => expect((await call).body.error.code).toBe('storage_unavailable');
  await refused(a.post('/v1/workflows', chain().body));
  await refused(b.post('/v1/crawls', { start_url: 'https://example.com/' }));
  await refused(b.get(flow.path));
  await refused(b.get('/v1/workflows'));
  await refused(b.post(`${flow.path}/cancel`));
  expect((await a.get(flow.path)).body.status).toBe('running');
  const answer = await fetch(b.url + flow.url);
  expect([answer.status, await answer.text()]).toEqual([200, 'retry: 1000\n']);
  deployment.upstream.go(flow.two.name);
  expect((await flow.reading.done).events.at(-1).type).toBe('workflow_complete');
  await deployment.redis.start();
  await until(
    async () => (await b.get(flow.path)).body.status === 'completed',
    'the end elsewhere',
  );
});
