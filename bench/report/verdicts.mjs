/**
 * The verdicts of the rows about Sluice: each figure beside its bar.
 */

/**
 * @typedef {object} CaseResult
 * @property {string} setup
 * @property {string} label
 * @property {number} streams
 * @property {number} intervalMs
 * @property {number} runs
 * @property {import('../measure/load.mjs').Sample} [sample] medians
 * @property {string} [skipped] why there is none
 */
/**
 * @typedef {object} RowResult
 * @property {string} id
 * @property {string} title
 * @property {'cpu' | 'delay'} shows
 * @property {string} ours
 * @property {CaseResult[]} cases
 * @property {import('../lib/rows.mjs').Bar[]} bars
 * @property {number} [delayMsMax]
 */
/** @typedef {{title: string, figure: string, bar: string, met: boolean}} Verdict */

const KILOBYTES_MAX = 16;
const RELAYED_KILOBYTES_MAX = 12;
const RELAYED_DELAY_RATIO_MAX = 1.5;
const MANY_RATIO_MAX = 1.5;

/** @param {CaseResult} result */
const us = (result) => result.sample?.cpu_us_per_token ?? NaN;

/** @param {RowResult} row Sluice's own case with the most streams */
export function oursIn(row) {
  const own = row.cases.filter(({ setup, sample }) => setup === row.ours && sample !== undefined);
  return own.sort((a, b) => b.streams - a.streams)[0];
}

/** @param {RowResult} row @returns {Verdict[]} */
export function verdictsOf(row) {
  const ours = oursIn(row);
  if (ours?.sample === undefined) return [];
  const { sample } = ours;
  /** @type {Verdict[]} */
  const verdicts = [];
  for (const { against, atMost } of row.bars) {
    const peer = row.cases.find(({ setup, sample: its }) => setup === against && its);
    if (peer === undefined) continue;
    const ratio = us(ours) / us(peer);
    verdicts.push({
      title: `${row.id}: CPU a token, Sluice / ${peer.label}`,
      figure: ratio.toFixed(2),
      bar: `at most ${atMost.toFixed(2)}`,
      met: ratio <= atMost,
    });
  }
  if (row.delayMsMax !== undefined) {
    verdicts.push({
      title: `${row.id}: Sluice's 99th percentile`,
      figure: `${(sample.p99_us / 1000).toFixed(1)} ms`,
      bar: `under ${row.delayMsMax} ms`,
      met: sample.p99_us / 1000 < row.delayMsMax,
    });
  }
  if (row.id === 'many') verdicts.push(...manyVerdicts(row, ours, sample), ...relayedVerdicts(row));
  return verdicts;
}

/**
 * @param {RowResult} row
 * @param {CaseResult} ours
 * @param {import('../measure/load.mjs').Sample} sample
 * @returns {Verdict[]}
 */
function manyVerdicts(row, ours, sample) {
  const few = row.cases.find((each) => each.setup === row.ours && each.streams < ours.streams);
  const bad = sample.lost + sample.doubled + sample.failed + sample.silent + sample.endings;
  const kilobytes = sample.rss_bytes_per_stream / 1024;
  const ratio = few === undefined ? NaN : us(ours) / us(few);
  return [
    {
      title: `many: ${ours.streams} streams held, tokens lost or doubled`,
      figure: `${sample.open} held, ${sample.lost + sample.doubled} lost`,
      bar: 'all, 0',
      met: bad === 0 && sample.open === ours.streams,
    },
    {
      title: `many: CPU a token, ${ours.streams} / 100 streams`,
      figure: ratio.toFixed(2),
      bar: `at most ${MANY_RATIO_MAX}`,
      met: ratio <= MANY_RATIO_MAX,
    },
    {
      title: `many: resident memory a stream at ${ours.streams}`,
      figure: `${kilobytes.toFixed(1)} KiB`,
      bar: `at most ${KILOBYTES_MAX} KiB`,
      met: kilobytes <= KILOBYTES_MAX,
    },
  ];
}

/**
 * Many streams that are relayed from an upstream.
 * @param {RowResult} row
 * @returns {Verdict[]}
 */
function relayedVerdicts(row) {
  const relayed = row.cases.find(({ setup }) => setup === 'sluice-relay');
  if (relayed?.sample === undefined) return [];
  const { streams, sample } = relayed;
  const { lost, doubled, failed, silent, endings } = sample;
  const kilobytes = sample.rss_bytes_per_stream / 1024;
  const plain = row.cases.find(({ setup }) => setup === 'node-http')?.sample;
  const ratio = plain === undefined ? NaN : sample.p99_us / plain.p99_us;
  return [
    {
      title: `many: ${streams} relayed streams held, tokens lost or doubled`,
      figure: `${sample.open} held, ${lost + doubled} lost`,
      bar: 'all, 0',
      met: lost + doubled + failed + silent + endings === 0 && sample.open === streams,
    },
    {
      title: `many: resident memory a relayed stream at ${streams}`,
      figure: `${kilobytes.toFixed(1)} KiB`,
      bar: `at most ${RELAYED_KILOBYTES_MAX} KiB`,
      met: kilobytes <= RELAYED_KILOBYTES_MAX,
    },
    {
      title: 'many: 99th percentile of relayed streams, Sluice / plain node:http',
      figure: ratio.toFixed(2),
      bar: `at most ${RELAYED_DELAY_RATIO_MAX}`,
      met: ratio <= RELAYED_DELAY_RATIO_MAX,
    },
  ];
}

/**
 * The line through the least and the most missed tokens, and the largest deviation of the points in between.
 * @param {import('../measure/resume.mjs').ResumeSample[]} samples
 */
export function resumeFit(samples) {
  const longest = Math.max(...samples.map(({ logTokens }) => logTokens));
  const byMissed = samples
    .filter(({ logTokens }) => logTokens === longest)
    .sort((a, b) => a.missed - b.missed);
  const [least] = byMissed;
  const most = byMissed[byMissed.length - 1];
  const usPerToken = (most.cpuUs - least.cpuUs) / (most.missed - least.missed);
  const fixedUs = least.cpuUs - usPerToken * least.missed;
  const offShare = Math.max(
    ...byMissed.map(({ missed, cpuUs }) => Math.abs(cpuUs / (fixedUs + usPerToken * missed) - 1)),
  );
  const sameMissed = samples.filter(({ missed }) => missed === least.missed);
  const costs = sameMissed.map(({ cpuUs }) => cpuUs);
  const lengthRatio = Math.max(...costs) / Math.min(...costs);
  return { usPerToken, fixedUs, offShare, lengthRatio, leastMissed: least.missed, longest };
}

/** @param {import('../measure/resume.mjs').ResumeSample[]} samples @returns {Verdict[]} */
export function resumeVerdicts(samples) {
  const { usPerToken, fixedUs, offShare, lengthRatio, leastMissed } = resumeFit(samples);
  const line = `${fixedUs.toFixed(0)} us + ${usPerToken.toFixed(2)} us a missed token`;
  const lengths = samples.filter(({ missed }) => missed === leastMissed).length;
  return [
    {
      title: `resume: ${line}; farthest off that line`,
      figure: `${(offShare * 100).toFixed(0)} %`,
      bar: 'linear (within 50 %)',
      met: offShare <= 0.5,
    },
    {
      title: `resume: ${leastMissed} missed tokens, dearest / cheapest of ${lengths} log lengths`,
      figure: lengthRatio.toFixed(2),
      bar: 'the same (within 1.5)',
      met: lengthRatio <= 1.5,
    },
  ];
}
