/**
 * The time that a model runs after its job was cancelled: from the POST of the cancel to the close of
 * the upstream's socket. One job at a time, so that no queue is measured.
 */
import http from 'node:http';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { columns } from '../report/table.mjs';
import { setups } from '../lib/setups.mjs';
import { startTalker } from '../lib/talker.mjs';

const INTERVAL_MS = 2;
const MEDIAN_MS_MAX = 20;

/**
 * Tokens before the cancel, and their label. After 32 reads an answer is read past libcurl.
 * @type {[number, string][]}
 */
const CASES = [
  [1, 'at its first token'],
  [50, 'after 50 tokens'],
];

/**
 * @typedef {object} CancelSample
 * @property {string} label
 * @property {number} cancels
 * @property {number} p50_ms
 * @property {number} max_ms
 */

/**
 * Reads a stream until `tokens` tokens have arrived, or to its end.
 * @param {string} url
 * @param {number} tokens
 */
async function readTokens(url, tokens) {
  const request = http.get(url, { agent: false });
  const [response] = await once(request, 'response');
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    if (text.split('event: token\n').length > tokens) return;
  }
  throw new Error(`a stream ended before ${tokens} tokens`);
}

/**
 * One job, cancelled.
 * @param {string} url of the server
 * @param {import('../lib/talker.mjs').Talker} talker
 * @param {number} tokens
 * @returns {Promise<number>} milliseconds
 */
async function cancelOne(url, talker, tokens) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ prompt: 'bench', on_disconnect: 'continue' });
  const answer = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body });
  const job = /** @type {{job_id: string, stream_url: string}} */ (await answer.json());
  await readTokens(url + job.stream_url, tokens);
  const { leftAt } = talker;
  const beganMs = performance.now();
  const cancelled = await fetch(`${url}/v1/jobs/${job.job_id}/cancel`, { method: 'POST' });
  if (!cancelled.ok) throw new Error(`a cancel was answered ${cancelled.status}`);
  return (await leftAt) - beganMs;
}

/**
 * @param {{quick: boolean}} options
 * @returns {Promise<CancelSample[]>}
 */
export async function measureCancel({ quick }) {
  console.error('cancel');
  const cancels = quick ? 20 : 200;
  const talker = await startTalker({ intervalMs: INTERVAL_MS });
  const env = { NODE_ENV: 'production', BENCH_UPSTREAM_PORT: String(talker.port) };
  const { server } = await setups['sluice-relay'].start(env);
  try {
    const samples = [];
    for (const [tokens, label] of CASES) {
      const spans = [];
      for (let i = 0; i < cancels; i += 1) {
        spans.push(await cancelOne(server.url, talker, tokens));
      }
      spans.sort((a, b) => a - b);
      const [p50, max] = [spans[cancels >> 1], spans[cancels - 1]];
      samples.push({ label, cancels, p50_ms: p50, max_ms: max });
    }
    return samples;
  } finally {
    await server.stop();
    talker.close();
  }
}

/** @param {CancelSample[]} samples */
export function cancelTable(samples) {
  return columns([
    ['from the cancel to the close of the upstream', 'cancels', 'p50 ms', 'max ms'],
    ...samples.map(({ label, cancels, p50_ms: p50, max_ms: max }) => [
      `  a job ${label}`,
      String(cancels),
      p50.toFixed(1),
      max.toFixed(1),
    ]),
  ]);
}

/** @param {CancelSample[]} samples @returns {import('../report/verdicts.mjs').Verdict[]} */
export function cancelVerdicts(samples) {
  return samples.map(({ label, p50_ms: p50 }) => ({
    title: `cancel: to the close of the upstream, a job ${label}, median`,
    figure: `${p50.toFixed(1)} ms`,
    bar: `under ${MEDIAN_MS_MAX} ms`,
    met: p50 < MEDIAN_MS_MAX,
  }));
}
