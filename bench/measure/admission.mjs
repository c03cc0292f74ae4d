/**
 * The admission row: the cost of a POST /v1/jobs for the server, with keys, limits and the cache against
 * without. The job itself, one word long, is in all of them alike.
 */
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { cpuNs, startServer } from '../lib/processes.mjs';
import { median } from '../lib/median.mjs';
import { columns } from '../report/table.mjs';

const SERVER = fileURLToPath(new URL('../servers/sluice-admission.mjs', import.meta.url));
const CONNECTIONS = 16;

/** Keys and limits, the four scopes of them, may cost so much more than the same without. */
const RATIO_MAX = 1.5;

const CASES = /** @type {const} */ ([
  ['open', 'unique', 'no keys, no limits, no cache'],
  ['keys', 'unique', 'keys'],
  ['limits', 'unique', '... and limits of each key'],
  ['shared', 'unique', '... and of organisation, model and endpoint'],
  ['cache', 'unique', '... and the cache, not in it'],
  ['cache', 'same', '... and the cache, in it'],
]);

/**
 * @typedef {object} AdmissionSample
 * @property {string} label
 * @property {number} cpuUs of the server, one request and its job
 */

/** @param {string} url @param {http.Agent} agent @param {number} n @param {string} prompts */
function post(url, agent, n, prompts) {
  const prompt = prompts === 'same' ? 'the prompt of all' : `prompt ${n}`;
  const body = JSON.stringify({ prompt, max_tokens: 16, temperature: 0 });
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: `Bearer secret-${n % 1000}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}/v1/jobs`, { method: 'POST', agent, headers });
    request.once('error', reject);
    request.once('response', (response) => {
      response.resume().once('end', () => {
        if (response.statusCode === 201) resolve(undefined);
        else reject(new Error(`a submission was answered ${response.statusCode}`));
      });
    });
    request.end(body);
  });
}

/** @param {string} url @param {string} prompts @param {number} count */
async function load(url, prompts, count) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let next = 0;
  const client = async () => {
    while (next < count) await post(url, agent, next++, prompts);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  agent.destroy();
}

/**
 * @param {string} mode
 * @param {string} prompts
 * @param {number} count
 * @returns {Promise<number>} microseconds of the server's CPU per request
 */
async function measureOne(mode, prompts, count) {
  const server = await startServer([process.execPath, SERVER, mode], {
    env: { NODE_ENV: 'production' },
  });
  try {
    // The first requests pay for compilation.
    await load(server.url, prompts, Math.ceil(count / 4));
    const before = cpuNs(server.pid);
    await load(server.url, prompts, count);
    return (cpuNs(server.pid) - before) / 1e3 / count;
  } finally {
    await server.stop();
  }
}

/**
 * @param {{quick: boolean, runs: number}} options
 * @returns {Promise<AdmissionSample[]>}
 */
export async function measureAdmission({ quick, runs }) {
  const count = quick ? 2000 : 20_000;
  /** @type {number[][]} */
  const samples = CASES.map(() => []);
  for (let run = 1; run <= runs; run += 1) {
    for (const [i, [mode, prompts, label]] of CASES.entries()) {
      const us = await measureOne(mode, prompts, count);
      samples[i].push(us);
      console.error(`admission ${run}/${runs}  ${label}: ${us.toFixed(1)} us/request`);
    }
  }
  return CASES.map(([, , label], i) => ({ label, cpuUs: median(samples[i]) }));
}

/** @param {AdmissionSample[]} samples */
export function admissionTable(samples) {
  const [{ cpuUs: open }] = samples;
  return columns([
    ['POST /v1/jobs and its job, server CPU', 'us/request', 'ratio'],
    ...samples.map(({ label, cpuUs }) => [
      `  ${label}`,
      cpuUs.toFixed(1),
      (cpuUs / open).toFixed(2),
    ]),
  ]);
}

/**
 * @param {AdmissionSample[]} samples
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function admissionVerdicts(samples) {
  const of = (/** @type {string} */ mode) => samples[CASES.findIndex(([id]) => id === mode)].cpuUs;
  const ratio = of('shared') / of('open');
  return [
    {
      title: 'admission: a job with a key and twelve limits / the same with none',
      figure: ratio.toFixed(2),
      bar: `at most ${RATIO_MAX.toFixed(2)}`,
      met: ratio <= RATIO_MAX,
    },
  ];
}
