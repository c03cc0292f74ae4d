/** From a cancel to the close of the upstream's connection, one job at a time. */
import { performance } from 'node:perf_hooks';
import { QualityClient } from '../lib/quality-clients.mjs';
import { setups } from '../lib/setups.mjs';
import { startTalker } from '../lib/talker.mjs';

const INTERVAL_MS = 2;
/** Texts before the cancel. */
const TEXTS = 5;
/** An upstream that is still read after this time counts as never closed. */
const NEVER_MS = 5000;

/**
 * @typedef {object} CancelQuality
 * @property {'request' | 'leaving'} by how a client cancels: by a request of the dialect, or by closing its
 *   connection
 * @property {number} cancels
 * @property {number} never calls that were still open after 5 s
 * @property {number} p50_ms of the others
 * @property {number} max_ms
 */

/**
 * @param {string} setup
 * @param {number} cancels
 * @returns {Promise<CancelQuality>}
 */
export async function measureQualityCancel(setup, cancels) {
  const talker = await startTalker({ intervalMs: INTERVAL_MS });
  const env = { NODE_ENV: 'production', BENCH_UPSTREAM_PORT: String(talker.port) };
  const started = await setups[setup].start(env);
  const client = new QualityClient(setup, started);
  const spans = [];
  let never = 0;
  try {
    for (let i = 0; i < cancels && never < 3; i += 1) {
      const { job, stream } = await client.start();
      await stream.until(() => stream.items.filter(({ text }) => text).length >= TEXTS, 'text');
      const beganMs = performance.now();
      await client.end(job, stream);
      const late = new Promise((resolve) => setTimeout(resolve, NEVER_MS, undefined));
      const leftMs = await Promise.race([talker.leftAt, late]);
      if (leftMs === undefined) never += 1;
      else spans.push(Math.max(0, leftMs - beganMs));
      stream.close();
    }
  } finally {
    started.stop?.();
    await started.server.stop();
    talker.close();
  }
  spans.sort((a, b) => a - b);
  return {
    by: client.canCancel ? 'request' : 'leaving',
    cancels: spans.length + never,
    never,
    p50_ms: spans[spans.length >> 1] ?? NaN,
    max_ms: spans.at(-1) ?? NaN,
  };
}
