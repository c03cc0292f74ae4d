/**
 * The cost of the dashboard for the server: CPU with 1,000 live streams while its feed is open, less the CPU
 * while it is closed, in turns, so that both meet the same load of the machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuNs } from '../lib/processes.mjs';
import { openStreams } from '../lib/loading.mjs';
import { setups } from '../lib/setups.mjs';
import { columns } from '../report/table.mjs';
import { median } from '../lib/median.mjs';

const STREAMS = 1000;
/** Few tokens: the page costs the same beside many, and a small figure is seen better beside another one. */
const INTERVAL_MS = 5000;
const TURN_MS = 5000;
const TURNS = 6;
/** After the feed is opened or closed: its first answer is not its steady cost. */
const SETTLE_MS = 1000;
const NS_PER_MS = 1e6;
/** Share of a core. */
const SHARE_MAX = 0.01;

/**
 * @typedef {object} AdminSample shares of one core
 * @property {number} streams
 * @property {number} closed with the page closed
 * @property {number} open with it open
 * @property {number} bytesPerS of the feed
 */

/**
 * Reads the feed until it is stopped.
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<number>} bytes
 */
async function readFeed(url, signal) {
  let bytes = 0;
  try {
    const response = await fetch(`${url}/v1/admin/events`, { signal });
    if (response.status !== 200) throw new Error(`the feed answered ${response.status}`);
    for await (const chunk of /** @type {any} */ (response.body)) bytes += chunk.length;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return bytes;
}

/** @param {number} pid @returns {Promise<number>} share of a core during a turn */
async function shareOf(pid) {
  const [cpu, startedMs] = [cpuNs(pid), performance.now()];
  await sleep(TURN_MS);
  return (cpuNs(pid) - cpu) / NS_PER_MS / (performance.now() - startedMs);
}

/**
 * @param {{quick: boolean}} options
 * @returns {Promise<AdminSample>}
 */
export async function measureAdmin({ quick }) {
  const turns = quick ? 2 : TURNS;
  const env = { NODE_ENV: 'production', BENCH_INTERVAL_MS: String(INTERVAL_MS) };
  const { server, load } = await setups['sluice-generator'].start(env);
  const measureMs = 2 * turns * (TURN_MS + SETTLE_MS) + 10_000;
  /** @type {Promise<unknown>} */
  let ended = Promise.resolve();
  try {
    const plan = { streams: STREAMS, rampMs: 2000, measureMs };
    ({ ended } = await openStreams({ server, load }, plan));
    /** @type {{closed: number[], open: number[]}} */
    const shares = { closed: [], open: [] };
    let [bytes, openMs] = [0, 0];
    for (let turn = 1; turn <= turns; turn += 1) {
      await sleep(SETTLE_MS);
      shares.closed.push(await shareOf(server.pid));
      const stop = new AbortController();
      const [startedMs, reading] = [performance.now(), readFeed(server.url, stop.signal)];
      await sleep(SETTLE_MS);
      shares.open.push(await shareOf(server.pid));
      stop.abort();
      bytes += await reading;
      openMs += performance.now() - startedMs;
      const [closed, open] = [shares.closed, shares.open].map((all) => all.at(-1)?.toFixed(3));
      console.error(`admin ${turn}/${turns}: ${closed} of a core closed, ${open} open`);
    }
    return {
      streams: STREAMS,
      closed: median(shares.closed),
      open: median(shares.open),
      bytesPerS: (bytes / openMs) * 1000,
    };
  } finally {
    await server.stop();
    await ended;
  }
}

/** @param {number} share */
const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** @param {AdminSample} sample */
export function adminTable({ streams, closed, open, bytesPerS }) {
  return columns([
    [`dashboard, ${streams} live streams, CPU of a core`, ''],
    ['  closed', percent(closed)],
    ['  open', percent(open)],
    ['  feed', `${(bytesPerS / 1024).toFixed(1)} KiB/s`],
  ]);
}

/**
 * @param {AdminSample} sample
 * @returns {import('../report/verdicts.mjs').Verdict[]}
 */
export function adminVerdicts({ streams, closed, open }) {
  return [
    {
      title: `dashboard: CPU of the open page with ${streams} live streams`,
      figure: percent(open - closed),
      bar: `at most ${percent(SHARE_MAX)}`,
      met: open - closed <= SHARE_MAX,
    },
  ];
}
