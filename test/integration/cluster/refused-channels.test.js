// A user of Redis who may not use channels: the control connection works, and the log says what is missing.
import { createGateway } from '../../../lib/index.js';
import { startRedis } from '../../support/cluster/redis.js';
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
