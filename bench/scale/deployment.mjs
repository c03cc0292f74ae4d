/** A deployment to be measured: a Redis server and processes on it, and the load on them. Linux only. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { cpuNs, freePort, startServer } from '../lib/processes.mjs';

const SERVER = fileURLToPath(new URL('../servers/sluice-shared.mjs', import.meta.url));
const WARM_UP_MS = 1500;
const NS_PER_US = 1000;

/**
 * @typedef {object} Load
 * @property {number} processes
 * @property {number} workers clients at a time; each begins its next job when one has ended
 * @property {number} tokens of a job
 * @property {number} intervalMs between two tokens
 * @property {'own' | 'next' | 'any'} reads where a job is read: at its own process, at the next one, or at
 *   any; with `next` all jobs are those of the first process
 * @property {number} seconds
 */

/**
 * @typedef {object} Measured in the time of the measurement
 * @property {number} jobs
 * @property {number} tokens
 * @property {number} remoteTokens read at another process than their own
 * @property {number} seconds
 * @property {number[]} processUs CPU of each process, in microseconds
 * @property {number} redisUs CPU of Redis
 * @property {number} redisBytes memory that Redis has gained since it was empty
 * @property {number} allTokens since it was empty
 * @property {number} allJobs
 * @property {number} redisNetBytes written and read by Redis
 */

/**
 * @typedef {object} Deployment
 * @property {import('../lib/processes.mjs').ServerProcess[]} processes
 * @property {Redis} redis a client
 * @property {import('../lib/processes.mjs').ServerProcess} server that of Redis
 * @property {() => Promise<import('../lib/processes.mjs').ServerProcess>} add starts one more process
 * @property {() => Promise<void>} stop
 */

/**
 * Starts processes on a separate Redis server.
 * @param {number} count of processes
 * @param {{options?: object, isShared?: boolean}} [how] `options` of the processes: see servers/sluice-shared.mjs;
 *   `isShared` false: each process is alone, without Redis; default true
 * @returns {Promise<Deployment>}
 */
export async function startDeployment(count, { options = {}, isShared = true } = {}) {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = await startServer(['redis-server', ...args], { port, isHttp: false });
  const redis = new Redis(port, '127.0.0.1', { lazyConnect: false });
  redis.on('error', () => {});
  const env = {
    ...{ NODE_ENV: 'production', BENCH_OPTIONS: JSON.stringify(options) },
    ...(isShared && { BENCH_REDIS_URL: `redis://127.0.0.1:${port}` }),
  };
  /** @type {import('../lib/processes.mjs').ServerProcess[]} */
  const processes = [];
  const add = async () => {
    const one = await startServer([process.execPath, SERVER], { env });
    processes.push(one);
    return one;
  };
  const stop = async () => {
    redis.disconnect();
    for (const one of [...processes, server]) await one.stop();
  };
  try {
    for (let i = 0; i < count; i += 1) await add();
  } catch (error) {
    await stop();
    throw error;
  }
  return { processes, redis, server, add, stop };
}

/** @param {http.RequestOptions} options @param {string} [body] @returns {Promise<http.IncomingMessage>} */
async function request(options, body) {
  const req = http.request(options);
  req.end(body);
  const [response] = await once(req, 'response');
  return response;
}

/** @param {http.IncomingMessage} response */
async function textOf(response) {
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return text;
}

/**
 * One client, until `isOver`.
 * @param {{ports: number[], load: Load, index: number, agent: http.Agent, isOver: () => boolean,
 *   counts: {jobs: number, tokens: number, remoteTokens: number}}} options
 */
