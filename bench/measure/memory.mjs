/**
 * Where the memory of an open stream goes. Two loads of different size on servers of their own: the
 * difference between them leaves out what a server takes by itself.
 */
import { join } from 'node:path';
import { collect } from '../lib/processes.mjs';
import { binaries, setups } from '../lib/setups.mjs';

const INTERVAL_MS = 200;
const POLL_MS = 100;
/** From the last stream's opening to the question, within the load's interval. */
const ASK_AFTER_MS = 3000;

/**
 * @typedef {object} MemoryState bytes of a server, as it told by itself
 * @property {number} streams
 * @property {number} rss
 * @property {number} heapTotal
 * @property {number} heapUsed
 * @property {number} live of the heap, after a collection
 */
/**
 * @typedef {object} MemoryBudget bytes a stream
 * @property {number} streams at which it was taken
 * @property {number} live objects in JavaScript's heap
 * @property {number} garbage in that heap, that no collection has been worth yet
 * @property {number} room that V8 holds beside both
 * @property {number} native everything outside JavaScript's heap
 * @property {number} resident the sum
 */

/**
 * @param {number} streams
 * @returns {Promise<MemoryState>}
 */
async function stateAt(streams) {
  const env = {
    NODE_ENV: 'production',
    NODE_OPTIONS: '--expose-gc',
    BENCH_INTERVAL_MS: String(INTERVAL_MS),
  };
  const { server, load } = await setups['sluice-generator'].start(env);
  let said = '';
  server.child.stdout?.setEncoding('utf8').on('data', (text) => (said += text));
  const ask = async () => {
    said = '';
    server.child.kill('SIGUSR2');
    while (!said.includes('\n')) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return /** @type {MemoryState} */ (JSON.parse(said.replace(/^memory /, '')));
  };
  let onOpen = (/** @type {number} */ _open) => {};
  /** @type {Promise<number>} */
  const opening = new Promise((resolve) => (onOpen = resolve));
  const loading = collect(
    [
      ...[
        join(binaries, 'load_client'),
        '--port',
        String(server.port),
        '--pid',
        String(server.pid),
      ],
      ...['--streams', String(streams), '--ramp-ms', String(streams), '--settle-ms', '1000'],
      ...['--measure-ms', '5000', '--announce', '1', ...load],
    ],
    (text) => {
      const open = /^open (\d+)\n/.exec(text);
      if (open !== null) onOpen(Number(open[1]));
    },
  );
  loading.catch(() => {});
  try {
    // Not asked before: a collection, which each answer takes, would hide what the opening leaves.
    // How long the opening takes is the machine's business: the load client says when it is over.
    const opened = await Promise.race([opening, loading.then(() => 0)]);
    if (opened !== streams) throw new Error(`${opened} of ${streams} streams could be opened`);
    await new Promise((resolve) => setTimeout(resolve, ASK_AFTER_MS));
    const state = await ask();
    if (state.streams !== streams) {
      throw new Error(`${state.streams} of ${streams} streams were still open when asked`);
    }
    return state;
  } finally {
    await loading.catch(() => {});
    await server.stop();
  }
}

/**
 * @param {{few: number, many: number}} plan
 * @returns {Promise<MemoryBudget>}
 */
export async function measureMemory({ few, many }) {
  const base = await stateAt(few);
  const full = await stateAt(many);
  const each = (/** @type {(state: MemoryState) => number} */ part) =>
    Math.round((part(full) - part(base)) / (many - few));
  return {
    streams: many,
    live: each(({ live }) => live),
    garbage: each(({ heapUsed, live }) => heapUsed - live),
    room: each(({ heapTotal, heapUsed }) => heapTotal - heapUsed),
    native: each(({ rss, heapTotal }) => rss - heapTotal),
    resident: each(({ rss }) => rss),
  };
}
