/** Tokens lost and doubled over many resumes at random places, while the text flows. */
import { QualityClient } from '../lib/quality-clients.mjs';
import { setups } from '../lib/setups.mjs';
import { startTalker } from '../lib/talker.mjs';

/** @typedef {import('../../lib/conformance/types.js').Item} Item */

const INTERVAL_MS = 10;
/** Jobs at once: few, so that a server that sends whole answers again can keep up. */
export const JOBS = 10;
/** A reader receives 1 to this many texts before it is cut. */
const TEXTS_MAX = 10;

/**
 * @typedef {object} ResumeQuality
 * @property {number} resumes
 * @property {number} lost tokens
 * @property {number} doubled tokens
 * @property {number} failed jobs whose stream could not be resumed to the end
 */

/** Numbers of the words in some items. @param {readonly Item[]} items */
const numbersOf = (items) =>
  items
    .map(({ text = '' }) => text)
    .join('')
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);

/** @param {readonly number[]} numbers @param {number} next the expected one @param {ResumeQuality} totals */
function count(numbers, next, totals) {
  for (const number of numbers) {
    if (number > next) totals.lost += number - next;
    if (number < next) totals.doubled += 1;
    next = Math.max(next, number + 1);
  }
  return next;
}

/** @param {QualityClient} client @param {number} resumes @param {ResumeQuality} totals */
async function resumeOne(client, resumes, totals) {
  const { job, stream: first } = await client.start();
  let stream = first;
  let next = 0;
  let cursor;
  for (let i = 0; i <= resumes; i += 1) {
    const current = stream;
    // A dialect without cursors sends all again: the reader counts from its position.
    const had = client.hasCursor ? 0 : next;
    const wanted = had + 1 + Math.floor(Math.random() * TEXTS_MAX);
    await current.until(() => numbersOf(current.items).length >= wanted, 'text');
    if (i === resumes) break;
    current.close();
    const last = current.items.findLastIndex((item) => item.cursor !== undefined);
    const taken = client.hasCursor ? current.items.slice(0, last + 1) : current.items;
    next = count(numbersOf(taken), client.hasCursor ? next : 0, totals);
    cursor = client.hasCursor ? (current.items[last]?.cursor ?? cursor) : undefined;
    totals.resumes += 1;
    stream = await client.read(job, cursor);
    if (stream.status !== 200) throw new Error(`a resume was answered ${stream.status}`);
  }
  await client.end(job, stream);
  stream.close();
}

/**
 * @param {string} setup
 * @param {number} resumes
 * @returns {Promise<ResumeQuality | undefined>} undefined: the system has no resume
 */
export async function measureQualityResume(setup, resumes) {
  const talker = await startTalker({ intervalMs: INTERVAL_MS, text: (n) => `${n} ` });
  const env = { NODE_ENV: 'production', BENCH_UPSTREAM_PORT: String(talker.port) };
  const started = await setups[setup].start(env);
  const client = new QualityClient(setup, started);
  const totals = { resumes: 0, lost: 0, doubled: 0, failed: 0 };
  try {
    if (!client.canResume) return undefined;
    const each = Math.ceil(resumes / JOBS);
    const one = () =>
      resumeOne(client, each, totals).catch((error) => {
        console.error(`quality, resume: ${error.message}`);
        totals.failed += 1;
      });
    await Promise.all(Array.from({ length: JOBS }, one));
    return totals;
  } finally {
    started.stop?.();
    await started.server.stop();
    talker.close();
  }
}
