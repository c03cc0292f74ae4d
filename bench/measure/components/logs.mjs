/**
 * The logs row: how fast `sluice logs` reads files, beside a `grep -c` that only counts lines with a
 * word. Each figure is the wall time of a whole process, start included, with the file in the page
 * cache: written just before, and read once.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { median } from '../../lib/median.mjs';
import { columns } from '../../report/table.mjs';

const PROGRAM = fileURLToPath(new URL('logs-case.mjs', import.meta.url));
const MEGABYTE = 1e6;
const START_MS = Date.UTC(2026, 0, 1);
/** Events of one block, which a file repeats; every tenth or hundredth of them is an error. */
const BLOCK_EVENTS = 20_000;

/** The bound of the resident memory for a file of any size. */
const MEMORY_MB_MAX = 150;

/**
 * @typedef {object} LogKind
 * @property {string} label
 * @property {number} errorEvery
 * @property {(i: number, time: string, level: string) => string} event with its line ends
 * @property {boolean} [gzip]
 */

/** @type {LogKind['event']} */
const plainEvent = (i, time, level) =>
  level === 'ERROR'
    ? `${time} ERROR [worker-${i % 8}] app.db - connection to 10.0.0.${i % 250}:5432 timed out\n`
    : `${time} INFO [worker-${i % 8}] app.http - GET /api/items/${i} 200 in ${i % 90} ms\n`;

/** @type {LogKind[]} */
const kinds = [
  { label: 'dated lines, 1% errors', errorEvery: 100, event: plainEvent },
  { label: 'dated lines, all errors', errorEvery: 1, event: plainEvent },
  {
    label: 'JSON lines (pino), 1% errors',
    errorEvery: 100,
    event: (i, time, level) =>
      `${JSON.stringify({
        level: level === 'ERROR' ? 50 : 30,
        time: Date.parse(time),
        pid: 12,
        hostname: 'web-1',
        req: { method: 'GET', url: `/api/items/${i}` },
        msg: level === 'ERROR' ? `request ${i} failed` : 'request completed',
      })}\n`,
  },
  {
    label: 'dated lines, 10% with a trace of 12 lines',
    errorEvery: 10,
    event: (i, time, level) =>
      plainEvent(i, time, level) +
      (level === 'ERROR'
        ? `java.net.SocketTimeoutException: read\n${'\tat com.example.db.Pool.take(Pool.java:99)\n'.repeat(10)}`
        : ''),
  },
  { label: 'dated lines, gzip', errorEvery: 100, event: plainEvent, gzip: true },
];

/**
 * @typedef {object} LogSample
 * @property {string} label
 * @property {number} megabytes of the text
 * @property {number} seconds of Sluice
 * @property {number} memoryMb its greatest resident memory
 * @property {number | undefined} grepSeconds undefined where there is nothing to compare
 */

/**
 * @param {string} path
 * @param {LogKind} kind
 * @param {number} bytesMin of the text
 * @returns {{bytes: number, errors: number}} of the text
 */
function writeLog(path, { errorEvery, event, gzip }, bytesMin) {
  let text = '';
  for (let i = 0; i < BLOCK_EVENTS; i += 1) {
    const time = new Date(START_MS + i * 7).toISOString();
    text += event(i, time, i % errorEvery === 0 ? 'ERROR' : 'INFO');
  }
  const plain = Buffer.from(text);
  // A separate member for each block: gzip files may consist of several.
  const block = gzip ? gzipSync(plain) : plain;
  const file = openSync(path, 'w');
  let blocks = 0;
  for (; blocks * plain.length < bytesMin; blocks += 1) {
    for (let at = 0; at < block.length;) at += writeSync(file, block, at);
  }
  closeSync(file);
  return { bytes: blocks * plain.length, errors: blocks * (BLOCK_EVENTS / errorEvery) };
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function timed(program, args) {
  const begun = performance.now();
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8' });
  const seconds = (performance.now() - begun) / 1000;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr}`);
  return { seconds, stdout, stderr };
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {LogSample[]}
 */
export function measureLogs({ quick, runs }) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-logs-'));
  try {
    return kinds.map((kind, index) => {
      console.error(`logs  ${kind.label}`);
      const path = join(folder, 'a.log');
      // A gigabyte once, to see that memory does not follow the size.
      const bytesMin = (quick ? 50 : index === 0 ? 1000 : 200) * MEGABYTE;
      const { bytes, errors } = writeLog(path, kind, bytesMin);
      const [ours, greps, memory] = [[], [], []].map((list) => /** @type {number[]} */ (list));
      for (let run = 1; run <= runs; run += 1) {
        const { seconds, stdout, stderr } = timed(process.execPath, [PROGRAM, path]);
        const found = JSON.parse(stdout);
        if (found.errors !== errors || found.bytes !== bytes) throw new Error('miscounted');
        ours.push(seconds);
        memory.push((Number(stderr) * 1024) / MEGABYTE);
        if (!kind.gzip) greps.push(timed('grep', ['-c', 'ERROR\\|"level":50', path]).seconds);
      }
      return {
        label: kind.label,
        megabytes: bytes / MEGABYTE,
        seconds: median(ours),
        memoryMb: Math.max(...memory),
        grepSeconds: greps.length > 0 ? median(greps) : undefined,
      };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {LogSample[]} samples */
export function logsTable(samples) {
  return columns([
    ['top errors of a log', 'MB', 'Sluice MB/s', 'grep -c MB/s', 'peak MB'],
    ...samples.map(({ label, megabytes, seconds, memoryMb, grepSeconds }) => [
      `  ${label}`,
      megabytes.toFixed(0),
      (megabytes / seconds).toFixed(0),
      grepSeconds === undefined ? '-' : (megabytes / grepSeconds).toFixed(0),
      memoryMb.toFixed(0),
    ]),
  ]);
}

/**
 * @param {LogSample[]} samples
 * @returns {import('../../report/verdicts.mjs').Verdict[]}
 */
export function logsVerdicts(samples) {
  const largest = Math.max(...samples.map(({ memoryMb }) => memoryMb));
  return [
    {
      title: 'logs: peak memory, whatever the size',
      figure: `${largest.toFixed(0)} MB`,
      bar: `at most ${MEMORY_MB_MAX} MB`,
      met: largest <= MEMORY_MB_MAX,
    },
  ];
}
