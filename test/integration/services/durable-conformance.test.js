/** The conformance suite of the Durable Streams protocol, against a gateway with a data file. */
import { dirname, join } from 'node:path';
import { providers } from '../../../lib/index.js';
import { dataFile } from '../../support/files/data-file.js';
import { expectConformance } from '../../support/durable/suite.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

test('a gateway with a data file passes the conformance suite', async () => {
  const data = dataFile();
  const { url } = await start({
    ...{ provider: providers.demo(), data, corsOrigins: ['*'] },
    // Two of its tests wait for a long poll to end.
    durable: { longPollMs: 500 },
  });
  await expectConformance(url, join(dirname(data), 'report.json'));
}, 600_000);
