/** Two processes on one Redis: a job is the same from both. */
import { readFileSync } from 'node:fs';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { expectDense } from '../../support/cluster/reader.js';
import { textOf, tokensOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

let deployment;
let a;
let b;

beforeAll(async () => {
  deployment = await deploy();
  [a, b] = deployment.nodes;
});
afterAll(async () => {
  await stopDeployments();
  await removeFiles();
});

/** A job of `a` that has ended. */
async function endedJob(fields, options) {
  const job = await deployment.submit(a, fields, options);
  await a.ended(job.id);
  return job;
}

test('a running job streams live from the other process, to the same end', async () => {
  const job = await deployment.submit(a, { tokens: 10, stopAt: 4 });
  const here = await a.stream(job.path);
  const there = await b.stream(job.path);
  await until(() => there.text === tokensOf(job.plan).slice(0, 4).join(''), 'four tokens');
  deployment.upstream.go(job.plan.name);
  await Promise.all([here.done, there.done]);
  expect(there.text).toBe(textOf(job.plan));
  expect(there.raw).toBe(here.raw);
  expect(there.last().type).toBe('job_complete');
  expectDense(there.ids);
});

test('an ended job is the same from both, to the byte', async () => {
  const { id, path } = await endedJob({}, { metadata: { a: 1 } });
  const texts = await Promise.all(
    deployment.urls().map(async (url) => (await fetch(`${url}/v1/jobs/${id}`)).text()),
  );
  expect(texts[1]).toBe(texts[0]);
  expect(JSON.parse(texts[0])).toMatchObject({ status: 'completed', metadata: { a: 1 } });
  const [here, there] = [await a.read(path), await b.read(path)];
  expect(there.raw).toBe(here.raw);
  const end = await b.get(path, { headers: { 'last-event-id': here.ids.at(-1) } });
  expect(end.status).toBe(204);
});

test('GET of a running job has its text so far', async () => {
  const job = await deployment.submit(a, { tokens: 6, stopAt: 3 });
  const text = tokensOf(job.plan).slice(0, 3).join('');
  await until(async () => (await a.job(job.id)).text === text, 'three tokens');
  await until(async () => (await b.job(job.id)).text === text, 'three tokens elsewhere');
  expect(await b.job(job.id)).toMatchObject({ status: 'running', model: 'm' });
  deployment.upstream.go(job.plan.name);
  expect(await b.ended(job.id)).toMatchObject({ status: 'completed', text: textOf(job.plan) });
});

test.each([1, 2, 5])('a reader that moves after each %i events misses nothing', async (count) => {
  const job = await deployment.submit(a, { tokens: 24, intervalMs: 2 });
  const reader = await deployment.read(job.path, { eventsPerConnection: count }).done;
  expect(reader.text).toBe(textOf(job.plan));
  expect(reader.connections).toBeGreaterThan(24 / count);
  expect(reader.events.map(({ type }) => type)).not.toContain('gap');
  expectDense(reader.ids);
});

test('a fan-in has members of both processes', async () => {
  const one = await deployment.submit(a, { tokens: 8, intervalMs: 2 });
  const two = await deployment.submit(b, { tokens: 8, intervalMs: 2 });
  const path = `/v1/events?job_id=${one.id}&job_id=${two.id}`;
  for (const node of [a, b]) {
    const stream = await node.read(path);
    for (const { id, plan } of [one, two]) {
      const own = stream.events.filter(({ data }) => data.job_id === id);
      const tokens = own.filter(({ type }) => type === 'token').map(({ data }) => data.token);
      expect(tokens.join('')).toBe(textOf(plan));
      expect(own.at(-1).type).toBe('job_complete');
    }
  }
});

test('a key is one job, wherever it is sent', async () => {
  const headers = { 'idempotency-key': 'one-job' };
  const body = { prompt: JSON.stringify({ name: 'key', tokens: 3 }), on_disconnect: 'continue' };
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => deployment.nodes[i % 2].submit(body, headers)),
  );
  expect(new Set(answers.map((answer) => answer.body.job_id)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(11);
  expect(deployment.upstream.calls('key')).toHaveLength(1);
  const other = await b.submit({ ...body, prompt: '{"name":"other","tokens":1}' }, headers);
  expect(other.status).toBe(422);
});

test('cancelled from the other process: the upstream is closed, and both report the same', async () => {
  const job = await deployment.submit(a, { tokens: 6, stopAt: 2 });
  const stream = await a.stream(job.path);
  await until(() => stream.events.length === 2, 'two tokens');
  const { status, body } = await b.cancel(job.id);
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'cancelled', reason: 'client_request' });
  await deployment.upstream.calls(job.plan.name)[0].closed;
  expect((await stream.done).at(-1)).toMatchObject({ type: 'job_cancelled' });
  expect((await a.get(`/v1/jobs/${job.id}`)).body).toEqual(body);
  expect((await b.cancel(job.id)).body).toEqual(body);
});

test('cancellations of both processes at once make one ending', async () => {
  const job = await deployment.submit(a, { tokens: 6, stopAt: 2 });
  const answers = await Promise.all([a, b, a, b].map((node) => node.cancel(job.id)));
  for (const { body } of answers) expect(body).toEqual(answers[0].body);
  const streams = await Promise.all([a.read(job.path), b.read(job.path)]);
  expect(streams[1].raw).toBe(streams[0].raw);
});

