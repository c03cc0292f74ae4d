/** Usage in a data file: each job in it once, and sums that stay in their range. */
import { SqliteStore } from '../../../../lib/jobs/storage/sqlite.js';
import { dataFile } from '../../../support/files/data-file.js';
import { namedUsage, usageChanges } from '../../../../lib/jobs/storage/rows.js';
import { sharedReactor } from '../../../../lib/internal/native/reactor.js';
import { stopAll } from '../../../support/gateway/gateway.js';

afterEach(stopAll);

const row = {
  hour: 3,
  principal: 'ann',
  model: 'm',
  requests: 1,
  prompt_tokens: 2,
  completion_tokens: 3,
  cached_requests: 1,
  cached_prompt_tokens: 4,
  cached_completion_tokens: 5,
  cost: 6n,
};

/** A store in which the jobs with these ids have ended. */
async function storeOf(...ids) {
  const path = dataFile();
  const store = new SqliteStore(path);
  store.start(sharedReactor());
  for (const [i, id] of ids.entries()) {
    await store.commit(['add_job', [i + 1, id, 'ann', 'm', 0, null, null, 2, null]]);
  }
  const count = (added, id) => store.commit(usageChanges({ ...row, ...added }, id));
  async function end() {
    await store.close();
    const reader = new SqliteStore(path, { readOnly: true });
    const rows = reader.select('usage').map(namedUsage);
    reader.release();
    return rows;
  }
  return { store, count, end };
}

test('a stored job is counted once, a purged or unknown one each time', async () => {
  const { count, end } = await storeOf('a', 'b');
  for (let i = 0; i < 3; i += 1) await count({}, 'a');
  await count({}, 'b');
  await count({ model: 'n' }, 'a');
  await count({ hour: 2 }, 'part');
  expect(await end()).toEqual([
    { ...row, hour: 2 },
    {
      ...row,
      requests: 2,
      prompt_tokens: 4,
      completion_tokens: 6,
      cached_requests: 2,
      cached_prompt_tokens: 8,
      cached_completion_tokens: 10,
      cost: 12n,
    },
  ]);
});

test('a sum that would leave its range stays at its end', async () => {
  const { count, end } = await storeOf();
  const most = { cost: 2n ** 63n - 1n, prompt_tokens: Number.MAX_SAFE_INTEGER };
  await count(most, 'a');
  await count(most, 'b');
  expect(await end()).toMatchObject([{ requests: 2, ...most }]);
});

test('an hour and all before it can be forgotten', async () => {
  const { store, count, end } = await storeOf();
  for (const hour of [1, 2, 3]) await count({ hour }, `job ${hour}`);
  await store.commit(['drop_usage', [2]]);
  expect((await end()).map(({ hour }) => hour)).toEqual([3]);
});
