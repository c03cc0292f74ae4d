/**
 * The cost of a resume for the server: by the number of missed tokens, and by the length of the log.
 * A job of L tokens has ended; a client that has received all but the last k resumes.
 */
import http from 'node:http';
import { once } from 'node:events';
import { median } from '../lib/median.mjs';
import { cpuNs } from '../lib/processes.mjs';
import { setups } from '../lib/setups.mjs';

/** Cases are interleaved, so that other load of the machine affects all of them equally. */
const ROUNDS = 9;

const TOKEN_MARK = Buffer.from('event: token\n');

/** How many times `needle` is in `bytes`. @param {Buffer} bytes @param {Buffer} needle */
function occurrences(bytes, needle) {
  let count = 0;
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) count += 1;
  return count;
}

/**
 * Reads a stream to its end.
 * @param {string} url
 * @param {http.Agent} agent
 * @param {string} [cursor]
 * @returns {Promise<number>} how many tokens came
 */
async function readStream(url, agent, cursor) {
  const request = http.get(url, { agent, headers: cursor ? { 'last-event-id': cursor } : {} });
  const [response] = await once(request, 'response');
  const parts = [];
  for await (const part of response) parts.push(part);
  return occurrences(Buffer.concat(parts), TOKEN_MARK);
}

/**
 * @typedef {object} ResumeSample
 * @property {number} logTokens
 * @property {number} missed
 * @property {number} cpuUs of one resume: the median of several rounds
 */

/**
 * @param {{logLengths: number[], missed: number[], tokensPerCase: number}} plan every k at the
 *   longest log, and the smallest k at every length
 * @returns {Promise<ResumeSample[]>}
 */
export async function measureResume({ logLengths, missed, tokensPerCase }) {
  const { server } = await setups['sluice-burst'].start({ NODE_ENV: 'production' });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  /** @type {Map<number, string>} */
  const urls = new Map();
  try {
    for (const length of logLengths) {
      const answer = await fetch(`${server.url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt: String(length) }),
      });
      const job = /** @type {{stream_url: string}} */ (await answer.json());
      const url = server.url + job.stream_url;
      const got = await readStream(url, agent);
      if (got !== length) throw new Error(`a log of ${length} tokens gave ${got}`);
      urls.set(length, url);
    }
    const longest = Math.max(...logLengths);
    const cases = [
      ...missed.map((k) => ({ logTokens: longest, missed: k })),
      ...logLengths
        .filter((length) => length !== longest)
        .map((length) => ({ logTokens: length, missed: Math.min(...missed) })),
    ];
    // The first requests pay for compilation; they are excluded in every case.
    await resumes(urls, agent, { logTokens: longest, missed: Math.min(...missed) }, 300);
    const rounds = cases.map(() => /** @type {number[]} */ ([]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [i, each] of cases.entries()) {
        const wanted = Math.round(tokensPerCase / ROUNDS / each.missed);
        const times = Math.max(10, Math.min(100, wanted));
        const before = cpuNs(server.pid);
        await resumes(urls, agent, each, times);
        rounds[i].push((cpuNs(server.pid) - before) / 1e3 / times);
      }
    }
    return cases.map((each, i) => ({ ...each, cpuUs: median(rounds[i]) }));
  } finally {
    agent.destroy();
    await server.stop();
  }
}

/**
 * @param {Map<number, string>} urls
 * @param {http.Agent} agent
 * @param {{logTokens: number, missed: number}} which
 * @param {number} times
 */
async function resumes(urls, agent, { logTokens, missed }, times) {
  const url = /** @type {string} */ (urls.get(logTokens));
  for (let done = 0; done < times; done += 1) {
    const got = await readStream(url, agent, `1-${logTokens - missed}`);
    if (got !== missed) throw new Error(`a client that missed ${missed} tokens was given ${got}`);
  }
}
