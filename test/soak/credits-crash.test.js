/**
 * Crashes under load with prices: a server is killed at random moments, over and over with one data
 * file. Whatever had been acknowledged, the accounts of the next one agree with the jobs that it
 * knows, to the micro-credit.
 *
 * SLUICE_CRASH_ROUNDS is the number of rounds, SLUICE_CRASH_SEED the seed of the moments.
 */
import { dataFile } from '../support/files/data-file.js';
import { file, killAll, removeFiles } from '../support/crash/cli.js';
import { crashRounds, rounds, seed } from '../support/crash/rounds.js';
import { randomFrom } from '../support/random.js';
import { stopAll } from '../support/gateway/gateway.js';
import { until } from '../support/until.js';

const prices = { '*': { prompt: 3, completion: 10 } };
const SUBMITTERS = 6;
const DEPOSITORS = 2;

afterEach(async () => {
  killAll();
  await stopAll();
});
afterAll(removeFiles);

/** Submits, and deposits, until the server is gone. */
async function load(server, { asked, next, stopped }) {
  const client = async (path, bodyOf) => {
    while (!stopped()) {
      const mine = { path, key: `key-${next()}`, answer: undefined };
      mine.body = bodyOf(mine.key);
      asked.push(mine);
      try {
        const { status, body } = await send(server, mine);
        if (status !== 201) throw new Error(`answered ${status}`);
        mine.answer = body;
      } catch (error) {
        if (!stopped()) throw error;
      }
    }
  };
  // Every other job has ended before the server is killed, as a rule.
  const submission = (key) => ({ prompt: 'one two ', max_tokens: key.length % 2 ? 100 : 3 });
  const deposit = (key) => ({ to: 'anonymous', amount: 1000 + key.length });
  await Promise.all([
    ...Array.from({ length: SUBMITTERS }, () => client('/v1/jobs', submission)),
    ...Array.from({ length: DEPOSITORS }, () => client('/v1/transfers', deposit)),
  ]);
}

const send = (server, { path, body, key }) => server.post(path, body, { 'idempotency-key': key });

/** All items of a list in pages. */
async function all(server, path, idOf) {
  const items = [];
  for (let after = ''; ; after = `&after=${idOf(items.at(-1))}`) {
    const { data, has_more: more } = (await server.get(`${path}?limit=100${after}`)).body;
    items.push(...data);
    if (!more) return items;
  }
}

const costOf = ({ status, usage: { prompt_tokens: prompt, completion_tokens: completion } }) =>
  status === 'failed' && completion === 0 ? 0 : 3 * prompt + 10 * completion;

/** The books of a server on which nothing runs. */
async function audit(server) {
  const jobs = await all(server, '/v1/jobs', (job) => job.job_id);
  const events = await all(server, '/v1/accounts/anonymous/events', (event) => event.id);
  const { posted, held } = (await server.get('/v1/accounts/anonymous')).body;
  const { total } = (await server.get('/v1/usage')).body;
  expect(jobs.every(({ status }) => status === 'completed' || status === 'failed')).toBe(true);

  const sum = (type) =>
    events.filter((event) => event.type === type).reduce((whole, { amount }) => whole + amount, 0);
  const due = jobs.reduce((whole, job) => whole + costOf(job), 0);
  expect(sum('settle')).toBe(due);
  expect(posted).toBe(sum('deposit') - due);
  expect(total).toMatchObject({ requests: jobs.length, cost: due });
  // Remaining holds belong to jobs whose id no client received, and that no record has.
  const closed = new Set(events.map(({ hold }) => hold));
  const open = events.filter(({ type, id }) => type === 'hold' && !closed.has(id));
  expect(held).toBe(open.reduce((whole, { amount }) => whole + amount, 0));
  const ids = new Set(jobs.map((job) => job.job_id));
  expect(open.filter((event) => ids.has(event.job_id))).toEqual([]);
  return { jobs: jobs.length, cut: jobs.filter(({ status }) => status === 'failed').length, due };
}

/** So often at most with one file: jobs are looked at while they are kept, for five minutes. */
const ROUNDS_PER_FILE = 5;

/**
 * One data file, and a number of crashes.
 * @returns what the last server knew
 */
async function series({ crashes, random, options }) {
  let number = 0;
  let before = [];
  let found;
  await crashRounds({
    ...{ crashes, random },
    args: () => options,
    async check(server, round) {
      found = await audit(server);
      for (const mine of before) {
        const { status, body } = await send(server, mine);
        // A client without an answer repeats its request, and gets the existing or a new result.
        if (mine.answer === undefined) expect([200, 201]).toContain(status);
        else expect([status, body]).toEqual([200, mine.answer]);
      }
      const given = { to: 'anonymous', amount: 10_000_000 };
      const filled = { path: '/v1/transfers', body: given, key: 'start' };
      expect((await send(server, filled)).status).toBe(round === 0 ? 201 : 200);
    },
    load(server, stopped) {
      const asked = [];
      before = asked;
      const taken = () => asked.filter(({ answer }) => answer?.job_id !== undefined);
      return {
        clients: load(server, { asked, next: () => number++, stopped }),
        enough: () => until(() => taken().length >= 3, 'some jobs to be taken'),
      };
    },
  });
  return found;
}

test(`after each of ${rounds} crashes the accounts agree with the jobs`, async () => {
  const random = randomFrom(seed);
  const config = await file('crash-prices.json', JSON.stringify({ prices }));
  const room = ['--max-concurrency', '50', '--incoming-capacity', '10000'];
  const common = ['--config', config, '--token-interval-ms', '5', ...room];
  for (let left = rounds; left > 0; left -= ROUNDS_PER_FILE) {
    const crashes = Math.min(left, ROUNDS_PER_FILE);
    try {
      const options = ['--data', dataFile(), '--admin-open', ...common];
      const found = await series({ crashes, random, options });
      console.info(`seed ${seed}: ${JSON.stringify(found)}`);
      expect(found.jobs).toBeGreaterThanOrEqual(3 * crashes);
    } catch (error) {
      throw new Error(`with ${left} rounds left of seed ${seed}`, { cause: error });
    }
  }
}, 3_600_000);