async function work({ ports, load, index, agent, counts, isOver }) {
  const prompt = JSON.stringify({ tokens: load.tokens, intervalMs: load.intervalMs });
  const body = JSON.stringify({ prompt });
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
  for (let turn = index; !isOver(); turn += 1) {
    const own = load.reads === 'next' ? 0 : turn % ports.length;
    const step = { own: 0, next: 1, any: Math.floor(turn / ports.length) }[load.reads];
    const at = (own + step) % ports.length;
    const posted = await request(
      { port: ports[own], method: 'POST', path: '/v1/jobs', agent, headers },
      body,
    );
    const { stream_url: path } = JSON.parse(await textOf(posted));
    const stream = await request({ port: ports[at], path, agent });
    for await (const part of stream.setEncoding('utf8')) {
      const tokens = part.split('event: token\n').length - 1;
      counts.tokens += tokens;
      if (at !== own) counts.remoteTokens += tokens;
    }
    counts.jobs += 1;
  }
}

/** @param {Redis} redis */
export async function infoOf(redis) {
  const text = await redis.info();
  const number = (/** @type {string} */ name) =>
    Number(new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1]);
  return {
    us: (number('used_cpu_sys') + number('used_cpu_user')) * 1e6,
    bytes: number('used_memory'),
    netBytes: number('total_net_input_bytes') + number('total_net_output_bytes'),
  };
}

/**
 * @param {Load} load
 * @param {{isShared?: boolean}} [how] see `startDeployment`
 * @returns {Promise<Measured>}
 */
export async function measureLoad(load, { isShared = true } = {}) {
  const { processes, redis, stop } = await startDeployment(load.processes, { isShared });
  const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
  try {
    const counts = { jobs: 0, tokens: 0, remoteTokens: 0 };
    const empty = await infoOf(redis);
    let over = false;
    const ports = processes.map((one) => one.port);
    const workers = Array.from({ length: load.workers }, (_, index) =>
      work({ ports, load, index, agent, counts, isOver: () => over }),
    );
    await sleep(WARM_UP_MS);
    const read = async () => ({
      ...counts,
      atMs: performance.now(),
      cpu: processes.map(({ pid }) => cpuNs(pid) / NS_PER_US),
      redis: await infoOf(redis),
    });
    const before = await read();
    await sleep(load.seconds * 1000);
    const after = await read();
    over = true;
    await Promise.all(workers);
    return {
      jobs: after.jobs - before.jobs,
      tokens: after.tokens - before.tokens,
      remoteTokens: after.remoteTokens - before.remoteTokens,
      seconds: (after.atMs - before.atMs) / 1000,
      processUs: after.cpu.map((us, i) => us - before.cpu[i]),
      redisUs: after.redis.us - before.redis.us,
      redisBytes: after.redis.bytes - empty.bytes,
      allTokens: after.tokens,
      allJobs: after.jobs,
      redisNetBytes: after.redis.netBytes - before.redis.netBytes,
    };
  } finally {
    agent.destroy();
    await stop();
  }
}

/**
 * The cost of a beat for Redis, by the number of members.
 * @param {number[]} members
 * @returns {Promise<number[]>} microseconds each
 */
export async function measureBeats(members) {
  const { scripts } = await import('../../lib/cluster/client/scripts.js');
  const { source, sha } = scripts().beat;
  const port = await freePort();
  const server = await startServer(['redis-server', '--port', String(port), '--save', ''], {
    ...{ port, isHttp: false },
  });
  const redis = new Redis(port, '127.0.0.1');
  const calls = 200;
  try {
    const costs = [];
    await redis.script('LOAD', source);
    for (const count of members) {
      await redis.del('{b}:procs');
      const fields = Array.from({ length: count }, (_, i) => [`p${i}aaaaaaaaaaaa`, '1']).flat();
      await redis.hset('{b}:procs', ...fields);
      await redis.config('RESETSTAT');
      for (let i = 0; i < calls; i += 1) {
        await redis.evalsha(sha, 1, '{b}:procs', '{b}:', 'p0aaaaaaaaaaaa', '1');
      }
      const [, us] =
        /cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(await redis.info('commandstats')) ?? [];
      costs.push(Number(us));
    }
    return costs;
  } finally {
    redis.disconnect();
    await server.stop();
  }
}

/** @returns {string} the processor of this machine */
export function processor() {
  return /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
}
