/** Conversations on a full disk: none can be created, continued or deleted, and all can be read. */
import { dataFileOnSmallDisk, fillDiskOf, testWithDisk } from '../../support/files/small-disk.js';
import { echo } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

testWithDisk('a full disk changes no conversation', async () => {
  const data = dataFileOnSmallDisk();
  const { post, get, call, submit } = await start({ provider: echo, data });
  const create = (content) => post('/v1/conversations', { messages: [{ role: 'user', content }] });
  const path = `/v1/conversations/${(await create('first')).body.conversation_id}`;
  const before = (await get(path)).body;
  const makeRoom = fillDiskOf(data);
  // A small write may still fit when a larger one does not.
  for (const content of ['x'.repeat(20_000), 'x']) {
    await until(async () => (await create(content)).status === 507, 'a refusal');
  }
  const refused = { status: 507, body: { error: { code: 'insufficient_storage' } } };
  expect(await call('DELETE', path)).toMatchObject(refused);
  expect(await post(`${path}/fork`, {})).toMatchObject(refused);
  const turn = { conversation_id: before.conversation_id, prompt: 'next' };
  expect(await submit(turn)).toMatchObject(refused);
  expect((await get(path)).body).toEqual(before);
  makeRoom();
  await until(async () => (await call('DELETE', path)).status === 204, 'room again');
  expect((await get(path)).status).toBe(404);
});
