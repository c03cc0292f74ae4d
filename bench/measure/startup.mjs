/**
 * The start-up row: the time from the start of `sluice serve` to the line with its address,
 * beside that of a bare `node -e 0` to its end, and the resident memory of the idle server.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startServer } from '../lib/processes.mjs';
import { median } from '../lib/median.mjs';
import { columns } from '../report/table.mjs';

const COMMAND = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const STARTS = 20;
/** The permitted time of the server above a bare process. */
const ABOVE_MS_MAX = 250;
/** After this time without a request a server is idle. */
const IDLE_MS = 2000;

/**
 * @typedef {object} StartSample medians of the times
 * @property {number} bareMs
 * @property {number} serveMs
 * @property {number} rssBytes of the idle server
 */

async function startBare() {
  const startedMs = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedMs;
}

/** @param {number} pid @returns {number} bytes */
function residentBytes(pid) {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1024;
}

/**
 * @param {{quick: boolean}} options
 * @returns {Promise<StartSample>}
 */
export async function measureStart({ quick }) {
  /** @type {number[]} */
  const bare = [];
  /** @type {number[]} */
  const serve = [];
  let rssBytes = 0;
  const starts = quick ? 5 : STARTS;
  // In turn, so that both meet the same load of the machine.
  for (let i = 0; i < starts; i += 1) {
    bare.push(await startBare());
    const startedMs = performance.now();
    const server = await startServer([process.execPath, COMMAND, 'serve', '--port', '0']);
    serve.push(performance.now() - startedMs);
    if (i === 0) {
      await sleep(IDLE_MS);
      rssBytes = residentBytes(server.pid);
    }
    await server.stop();
  }
  const sample = { bareMs: median(bare), serveMs: median(serve), rssBytes };
  console.error(`start-up: ${sample.serveMs.toFixed(0)} ms, bare ${sample.bareMs.toFixed(0)} ms`);
  return sample;
}

/** @param {StartSample} sample */
export function startTable({ bareMs, serveMs, rssBytes }) {
  return columns([
    ['start-up', ''],
    ['  node -e 0', `${bareMs.toFixed(0)} ms`],
    ['  sluice serve, until it listens', `${serveMs.toFixed(0)} ms`],
    ['  resident memory of the idle server', `${(rssBytes / 2 ** 20).toFixed(1)} MiB`],
  ]);
}

/**
 * @param {StartSample} sample
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function startVerdicts({ bareMs, serveMs }) {
  const aboveMs = serveMs - bareMs;
  return [
    {
      title: 'start-up: sluice serve listening, above node -e 0',
      figure: `${aboveMs.toFixed(0)} ms`,
      bar: `at most ${ABOVE_MS_MAX} ms`,
      met: aboveMs <= ABOVE_MS_MAX,
    },
  ];
}
