/**
 * Measures the costs of a token and a job for a process and Redis, and writes them to costs.json; then runs 1, 2 and 4 processes
 * and compares their CPU with the prediction of the model; then measures the bounds of a deployment, and prints them
 * beside its bounds. Exits with 1 if a bound is not held.
 *
 * Usage: node bench/scale/measure.mjs [--seconds N] [--only NAME]...
 *   N: of each run of load, default 5; NAME: `costs`, or one of the measurements of bounds.mjs; default all
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureBeats, measureLoad, processor } from './deployment.mjs';
import { BOUNDS, measureBounds } from './bounds.mjs';
import { cpuOf } from './model.mjs';

const PARTS = ['costs', ...BOUNDS];
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', multiple: true, default: PARTS },
  },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error('--seconds takes a number above 0');
const unknown = values.only.find((name) => !PARTS.includes(name));
if (unknown !== undefined) throw new Error(`--only takes ${PARTS.join(', ')}, not ${unknown}`);
/** @param {number[]} numbers */
const total = (numbers) => numbers.reduce((sum, one) => sum + one, 0);

/** @typedef {import('./deployment.mjs').Load} Load */

const LONG = { workers: 100, tokens: 100, intervalMs: 40, seconds };
const SHORT = { workers: 8, tokens: 1, intervalMs: 0, seconds };

/**
 * Of two kinds of load, the costs of a token and of a job that explain both.
 * @param {[tokens: number, jobs: number, cost: number]} long
 * @param {[tokens: number, jobs: number, cost: number]} short
 */
function solve([tokens, jobs, cost], [shortTokens, shortJobs, shortCost]) {
  const determinant = tokens * shortJobs - shortTokens * jobs;
  return {
    token: (cost * shortJobs - shortCost * jobs) / determinant,
    job: (shortCost * tokens - cost * shortTokens) / determinant,
  };
}

/** Writes costs.json, and compares the model with runs. */
async function measureCosts() {
  const long = await measureLoad({ ...LONG, processes: 1, reads: 'own' });
  const short = await measureLoad({ ...SHORT, processes: 1, reads: 'own' });
  const remote = await measureLoad({ ...LONG, processes: 2, reads: 'next' });

  /** @param {(of: import('./deployment.mjs').Measured) => number} cost */
  const costsBy = (cost) =>
    solve([long.tokens, long.jobs, cost(long)], [short.tokens, short.jobs, cost(short)]);
  const ofProcess = costsBy(({ processUs }) => total(processUs));
  const ofRedis = costsBy(({ redisUs }) => redisUs);
  const ofMemory = solve(
    [long.allTokens, long.allJobs, long.redisBytes],
    [short.allTokens, short.allJobs, short.redisBytes],
  );
  const MEMBERS = [10, 1000];
  const [few, many] = await measureBeats(MEMBERS);
  const beatMember = (many - few) / (MEMBERS[1] - MEMBERS[0]);

  const costs = {
    processor: processor(),
    seconds,
    processUs: {
      token: ofProcess.token,
      job: ofProcess.job,
      // The reading process has no own jobs, only a replica of each.
      remoteToken: remote.processUs[1] / remote.tokens,
    },
    redisUs: {
      token: ofRedis.token,
      job: ofRedis.job,
      remoteToken: Math.max(
        0,
        (remote.redisUs - ofRedis.job * remote.jobs) / remote.tokens - ofRedis.token,
      ),
      beat: few - beatMember * MEMBERS[0],
      beatMember,
    },
    redisBytes: ofMemory,
    redisNetBytes: {
      token: long.redisNetBytes / long.tokens,
      remoteToken: Math.max(
        0,
        (remote.redisNetBytes - long.redisNetBytes * (remote.tokens / long.tokens)) / remote.tokens,
      ),
    },
  };
  writeFileSync(new URL('costs.json', import.meta.url), `${JSON.stringify(costs, undefined, 2)}\n`);
  console.log(JSON.stringify(costs, undefined, 2));

  const rows = [];
  for (const processes of [1, 2, 4]) {
    const measured = await measureLoad({ ...LONG, processes, reads: 'any' });
    const predicted = cpuOf(costs, measured, processes);
    const row = (
      /** @type {string} */ part,
      /** @type {number} */ predictedUs,
      /** @type {number} */ us,
    ) => ({
      processes,
      part,
      'tokens/s': Math.round(measured.tokens / measured.seconds),
      'predicted us/token': Number((predictedUs / measured.tokens).toFixed(1)),
      'measured us/token': Number((us / measured.tokens).toFixed(1)),
      'measured / predicted': Number((us / predictedUs).toFixed(2)),
    });
    rows.push(row('processes', predicted.processUs, total(measured.processUs)));
    rows.push(row('Redis', predicted.redisUs, measured.redisUs));
  }
  console.table(rows);
}

/** @param {string[]} names of bounds */
async function printBounds(names) {
  const table = await measureBounds({ seconds, names });
  console.table(table);
  const missed = table.filter(({ held }) => !held);
  console.log(`${table.length - missed.length} of ${table.length} held, on ${processor()}`);
  console.log('200 jobs, with processes killed, stopped and replaced: npm run test:soak');
  if (missed.length > 0) process.exitCode = 1;
}

if (values.only.includes('costs')) await measureCosts();
const bounds = BOUNDS.filter((name) => values.only.includes(name));
if (bounds.length > 0) await printBounds(bounds);
