/** `/v1/kv` of several gateways on one Redis. */
import { afterAll, afterEach, beforeAll, beforeEach, describe } from '@jest/globals';
import { startKv, testKv } from '../../support/gateway/kv-tests.js';
import { startRedis } from '../../support/cluster/redis.js';
import { stopAll } from '../../support/gateway/gateway.js';

let server;
let deployments = 0;

beforeAll(async () => {
  server = await startRedis();
});
beforeEach(() => (deployments += 1));
afterEach(stopAll);
afterAll(() => server.stop());

/** A gateway of the deployment of a test. */
const open = (options) =>
  startKv({ ...options, redis: { url: server.url, prefix: `t${deployments}` } });

describe('in Redis', () => testKv(open));
