/**
 * Crashes: a server is killed at random moments under load, over and over with one data file, and
 * what it had acknowledged is compared with what the next one knows.
 *
 * SLUICE_CRASH_ROUNDS says how often (default 20), SLUICE_CRASH_SEED which moments.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { killAll, serve } from '../../support/crash/cli.js';
import { dataFile } from '../../support/files/data-file.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { randomFrom } from '../../support/random.js';
import { openStream } from '../../support/sse/sse-client.js';

const rounds = Number(process.env.SLUICE_CRASH_ROUNDS ?? 20);
const seed = Number(process.env.SLUICE_CRASH_SEED ?? Date.now() % 2 ** 31);

/** Clients that read what they submitted, and those that do nothing but submit. */
const kReaders = 12;
const kSubmitters = 2;
/** How many jobs of earlier rounds are looked at again. */
const kKept = 100;
/** How old a token that was seen has to be to be on the disk: 100 ms, and patience for this machine. */
const kFlushedMs = 2000;
/** Every so many rounds are long, and their jobs too, so that there are such tokens. */
const kLongEach = 8;

afterEach(async () => {
  killAll();
  await stopAll();
});

/** What a client knows of one submission. */
function submission(number) {
  return {
    key: `key-${number}`,
    body: { prompt: `prompt ${number}`, metadata: { number }, on_disconnect: 'continue' },
    /** The answer, once it is there. */
    answer: undefined,
    events: [],
    /** When each of them came. */
    times: [],
    get terminal() {
      const last = this.events.at(-1);
      return last !== undefined && last.type !== 'token' ? last : undefined;
    },
  };
}

/** Submits and reads until the server is gone. */
async function load(server, { submissions, next, stopped }) {
  async function one(reads) {
    const mine = submission(next());
    submissions.push(mine);
    const { status, body } = await server.submit(mine.body, { 'idempotency-key': mine.key });
    if (status !== 201) throw new Error(`answered ${status}`);
    mine.answer = body;
    if (!reads) return;
    const stream = openStream(server.url + body.stream_url);
    await stream.opened;
    mine.events = stream.events;
    const watch = setInterval(() => {
      while (mine.times.length < stream.events.length) mine.times.push(Date.now());
    }, 10);
    await stream.closed;
    clearInterval(watch);
  }
  async function client(reads) {
    while (!stopped()) {
      try {
        await one(reads);
      } catch (error) {
        if (!stopped()) throw error;
        return;
      }
    }
  }
  const readers = Array.from({ length: kReaders }, () => client(true));
  const others = Array.from({ length: kSubmitters }, () => client(false));
  await Promise.all([...readers, ...others]);
}

/** What the server that came after knows must be what this client was told. */
async function check(server, mine, { killedAt, whole, counts }) {
  const again = await server.submit(mine.body, { 'idempotency-key': mine.key });
  expect([again.status, again.body]).toEqual([200, mine.answer]);
  const job = await server.job(mine.answer.job_id);
  expect(job).toMatchObject({ metadata: mine.body.metadata, job_id: mine.answer.job_id });
  const replay = (await server.read(mine.answer.stream_url)).events;
  const last = replay.at(-1);
  if (mine.terminal !== undefined) {
    // Everything that was told, ids and times included.
    expect(replay).toEqual(mine.events);
  } else {
    const flushed = mine.times.filter((time) => time < killedAt - kFlushedMs).length;
    const tokens = replay.slice(0, -1);
    expect(tokens.length).toBeGreaterThanOrEqual(flushed);
    counts.flushed += flushed;
    const common = Math.min(tokens.length, mine.events.length);
    expect(tokens.slice(0, common)).toEqual(mine.events.slice(0, common));
    // It may have ended, and been killed before that was told.
    expect(['job_complete', 'job_error']).toContain(last.type);
    if (last.type === 'job_error') expect(last.data.error.code).toBe('server_restarted');
  }
  expect(replay.filter(({ type }) => type !== 'token')).toHaveLength(1);
  expect(job.status).toBe(last.type === 'job_complete' ? 'completed' : 'failed');
  const text = replay.slice(0, -1).map(({ data }) => data.token);
  expect(job.text).toBe(text.join(''));
  if (job.status === 'completed') expect(job.text).toBe(whole.text ?? job.text);
  else if (whole.text !== undefined) expect(whole.text.startsWith(job.text)).toBe(true);
  if (job.status === 'completed') whole.text = job.text;
  return last;
}

/** The newest jobs; all of them, unless there are very many. */
async function newestJobs(server) {
  const jobs = [];
  for (let after = ''; ; after = `&after=${jobs.at(-1).job_id}`) {
    const { data, has_more: more } = (await server.get(`/v1/jobs?limit=100${after}`)).body;
    jobs.push(...data);
    if (!more || jobs.length >= 2000) return jobs;
  }
}

test(`${rounds} crashes lose nothing and double nothing`, async () => {
  const random = randomFrom(seed);
  const data = dataFile();
  const room = ['--max-in-flight-batches', '50', '--incoming-capacity', '10000'];
  const whole = { text: undefined };
  /** Of the last rounds, whose jobs are kept still: [submission, its last event]. */
  let settled = [];
  let number = 0;
  const counts = { acknowledged: 0, ended: 0, cut: 0, unanswered: 0, flushed: 0 };
  let before = [];
  let killedAt = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const long = round % kLongEach === 1;
    const interval = ['--token-interval-ms', long ? '60' : '5'];
    const server = await serve('--data', data, ...interval, ...room);
    try {
      for (const mine of before.filter(({ answer }) => answer !== undefined)) {
        const last = await check(server, mine, { killedAt, whole, counts });
        settled.push([mine, last]);
        counts.acknowledged += 1;
        counts[mine.terminal === undefined ? 'cut' : 'ended'] += 1;
      }
      // Who was not answered asks again, and gets the job there is or a new one.
      for (const mine of before.filter(({ answer }) => answer === undefined)) {
        const { status } = await server.submit(mine.body, { 'idempotency-key': mine.key });
        expect([200, 201]).toContain(status);
        counts.unanswered += 1;
      }
      // One of an earlier round, to see that nothing changes when it is restored again.
      if (settled.length > 0) {
        const [mine, last] = settled[Math.floor(random() * settled.length)];
        expect((await server.read(mine.answer.stream_url)).last()).toEqual(last);
      }
      // No submission became two jobs.
      const numbers = (await newestJobs(server)).map(({ metadata }) => metadata.number);
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(numbers.length).toBeGreaterThanOrEqual(settled.length);
      settled = settled.slice(-kKept);
    } catch (error) {
      throw new Error(`in round ${round} of seed ${seed}`, { cause: error });
    }
    if (round === rounds) {
      server.child.kill('SIGTERM');
      expect((await server.exited).code).toBe(0);
      continue;
    }
    let stopped = false;
    before = [];
    const next = () => number++;
    const clients = load(server, { submissions: before, next, stopped: () => stopped });
    clients.catch(() => {});
    await sleep(long ? 2 * kFlushedMs : 50 + random() * 700);
    stopped = true;
    killedAt = Date.now();
    server.child.kill('SIGKILL');
    await server.exited;
    await clients;
  }
  console.info(`seed ${seed}: ${JSON.stringify(counts)}`);
  expect(counts.acknowledged).toBeGreaterThan(rounds);
  if (rounds > 1) expect(counts.flushed).toBeGreaterThan(0);
}, 3_600_000);
