/** The results as text. */
import { oursIn } from './verdicts.mjs';

/**
 * Columns of text; the first is flush left, the others flush right.
 * @param {string[][]} lines
 * @param {number} [left] how many columns are flush left
 */
export function columns(lines, left = 1) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines
    .map((line) =>
      line.map((text, i) => (i < left ? text.padEnd(widths[i]) : text.padStart(widths[i]))),
    )
    .map((line) => line.join('  ').trimEnd())
    .join('\n');
}

const HEADER = [
  'server',
  'streams',
  'tokens/s',
  'us/token',
  'x Sluice',
  'p50 ms',
  'p99 ms',
  'KiB/stream',
  'cores',
  'faults',
];

/** With fewer streams, memory is mostly the server itself, warming up. */
const MANY_STREAMS = 1000;

/** @param {import('./verdicts.mjs').RowResult} row */
export function rowTable(row) {
  const isDelay = row.shows === 'delay';
  const ours = oursIn(row)?.sample?.cpu_us_per_token ?? NaN;
  const lines = row.cases
    .filter(({ sample }) => sample !== undefined)
    .map(({ label, sample }) => {
      const s = /** @type {import('../measure/load.mjs').Sample} */ (sample);
      const faults = s.lost + s.doubled + s.wrong_ids + s.failed + s.silent + s.endings;
      return [
        `  ${label}`,
        String(s.open),
        s.tokens_per_second.toFixed(0),
        // With a main thread that spins, CPU time has no meaning.
        isDelay ? '-' : s.cpu_us_per_token.toFixed(1),
        isDelay ? '-' : (s.cpu_us_per_token / ours).toFixed(2),
        (s.p50_us / 1000).toFixed(1),
        (s.p99_us / 1000).toFixed(1),
        s.open < MANY_STREAMS ? '-' : (s.rss_bytes_per_stream / 1024).toFixed(1),
        s.server_cpu_share.toFixed(2),
        String(faults),
      ];
    });
  return [HEADER, ...lines];
}

/** @param {import('./verdicts.mjs').RowResult[]} rows */
export function table(rows) {
  const all = rows.map((row) => ({ row, lines: rowTable(row) }));
  const text = columns(all.flatMap(({ lines }, i) => (i === 0 ? lines : lines.slice(1)))).split(
    '\n',
  );
  const out = text.slice(0, 1);
  let at = 1;
  for (const { row, lines } of all) {
    out.push('', row.title, ...text.slice(at, at + lines.length - 1));
    at += lines.length - 1;
    for (const { label, skipped } of row.cases) {
      if (skipped !== undefined) out.push(`  ${label}: skipped, ${skipped}`);
    }
  }
  return out.join('\n');
}

/** @param {import('../measure/resume.mjs').ResumeSample[]} samples */
export function resumeTable(samples) {
  return columns([
    ['resume of a finished job', 'log tokens', 'missed', 'CPU us', 'us/missed'],
    ...samples.map(({ logTokens, missed, cpuUs }) => [
      '  Sluice',
      String(logTokens),
      String(missed),
      cpuUs.toFixed(0),
      (cpuUs / missed).toFixed(2),
    ]),
  ]);
}

/** @param {import('../measure/memory.mjs').MemoryBudget} budget */
export function memoryTable({ streams, live, garbage, room, native, resident }) {
  const line = (/** @type {string} */ label, /** @type {number} */ bytes) => [
    `  ${label}`,
    (bytes / 1024).toFixed(1),
  ];
  return columns([
    [`where the memory of a stream goes, ${streams} streams`, 'KiB'],
    line('JavaScript: live objects', live),
    line('JavaScript: garbage not yet collected', garbage),
    line("JavaScript: V8's room beside both", room),
    line('native: job, log, reader, socket; malloc; everything else', native),
    line('resident', resident),
  ]);
}

/** @param {import('./verdicts.mjs').Verdict[]} verdicts */
export function verdictTable(verdicts) {
  return columns(
    verdicts.map(({ title, figure, bar, met }) => [`  ${title}`, figure, bar, met ? 'yes' : 'NO']),
  );
}
