/** Clients of a deployment that note when each event arrives. Times are nanoseconds of the monotonic clock. */
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const NS_PER_MS = 1e6;
/** Wait of a reader before it goes to the next process. */
const MOVE_MS = 20;
const TERMINAL = /^job_(complete|error|cancelled)$/;

/** @returns {number} */
export const nowNs = () => Number(process.hrtime.bigint());

/** @typedef {{id: string, type: string, data: any, atNs: number}} ReadEvent */
/** @typedef {{port: number}} Target a process */
/** @typedef {{job_id: string, stream_url: string}} PostedJob */

/**
 * @param {Target} target
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<{status: number, body: any, ms: number}>} `ms`: until the whole answer was there
 */
export async function call({ port }, method, path, body) {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  const startNs = nowNs();
  const request = http.request({ port, method, path, headers, agent: false });
  request.end(text);
  const [response] = await once(request, 'response');
  let answer = '';
  for await (const part of response.setEncoding('utf8')) answer += part;
  const ms = (nowNs() - startNs) / NS_PER_MS;
  return { status: response.statusCode, body: answer === '' ? null : JSON.parse(answer), ms };
}

/**
 * @param {Target} target
 * @param {object} prompt as servers/sluice-shared.mjs takes it
 * @returns {Promise<PostedJob>}
 */
export async function post(target, prompt) {
  const body = { prompt: JSON.stringify(prompt), on_disconnect: 'continue' };
  const { status, body: job } = await call(target, 'POST', '/v1/jobs', body);
  if (status !== 201) throw new Error(`POST /v1/jobs answered ${status}`);
  return job;
}

/**
 * @param {() => boolean | Promise<boolean>} check
 * @param {string} label
 * @param {number} [limitMs]
 */
export async function until(check, label, limitMs = 60_000) {
  const untilMs = performance.now() + limitMs;
  while (!(await check())) {
    if (performance.now() > untilMs) throw new Error(`waited too long for ${label}`);
    await sleep(5);
  }
}

/** Waits until a process is a member. @param {Target} target */
export const whenReady = (target) =>
  until(async () => (await call(target, 'GET', '/healthz')).status === 200, 'a process').then(() =>
    until(async () => (await statusOf(target, '/readyz')) === 200, 'readiness'),
  );

/** @param {Target} target @param {string} path */
async function statusOf({ port }, path) {
  const request = http.get({ port, path, agent: false });
  const [response] = await once(request, 'response');
  response.resume();
  return response.statusCode;
}

/**
 * A reader of one job that goes to the next process with its cursor after each cut. `done` resolves with it at the end of
 * the job.
 */
export class Reader {
  /** @type {ReadEvent[]} */
  events = [];
  startNs = nowNs();
  #targets;
  #path;
  #perConnection;
  #turn;
  #left = false;
  /** @type {http.ClientRequest | undefined} */
  #request;

  /**
   * @param {() => Target[]} targets processes to read from, called before each connection
   * @param {string} path
   * @param {{perConnection?: number, first?: number}} [options] `perConnection`: events after which it moves by itself;
   *   `first`: index of the first process
   */
  constructor(targets, path, { perConnection = Infinity, first = 0 } = {}) {
    this.#targets = targets;
    this.#path = path;
    this.#perConnection = perConnection;
    this.#turn = first;
    this.done = this.#run();
  }

  get isOver() {
    return TERMINAL.test(this.events.at(-1)?.type ?? '');
  }

  get text() {
    return this.events
      .filter(({ type }) => type === 'token')
      .map(({ data }) => data.token)
      .join('');
  }

  async #run() {
    while (!this.isOver && !this.#left) {
      await this.#connect();
      if (!this.isOver && !this.#left) await sleep(MOVE_MS);
    }
    return this;
  }

  async #connect() {
    const targets = this.#targets();
    const { port } = targets[this.#turn % targets.length];
    this.#turn += 1;
    const last = this.events.at(-1)?.id ?? '';
    const headers = last === '' ? {} : { 'last-event-id': last };
    const untilCount = this.events.length + this.#perConnection;
    try {
      this.#request = http.get({ port, path: this.#path, headers, agent: false });
      const [response] = await once(this.#request, 'response');
      let rest = '';
      for await (const part of response.setEncoding('utf8')) {
        rest = this.#take(rest + part, untilCount);
        if (this.events.length >= untilCount) break;
      }
    } catch {
      // Cut, or refused: the next process has it.
    }
    this.#request?.destroy();
  }

  /**
   * @param {string} text
   * @param {number} untilCount
   * @returns {string} what is no whole event yet
   */
  #take(text, untilCount) {
    const atNs = nowNs();
    const frames = text.split('\n\n');
    const rest = frames.pop() ?? '';
    for (const frame of frames) {
      if (this.events.length >= untilCount) break;
      const fields = Object.fromEntries(
        frame.split('\n').map((line) => {
          const colon = line.indexOf(': ');
          return [line.slice(0, colon), line.slice(colon + 2)];
        }),
      );
      if (fields.event === undefined) continue;
      const { id = this.events.at(-1)?.id ?? '', event: type } = fields;
      this.events.push({ id, type, data: JSON.parse(fields.data), atNs });
    }
    return rest;
  }

  leave() {
    this.#left = true;
    this.#request?.destroy();
  }
}

/**
 * @param {number[]} values
 * @param {number} share from 0 to 1
 * @returns {number} NaN for none
 */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** @param {number} ns @returns {number} */
export const msOf = (ns) => ns / NS_PER_MS;
