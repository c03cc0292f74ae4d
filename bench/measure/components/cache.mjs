/**
 * The cache row: operations a second of LruTtlCache and of lru-cache, and the savings of single flight.
 * Each figure is measured in a separate process (bench/measure/components/cache-case.mjs), so that none runs on what
 * the compiler has learnt from another.
 */
import { fileURLToPath } from 'node:url';
import { output } from '../../../scripts/lib/run.mjs';
import { median } from '../../lib/median.mjs';
import { columns } from '../../report/table.mjs';

const PROGRAM = fileURLToPath(new URL('cache-case.mjs', import.meta.url));

/** Sluice's rate has to be at least this share of lru-cache's. */
const HIT_SHARE_MIN = 0.8;

const OPERATIONS = /** @type {const} */ ([
  ['hit', 'get, found'],
  ['hit-ttl', 'get, found, entries expire'],
  ['replace', 'set of a known key'],
  ['evict', 'set of a new key, which evicts one'],
  ['evict-ttl', 'set of a new key, entries expire'],
  ['mixed', 'get, and set where it was not found'],
]);

/**
 * @typedef {object} CacheRates millions of operations a second
 * @property {string} operation
 * @property {string} label
 * @property {number} sluice
 * @property {number} peer
 */
/**
 * @typedef {object} CacheFlights of 100 callers of one key at once
 * @property {string} label
 * @property {number} loads
 * @property {number} harmed how many besides the first got no value when the first one aborted
 */
/** @typedef {{rates: CacheRates[], flights: CacheFlights[]}} CacheResult */

/** @param {string[]} args @returns {any} */
function runCase(...args) {
  const text = output(process.execPath, [PROGRAM, ...args]);
  if (text === '') throw new Error(`the cache's case ${args.join(' ')} failed`);
  return JSON.parse(text);
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {CacheResult}
 */
export function measureCache({ quick, runs }) {
  const ms = quick ? '200' : '1000';
  const rates = OPERATIONS.map(([operation, label]) => {
    /** @type {{perSecond: number, foundShare: number}[][]} */
    const [sluice, peer] = [[], []];
    // Interleaved, so that a disturbance does not hit only one of them.
    for (let run = 1; run <= runs; run += 1) {
      sluice.push(runCase('sluice', operation, ms));
      peer.push(runCase('lru-cache', operation, ms));
    }
    const rate = (/** @type {{perSecond: number}[]} */ samples) =>
      median(samples.map(({ perSecond }) => perSecond / 1e6));
    console.error(`cache, ${label}: ${rate(sluice).toFixed(1)} M/s`);
    const share = `${(sluice[0].foundShare * 100).toFixed(0)} %`;
    return {
      operation,
      label: operation === 'mixed' ? `${label} (${share} was)` : label,
      sluice: rate(sluice),
      peer: rate(peer),
    };
  });
  const flights = [
    ['none', 'no cache'],
    ['lru-cache', 'lru-cache'],
    ['sluice', 'Sluice'],
  ].map(([kind, label]) => ({ label, ...runCase(kind, 'flight', '0') }));
  return { rates, flights };
}

/** @param {CacheResult} result */
export function cacheTable({ rates, flights }) {
  const operations = columns([
    ['cache of 10000 entries, M operations/s', 'Sluice', 'lru-cache', 'Sluice / lru-cache'],
    ...rates.map(({ label, sluice, peer }) => [
      `  ${label}`,
      sluice.toFixed(1),
      peer.toFixed(1),
      (sluice / peer).toFixed(2),
    ]),
  ]);
  const single = columns([
    ['100 callers of one prompt at once', 'upstream calls', 'harmed when the first one aborts'],
    ...flights.map(({ label, loads, harmed }) => [`  ${label}`, String(loads), String(harmed)]),
  ]);
  return `${operations}\n\n${single}`;
}

/**
 * @param {CacheResult} result
 * @returns {import('../../report/verdicts.mjs').Verdict[]}
 */
export function cacheVerdicts({ rates, flights }) {
  const hit = rates.filter(({ operation }) => operation === 'hit');
  const ours = flights.filter(({ label }) => label === 'Sluice');
  return [
    ...hit.map(({ sluice, peer }) => ({
      title: 'cache: rate of a get that finds its entry, Sluice / lru-cache',
      figure: (sluice / peer).toFixed(2),
      bar: `at least ${HIT_SHARE_MIN.toFixed(2)}`,
      met: sluice / peer >= HIT_SHARE_MIN,
    })),
    ...ours.map(({ loads, harmed }) => ({
      title: 'cache: 100 callers at once, upstream calls and callers harmed by an abort',
      figure: `${loads}, ${harmed}`,
      bar: '1, 0',
      met: loads === 1 && harmed === 0,
    })),
  ];
}
