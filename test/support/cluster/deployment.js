/**
 * Several `sluice serve` processes on one Redis, with an upstream with planned answers. `stopDeployments` ends everything
 * that is started here.
 */
import { killAll, removeFiles, serve, sluice } from '../crash/cli.js';
import { plan, startScriptedUpstream } from './upstream.js';
import { readAcross } from './reader.js';
import { startRedis } from './redis.js';

const cleanups = [];

/** Ends all servers and processes of tests. To be called in afterEach. */
export async function stopDeployments() {
  killAll();
  while (cleanups.length > 0) await cleanups.pop()();
}

export { removeFiles };

/** The shortest lease, for short tests of failover. */
const LEASE_MS = 1000;

/**
 * @param {object} [options]
 * @param {number} [options.processes] default 2
 * @param {string[]} [options.flags] of every process
 * @param {number} [options.leaseMs]
 * @param {Parameters<typeof startRedis>[0]} [options.redis]
 * @param {(url: string) => string} [options.redisUrl] URL for the processes; default: the server's
 */
export async function deploy({
  processes = 2,
  flags = [],
  leaseMs = LEASE_MS,
  redis: redisOptions,
  redisUrl = (url) => url,
} = {}) {
  const redis = await startRedis(redisOptions);
  cleanups.push(() => redis.stop());
  const upstream = await startScriptedUpstream();
  cleanups.push(() => upstream.close());
  const own = [
    ...['--upstream', upstream.url, '--model', 'm', '--redis', redisUrl(redis.url)],
    ...['--lease-ms', String(leaseMs), '--cache', 'off', ...flags],
  ];
  const nodes = [];
  const deployment = {
    redis,
    upstream,
    nodes,
    leaseMs,
    flags: own,
    /** URLs of the running processes. */
    urls: () => nodes.filter(({ gone }) => !gone).map(({ url }) => url),
    /** Starts one more process. */
    async add(...more) {
      const node = await serve(...own, ...more);
      Object.assign(node, { gone: false });
      node.exited.then(() => (node.gone = true));
      /** Ends it as a crash does. */
      node.crash = async () => {
        node.gone = true;
        node.child.kill('SIGKILL');
        await node.exited;
      };
      nodes.push(node);
      return node;
    },
    /** Submits a plan to a process; resolves with the job's id, its stream and the plan. */
    async submit(node, fields, { headers, ...body } = {}) {
      const { prompt, plan: full } = plan(fields);
      const answer = await node.submit({ prompt, on_disconnect: 'continue', ...body }, headers);
      if (![200, 201].includes(answer.status)) {
        throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
      }
      return { id: answer.body.job_id, path: answer.body.stream_url, prompt, plan: full, answer };
    },
    /** A reader that changes the process after each cut. */
    read: (path, options) => readAcross(deployment.urls, path, options),
  };
  for (let i = 0; i < processes; i += 1) await deployment.add();
  await Promise.all(nodes.map((node) => node.ready()));
  return deployment;
}

/** `sluice serve` with these arguments, not awaited: it may fail to start. */
export const start = (...args) => sluice('serve', '--port', '0', ...args);
