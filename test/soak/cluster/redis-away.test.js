/** Answers to callers while Redis does not answer, refuses or is full, and afterwards. */
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { expectDense } from '../../support/cluster/reader.js';
import { freePort } from '../../support/free-port.js';
import { startRedis } from '../../support/cluster/redis.js';
import { createGateway } from '../../../lib/index.js';
import { killAll, serve, sluiceWith } from '../../support/crash/cli.js';
import { textOf, tokensOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

afterAll(removeFiles);

/** The whole answer to a GET as text. */
async function raw(node, path) {
  const answer = await fetch(node.url + path);
  return { status: answer.status, text: await answer.text() };
}

/** A turn of `a` that waits after three tokens, and a stream of it there. */
async function waiting(deployment, a) {
  const { body } = await a.post('/v1/conversations', {});
  const turn = { conversation_id: body.conversation_id };
  const job = await deployment.submit(a, { tokens: 8, stopAt: 3 }, turn);
  const stream = await a.stream(job.path);
  const text = tokensOf(job.plan).slice(0, 3).join('');
  await until(() => stream.text === text, 'three tokens');
  return { job, stream, conversation: `/v1/conversations/${turn.conversation_id}` };
}

const unavailable = { code: 'storage_unavailable' };

/** Checks all answers that need no Redis; `known` is a job of `a` that was never requested from `b`. */
async function expectAway([a, b], known) {
  const sentMs = performance.now();
  const first = await a.submit({ prompt: '{}' });
  expect(performance.now() - sentMs).toBeLessThan(1500);
  expect(first.status).toBe(503);
  expect(first.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(first.body.error).toMatchObject(unavailable);
  const path = `/v1/stream?job_id=${known.id}`;
  expect(await raw(b, path)).toEqual({ status: 200, text: 'retry: 1000\n' });
  const events = `/v1/events?job_id=${known.id}`;
  expect(await raw(b, events)).toEqual({ status: 200, text: 'retry: 1000\n' });
  for (const answer of [
    await b.get(`/v1/jobs/${known.id}`),
    await b.cancel(known.id),
    await a.get('/v1/conversations'),
    await a.post('/v1/conversations', {}),
    await a.call('DELETE', `/v1/conversations/conv_${'a'.repeat(24)}`),
    await b.submit({ prompt: '{}', conversation_id: `conv_${'a'.repeat(24)}` }),
  ]) {
    expect({ status: answer.status, ...answer.body.error }).toMatchObject({
      ...{ status: 503, ...unavailable },
    });
  }
  expect((await a.get(`/v1/jobs/${known.id}`)).status).toBe(200);
  for (const node of [a, b]) {
    await until(async () => (await node.get('/readyz')).status === 503, 'not to be ready');
    expect((await node.get('/healthz')).status).toBe(200);
    expect(await node.metric('sluice_redis_state{state="ok"}')).toBe(0);
  }
}

/**
 * Checks that all is as if Redis had never been away, and that no process has been buried. An empty Redis
 * has lost the conversation.
 */
async function expectBack(deployment, { job, stream, conversation }, reader, isEmpty = false) {
  const [a, b] = deployment.nodes;
  for (const node of [a, b]) {
    await until(async () => (await node.get('/readyz')).status === 200, 'to be ready again');
    await until(async () => (await node.metric('sluice_processes')) === 2, 'both processes');
    for (const outcome of ['failed', 'rerun', 'handed_over']) {
      expect(await node.metric(`sluice_failovers_total{outcome="${outcome}"}`)).toBe(0);
    }
  }
  await stream.done;
  expect(stream.text).toBe(textOf(job.plan));
  await reader.done;
  expect(reader.text).toBe(textOf(job.plan));
  expectDense(reader.ids);
  expect(await b.ended(job.id)).toMatchObject({ status: 'completed', text: textOf(job.plan) });
  const { status, body } = await b.get(conversation);
  if (isEmpty) expect(status).toBe(404);
  else expect(body.messages.map(({ content }) => content)).toEqual([job.prompt, textOf(job.plan)]);
  const next = await deployment.submit(b, {});
  expect(await a.ended(next.id)).toMatchObject({ status: 'completed' });
}

describe('of a deployment that continues', () => {
  let deployment;
  let a;
  let b;
  beforeAll(async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    deployment = await deploy({ redis: { args } });
    [a, b] = deployment.nodes;
  });
  afterAll(stopDeployments);

  test('frozen for longer than a lease: local streams continue, no process counts as dead', async () => {
    const own = await waiting(deployment, a);
    const reader = deployment.read(own.job.path, { first: 1 });
    await until(() => reader.events.length === 3, 'three tokens elsewhere');
    const known = await deployment.submit(a, { tokens: 1 });
    await a.ended(known.id);
    deployment.redis.freeze();
    await expectAway([a, b], known);
    deployment.upstream.go(own.job.plan.name);
    await until(() => own.stream.text === textOf(own.job.plan), 'all tokens here');
    deployment.redis.thaw();
    await expectBack(deployment, own, reader);
  });

  test('killed and restarted with its file: all jobs continue', async () => {
    const own = await waiting(deployment, a);
    const reader = deployment.read(own.job.path, { first: 1 });
    await until(() => reader.events.length === 3, 'three tokens elsewhere');
    const known = await deployment.submit(a, { tokens: 1 });
    await a.ended(known.id);
    await deployment.redis.kill();
    await expectAway([a, b], known);
    deployment.upstream.go(own.job.plan.name);
    await until(() => own.stream.text === textOf(own.job.plan), 'all tokens here');
    await deployment.redis.start();
    await expectBack(deployment, own, reader);
  });

  test('full: new work gets 507, live jobs end once there is room', async () => {
    const own = await waiting(deployment, a);
    const reader = deployment.read(own.job.path, { first: 1 });
    await until(() => reader.events.length === 3, 'three tokens elsewhere');
    await deployment.redis.call('CONFIG', 'SET', 'maxmemory', '1');
    const refused = await b.submit({ prompt: '{}' });
    expect(refused.status).toBe(507);
    const none = await b.post('/v1/conversations', {});
    expect([none.status, none.body.error.code]).toEqual([507, 'insufficient_storage']);
    expect(refused.body.error.code).toBe('insufficient_storage');
    deployment.upstream.go(own.job.plan.name);
    await until(() => own.stream.text === textOf(own.job.plan), 'all tokens here');
    await deployment.redis.call('CONFIG', 'SET', 'maxmemory', '0');
    await expectBack(deployment, own, reader);
  });

  test('connections cut and scripts flushed: no effect on readers', async () => {
    const own = await waiting(deployment, a);
    const reader = deployment.read(own.job.path, { first: 1 });
    await until(() => reader.events.length === 3, 'three tokens elsewhere');
    await deployment.redis.call('SCRIPT', 'FLUSH');
    await deployment.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await deployment.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    deployment.upstream.go(own.job.plan.name);
    await expectBack(deployment, own, reader);
  });

  test('restarted empty: owners write their jobs again, and other processes find them again', async () => {
    const own = await waiting(deployment, a);
    const reader = deployment.read(own.job.path, { first: 1 });
    await until(() => reader.events.length === 3, 'three tokens elsewhere');
    await deployment.redis.call('FLUSHALL');
    await until(async () => (await a.metric('sluice_redis_data_loss_total')) === 1, 'the loss');
    await until(
      async () => (await b.get(`/v1/jobs/${own.job.id}`)).body.text === own.stream.text,
      'the job to be there again',
    );
    deployment.upstream.go(own.job.plan.name);
    await expectBack(deployment, own, reader, true);
  });
});

test('away at the start: the server listens, and is ready by itself', async () => {
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const node = await serve('--redis', url, '--lease-ms', '1000', '--token-interval-ms', '1');
  expect((await node.get('/readyz')).status).toBe(503);
  expect((await node.get('/healthz')).status).toBe(200);
  expect((await node.submit({ prompt: 'a' })).status).toBe(503);
  const id = `job_${'a'.repeat(24)}`;
  expect(await raw(node, `/v1/stream?job_id=${id}`)).toEqual({
    status: 200,
    text: 'retry: 1000\n',
  });
  const redis = await startRedis({ port });
  try {
    await until(async () => (await node.get('/readyz')).status === 200, 'to be ready');
    const { body } = await node.submit({ prompt: 'a', max_tokens: 2 });
    expect(await node.ended(body.job_id)).toMatchObject({ status: 'completed' });
  } finally {
    killAll();
    await redis.stop();
  }
});

describe('errors that waiting does not resolve', () => {
  let redis;
  beforeAll(async () => {
    redis = await startRedis({ password: 'secret' });
  });
  afterAll(() => redis.stop());

  test('is one line and exit code 1, without the password', async () => {
    const url = `redis://:wrong@127.0.0.1:${redis.port}`;
    const { exited } = sluiceWith({ SLUICE_REDIS_URL: url }, 'serve', '--port', '0');
    const { code, stdout, stderr } = await exited;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const lines = stderr.split('\n').filter((line) => line.startsWith('sluice: '));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`redis://127.0.0.1:${redis.port}`);
    expect(lines[0]).toContain('does not accept the user or the password');
    expect(stderr).not.toContain(':wrong');
  });

  test.each([
    ['no password', (port) => `redis://127.0.0.1:${port}`, 'ERR_REDIS_AUTHENTICATION'],
    ['a wrong one', (port) => `redis://:wrong@127.0.0.1:${port}`, 'ERR_REDIS_AUTHENTICATION'],
    [
      'data of a newer version',
      (port) => ({ url: `redis://:secret@127.0.0.1:${port}`, prefix: 'new' }),
      'ERR_REDIS_SCHEMA',
    ],
  ])('listen() rejects: %s', async (_name, options, code) => {
    await redis.call('HSET', '{new}:meta', 'schema', '2');
    const provider = async function* generate() {};
    const gateway = createGateway({ provider, logger: false, redis: options(redis.port) });
    try {
      await expect(gateway.listen()).rejects.toMatchObject({ code });
    } finally {
      await gateway.close({ drainMs: 0 });
    }
  });
});

