/** The conformance suite of the Durable Streams protocol, against a gateway on Redis. */
import { dirname, join } from 'node:path';
import { providers } from '../../../lib/index.js';
import { dataFile } from '../../support/files/data-file.js';
import { expectConformance } from '../../support/durable/suite.js';
import { redisServer, stopServers } from '../../support/cluster/gateways.js';
import { start } from '../../support/gateway/gateway.js';

afterEach(stopServers);

test('a gateway on Redis passes the conformance suite', async () => {
  const { url: redis } = await redisServer();
  const node = await start({
    ...{ provider: providers.demo(), redis, corsOrigins: ['*'] },
    // Two of its tests wait for a long poll to end.
    durable: { longPollMs: 500 },
  });
  await node.ready();
  await expectConformance(node.url, join(dirname(dataFile()), 'report.json'));
}, 600_000);
