/**
 * The parts of the memory of an open stream. Two loads of different size on separate servers: the
 * difference between them excludes the memory of an idle server.
 */
import { openStreams } from '../lib/loading.mjs';
import { setups } from '../lib/setups.mjs';

const INTERVAL_MS = 200;
const POLL_MS = 100;
/** From the last stream's opening to the question, within the load's interval. */
const ASK_AFTER_MS = 3000;

/**
 * @typedef {object} MemoryState bytes of a server, as it reports them
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
  let output = '';
  server.child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
  const ask = async () => {
    output = '';
    server.child.kill('SIGUSR2');
    while (!output.includes('\n')) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return /** @type {MemoryState} */ (JSON.parse(output.replace(/^memory /, '')));
  };
  /** @type {Promise<unknown>} */
  let ended = Promise.resolve();
  try {
    // Not requested before: each answer runs a collection, which would hide the garbage of the opening.
    ({ ended } = await openStreams(
      { server, load },
      { streams, rampMs: streams, measureMs: 5000 },
    ));
    await new Promise((resolve) => setTimeout(resolve, ASK_AFTER_MS));
    const state = await ask();
    if (state.streams !== streams) {
      throw new Error(`${state.streams} of ${streams} streams were still open when asked`);
    }
    return state;
  } finally {
    await ended;
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
