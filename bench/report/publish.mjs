/** Writes the row of quality into the documentation: docs/quality.md and docs/quality.svg. */
import { readFileSync, writeFileSync } from 'node:fs';
import { qualityMarkdown, qualityPlot } from './quality.mjs';

const PAGE = new URL('../../docs/quality.md', import.meta.url);
const PICTURE = new URL('../../docs/quality.svg', import.meta.url);
const START = '<!-- table: quality -->';
const END = '<!-- end of table -->';

/** CPU use of other processes, in cores, above which a table is unreliable. */
const BUSY_CORES = 0.25;
const BUSY =
  '**The machine was busy**: times of this table are mostly waits for a core, and differ by a multiple from run to run. ' +
  'It shows what is measured and how the systems differ in kind; run the command on a quiet machine for figures.';

/** Versions that the page names. */
const SHOWN = [
  ...['sluice', 'node', 'nginx', '@portkey-ai/gateway', 'openai', 'better-sse', 'ai'],
  ...['@ai-sdk/openai-compatible', 'resumable-stream', 'redis', 'kernel', 'cpu'],
];

/**
 * The largest share of cores that other processes used in a load.
 * @param {import('../measure/quality.mjs').QualityCase[]} cases
 */
function othersShare(cases) {
  const shares = cases.flatMap(({ load, blocked }) => [load, blocked]);
  return Math.max(...shares.map((sample) => sample?.others_cpu_share ?? 0));
}

/**
 * @param {import('../measure/quality.mjs').QualityCase[]} cases
 * @param {Record<string, string>} versions
 * @param {{quick: boolean, runs: number}} options
 */
export function publishQuality(cases, versions, { quick, runs }) {
  const day = new Date().toISOString().slice(0, 10);
  const named = SHOWN.map((name) => `${name} ${versions[name]}`).join(', ');
  const method = quick ? 'one short run' : `the median of ${runs} runs`;
  const others = othersShare(cases);
  const busy = others > BUSY_CORES ? [BUSY] : [];
  const text = [
    '',
    qualityMarkdown(cases),
    '',
    `${day}, ${method}; other processes of the machine used up to ${others.toFixed(1)} cores meanwhile. ${named}.`,
    ...busy,
    '',
  ].join('\n');
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(START);
  const after = rest.slice(rest.indexOf(END));
  writeFileSync(PAGE, `${before}${START}\n${text}\n${after}`);
  writeFileSync(PICTURE, qualityPlot(cases, `${versions.sluice}, ${day}, ${method}`));
  console.log('docs/quality.md and docs/quality.svg written');
}
