/** Processes that die, leave and freeze: the endings of their jobs, as readers at other processes see them. */
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { expectDense } from '../../support/cluster/reader.js';
import { textOf, tokensOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

afterEach(stopDeployments);
afterAll(removeFiles);

const types = (reader) => reader.events.map(({ type }) => type);
const calls = ({ upstream }, { plan }) => upstream.calls(plan.name);

/** The tokens of a plan that an answer has sent. */
const sent = ({ plan }) => tokensOf(plan).slice(0, plan.stopAt).join('');

/** A job that waits at its upstream after `stopAt` tokens, with a reader at another process. */
async function waitingJob(deployment, node, fields, options) {
  const job = await deployment.submit(node, { tokens: 8, ...fields }, options);
  await until(() => calls(deployment, job).length === 1, 'the upstream to be called');
  const reader = deployment.read(job.path, { first: deployment.nodes.length - 1 });
  await until(() => reader.text === sent(job), 'the first tokens elsewhere');
  return { ...job, reader };
}

/** A conversation with one message, that `turn` in a job continues. */
async function conversation(node) {
  const messages = [{ role: 'user', content: 'hello' }];
  const { body } = await node.post('/v1/conversations', { messages });
  const path = `/v1/conversations/${body.conversation_id}`;
  return {
    turn: { conversation_id: body.conversation_id },
    contents: async () => (await node.get(path)).body.messages.map(({ content }) => content),
  };
}

/** Checks that every process has the same state of an ended job. */
async function expectSame(deployment, { id, path }) {
  const of = (each) => Promise.all(deployment.urls().map(each));
  const states = await of(async (url) => (await fetch(`${url}/v1/jobs/${id}`)).text());
  expect(new Set(states).size).toBe(1);
  const streams = await of(async (url) => (await fetch(url + path)).text());
  expect(new Set(streams).size).toBe(1);
  expect(streams[0].match(/^event: job_(complete|error|cancelled)$/gm)).toHaveLength(1);
  return JSON.parse(states[0]);
}

/** Fifty equal requests with one key, over all processes, are one job. */
async function expectOneJob({ nodes, upstream }) {
  const body = { prompt: '{"name":"fifty","tokens":2}', on_disconnect: 'continue' };
  const headers = { 'idempotency-key': 'fifty' };
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => nodes[i % nodes.length].submit(body, headers)),
  );
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([...Array(49).fill(200), 201]);
  expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1);
  await nodes[0].ended(answers[0].body.job_id);
  expect(upstream.calls('fifty')).toHaveLength(1);
}

test('the jobs of a killed process: failed with tokens, run again without, queued ones as well', async () => {
  const deployment = await deploy({ processes: 3, flags: ['--max-concurrency', '2'] });
  const [a, b] = deployment.nodes;
  await expectOneJob(deployment);
  const [failed, repeated] = await Promise.all([conversation(b), conversation(b)]);
  const running = await waitingJob(deployment, a, { stopAt: 3 }, failed.turn);
  const silent = await waitingJob(deployment, a, { stopAt: 0 }, repeated.turn);
  const queued = await deployment.submit(a, { tokens: 5 });
  const readers = [running.reader, silent.reader, deployment.read(queued.path, { first: 1 })];
  await a.crash();
  deployment.upstream.go(silent.plan.name);
  await Promise.all(readers.map(({ done }) => done));

  expect(running.reader.text).toBe(sent(running));
  expect(running.reader.events.at(-1)).toMatchObject({
    type: 'job_error',
    data: { error: { code: 'producer_lost', type: 'server_error' } },
  });
  const [, again, begun] = readers;
  expect(again.text).toBe(textOf(silent.plan));
  expect(begun.text).toBe(textOf(queued.plan));
  for (const reader of [again, begun]) {
    expect(reader.events.find(({ type }) => type === 'job_retry')).toMatchObject({ id: '2-0' });
    expect(types(reader)).not.toContain('gap');
    expectDense(reader.ids);
  }
  expect(await expectSame(deployment, running)).toMatchObject({
    ...{ status: 'failed', text: sent(running) },
    usage: { completion_tokens: 3 },
  });
  expect(await expectSame(deployment, silent)).toMatchObject({ status: 'completed' });
  expect(calls(deployment, silent)).toHaveLength(2);
  expect(calls(deployment, running)).toHaveLength(1);
  // A turn is added by the process that ends its job, and not where the answer is lost.
  expect(await failed.contents()).toEqual(['hello']);
  expect(await repeated.contents()).toEqual(['hello', silent.prompt, textOf(silent.plan)]);
  const [{ body: second }] = calls(deployment, silent).slice(1);
  expect(second.messages.map(({ content }) => content)).toEqual(['hello', silent.prompt]);
  // No key of the process remains.
  await until(
    async () => (await deployment.redis.keys('{sluice}:dead')).length === 0,
    'its estate',
  );
  expect(await deployment.redis.keys('{sluice}:open:*')).toEqual([]);
  expect(await deployment.redis.call('HLEN', '{sluice}:procs')).toBe(2);
  expect((await b.get('/v1/jobs')).body.data).toHaveLength(4);
});

