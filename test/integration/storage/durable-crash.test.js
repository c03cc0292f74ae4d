/**
 * Crashes: a server is killed at random moments under load, over and over with one data file, and
 * its acknowledged state is compared with the state of the next server.
 *
 * SLUICE_CRASH_ROUNDS is the number of rounds, SLUICE_CRASH_SEED the seed of the moments. The load of a
 * round is limited by pauses, and waits are for events, so that the speed of the machine does not matter.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { killAll } from '../../support/crash/cli.js';
import { crashRounds, rounds, seed } from '../../support/crash/rounds.js';
import { dataFile } from '../../support/files/data-file.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { randomFrom } from '../../support/random.js';
import { openStream } from '../../support/sse/sse-client.js';
import { until } from '../../support/until.js';

/** Clients that read their jobs, and clients that only submit. */
const READERS = 12;
const SUBMITTERS = 2;
/** The pause of a submitter, without which a fast machine would submit thousands of jobs. */
const PAUSE_MS = 10;
/** How many jobs of earlier rounds are looked at again, unless they are this old: jobs are kept 300 s. */
const KEPT = 100;
const KEPT_MS = 150_000;
/** Tokens are on the disk at most this late: docs/durability.md. */
const FLUSHED_MS = 100;
/**
 * Submissions that are acknowledged one after the other, each when it is on the disk, and begin later
 * than that: they show that the server has come to write what was due before them.
 */
const WITNESSES = 3;
/** Every so many rounds have long jobs, of which tokens are on the disk before they end. */
const LONG_EACH = 4;

afterEach(async () => {
  killAll();
  await stopAll();
});

/** A client's record of one submission. */
function submission(number) {
  return {
    key: `key-${number}`,
    body: { prompt: `prompt ${number}`, metadata: { number }, on_disconnect: 'continue' },
    startedAt: performance.now(),
    /** The answer, once it is there. */
    answer: undefined,
    events: [],
    /** The time of arrival of each event. */
    times: [],
    get terminal() {
      const last = this.events.at(-1);
      return last !== undefined && last.type !== 'token' ? last : undefined;
    },
  };
}

/**
 * Submits and reads until the server is gone.
 * @param {number[][]} acknowledged for each submitter, when its submissions began that were
 */
async function load(server, { submissions, acknowledged, next, stopped }) {
  async function one(reads) {
    const mine = submission(next());
    submissions.push(mine);
    const { status, body } = await server.submit(mine.body, { 'idempotency-key': mine.key });
    if (status !== 201) throw new Error(`answered ${status}`);
    mine.answer = body;
    if (!reads) return mine;
    const stream = openStream(server.url + body.stream_url);
    await stream.opened;
    mine.events = stream.events;
    const watch = setInterval(() => {
      while (mine.times.length < stream.events.length) mine.times.push(performance.now());
    }, 10);
    await stream.closed;
    clearInterval(watch);
    return mine;
  }
  /** @param {number[]} [times] of a submitter */
  async function client(times) {
    while (!stopped()) {
      try {
        const { startedAt } = await one(times === undefined);
        times?.push(startedAt);
        if (times !== undefined) await sleep(PAUSE_MS);
      } catch (error) {
        if (!stopped()) throw error;
        return;
      }
    }
  }
  const readers = Array.from({ length: READERS }, () => client());
  const others = acknowledged.map((times) => client(times));
  await Promise.all([...readers, ...others]);
}

/** Tokens that were seen before this moment are on the disk. @param {number[][]} acknowledged */
function flushedUntil(acknowledged) {
  const witnessed = acknowledged.map((times) => times.at(-WITNESSES) ?? -Infinity);
  return Math.max(...witnessed) - FLUSHED_MS;
}

/** How many tokens a client saw before a moment. */
const seenBefore = ({ times }, moment) => times.filter((time) => time < moment).length;

