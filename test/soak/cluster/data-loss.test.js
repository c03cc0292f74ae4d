/**
 * Processes whose Redis loses its data at random moments of jobs that clients submit, read and cancel wherever they
 * can. Afterwards all processes give the same answers, and nothing that had been acknowledged is missing.
 * SLUICE_CRASH_SEED says which moments.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { expectDense } from '../../support/cluster/reader.js';
import { plan, textOf } from '../../support/cluster/upstream.js';
import { randomFrom } from '../../support/random.js';
import { seed } from '../../support/crash/rounds.js';
import { until } from '../../support/until.js';

afterAll(async () => {
  await stopDeployments();
  await removeFiles();
});

const ROUNDS = 12;
const JOBS = 12;
const LEASE_MS = 1000;
const PAUSE_MS = 50;
const ENDED = ['completed', 'failed', 'cancelled'];

const random = randomFrom(seed);
const below = (count) => Math.floor(random() * count);
const one = (all) => all[below(all.length)];

const GET = async (url) => {
  const answer = await fetch(url);
  return `${answer.status} ${await answer.text()}`;
};

const post = async (url, body, headers = {}) => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
  const answer = await fetch(url, { ...init, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
};

/** Submits a plan until a process has taken it; half of them with a key, a third stop in their answer. */
async function submit({ urls }, number) {
  const fields = { tokens: 3 + below(30), intervalMs: below(15) };
  if (random() < 0.3) fields.stopAt = below(fields.tokens);
  const { prompt, plan: own } = plan(fields);
  const headers = random() < 0.5 ? { 'idempotency-key': `key-${number}` } : {};
  const request = { prompt, on_disconnect: 'continue' };
  for (;;) {
    const { status, body } = await post(`${one(urls())}/v1/jobs`, request, headers);
    if (status < 300) return { id: body.job_id, path: body.stream_url, own, request, headers };
    expect(status).toBe(503);
    await sleep(PAUSE_MS);
  }
}

const EVENTS = {
  flush: ({ redis }) => redis.call('FLUSHALL'),
  async flushTwice({ redis }) {
    await redis.call('FLUSHALL');
    await sleep((random() * LEASE_MS) / 2);
    await redis.call('FLUSHALL');
  },
  // Longer than the wait of an ending for Redis before readers receive it.
  async restart({ redis }) {
    await redis.kill();
    await sleep(random() * 6000);
    await redis.start();
  },
  // For less than a lease: no job is taken over by another process.
  async flushFrozen({ redis, nodes }) {
    const { child } = one(nodes);
    child.kill('SIGSTOP');
    await sleep((random() * LEASE_MS) / 3);
    await redis.call('FLUSHALL');
    await sleep(random() * 2 * LEASE_MS);
    child.kill('SIGCONT');
  },
};

/** The same answer of all processes; a job that was not told to stop has ended. */
async function expectSame(deployment, job) {
  const { id, path } = job;
  const of = (target) => Promise.all(deployment.urls().map((url) => GET(url + target)));
  const texts = await until(async () => {
    const [states, streams] = [await of(`/v1/jobs/${id}`), await of(path)];
    const isSame = new Set(states).size === 1 && new Set(streams).size === 1;
    const isThere = isSame && states[0].startsWith('200 ');
    return isThere && ENDED.includes(JSON.parse(states[0].slice(4)).status) && states;
  }, `the same answers about ${id}`);
  const { status, text, error } = JSON.parse(texts[0].slice(4));
  if (job.cancelled) expect(textOf(job.own).startsWith(text)).toBe(true);
  // A process that is frozen for longer than a lease before the loss is dead for the others.
  else if (status === 'failed') expect(error.code).toBe('producer_lost');
  else expect([status, text]).toEqual(['completed', textOf(job.own)]);
  await job.reader.done;
  expect(job.reader.text).toBe(text);
  expectDense(job.reader.ids);
}

test(`seed ${seed}`, async () => {
  const flags = ['--max-concurrency', '4', '--incoming-capacity', '1000'];
  const deployment = await deploy({ processes: 3, leaseMs: LEASE_MS, flags });
  const { nodes, upstream } = deployment;
  for (let round = 0; round < ROUNDS; round += 1) {
    const jobs = [];
    const submitted = Array.from({ length: JOBS }, async (_, i) => {
      await sleep(random() * 1200);
      const job = await submit(deployment, round * JOBS + i);
      jobs.push(Object.assign(job, { reader: deployment.read(job.path, { first: below(3) }) }));
      if (random() > 0.15) return;
      const { status } = await post(`${one(deployment.urls())}/v1/jobs/${job.id}/cancel`, {});
      expect([200, 503]).toContain(status);
      job.cancelled = true;
    });
    await sleep(300 + random() * 900);
    await one(Object.values(EVENTS))(deployment);
    await Promise.all(submitted);
    for (const { own } of jobs) upstream.go(own.name);
    await Promise.all(jobs.map((job) => expectSame(deployment, job)));
    const lists = deployment.urls().map((url) => GET(`${url}/v1/jobs?limit=100`));
    expect(new Set(await Promise.all(lists)).size).toBe(1);
    for (const { id, request, headers } of jobs) {
      if (headers['idempotency-key'] === undefined) continue;
      const again = await post(`${one(deployment.urls())}/v1/jobs`, request, headers);
      expect([again.status, again.body.job_id]).toEqual([200, id]);
    }
  }
  for (const node of nodes) {
    expect(await node.metric('sluice_redis_conflicting_endings_total')).toBe(0);
    expect(await node.metric('sluice_redis_unsent_tokens')).toBe(0);
  }
  const left = () => deployment.redis.keys('{sluice}:open:*');
  await until(async () => (await left()).length === 0, 'no job to be open');
});
