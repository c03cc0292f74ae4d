/** Several gateways of this process on one Redis, for tests of shared state. */
import { createGateway } from '../../../lib/index.js';
import { handProvider } from '../providers/providers.js';
import { readAcross } from './reader.js';
import { start, stopAll } from '../gateway/gateway.js';
import { startRedis, useRedis } from './redis.js';
import { until } from '../until.js';

const servers = [];
/** Stops gateways and servers of Redis: after each test. */
export async function stopServers() {
  await stopAll();
  while (servers.length > 0) await servers.pop().stop();
}

/** Stops a further server after the test. */
export const stopLater = (server) => servers.push(server);

/** A server of Redis for one test. */
export async function redisServer(options) {
  const server = await startRedis(options);
  servers.push(server);
  return server;
}

/**
 * The server of a test file, with a separate deployment for the gateways of each test.
 * @returns {{server: import('./redis.js').RedisServer, own: {url: string, prefix: string}}} `own`: the option
 *   `redis` of a gateway of the test, without more options
 */
export function useDeployments() {
  const server = useRedis();
  const own = { url: '', prefix: '' };
  let deployments = 0;
  beforeEach(() => {
    deployments += 1;
    Object.assign(own, { url: server.url, prefix: `t${deployments}` });
  });
  afterEach(stopAll);
  return { server, own };
}

/** The server of a test file, empty before each test; the gateways of a test end with it. */
export function useEmptyRedis() {
  const server = useRedis();
  afterEach(async () => {
    server.thaw();
    await stopAll();
    await server.call('FLUSHALL');
  });
  return server;
}

/**
 * Two gateways with the same options, without shared answers, once both are ready.
 * @param {import('./redis.js').RedisServer} redis
 * @param {object} options of createGateway
 */
export async function startTwo(redis, options) {
  const open = () =>
    start({ redis: { url: redis.url, leaseMs: 1000 }, cache: { mode: 'off' }, ...options });
  const both = await Promise.all([open(), open()]);
  for (const node of both) await node.ready();
  return both;
}

/** Two gateways of one deployment, with one provider that the test plays. */
export async function twoGateways(redis) {
  const hand = handProvider();
  const options = { provider: hand.provider, redis: { leaseMs: 1000, ...redis } };
  const [a, b] = [await start(options), await start(options)];
  for (const node of [a, b]) await node.ready();
  return { a, b, hand };
}

/** Submits a job, repeatedly while Redis is away. */
export const submitted = ({ submit }) =>
  until(async () => {
    const { status, body } = await submit({ prompt: 'p', on_disconnect: 'continue' });
    expect([201, 503]).toContain(status);
    return status === 201 && body;
  }, 'a job');

/** Runs a job of `a` with a reader at `b`, and calls `befall` between two tokens. */
export async function readElsewhere({ a, b, hand }, befall = async () => {}) {
  const body = await submitted(a);
  const call = await hand.call(hand.calls.length - 1);
  const reader = readAcross(() => [b.url], body.stream_url);
  call.push('one ');
  const textSoFar = () => a.job(body.job_id).then(({ text }) => text);
  await until(async () => (await b.job(body.job_id)).text === 'one ', 'a token elsewhere');
  await befall();
  call.push('two');
  await until(async () => (await textSoFar()) === 'one two', 'a token here');
  call.end();
  const { events, text } = await reader.done;
  expect(events.at(-1).type).toBe('job_complete');
  expect(text).toBe('one two');
}

/** Whether a replica follows its master. */
export const isLinked = async (replica) =>
  (await replica.info('replication')).master_link_status === 'up';

/** The error of `listen()` of a gateway. */
export async function refusal(redis) {
  const gateway = createGateway({ provider: handProvider().provider, logger: false, redis });
  try {
    return await gateway.listen().then(
      () => undefined,
      (error) => error,
    );
  } finally {
    await gateway.close({ drainMs: 0 });
  }
}
