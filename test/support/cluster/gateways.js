/** Gateways of one process on one Redis: what tests of shared state need, without processes. */
import { start } from '../gateway/gateway.js';
import { until } from '../until.js';

/**
 * Two gateways with the same options, without shared answers, once both are ready.
 * @param {import('./redis.js').RedisServer} redis
 * @param {object} options of createGateway
 */
export async function startTwo(redis, options) {
  const open = () =>
    start({ redis: { url: redis.url, leaseMs: 1000 }, cache: { mode: 'off' }, ...options });
  const both = await Promise.all([open(), open()]);
  for (const { get } of both) {
    await until(async () => (await get('/readyz')).status === 200, 'the gateway to be ready');
  }
  return both;
}