test('lists have the jobs of all processes, newest first, in pages', async () => {
  const ids = [];
  for (let i = 0; i < 5; i += 1) ids.unshift((await deployment.submit([a, b][i % 2], {})).id);
  await Promise.all(ids.map((id) => a.ended(id)));
  const [here, there] = await Promise.all([a, b].map((node) => node.get('/v1/jobs?limit=5')));
  expect(there.body).toEqual(here.body);
  expect(here.body.data.map(({ job_id: id }) => id)).toEqual(ids);
  expect(here.body.has_more).toBe(true);
  const next = await b.get(`/v1/jobs?limit=2&after=${ids[1]}`);
  expect(next.body.data.map(({ job_id: id }) => id)).toEqual(ids.slice(2, 4));
  const running = await deployment.submit(a, { tokens: 2, stopAt: 1 });
  await until(async () => (await b.job(running.id)).status === 'running', 'the job to run');
  const { body } = await b.get('/v1/jobs?status=running');
  expect(body.data.map(({ job_id: id }) => id)).toEqual([running.id]);
  await b.cancel(running.id);
  expect((await b.get('/v1/jobs?after=job_unknown')).status).toBe(400);
});

test('an unknown job is 404 everywhere', async () => {
  const id = `job_${'a'.repeat(24)}`;
  expect((await b.get(`/v1/jobs/${id}`)).status).toBe(404);
  expect((await b.get(`/v1/stream?job_id=${id}`)).status).toBe(404);
  expect((await b.cancel(id)).status).toBe(404);
});

test('a reader elsewhere keeps a job, and its departure ends it', async () => {
  const job = await deployment.submit(
    a,
    { tokens: 6, stopAt: 2 },
    { on_disconnect: 'cancel', disconnect_grace_ms: 100 },
  );
  const here = await a.stream(job.path);
  const there = await b.stream(job.path);
  await until(() => there.events.length === 2, 'two tokens elsewhere');
  const readers = () => deployment.redis.call('HLEN', `{sluice}:readers:${job.id}`);
  await until(async () => (await readers()) === 1, 'the owner to hear of the reader');
  here.close();
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect((await a.job(job.id)).status).toBe('running');
  there.close();
  expect(await a.ended(job.id)).toMatchObject({
    status: 'cancelled',
    reason: 'client_disconnected',
  });
});

test('erased from the other process, nothing is left', async () => {
  const job = await endedJob({});
  await b.read(job.path);
  expect((await b.call('DELETE', `/v1/jobs/${job.id}`)).status).toBe(204);
  for (const node of [a, b]) expect((await node.get(`/v1/jobs/${job.id}`)).status).toBe(404);
  expect(await deployment.redis.keys(`*${job.id}*`)).toEqual([]);
});

test('the metrics of Redis and of the deployment', async () => {
  const job = await deployment.submit(a, { tokens: 2, stopAt: 1 });
  const stream = await b.stream(job.path);
  await until(() => stream.events.length === 1, 'a token');
  const { body } = await b.get('/metrics');
  await b.cancel(job.id);
  const value = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]);
  const states = ['connecting', 'ok', 'unreachable', 'readonly', 'full', 'refused'];
  expect(states.map((state) => value(`sluice_redis_state{state="${state}"}`))).toEqual([
    ...[0, 1, 0, 0, 0, 0],
  ]);
  expect(value('sluice_processes')).toBe(2);
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const typesIn = (pattern, text) => [...text.matchAll(pattern)].map(([, ...of]) => of).sort();
  const ofRedis = /^# TYPE (sluice_(?:redis_\w+|processes|failovers_total)) (\w+)$/gm;
  expect(typesIn(/^\| `(\w+)` \| (\w+) \|/gm, page.split('## With Redis')[1])).toEqual(
    typesIn(ofRedis, body),
  );
  expect(value('sluice_redis_roundtrip_seconds_count')).toBeGreaterThan(0);
  expect(value('sluice_redis_followed_jobs')).toBe(1);
  expect(value('sluice_redis_catch_ups_total{why="open"}')).toBeGreaterThan(0);
  for (const name of ['reconnects', 'fenced', 'data_loss', 'conflicting_endings']) {
    expect(value(`sluice_redis_${name}_total`)).toBe(0);
  }
  expect(value('sluice_redis_unsent_tokens')).toBe(0);
  for (const outcome of ['failed', 'rerun', 'handed_over']) {
    expect(value(`sluice_failovers_total{outcome="${outcome}"}`)).toBe(0);
  }
});

test('a job that one process erases is gone from the other one as well', async () => {
  for (let turn = 0; turn < 10; turn += 1) {
    const { id } = await endedJob();
    const [erasing, other] = turn % 2 === 0 ? [a, b] : [b, a];
    // The other process has it in memory, as its owner or for a reader.
    expect((await other.get(`/v1/jobs/${id}`)).status).toBe(200);
    expect((await erasing.call('DELETE', `/v1/jobs/${id}`)).status).toBe(204);
    expect((await other.get(`/v1/jobs/${id}`)).status).toBe(404);
  }
});
