/**
 * One measurement: starts a server (and the upstream it needs), puts the load on it, ends it.
 */
import { join } from 'node:path';
import { collect, descriptorLimit, startServer } from '../lib/processes.mjs';
import { binaries, setups } from '../lib/setups.mjs';

/**
 * @typedef {object} Sample a report of the load client
 * @property {number} streams the requested number
 * @property {number} open how many were open at the end
 * @property {number} open_seconds how long the ramp took
 * @property {number} failed
 * @property {number} silent streams without a token in the steady interval
 * @property {number} lost
 * @property {number} doubled
 * @property {number} wrong_ids
 * @property {number} endings
 * @property {number} tokens
 * @property {number} tokens_per_second
 * @property {number} cpu_us_per_token
 * @property {number} server_cpu_share
 * @property {number} client_cpu_share
 * @property {number} others_cpu_share cores used by processes outside the benchmark during the run
 * @property {number} rss_bytes_per_stream
 * @property {number} descriptors_per_stream
 * @property {number} first_p50_us from the request to the first token
 * @property {number} first_p99_us
 * @property {number} gap_p50_us between two tokens of a stream
 * @property {number} gap_p99_us
 * @property {number} p50_us from the creation of a token to its arrival
 * @property {number} p99_us
 * @property {number} max_us
 */
/**
 * @typedef {object} Load
 * @property {string} setup
 * @property {number} streams
 * @property {number} intervalMs
 * @property {number} [blockMs]
 * @property {number} rampMs
 * @property {number} settleMs
 * @property {number} measureMs
 * @property {boolean} [stall] each stream stops reading after its first token
 */

/** The file descriptors of a server besides its streams. */
const SPARE_DESCRIPTORS = 150;

/** @param {Load} load @returns {Promise<Sample>} */
export async function measure(load) {
  const setup = setups[load.setup];
  /** @type {Record<string, string>} */
  const env = {
    NODE_ENV: 'production',
    BENCH_INTERVAL_MS: String(load.intervalMs),
    BENCH_BLOCK_MS: String(load.blockMs ?? 0),
  };
  /** @type {import('../lib/processes.mjs').ServerProcess | undefined} */
  let upstream;
  /** @type {import('../lib/setups.mjs').Started | undefined} */
  let started;
  try {
    if (setup.needsUpstream) {
      const interval = String(load.intervalMs * 1000);
      upstream = await startServer([join(binaries, 'mock_upstream'), '--interval-us', interval]);
      env.BENCH_UPSTREAM_PORT = String(upstream.port);
    }
    started = await setup.start(env);
    const { server } = started;
    const output = await collect([
      ...[join(binaries, 'load_client'), '--port', String(server.port)],
      ...['--pid', String(server.pid), '--streams', String(load.streams)],
      ...(upstream === undefined ? [] : ['--upstream-pid', String(upstream.pid)]),
      ...['--ramp-ms', String(load.rampMs), '--settle-ms', String(load.settleMs)],
      ...['--measure-ms', String(load.measureMs), ...started.load],
      ...(load.stall ? ['--stall', '1'] : []),
    ]);
    return JSON.parse(output);
  } finally {
    started?.stop?.();
    await started?.server.stop();
    await upstream?.stop();
  }
}

/**
 * How many streams one process may hold here.
 * @param {number} wanted
 * @param {number} descriptorsPerStream of the server, or of the client if that is more
 * @returns {{streams: number, notice?: string}}
 */
export function streamsThatFit(wanted, descriptorsPerStream) {
  const perStream = Math.max(1, descriptorsPerStream);
  const limit = descriptorLimit();
  const most = Math.floor((limit - SPARE_DESCRIPTORS) / perStream / 100) * 100;
  if (wanted <= most) return { streams: wanted };
  const needed = Math.ceil(wanted * perStream) + SPARE_DESCRIPTORS;
  return {
    streams: most,
    notice:
      `${most} streams instead of ${wanted}: a stream takes ${perStream.toFixed(1)} descriptors ` +
      `and ulimit -Hn is ${limit}; raise it to ${needed}`,
  };
}
