/** The state of faces in Redis, and the erasure of a principal's part of it. */
import { FaceStore } from '../../../lib/cluster/jobs/face-store.js';
import { useScripts } from '../../support/cluster/scripts.js';

const t = useScripts();
let store;
beforeAll(() => (store = new FaceStore(t.client)));

const REQUEST = { path: '/v1/chat/completions', digest: 'd' };
const orphan = (id, principal, createdAtMs, ttlMs = 60_000) =>
  store.addOrphan({ id, principal, createdAtMs }, REQUEST, ttlMs);
const chat = (principal, name) =>
  store.setChat({ principal, chat: name, id: `job of ${name}`, body: 'b', ttlMs: 60_000 });
const names = async () => (await t.admin.keys('*')).map((key) => key.split(':')[1]).sort();

test('the oldest orphan of a request comes first, to its own principal', async () => {
  await orphan('j2', 'ann', 2);
  await orphan('j1', 'ann', 1);
  await orphan('j0', 'bob', 0);
  expect(await store.takeOrphan('ann', REQUEST)).toBe('j1');
  expect(await store.takeOrphan('ann', REQUEST)).toBe('j2');
  expect(await store.takeOrphan('ann', REQUEST)).toBeUndefined();
  expect(await store.takeOrphan('bob', REQUEST)).toBe('j0');
});

test('an erasure removes everything of one principal, and nothing of others', async () => {
  await chat('bob', 'c');
  await orphan('j', 'bob', 1);
  const others = await names();
  for (let i = 0; i < 1100; i += 1) await chat('ann', `c${i}`);
  await orphan('j', 'ann', 1);
  await store.erase('ann');
  expect(await names()).toEqual(others);
  expect(others).toEqual(['chat', 'faces', 'orphan']);
  expect(await store.chat('ann', 'c1')).toBeUndefined();
  expect((await store.chat('bob', 'c')).id).toBe('job of c');
});

test('the index of a principal drops expired entries', async () => {
  await orphan('j', 'ann', 1, 1);
  const index = '{t}:faces:ann';
  await new Promise((resolve) => setTimeout(resolve, 5));
  await chat('ann', 'c');
  const left = await t.admin.zrange(index, 0, -1);
  expect(left.map((key) => key.split(':')[0])).toEqual(['chat']);
  expect(await t.admin.pttl(index)).toBeGreaterThan(1000);
});
