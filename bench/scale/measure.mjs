/**
 * Measures the cost of a token and a job for a process and Redis, and writes costs.json; then runs 1, 2 and 4
 * processes and compares their CPU with the model.
 *
 * Usage: node bench/scale/measure.mjs [--seconds N]   N: of each run, default 5
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureBeats, measureLoad, processor } from './deployment.mjs';
import { cpuOf } from './model.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '5' } } });
const seconds = Number(values.seconds);
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
    // The reading process has no jobs, but a replica of each.
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
    /** @type {string} */ what,
    /** @type {number} */ said,
    /** @type {number} */ us,
  ) => ({
    processes,
    what,
    'tokens/s': Math.round(measured.tokens / measured.seconds),
    'predicted us/token': Number((said / measured.tokens).toFixed(1)),
    'measured us/token': Number((us / measured.tokens).toFixed(1)),
    'measured / predicted': Number((us / said).toFixed(2)),
  });
  rows.push(row('processes', predicted.processUs, total(measured.processUs)));
  rows.push(row('Redis', predicted.redisUs, measured.redisUs));
}
console.table(rows);
