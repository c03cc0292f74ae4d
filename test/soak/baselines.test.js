/**
 * Rounds of every kind of work against one server: after each, its descriptors and gauges are where
 * they were, and after many its memory has not grown. SLUICE_SOAK_ROUNDS sets their number.
 */
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { bearer, entry } from '../support/gateway/keys.js';
import { dataFile } from '../support/files/data-file.js';
import { start, stopAll } from '../support/gateway/gateway.js';
import { until } from '../support/until.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');

afterEach(stopAll);

const ROUNDS = Number(process.env.SLUICE_SOAK_ROUNDS ?? 40);
/** Rounds until pools, caches and compiled code have their size. */
const WARM_UP = Math.ceil(ROUNDS / 4);
const JOBS = 50;
const GROWTH_BYTES_MAX = 24 * 2 ** 20;

const headers = bearer('a');
const access = {
  keys: [entry('ann', 'a', { admin: true })],
  prices: { '*': { prompt: 1, completion: 1 } },
  limits: { requests_per_minute: 1e6, tokens_per_minute: 1e9, concurrent_jobs: 1000 },
};

/** Says a few words; prompts choose how it ends. */
async function* provider({ prompt }, { signal }) {
  yield 'some ';
  if (prompt.startsWith('fail')) throw new Error('as asked');
  if (prompt.startsWith('hang')) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }
  yield 'words';
}

/** Gauges that are zero when nothing runs. */
const IDLE = [
  'sluice_quota_leases',
  'sluice_credit_holds',
  'sluice_open_streams',
  'sluice_in_flight_batches',
  'sluice_queued_requests',
  'sluice_store_queued',
  'sluice_memory_bytes{kind="prompts"}',
  'sluice_memory_bytes{kind="bodies"}',
  'sluice_memory_bytes{kind="watches"}',
];

async function busyGauges(get) {
  const { body } = await get('/metrics', { headers });
  const lines = body.split('\n');
  return IDLE.filter((name) => {
    const line = lines.find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`there is no gauge ${name}`);
    return Number(line.split(' ').at(-1)) !== 0;
  });
}

async function round({ post, call, stream, submit }, number) {
  // A separate connection: a kept one may close just when it is reused.
  const open = (path) => stream(path, { headers, agent: false });
  const jobs = Array.from({ length: JOBS }, async (_, i) => {
    const prompt = `${['say', 'fail', 'hang', 'cut'][i % 4]} ${number} ${i}`;
    const cache = { mode: i % 8 === 0 ? 'on' : 'off' };
    const { body, status } = await submit({ prompt, cache, max_tokens: 10 }, headers);
    if (status !== 201) throw new Error(`job ${i}: ${status}`);
    const reading = await open(body.stream_url);
    if (i % 4 === 3) reading.close();
    else if (i % 4 === 2) await post(`/v1/jobs/${body.job_id}/cancel`, undefined, headers);
    if (i % 4 !== 3) await reading.closed;
    return body.job_id;
  });
  const watch = await open('/v1/kv?watch=true');
  const errors = await open('/v1/logs/errors');
  await call('PUT', `/v1/kv/k${number % 3}`, {
    raw: 'x'.repeat(10_000),
    headers: { ...headers, 'content-type': 'text/plain' },
  });
  const nodes = [
    { id: 'a', prompt: 'say' },
    { id: 'b', prompt: 'on {{a.text}}', after: ['a'] },
  ];
  const workflow = (await post('/v1/workflows', { nodes }, headers)).body;
  await (
    await open(workflow.stream_url)
  ).closed;
  const { body: conversation } = await post('/v1/conversations', {}, headers);
  const turn = { prompt: 'say', conversation_id: conversation.conversation_id };
  const { body: submitted } = await submit(turn, headers);
  await (
    await open(submitted.stream_url)
  ).closed;
  for (const each of [watch, errors]) each.close();
  const ids = await Promise.all([...jobs, submitted.job_id]);
  for (const id of ids) await call('DELETE', `/v1/jobs/${id}`, { headers });
  await call('DELETE', `/v1/conversations/${conversation.conversation_id}`, { headers });
}

test(`${ROUNDS} rounds leave nothing behind`, async () => {
  const app = await start({
    provider,
    access,
    data: dataFile(),
    retentionMs: 10_000,
    disconnectGraceMs: 0,
    exposeErrors: true,
  });
  const transfer = { to: 'ann', amount: 1_000_000_000 };
  expect((await app.post('/v1/transfers', transfer, headers)).status).toBe(201);
  const descriptors = () => readdirSync('/proc/self/fd').length;
  let base;
  for (let number = 1; number <= ROUNDS; number += 1) {
    await round(app, number);
    await until(async () => (await busyGauges(app.get)).length === 0, 'idle gauges').catch(
      async (error) => {
        throw new Error(`${error.message}: ${await busyGauges(app.get)}`);
      },
    );
    if (number < WARM_UP) continue;
    gc();
    if (number === WARM_UP) base = { descriptors: descriptors(), rss: process.memoryUsage.rss() };
    // The client keeps up to one connection, of two ends here, for each job of a round.
    expect(descriptors()).toBeLessThanOrEqual(base.descriptors + 2 * JOBS);
  }
  // The events of the ledger stay: about 0.7 KB for each paid job.
  const kept = (ROUNDS - WARM_UP) * JOBS * 1024;
  expect(process.memoryUsage.rss() - base.rss).toBeLessThan(GROWTH_BYTES_MAX + kept);
}, 1_800_000);
