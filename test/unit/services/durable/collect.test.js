/** Deletions of data that an earlier process has not finished. */
import { ManualClock } from '../../../../lib/index.js';
import { KvNamespaces } from '../../../../lib/primitives/kv/namespaces.js';
import { StreamRepository } from '../../../../lib/services/durable/repository.js';
import { partitionLimits } from '../../../../lib/services/durable/service.js';
import { until } from '../../../support/until.js';

const MIB = 2 ** 20;

/** Streams that were deleted, each with the data of some appends. */
function leftovers(streams, appends) {
  const namespaces = new KvNamespaces(new ManualClock());
  const limits = partitionLimits({ maxBytes: 64 * MIB, maxBytesPerPrincipal: 64 * MIB });
  const repository = new StreamRepository(namespaces.partition('durable', limits));
  const space = repository.of('ann');
  for (let id = 1; id <= streams; id += 1) {
    space.transactNow((tx) => {
      tx.set(`g/${id}`, true);
      for (let i = 0; i < appends; i += 1) tx.set(`d/${id}/${i}`, Buffer.from('x'));
    });
  }
  const left = () => {
    let count = 0;
    for (const _item of space.items('')) count += 1;
    return count;
  };
  return { repository, space, left };
}

test('all are deleted, a thousand entries a turn, however many streams there were', async () => {
  const { repository, space, left } = leftovers(2100, 1);
  repository.collectRest(space);
  expect(left()).toBe(3200);
  await until(() => left() === 0, 'the end of the deletions');
});

test('a long one is deleted by a thousand appends', async () => {
  const { repository, space, left } = leftovers(1, 2500);
  repository.collectRest(space);
  expect(left()).toBe(1501);
  await until(() => left() === 0, 'the end of the deletion');
});

test('closing ends them', async () => {
  const { repository, space, left } = leftovers(1500, 1);
  repository.collectRest(space);
  repository.close();
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  expect(left()).toBe(2000);
});
