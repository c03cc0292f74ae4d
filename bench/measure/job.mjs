/**
 * The job row: the cost of a job from the first byte of its POST to the last of its stream, for 64
 * clients on kept connections, beside the same two requests on node:http alone and on a C++ server of
 * nothing but epoll.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuNs, startServer } from '../lib/processes.mjs';
import { median } from '../lib/median.mjs';
import { columns } from '../report/table.mjs';
import { runJobs } from './job-client.mjs';

const at = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const SLUICE = [process.execPath, at('servers/sluice-job.mjs')];
const PEER = [process.execPath, at('peers/node-http-job.mjs')];
/** The C++ program, in the folder of the binaries. */
const FLOOR = 'floor_job';
const CLIENTS = 64;
const KEY = 'Authorization: Bearer secret\r\n';

const CASES = /** @type {const} */ ([
  { id: 'floor', label: 'floor: C++ epoll, 2 tokens', command: FLOOR, tokens: 2 },
  { id: 'peer', label: 'node:http alone, 2 tokens', command: PEER, tokens: 2 },
  { id: 'bare', label: 'Sluice, 2 tokens', command: [...SLUICE, 'bare'], tokens: 2 },
  {
    id: 'full',
    label: 'Sluice, 2 tokens, with log, limits, key, idempotency key',
    command: [...SLUICE, 'full'],
    tokens: 2,
    headers: KEY,
  },
  { id: 'floor-20', label: 'floor: C++ epoll, 20 tokens', command: FLOOR, tokens: 20 },
  { id: 'peer-20', label: 'node:http alone, 20 tokens', command: PEER, tokens: 20 },
  { id: 'bare-20', label: 'Sluice, 20 tokens', command: [...SLUICE, 'bare'], tokens: 20 },
]);

/** @typedef {(typeof CASES)[number]['id']} CaseId */

/**
 * @typedef {object} JobSample
 * @property {CaseId} id
 * @property {string} label
 * @property {number} cpuUs of the server, for a job
 * @property {number} perSecond jobs
 */

/**
 * @param {(typeof CASES)[number]} one
 * @param {number} jobs
 * @param {string} binaries folder of the C++ programs
 * @returns {Promise<{cpuUs: number, perSecond: number}>}
 */
async function measureOne({ command, tokens, ...rest }, jobs, binaries) {
  const whole = command === FLOOR ? [join(binaries, FLOOR)] : [...command];
  const server = await startServer(whole, { env: { NODE_ENV: 'production' } });
  const headers = 'headers' in rest ? rest.headers : '';
  let [beforeNs, startMs] = [0, 0];
  try {
    const load = { port: server.port, clients: CLIENTS, jobs, tokens, headers };
    await runJobs({ ...load, idempotent: headers !== '' }, () => {
      beforeNs = cpuNs(server.pid);
      startMs = performance.now();
    });
    const seconds = (performance.now() - startMs) / 1000;
    return { cpuUs: (cpuNs(server.pid) - beforeNs) / 1e3 / jobs, perSecond: jobs / seconds };
  } finally {
    await server.stop();
  }
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @param {string} binaries folder of the C++ programs
 * @returns {Promise<JobSample[]>}
 */
export async function measureJobs({ quick, runs }, binaries) {
  const jobs = quick ? 4000 : 20_000;
  const samples = CASES.map(() => /** @type {{cpuUs: number, perSecond: number}[]} */ ([]));
  for (let run = 1; run <= runs; run += 1) {
    for (const [i, one] of CASES.entries()) {
      const sample = await measureOne(one, jobs, binaries);
      samples[i].push(sample);
      const { cpuUs, perSecond } = sample;
      const figures = `${cpuUs.toFixed(1)} us/job, ${perSecond.toFixed(0)} jobs/s`;
      console.error(`job ${run}/${runs}  ${one.label}: ${figures}`);
    }
  }
  return CASES.map(({ id, label }, i) => ({
    id,
    label,
    cpuUs: median(samples[i].map(({ cpuUs }) => cpuUs)),
    perSecond: median(samples[i].map(({ perSecond }) => perSecond)),
  }));
}

/** @param {JobSample[]} samples */
export function jobTable(samples) {
  return columns([
    ['a job: POST and stream, server CPU', 'us/job', 'jobs/s'],
    ...samples.map(({ label, cpuUs, perSecond }) => [
      `  ${label}`,
      cpuUs.toFixed(1),
      perSecond.toFixed(0),
    ]),
  ]);
}

/**
 * @param {JobSample[]} samples
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function jobVerdicts(samples) {
  const of = (/** @type {CaseId} */ id) =>
    /** @type {JobSample} */ (samples.find((sample) => sample.id === id));
  const verdict = (
    /** @type {string} */ comparison,
    /** @type {number} */ ratio,
    /** @type {number} */ atMost,
  ) => ({
    title: `job: ${comparison}`,
    figure: ratio.toFixed(2),
    bar: `at most ${atMost.toFixed(2)}`,
    met: ratio <= atMost,
  });
  const slower = of('peer-20').perSecond / of('bare-20').perSecond;
  return [
    verdict('Sluice / node:http alone', of('bare').cpuUs / of('peer').cpuUs, 2),
    verdict('with log, limits and keys / without', of('full').cpuUs / of('bare').cpuUs, 1.3),
    verdict('20 tokens, jobs a second of node:http / of Sluice', slower, 1),
  ];
}