/** Checks that the next server has everything that this client got. */
async function check(server, mine, { flushedAt, whole, counts }) {
  const again = await server.submit(mine.body, { 'idempotency-key': mine.key });
  expect([again.status, again.body]).toEqual([200, mine.answer]);
  const job = await server.job(mine.answer.job_id);
  expect(job).toMatchObject({ metadata: mine.body.metadata, job_id: mine.answer.job_id });
  const replay = (await server.read(mine.answer.stream_url)).events;
  const last = replay.at(-1);
  if (mine.terminal !== undefined) {
    // Every acknowledged field, ids and times included.
    expect(replay).toEqual(mine.events);
  } else {
    const flushed = seenBefore(mine, flushedAt);
    const tokens = replay.slice(0, -1);
    expect(tokens.length).toBeGreaterThanOrEqual(flushed);
    counts.flushed += flushed;
    const common = Math.min(tokens.length, mine.events.length);
    expect(tokens.slice(0, common)).toEqual(mine.events.slice(0, common));
    // It may have ended, and the process been killed before its answer.
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

/** The newest jobs, at least so many if there are. @param {number} enough */
async function newestJobs(server, enough) {
  const jobs = [];
  for (let after = ''; ; after = `&after=${jobs.at(-1).job_id}`) {
    const { data, has_more: more } = (await server.get(`/v1/jobs?limit=100${after}`)).body;
    jobs.push(...data);
    if (!more || jobs.length >= enough) return jobs;
  }
}

test(`${rounds} crashes lose nothing and double nothing`, async () => {
  const random = randomFrom(seed);
  const data = dataFile();
  const room = ['--max-concurrency', '50', '--incoming-capacity', '10000'];
  const whole = { text: undefined };
  /** Of the last rounds, whose jobs are still retained: [submission, its last event]. */
  let settled = [];
  let number = 0;
  const counts = { acknowledged: 0, ended: 0, cut: 0, unanswered: 0, flushed: 0 };
  let before = [];
  let acknowledged = [];
  const hasLongJobs = (round) => round % LONG_EACH === 1;
  await crashRounds({
    random,
    args: (round) => {
      const interval = ['--token-interval-ms', hasLongJobs(round) ? '150' : '5'];
      return ['--data', data, ...interval, ...room];
    },
    async check(server) {
      const flushedAt = flushedUntil(acknowledged);
      for (const mine of before.filter(({ answer }) => answer !== undefined)) {
        const last = await check(server, mine, { flushedAt, whole, counts });
        settled.push([mine, last]);
        counts.acknowledged += 1;
        counts[mine.terminal === undefined ? 'cut' : 'ended'] += 1;
      }
      // A client without an answer repeats its request, and gets the existing job or a new one.
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
      const listed = await newestJobs(server, settled.length + before.length);
      const numbers = listed.map(({ metadata }) => metadata.number);
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(numbers.length).toBeGreaterThanOrEqual(settled.length);
      const oldest = performance.now() - KEPT_MS;
      settled = settled.slice(-KEPT).filter(([{ startedAt }]) => startedAt > oldest);
    },
    load(server, stopped, round) {
      const submissions = [];
      before = submissions;
      acknowledged = Array.from({ length: SUBMITTERS }, () => []);
      const isCutLate = (mine) =>
        mine.terminal === undefined && seenBefore(mine, flushedUntil(acknowledged)) > 0;
      const long = hasLongJobs(round);
      return {
        clients: load(server, { submissions, acknowledged, next: () => number++, stopped }),
        pauseMs: long ? 300 : 700,
        async enough() {
          await until(() => acknowledged.flat().length > 1, 'submissions to be acknowledged');
          if (long) await until(() => before.some(isCutLate), 'tokens that are on the disk');
          else await until(() => before.some(({ terminal }) => terminal), 'a job to end');
        },
      };
    },
  });
  console.info(`seed ${seed}: ${JSON.stringify(counts)}`);
  expect(counts.acknowledged).toBeGreaterThan(rounds);
  expect(counts.ended).toBeGreaterThan(0);
  if (rounds > 1) expect(counts.flushed).toBeGreaterThan(0);
}, 3_600_000);
