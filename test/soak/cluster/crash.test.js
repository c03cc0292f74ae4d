/**
 * Processes of a deployment are killed, stopped, frozen and replaced at random moments while clients submit jobs, some
 * of them turns of conversations, and read them at any process. After every 200 jobs each process is asked for all of
 * them, and Redis for remains. SLUICE_KILL_MINUTES is the duration (default 30), SLUICE_CRASH_SEED the seed of the
 * moments.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { file } from '../../support/crash/cli.js';
import { plan, textOf } from '../../support/cluster/upstream.js';
import { randomFrom } from '../../support/random.js';
import { seed } from '../../support/crash/rounds.js';
import { until } from '../../support/until.js';

afterAll(async () => {
  await stopDeployments();
  await removeFiles();
});

const PROCESSES = 3;
const JOBS_PER_ROUND = 4;
/** Rounds whose jobs are checked together: 200 jobs. */
const ROUNDS_PER_CHECK = 50;
const MINUTES_DEFAULT = 30;
const LEASE_MS = 1000;
/** Places of all jobs; every place is one of a job that has not ended. */
const PLACES = 6;
const PAUSE_MS = 50;
/** Micro-credits for a token of an answer. */
const PRICE = 10;

const random = randomFrom(seed);
const below = (count) => Math.floor(random() * count);

/** Submits a plan under a unique key until a process accepts it; resolves with its path. */
async function submit(deployment, number, turn) {
  const { prompt, plan: own } = plan({ tokens: 5 + below(30), intervalMs: below(12) });
  const headers = { 'content-type': 'application/json', 'idempotency-key': `key-${number}` };
  const body = JSON.stringify({
    ...{ prompt, on_disconnect: 'continue', max_wall_ms: 120_000 },
    ...turn,
  });
  for (;;) {
    const urls = deployment.urls();
    try {
      const url = `${urls[below(urls.length)]}/v1/jobs`;
      const answer = await fetch(url, { method: 'POST', headers, body });
      const { job_id: id, stream_url: path } = await answer.json();
      if (answer.ok) return { id, path, prompt, plan: own, turn };
      if (![429, 503].includes(answer.status)) throw new Error(`status ${answer.status}`);
    } catch (error) {
      if (!(error instanceof TypeError) && error.name !== 'SyntaxError') throw error;
    }
    await sleep(PAUSE_MS);
  }
}

/** Random faults of a deployment. */
const EVENTS = {
  async kill(deployment, node) {
    await node.crash();
    await deployment.add();
  },
  async leave(deployment, node) {
    node.gone = true;
    node.child.kill('SIGTERM');
    const [{ code }] = await Promise.all([node.exited, deployment.add()]);
    expect(code).toBe(0);
  },
  async freeze(_deployment, node) {
    node.child.kill('SIGSTOP');
    await sleep(random() * 2 * LEASE_MS);
    node.child.kill('SIGCONT');
  },
  async freezeRedis({ redis }) {
    redis.freeze();
    await sleep(random() * 2 * LEASE_MS);
    redis.thaw();
  },
};

/** Causes a fault, and returns its description. */
async function befall(deployment) {
  const names = Object.keys(EVENTS);
  const name = names[below(names.length)];
  const nodes = deployment.nodes.filter(({ gone }) => !gone);
  await EVENTS[name](deployment, nodes[below(nodes.length)]);
  return name;
}

/** A conversation, as jobs name it that wait for their turn. */
async function conversation({ nodes }) {
  const { body } = await nodes.find(({ gone }) => !gone).post('/v1/conversations', {});
  return { conversation_id: body.conversation_id, on_busy: 'queue' };
}

/** Every process has exactly the turns of the jobs that have answers, each whole. */
async function expectTurns(deployment, turn, jobs) {
  const path = `/v1/conversations/${turn.conversation_id}`;
  const texts = await Promise.all(deployment.urls().map((url) => GET(url + path)));
  expect(new Set(texts).size).toBe(1);
  const { messages, ...head } = JSON.parse(texts[0]);
  expect(head).not.toHaveProperty('busy_job_id');
  const own = jobs.filter((job) => job.turn === turn && job.text !== '');
  const added = new Map(
    own.filter(({ status }) => status !== 'failed').map((job) => [job.id, job]),
  );
  expect(messages).toHaveLength(2 * added.size);
  for (let i = 0; i < messages.length; i += 2) {
    const { prompt, text } = added.get(messages[i].job_id);
    added.delete(messages[i].job_id);
    const [question, answer] = messages.slice(i, i + 2);
    expect([question.content, answer.content]).toEqual([prompt, text]);
    expect(answer.job_id).toBe(question.job_id);
  }
}

const GET = async (url) => (await fetch(url)).text();

/** Every job was paid for once, by the tokens of its log, and nothing is held. */
async function expectPaid(deployment, jobs, tokens) {
  const [url] = deployment.urls();
  const account = JSON.parse(await GET(`${url}/v1/accounts/anonymous`));
  expect(account).toMatchObject({ posted: -PRICE * tokens, held: 0 });
  const { total } = JSON.parse(await GET(`${url}/v1/usage`));
  const counted = { requests: jobs.length, completion_tokens: tokens, cost: PRICE * tokens };
  expect(total).toMatchObject(counted);
  const settled = new Map();
  for (let after = 0, more = true; more;) {
    const path = `/v1/accounts/anonymous/events?limit=1000&after=${after}`;
    const { data, has_more: hasMore } = JSON.parse(await GET(url + path));
    for (const { type, job_id: id } of data) {
      if (type === 'settle') settled.set(id, (settled.get(id) ?? 0) + 1);
    }
    after = data.at(-1)?.id;
    more = hasMore;
  }
  expect([...settled.keys()].sort()).toEqual(jobs.map(({ id }) => id).sort());
  expect(new Set(settled.values())).toEqual(new Set([1]));
}

