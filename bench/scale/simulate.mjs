/**
 * Prints the load that 10, 100 and 1,000 processes carry on one Redis and on several, and the first full resource.
 * measure.mjs has measured the costs (costs.json).
 *
 * Usage: node bench/scale/simulate.mjs [--tokens N] [--tokens-per-second N] [--retention-seconds N]
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CHAT, MACHINE, capacity, fullest } from './model.mjs';

const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: String(CHAT.tokens) },
    'tokens-per-second': { type: 'string', default: String(CHAT.tokensPerSecond) },
    'retention-seconds': { type: 'string', default: String(CHAT.retentionSeconds) },
  },
});
const costs = JSON.parse(readFileSync(new URL('costs.json', import.meta.url), 'utf8'));
const workload = {
  ...CHAT,
  tokens: Number(values.tokens),
  tokensPerSecond: Number(values['tokens-per-second']),
  retentionSeconds: Number(values['retention-seconds']),
};
const PROCESSES = [1, 2, 4, 10, 100, 1000];
const DEPLOYMENTS = [1, 2, 4, 8, 16, 32, 64];
/** A fullest deployment up to this is an even one. */
const EVEN = 1.05;
/** Draws of where tenants fall; the median is taken. */
const DRAWS = 51;

/** Numbers from 0 to 1 that are the same in every run. @param {number} seed */
function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @param {number} deployments @param {'hash' | 'size'} rule */
function skewOf(deployments, rule) {
  const random = randomFrom(deployments);
  const draws = Array.from({ length: DRAWS }, () => fullest(deployments, rule, { random }));
  return draws.sort((a, b) => a - b)[DRAWS >> 1];
}

const rows = [];
for (const processes of PROCESSES) {
  for (const deployments of DEPLOYMENTS.filter((count) => count === 1 || processes / count >= 8)) {
    const one = capacity(costs, processes / deployments, workload);
    const skew = skewOf(deployments, 'size');
    rows.push({
      processes,
      'Redis servers': deployments,
      'jobs at a time': Math.floor((one.streams * deployments) / skew),
      'tokens/s': Math.floor((one.streams * deployments * workload.tokensPerSecond) / skew),
      'full first': skew > EVEN ? 'the largest tenant' : one.limit,
    });
    // More of them do not relieve full processes or a tenant with its own deployment.
    if (/processes$/.test(one.limit) || skew > EVEN) break;
  }
}
console.log(
  `Jobs of ${workload.tokens} tokens at ${workload.tokensPerSecond}/s, kept for ${workload.retentionSeconds} s; ${MACHINE.share * 100} % of a core of each process and of Redis (${costs.processor}).`,
);
console.table(rows);
console.log(
  'The fullest deployment against an even share, for 2,000 tenants with sizes as 1/rank:',
);
console.table(
  DEPLOYMENTS.slice(1).map((deployments) => ({
    'Redis servers': deployments,
    'by a hash of the tenant': Number(skewOf(deployments, 'hash').toFixed(2)),
    'largest tenant first, to the emptiest': Number(skewOf(deployments, 'size').toFixed(2)),
  })),
);
console.log(
  'The rule: while the CPU of Redis is full first, divide the tenants into as many groups as make the processes full first. ' +
    'Each group has a Redis server, a prefix and processes of its own. Give the large tenants to groups by size, and the ' +
    'others by a hash. One tenant cannot be divided: its limit is one Redis server.',
);
