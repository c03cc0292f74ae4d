/** The row of quality as a table of text, a table of Markdown, and a picture. */
import { BASE } from '../measure/quality.mjs';
import { JOBS } from '../measure/quality-resume.mjs';
import { columns } from './table.mjs';
import { plotBars } from './plot.mjs';

/** @typedef {import('../measure/quality.mjs').QualityCase} QualityCase */
/** @typedef {import('../measure/load.mjs').Sample} Sample */

const NONE = '-';

const HEAD = [
  'system',
  'first token, added p50 ms',
  'p99 ms',
  'between tokens, added p50 ms',
  'p99 ms',
  'CPU us a token',
  'blocked, p99 ms',
  'cancel, median ms',
  'resumes',
  'lost',
  'doubled',
  'stalled readers, KiB each',
  'faults',
];

/** @param {QualityCase} one */
function cancelCell({ cancel }) {
  if (cancel === undefined) return NONE;
  if (cancel.never === cancel.cancels) return 'never';
  return `${cancel.p50_ms.toFixed(1)}${cancel.by === 'leaving' ? ' (leaves)' : ''}`;
}

/** @param {QualityCase} one @returns {string[]} */
function resumeCells({ resume }) {
  if (resume === undefined) return ['none', NONE, NONE];
  const { resumes, failed, lost, doubled } = resume;
  const jobs = failed > 0 ? `, ${failed} of ${JOBS} jobs failed` : '';
  return [`${resumes}${jobs}`, `${lost}`, `${doubled}`];
}

/** @param {Sample} sample @param {Sample | undefined} base @param {keyof Sample} name */
const added = (sample, base, name) => ((sample[name] - (base?.[name] ?? NaN)) / 1000).toFixed(2);

/** @param {QualityCase[]} cases @returns {string[][]} */
function rowsOf(cases) {
  const base = cases.find(({ setup }) => setup === BASE)?.load;
  return cases.map((one) => {
    const { label, skipped, load, blocked, stalled } = one;
    if (skipped !== undefined || load === undefined) {
      return [`${label}: ${skipped ?? 'failed'}`, ...HEAD.slice(1).map(() => NONE)];
    }
    const { lost, doubled, wrong_ids: wrong, failed, silent, endings } = load;
    const isBase = one.setup === BASE;
    return [
      label,
      ...(isBase
        ? [NONE, NONE, NONE, NONE, NONE]
        : [
            ...[added(load, base, 'first_p50_us'), added(load, base, 'first_p99_us')],
            ...[added(load, base, 'gap_p50_us'), added(load, base, 'gap_p99_us')],
            load.cpu_us_per_token.toFixed(1),
          ]),
      blocked === undefined ? NONE : (blocked.p99_us / 1000).toFixed(1),
      cancelCell(one),
      ...(isBase ? [NONE, NONE, NONE] : resumeCells(one)),
      stalled === undefined ? NONE : (stalled.rss_bytes_per_stream / 1024).toFixed(0),
      `${lost + doubled + wrong + failed + silent + endings}`,
    ];
  });
}

/** @param {QualityCase[]} cases */
export function qualityTable(cases) {
  return `quality\n${columns([HEAD, ...rowsOf(cases)])}`;
}

/** @param {QualityCase[]} cases */
export function qualityMarkdown(cases) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(HEAD), line(HEAD.map(() => '---')), ...rowsOf(cases).map(line)].join('\n');
}

/** @param {QualityCase[]} cases @param {string} caption @returns {string} an SVG document */
export function qualityPlot(cases, caption) {
  const base = cases.find(({ setup }) => setup === BASE)?.load;
  const bars = (/** @type {(one: QualityCase) => number | undefined} */ of) =>
    cases
      .filter(({ setup }) => setup !== BASE)
      .map((one) => ({ label: one.label, kind: kindOf(one.setup), value: of(one) }))
      .flatMap(({ value, ...rest }) => (value === undefined ? [] : [{ ...rest, value }]));
  const since =
    (/** @type {keyof Sample} */ name) =>
    (/** @type {QualityCase} */ { load }) =>
      load && (load[name] - (base?.[name] ?? 0)) / 1000;
  return plotBars(
    [
      { title: 'first token, added 99th percentile (ms)', bars: bars(since('first_p99_us')) },
      { title: 'between tokens, added 99th percentile (ms)', bars: bars(since('gap_p99_us')) },
      { title: 'CPU a token (us)', bars: bars(({ load }) => load?.cpu_us_per_token) },
      {
        title: 'main thread blocked, 99th percentile of the delay of a token (ms)',
        bars: bars(({ blocked }) => blocked && blocked.p99_us / 1000),
      },
      {
        title: 'memory of a reader that stops reading (KiB)',
        bars: bars(({ stalled }) => stalled && stalled.rss_bytes_per_stream / 1024),
      },
    ],
    caption,
  );
}

/** @param {string} setup @returns {import('./plot.mjs').Bar['kind']} */
function kindOf(setup) {
  if (setup.startsWith('sluice') || setup.startsWith('face')) return 'ours';
  return setup === 'nginx-proxy' ? 'floor' : 'peer';
}
