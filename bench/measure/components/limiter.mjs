/**
 * The limiter row: decisions a second of Sluice's limiters, of rate-limiter-flexible (memory) and of
 * limiter, and the memory of a million keys. Each figure is measured in a separate process
 * (bench/measure/components/limiter-case.mjs).
 */
import { fileURLToPath } from 'node:url';
import { output } from '../../../scripts/lib/run.mjs';
import { median } from '../../lib/median.mjs';
import { columns } from '../../report/table.mjs';

const PROGRAM = fileURLToPath(new URL('limiter-case.mjs', import.meta.url));

const KINDS = /** @type {const} */ ([
  ['bucket', 'TokenBucketLimiter'],
  ['window', 'FixedWindowLimiter'],
  ['rate-limiter-flexible', 'rate-limiter-flexible'],
  ['limiter', 'limiter'],
]);
const PEER = 'rate-limiter-flexible';
const RATES = /** @type {const} */ (['one', 'keys', 'denied']);
/** limiter has no keys. */
const KEYLESS = 'limiter';

/** Of Sluice's token bucket. */
const SHARE_MIN = 1;
const BYTES_PER_KEY_MAX = 150;

/**
 * @typedef {object} LimiterSample
 * @property {string} kind
 * @property {string} label
 * @property {Record<string, number | undefined>} rates millions of decisions a second, by case
 * @property {number | undefined} bytesPerKey
 */

/** @param {string[]} args @returns {any} */
function runCase(...args) {
  const text = output(process.execPath, ['--expose-gc', PROGRAM, ...args]);
  if (text === '') throw new Error(`the limiter's case ${args.join(' ')} failed`);
  return JSON.parse(text);
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {LimiterSample[]}
 */
export function measureLimiters({ quick, runs }) {
  const ms = quick ? '200' : '1000';
  /** @type {Map<string, number[]>} */
  const figures = new Map();
  const note = (/** @type {string} */ name, /** @type {number} */ figure) => {
    figures.set(name, [...(figures.get(name) ?? []), figure]);
  };
  for (let run = 1; run <= runs; run += 1) {
    console.error(`limiter ${run}/${runs}`);
    for (const [kind] of KINDS) {
      for (const each of RATES) {
        if (kind === KEYLESS && each === 'keys') continue;
        note(`${kind} ${each}`, runCase(kind, each, ms).perSecond / 1e6);
      }
      if (kind !== KEYLESS) note(`${kind} memory`, runCase(kind, 'memory', ms).bytesPerKey);
    }
  }
  const figure = (/** @type {string} */ name) => {
    const all = figures.get(name);
    return all === undefined ? undefined : median(all);
  };
  return KINDS.map(([kind, label]) => ({
    kind,
    label,
    rates: Object.fromEntries(RATES.map((each) => [each, figure(`${kind} ${each}`)])),
    bytesPerKey: figure(`${kind} memory`),
  }));
}

/** @param {LimiterSample[]} samples */
export function limiterTable(samples) {
  const show = (/** @type {number | undefined} */ figure, digits = 1) =>
    figure === undefined ? '-' : figure.toFixed(digits);
  return columns([
    ['M decisions/s', 'one key', '10000 keys', 'denied', 'bytes a key of 1000000'],
    ...samples.map(({ label, rates, bytesPerKey }) => [
      `  ${label}`,
      ...RATES.map((each) => show(rates[each])),
      show(bytesPerKey, 0),
    ]),
  ]);
}

/**
 * @param {LimiterSample[]} samples
 * @returns {import('../../report/verdicts.mjs').Verdict[]}
 */
export function limiterVerdicts(samples) {
  const ours = samples.find(({ kind }) => kind === 'bucket');
  const peer = samples.find(({ kind }) => kind === PEER);
  const share = (ours?.rates.keys ?? NaN) / (peer?.rates.keys ?? NaN);
  const bytes = ours?.bytesPerKey ?? NaN;
  return [
    {
      title: `limiter: decisions about 10000 keys, TokenBucketLimiter / ${PEER}`,
      figure: share.toFixed(2),
      bar: `at least ${SHARE_MIN.toFixed(2)}`,
      met: share >= SHARE_MIN,
    },
    {
      title: 'limiter: resident memory of a key, of a million',
      figure: `${bytes.toFixed(0)} bytes`,
      bar: `at most ${BYTES_PER_KEY_MAX} bytes`,
      met: bytes <= BYTES_PER_KEY_MAX,
    },
  ];
}