/**
 * Rounds of jobs, with something that befalls the deployment in each.
 * @param {number} first number of the first job
 * @param {object[]} turns conversations of the first jobs of each round; the other ones have none
 * @param {() => boolean} isOver whether no further round begins
 */
async function runRounds(deployment, first, turns, isOver) {
  const jobs = [];
  for (let round = 0; round < ROUNDS_PER_CHECK && !isOver(); round += 1) {
    const submitted = Promise.all(
      Array.from({ length: JOBS_PER_ROUND }, async (_, i) => {
        await sleep(random() * 300);
        const number = first + round * JOBS_PER_ROUND + i;
        const job = await submit(deployment, number, turns[i]);
        jobs.push({ ...job, reader: deployment.read(job.path, { first: below(PROCESSES) }) });
      }),
    );
    await befall(deployment);
    await submitted;
    const taken = await deployment.redis.call('SCARD', '{sluice}:c:principal/anonymous');
    expect(taken).toBeLessThanOrEqual(PLACES);
  }
  await until(() => jobs.every(({ reader }) => reader.over), 'the end of all jobs');
  return jobs;
}

/**
 * Checks that all processes and the reader agree on each job; counts the jobs by status.
 * @returns {Promise<number>} tokens of all answers
 */
async function expectSame(deployment, jobs, outcomes) {
  let tokens = 0;
  for (const job of jobs) {
    const { id, path, plan: own, reader } = job;
    const states = await Promise.all(deployment.urls().map((url) => GET(`${url}/v1/jobs/${id}`)));
    expect(states).toEqual(states.map(() => states[0]));
    const streams = await Promise.all(deployment.urls().map((url) => GET(url + path)));
    expect(streams).toEqual(streams.map(() => streams[0]));
    expect(streams[0].match(/^event: job_(complete|error|cancelled)$/gm)).toHaveLength(1);
    const { status, text, error, reason, usage } = JSON.parse(states[0]);
    Object.assign(job, { status, text });
    tokens += usage.completion_tokens;
    const whole = textOf(own);
    expect(whole.startsWith(text)).toBe(true);
    if (status === 'completed') expect(text).toBe(whole);
    else expect(['producer_lost', 'shutdown']).toContain(error?.code ?? reason);
    // The reader has had the text of the ending that counts, with nothing lost or doubled.
    expect(reader.text).toBe(text);
    outcomes[status] = (outcomes[status] ?? 0) + 1;
  }
  // One job per key.
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(jobs.length);
  return tokens;
}

/** Checks that the reservations of jobs were returned by the process that ended them. */
async function expectNothingLeft({ redis, nodes, upstream }) {
  const isGone = async (pattern) => (await redis.keys(`{sluice}:${pattern}`)).length === 0;
  for (const pattern of ['open:*', 'dead', 'c:*', 'lease:*', 'leases:*', 'holds*']) {
    await until(() => isGone(pattern), `no ${pattern} in Redis`);
  }
  const running = nodes.filter(({ gone }) => !gone);
  const procs = async () => (await redis.call('HLEN', '{sluice}:procs')) === running.length;
  await until(procs, 'the processes that run, and no others');
  for (const node of running) {
    expect(await node.metric('sluice_quota_leases')).toBe(0);
    expect(await node.metric('sluice_redis_conflicting_endings_total')).toBe(0);
    expect(await node.metric('sluice_redis_unsent_tokens')).toBe(0);
  }
  await until(() => upstream.openSockets <= 64 * PROCESSES, 'calls to end');
}

const minutes = Number(process.env.SLUICE_KILL_MINUTES ?? MINUTES_DEFAULT);

test(`${minutes} minutes, seed ${seed}`, async () => {
  const limits = { concurrent_jobs: PLACES, tokens_per_minute: 1_000_000_000 };
  const prices = { '*': { prompt: 0, completion: PRICE } };
  const accounts = { anonymous: { overdraft: true } };
  const config = await file('limits.json', JSON.stringify({ limits, prices, accounts }));
  const flags = [
    ...['--drain-ms', '100', '--max-concurrency', '4', '--incoming-capacity', '1000'],
    ...['--config', config],
  ];
  const deployment = await deploy({ processes: PROCESSES, leaseMs: LEASE_MS, flags });
  const untilMs = performance.now() + minutes * 60_000;
  const isOver = () => performance.now() > untilMs;
  const outcomes = {};
  const all = [];
  let tokens = 0;
  do {
    const turns = [await conversation(deployment), await conversation(deployment)];
    const jobs = await runRounds(deployment, all.length, turns, isOver);
    tokens += await expectSame(deployment, jobs, outcomes);
    for (const turn of turns) await expectTurns(deployment, turn, jobs);
    await expectNothingLeft(deployment);
    all.push(...jobs);
    await expectPaid(deployment, all, tokens);
  } while (!isOver());
  expect(outcomes.completed).toBeGreaterThan(0);
  process.stdout.write(`${all.length} jobs in ${minutes} minutes: ${JSON.stringify(outcomes)}\n`);
});
