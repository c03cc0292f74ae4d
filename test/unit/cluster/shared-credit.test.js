import { SharedCredit } from '../../../lib/cluster/ledger/shared-credit.js';
import { redisUnavailable } from '../../../lib/jobs/errors.js';
import { until } from '../../support/until.js';

test('a repeated release has the current name of the process', async () => {
  const identity = { name: 'old' };
  const processes = [];
  const redis = {
    async run(_script, _keys, args) {
      processes.push(args.at(-1));
      if (processes.length < 3) throw redisUnavailable();
      return ['OK', '0', '0'];
    },
  };
  const credit = new SharedCredit({ redis, identity });
  await credit.release('e');
  identity.name = 'new';
  await until(() => processes.length === 3, 'the next try', 5000);
  expect(processes).toEqual(['old', 'old', 'new']);
  credit.close();
});