test('a user with the documented rights suffices', async () => {
  const rights = [
    ...[
      'on',
      '>gwpass',
      '~{sluice}:*',
      '&{sluice}:*',
      '+@read',
      '+@write',
      '+@pubsub',
      '+@scripting',
    ],
    ...['+@connection', '+@transaction', '+time', '+wait', '-@dangerous', '+info'],
  ];
  const deployment = await deploy({
    processes: 0,
    redisUrl: (url) => url.replace('redis://', 'redis://gw:gwpass@'),
  });
  await deployment.redis.call('ACL', 'SETUSER', 'gw', ...rights);
  const [a, b] = [await deployment.add(), await deployment.add()];
  await until(async () => (await b.get('/readyz')).status === 200, 'to be ready');
  const job = await deployment.submit(a, { tokens: 4, stopAt: 2 }, { on_disconnect: 'cancel' });
  const reader = deployment.read(job.path, { first: 1 });
  await until(() => reader.events.length === 2, 'two tokens elsewhere');
  deployment.upstream.go(job.plan.name);
  await reader.done;
  expect(reader.text).toBe(textOf(job.plan));
  const queued = await deployment.submit(a, { tokens: 2, stopAt: 1 });
  await b.cancel(queued.id);
  expect((await b.get('/v1/jobs')).body.data).toHaveLength(2);
  await b.call('DELETE', `/v1/jobs/${job.id}`);
  expect(await deployment.redis.call('ACL', 'LOG')).toEqual([]);
  await stopDeployments();
});
