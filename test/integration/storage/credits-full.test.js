/** Credits on a full disk: nothing new is held or moved, and running jobs are settled. */
import { afterCrash } from '../../support/files/data-file.js';
import { dataFileOnSmallDisk, fillDiskOf, testWithDisk } from '../../support/files/small-disk.js';
import { handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const access = { prices: { '*': { prompt: 3, completion: 10 } } };
/** Of two tokens, by the estimate of a quarter of its bytes. */
const prompt = 'one two ';

testWithDisk('a full disk holds no credit for refused jobs, and loses none', async () => {
  const data = dataFileOnSmallDisk();
  const { provider, call } = handProvider();
  const first = await start({ provider, data, access });
  const move = (amount, key) => first.post('/v1/transfers', { to: 'anonymous', amount, key });
  const balance = async ({ get }) => {
    const { available, held } = (await get('/v1/accounts/anonymous')).body;
    return [available, held];
  };
  await move(1000, 'before');
  const running = (await first.submit({ prompt, max_tokens: 20 })).body.job_id;
  const feed = await call(0);

  const makeRoom = fillDiskOf(data);
  feed.push('x'.repeat(300_000));
  // A small write may still fit when the tokens do not.
  let taken = 0;
  await until(async () => {
    const { status } = await first.submit({ prompt, max_tokens: 1 });
    if (status === 201) taken += 1;
    return status === 507;
  }, 'a refusal');
  expect(await balance(first)).toEqual([1000 - 206 - 16 * taken, 206 + 16 * taken]);
  let moved = 0;
  await until(async () => {
    const { status } = await move(1, `during-${moved}`);
    if (status === 201) moved += 1;
    return status === 507;
  }, 'no transfer');
  feed.end();
  makeRoom();
  await first.ended(running);
  // The refused transfer may have been in the queue: repeated, it happens once.
  await until(async () => (await move(1, `during-${moved}`)).status < 300, 'room again');
  moved += 1;
  expect(await balance(first)).toEqual([1000 - 16 - 16 * taken + moved, 16 * taken]);
  const second = await start({ provider, data: afterCrash(data), access });
  // Accepted jobs that did not run were cut off before their first token.
  const [available, held] = await balance(second);
  expect(held).toBe(0);
  const { data: jobs } = (await second.get('/v1/jobs?limit=100')).body;
  const due = jobs
    .filter(({ job_id: id, usage }) => id !== running && usage.completion_tokens > 0)
    .reduce((sum, { usage }) => sum + 6 + 10 * usage.completion_tokens, 16);
  expect(available).toBe(1000 - due + moved);
  expect((await second.job(running)).status).toBe('completed');
});
