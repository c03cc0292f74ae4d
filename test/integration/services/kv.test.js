/** `/v1/kv` over HTTP, with keys in memory. */
import { ManualClock, providers } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startKv } from '../../support/gateway/kv.js';
import { testKv } from '../../support/gateway/kv-tests.js';

afterEach(stopAll);

testKv(startKv);

test('ttl_s: gone when it is over, and If-None-Match succeeds then', async () => {
  const clock = new ManualClock();
  const { put, read } = await startKv({ clock });
  await put('a', 'x', { query: '?ttl_s=1.5' });
  const expiresAt = Number((await read('a')).headers.get('x-expires-at'));
  expect(Math.abs(expiresAt - Date.now() / 1000)).toBeLessThan(60);
  clock.advanceMs(1500);
  expect((await read('a')).status).toBe(200);
  clock.advanceMs(1);
  expect((await read('a')).status).toBe(404);
  expect((await put('a', 'y', { headers: { 'if-match': '"1"' } })).status).toBe(412);
  expect((await put('a', 'y', { headers: { 'if-none-match': '*' } })).status).toBe(201);
});

test('a counter of a window keeps its end', async () => {
  const clock = new ManualClock();
  const { call } = await startKv({ clock });
  const add = () => call('PATCH', '/v1/kv/w', { body: { increment: 1, ttl_s: 10 } });
  const end = (await add()).body.expires_at;
  clock.advanceMs(5000);
  expect((await add()).body).toMatchObject({ value: 2, expires_at: end });
});

test('an invalid limit is refused at the start', async () => {
  await expect(startKv({ kv: { maxKeys: 0 } })).rejects.toThrow(/^kv\.maxKeys takes/);
  await expect(startKv({ kv: { maxKey: 1 } })).rejects.toThrow(/^kv has no option maxKey/);
});

test('halves of surrogate pairs are separate principals', async () => {
  const { gateway } = await start({ provider: providers.demo() });
  const { id } = await gateway.conversations.create({}, { principal: '\ud800' });
  expect(await gateway.conversations.get(id, { principal: '\ud801' })).toBeUndefined();
});
