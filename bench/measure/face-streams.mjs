/**
 * The rows of faces over sockets: the delay of each while the main thread is blocked, and the chat face
 * beside other gateways: the time that it adds to the first token, its delay and CPU per token.
 */
import { columns } from '../report/table.mjs';
import { measure } from './load.mjs';
import { medians } from '../lib/median.mjs';
import { setups } from '../lib/setups.mjs';

/** @typedef {import('./load.mjs').Sample} Sample */
/** @typedef {{setup: string, label: string, sample?: Sample, skipped?: string}} FaceCase */
/** @typedef {{blocked: FaceCase[], chat: FaceCase[]}} FaceStreams */

const OWN = ['face-chat', 'face-completions', 'face-responses', 'face-ui', 'face-messages'];
const PEERS = ['openai-chat', 'portkey'];
const NO_GATEWAY = 'no-gateway';
const P99_MS_MAX = 10;

/**
 * @param {string[]} names
 * @param {Omit<import('./load.mjs').Load, 'setup'>} load
 * @param {number} runs
 * @returns {Promise<FaceCase[]>}
 */
async function measureAll(names, load, runs) {
  const cases = names.map((setup) => ({
    ...{ setup, label: setups[setup].label, skipped: setups[setup].missing?.() },
    samples: /** @type {Sample[]} */ ([]),
  }));
  // Interleaved, so that a disturbance of the machine does not hit one server alone.
  for (let run = 1; run <= runs; run += 1) {
    for (const { setup, label, skipped, samples } of cases) {
      if (skipped !== undefined) continue;
      console.error(`faces ${run}/${runs}  ${label}`);
      samples.push(await measure({ setup, ...load }));
    }
  }
  return cases.map(({ samples, ...rest }) => ({
    ...rest,
    ...(samples.length > 0 && {
      sample: /** @type {Sample} */ (medians(/** @type {any} */ (samples))),
    }),
  }));
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {Promise<FaceStreams>}
 */
export async function measureFaceStreams({ quick, runs }) {
  const times = { settleMs: 1000, measureMs: quick ? 2000 : 5000 };
  const blocked = { streams: 50, intervalMs: 20, blockMs: 200, rampMs: 500, ...times };
  const chat = { streams: 200, intervalMs: 20, rampMs: quick ? 1000 : 2000, ...times };
  return {
    blocked: await measureAll([...OWN, ...PEERS], blocked, runs),
    chat: await measureAll([OWN[0], ...PEERS, NO_GATEWAY], chat, runs),
  };
}

/** @param {number} us @returns {string} milliseconds */
const ms = (us) => (us / 1000).toFixed(1);

/** @param {Sample} sample */
const faults = ({ lost, doubled, wrong_ids: wrong, failed, silent, endings }) =>
  String(lost + doubled + wrong + failed + silent + endings);

/** @param {FaceCase[]} cases @param {string[]} head @param {(sample: Sample) => string[]} cells */
function tableOf(cases, head, cells) {
  const lines = cases.map(({ label, sample, skipped }) => [
    `  ${label}`,
    ...(sample === undefined
      ? [skipped ?? '', ...head.slice(2).map(() => '')]
      : [...cells(sample), faults(sample)]),
  ]);
  return columns([[...head, 'faults'], ...lines.map((line) => line.slice(0, head.length + 1))]);
}

/**
 * The time to the first token that a gateway adds to its upstream's own.
 * @param {FaceCase[]} cases
 * @param {'first_p50_us' | 'first_p99_us'} name
 */
function addedBy(cases, name) {
  const own = cases.find(({ setup }) => setup === NO_GATEWAY)?.sample?.[name] ?? NaN;
  return (/** @type {Sample} */ sample) => sample[name] - own;
}

/** @param {FaceStreams} results */
export function faceStreamsTable({ blocked, chat }) {
  const [p50, p99] = [addedBy(chat, 'first_p50_us'), addedBy(chat, 'first_p99_us')];
  return [
    'faces: 50 streams of 50 tokens/s, the main thread blocked 200 ms of every second',
    tableOf(blocked, ['', 'p50 ms', 'p99 ms', 'max ms'], (sample) => [
      ...[ms(sample.p50_us), ms(sample.p99_us), ms(sample.max_us)],
    ]),
    '',
    'faces: chat completions through a gateway, 200 streams of 50 tokens/s',
    tableOf(
      chat,
      ['', 'us/token', 'p50 ms', 'p99 ms', 'first token, added p50 ms', 'p99 ms'],
      (sample) => [
        ...[sample.cpu_us_per_token.toFixed(1), ms(sample.p50_us), ms(sample.p99_us)],
        ...[ms(p50(sample)), ms(p99(sample))],
      ],
    ),
  ].join('\n');
}

/**
 * @param {FaceStreams} results
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function faceStreamsVerdicts({ blocked, chat }) {
  const delays = blocked
    .filter(({ setup, sample }) => OWN.includes(setup) && sample !== undefined)
    .map(({ label, sample }) => ({
      title: `faces: 99th percentile with the main thread blocked, ${label}`,
      figure: `${ms(/** @type {Sample} */ (sample).p99_us)} ms`,
      bar: `under ${P99_MS_MAX} ms`,
      met: /** @type {Sample} */ (sample).p99_us / 1000 < P99_MS_MAX,
    }));
  const [ours] = chat;
  const peers = chat.filter(({ setup, sample }) => PEERS.includes(setup) && sample !== undefined);
  return [...delays, ...peers.flatMap((peer) => against(ours, peer, chat))];
}

/**
 * @param {FaceCase} ours
 * @param {FaceCase} peer
 * @param {FaceCase[]} cases
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
function against(ours, peer, cases) {
  const [own, its] = [/** @type {Sample} */ (ours.sample), /** @type {Sample} */ (peer.sample)];
  const verdict = (
    /** @type {string} */ quantity,
    /** @type {(sample: Sample) => number} */ of,
  ) => ({
    title: `faces: ${quantity}, Sluice / ${peer.label}`,
    figure: (of(own) / of(its)).toFixed(2),
    bar: 'at most 1.00',
    met: of(own) <= of(its),
  });
  return [
    verdict('CPU per token', (sample) => sample.cpu_us_per_token),
    verdict('first token, added median', addedBy(cases, 'first_p50_us')),
    verdict('first token, added 99th percentile', addedBy(cases, 'first_p99_us')),
  ];
}