test('with rerun a job with tokens begins again, on another process', async () => {
  const deployment = await deploy({ flags: ['--on-producer-lost', 'rerun'] });
  const [a] = deployment.nodes;
  const job = await waitingJob(deployment, a, { stopAt: 4 });
  await a.crash();
  deployment.upstream.go(job.plan.name);
  await job.reader.done;
  expect(job.reader.text).toBe(textOf(job.plan));
  expect(types(job.reader)).toContain('job_retry');
  expectDense(job.reader.ids);
  expect(await expectSame(deployment, job)).toMatchObject({
    ...{ status: 'completed', text: textOf(job.plan) },
  });
});

test('a leaving process hands over jobs that have not started or have no token', async () => {
  const flags = ['--max-concurrency', '2', '--drain-ms', '0'];
  const deployment = await deploy({ flags });
  const [a, b] = deployment.nodes;
  const running = await waitingJob(deployment, a, { stopAt: 3 });
  const silent = await waitingJob(deployment, a, { stopAt: 0 });
  const queued = await deployment.submit(a, { tokens: 5 });
  const reader = deployment.read(queued.path, { first: 1 });
  const other = await waitingJob(deployment, b, { stopAt: 2 });
  a.gone = true;
  a.child.kill('SIGTERM');
  await until(() => calls(deployment, silent).length === 2, 'the other process to call');
  deployment.upstream.go(silent.plan.name);
  deployment.upstream.go(other.plan.name);
  const [{ code }] = await Promise.all([
    a.exited,
    ...[running.reader, silent.reader, reader, other.reader].map(({ done }) => done),
  ]);
  expect(code).toBe(0);
  expect(running.reader.events.at(-1)).toMatchObject({
    ...{ type: 'job_cancelled', data: { reason: 'shutdown' } },
  });
  // It has not started before, so it is in its first attempt.
  expect([reader.text, types(reader).includes('job_retry')]).toEqual([textOf(queued.plan), false]);
  expect([silent.reader.text, types(silent.reader).includes('job_retry')]).toEqual([
    textOf(silent.plan),
    true,
  ]);
  expect(other.reader.text).toBe(textOf(other.plan));
  for (const job of [running, silent, queued]) await expectSame(deployment, job);
  expect(await deployment.redis.call('HLEN', '{sluice}:procs')).toBe(1);
  expect(await deployment.redis.keys('{sluice}:open:*')).toEqual([]);
});

test('a process frozen for longer than the lease gives up jobs that others have taken over', async () => {
  const deployment = await deploy();
  const [a, b] = deployment.nodes;
  const job = await waitingJob(deployment, a, { stopAt: 3 });
  const own = await a.stream(job.path);
  await until(() => own.events.length === 3, 'the reader of the owner');
  a.child.kill('SIGSTOP');
  await job.reader.done;
  expect(job.reader.events.at(-1)).toMatchObject({ type: 'job_error' });
  a.child.kill('SIGCONT');
  // Its readers are disconnected without an ending, and resume at the new owner.
  await own.closed;
  expect(types(own)).toEqual(['token', 'token', 'token']);
  await calls(deployment, job)[0].closed;
  await until(async () => (await a.get('/readyz')).status === 200, 'the process to be back');
  await until(async () => (await a.job(job.id)).status === 'failed', 'the truth');
  expect(await expectSame(deployment, job)).toMatchObject({ status: 'failed', text: sent(job) });
  // It works on under its new name.
  const next = await deployment.submit(a, { tokens: 3 });
  expect(await b.ended(next.id)).toMatchObject({ text: textOf(next.plan) });
});

test('a job of a frozen process is cancelled from another one', async () => {
  const deployment = await deploy({ leaseMs: 60_000 });
  const [a, b] = deployment.nodes;
  const { turn, contents } = await conversation(b);
  const job = await waitingJob(deployment, a, { stopAt: 3 }, turn);
  a.child.kill('SIGSTOP');
  const { status, body } = await b.cancel(job.id);
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request', text: sent(job) });
  expect(await contents()).toEqual(['hello', job.prompt, sent(job)]);
  await job.reader.done;
  a.child.kill('SIGCONT');
  await calls(deployment, job)[0].closed;
  deployment.upstream.go(job.plan.name);
  await until(async () => (await a.job(job.id)).status === 'cancelled', 'the truth');
  await expectSame(deployment, job);
});

test('all processes dead at once: the next started process takes over their jobs', async () => {
  const deployment = await deploy();
  const [a, b] = deployment.nodes;
  const jobs = [
    await waitingJob(deployment, a, { stopAt: 0 }),
    await waitingJob(deployment, b, { stopAt: 0 }),
  ];
  await Promise.all([a.crash(), b.crash()]);
  await deployment.add();
  for (const { plan } of jobs) deployment.upstream.go(plan.name);
  for (const { reader, plan } of jobs) {
    await reader.done;
    expect(reader.text).toBe(textOf(plan));
    expectDense(reader.ids);
  }
});
