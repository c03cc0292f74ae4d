/**
 * Measures what a token and a job cost a process and Redis, and writes them to costs.json; then runs 1, 2 and 4 processes
 * and compares their CPU with what the model says of them.
 *
 * Usage: node bench/scale/measure.mjs [--seconds N]   N: of each run, default 5
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureBeats, measureLoad, processor } from './deployment.mjs';
import { cpuOf } from './model.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '5' } } });
const seconds = Number(values.seconds);
const total = (numbers) => numbers.reduce((sum, one) => sum + one, 0);

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
const loads = [long, short];
const [ofProcess, ofRedis] = [({ processUs }) => total(processUs), ({ redisUs }) => redisUs].map(
  (cost) => solve(...loads.map((one) => [one.tokens, one.jobs, cost(one)])),
);
const ofMemory = solve(...loads.map((one) => [one.allTokens, one.allJobs, one.redisBytes]));
const MEMBERS = [10, 1000];
const [few, many] = await measureBeats(MEMBERS);
const beatMember = (many - few) / (MEMBERS[1] - MEMBERS[0]);

const costs = {
  processor: processor(),
  seconds,
  processUs: {
    token: ofProcess.token,
    job: ofProcess.job,
    // The reading process has no job of its own; the replica of each is in it.
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
  const row = (what, said, us) => ({
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
