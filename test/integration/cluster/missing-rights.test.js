/** A user of Redis without all rights: the log names the missing right, and requests that need it get 503. */
import { createGateway } from '../../../lib/index.js';
import { echo } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';
import { which } from '../../../scripts/lib/run.mjs';

const testWithRedis = which('redis-server') ? test : test.skip;

testWithRedis('a user without channels is reported by an error that names them', async () => {
  const redis = await startRedis();
  await redis.call('ACL', 'SETUSER', 'gw', 'on', '>secret', '~*', 'resetchannels', '+@all');
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const reported = new Promise((resolve) => {
    logger.error = (fields, message) => resolve({ fields, message });
  });
  const provider = async function* generate() {};
  const url = redis.url.replace('redis://', 'redis://gw:secret@');
  const gateway = createGateway({ provider, logger, redis: url });
  try {
    const { fields, message } = await reported;
    expect(message).toMatch(/^Redis refuses what the logs of jobs need/);
    expect(fields.detail).toMatch(/^NOPERM .*channel/);
    expect(fields.redis).not.toContain('secret');
  } finally {
    await gateway.close({ drainMs: 0 });
    await redis.stop();
  }
});

testWithRedis.each([
  ['a command', '-xadd', '+xadd', 'xadd'],
  ['its channels', 'resetchannels', '&*', 'publish'],
])(
  'rights on %s that are taken away refuse new work as 503, and leave nothing of it',
  async (_case, taken, given, name) => {
    const redis = await startRedis();
    await redis.call('ACL', 'SETUSER', 'gw', 'on', '>secret', '~*', '&*', '+@all');
    const details = [];
    const logger = {
      debug() {},
      info() {},
      error() {},
      warn: ({ detail }) => details.push(detail),
    };
    const options = { logger, provider: echo, access: { limits: { concurrent_jobs: 1 } } };
    const url = redis.url.replace('redis://', 'redis://gw:secret@');
    const node = await start({ ...options, redis: { url, leaseMs: 1000 } });
    try {
      await node.ready();
      const submit = () => node.submit({ prompt: 'p' }, { 'idempotency-key': 'k' });
      await redis.call('ACL', 'SETUSER', 'gw', taken);
      for (let i = 0; i < 3; i += 1) {
        const { status, body } = await submit();
        expect([status, body.error.code]).toEqual([503, 'storage_unavailable']);
      }
      const detail = details.find((each) => each?.includes(`'${name.toUpperCase()}' in a script`));
      expect(detail).toMatch(/NOPERM/);
      await redis.call('ACL', 'SETUSER', 'gw', given);
      // A refused request keeps neither its place nor its key.
      await until(async () => (await submit()).status === 201, 'the job');
      expect((await submit()).status).toBe(200);
      expect((await node.get('/v1/jobs')).body.data).toHaveLength(1);
    } finally {
      await stopAll();
      await redis.stop();
    }
  },
);
