/** Answers by key, with the time moved by hand. */
import {
  IdempotencyCache,
  checkIdempotencyKey,
} from '../../../../lib/jobs/admission/idempotency.js';

const DAY_MS = 24 * 3600 * 1000;

function setUp({ maxKeys = 100, ...options } = {}) {
  const time = { nowMs: 0 };
  const nowMs = () => time.nowMs;
  const cache = new IdempotencyCache({ ttlMs: DAY_MS, maxKeys, nowMs, ...options });
  let made = 0;
  const ask = (key, body = {}, run = async () => (made += 1)) =>
    cache.answer('ann', key, body, run);
  return { cache, time, ask };
}

test('an answer is repeated for a day and then dropped', async () => {
  const { time, ask } = setUp();
  expect(await ask('k')).toEqual({ answer: 1, replayed: false });
  time.nowMs = DAY_MS - 1;
  expect(await ask('k')).toEqual({ answer: 1, replayed: true });
  time.nowMs = DAY_MS;
  expect(await ask('k')).toEqual({ answer: 2, replayed: false });
});

test.each([
  ['a short body, in memory', 'a', {}],
  ['a long body', 'a'.repeat(100), {}],
  ['a short body, with a data file', 'a', { file: { takeKeys: () => [], dropKey: () => {} } }],
])('%s: the order of members does not matter, values do', async (_name, prompt, options) => {
  const { ask } = setUp(options);
  await ask('k', { prompt, n: 1 });
  expect((await ask('k', { n: 1, prompt })).replayed).toBe(true);
  await expect(ask('k', { n: 2, prompt })).rejects.toMatchObject({ status: 422 });
});

test('a day counts from the answer, however long the request took', async () => {
  const { time, ask } = setUp();
  let finish;
  const first = ask('slow', {}, () => new Promise((resolve) => (finish = resolve)));
  time.nowMs = DAY_MS * 2;
  const second = ask('slow');
  finish('late');
  expect(await first).toEqual({ answer: 'late', replayed: false });
  expect(await second).toEqual({ answer: 'late', replayed: true });
  time.nowMs = DAY_MS * 3 - 1;
  expect((await ask('slow')).replayed).toBe(true);
});

test('an expired key is removed although a living one precedes it', async () => {
  const { time, ask } = setUp();
  let finish;
  const running = ask('first', {}, () => new Promise((resolve) => (finish = resolve)));
  await ask('second');
  time.nowMs = DAY_MS;
  expect((await ask('second')).replayed).toBe(false);
  finish();
  await running;
});

test('expired keys are removed from memory without a request', async () => {
  const { cache, time, ask } = setUp();
  for (let i = 0; i < 50; i += 1) await ask(`k${i}`);
  time.nowMs = DAY_MS;
  await ask('one more');
  expect(cache.size).toBe(1);
});

test('beyond the bound new keys are refused, and none is dropped before its time', async () => {
  const { cache, time, ask } = setUp({ maxKeys: 2 });
  await ask('a');
  time.nowMs = 1000;
  await ask('b');
  const ran = [];
  await expect(ask('c', {}, async () => ran.push('c'))).rejects.toMatchObject({
    status: 507,
    wireCode: 'idempotency_keys_full',
  });
  expect(ran).toEqual([]);
  expect(cache.size).toBe(2);
  expect((await ask('a')).replayed).toBe(true);
  time.nowMs = DAY_MS;
  expect((await ask('c')).replayed).toBe(false);
});

test('where callers are distinguished, one of them has half of the keys', async () => {
  const { cache } = setUp({ maxKeys: 4, hasPrincipals: () => true });
  const ask = (principal, key) => cache.answer(principal, key, {}, async () => key);
  await ask('ann', 'a');
  await ask('ann', 'b');
  await expect(ask('ann', 'c')).rejects.toMatchObject({ status: 507 });
  expect((await ask('ann', 'a')).replayed).toBe(true);
  await ask('bob', 'a');
  // A failure returns its place.
  const failing = cache.answer('bob', 'b', {}, async () => Promise.reject(new Error('no')));
  await expect(failing).rejects.toThrow('no');
  await ask('bob', 'c');
  await expect(ask('bob', 'd')).rejects.toMatchObject({ status: 507 });
});

test('a failure is shared by the waiting requests and then dropped', async () => {
  const { cache, ask } = setUp();
  const fails = async () => {
    throw new Error('full');
  };
  const outcomes = await Promise.allSettled([ask('k', {}, fails), ask('k')]);
  expect(outcomes.map(({ reason }) => reason?.message)).toEqual(['full', 'full']);
  expect(cache.size).toBe(0);
  expect(await ask('k')).toEqual({ answer: 1, replayed: false });
});

test('another body is refused while the first runs and afterwards', async () => {
  const { ask } = setUp();
  const first = ask('k', { prompt: 'a', n: 1 });
  await expect(ask('k', { prompt: 'b', n: 1 })).rejects.toMatchObject({ status: 422 });
  await first;
  await expect(ask('k', { prompt: 'a' })).rejects.toMatchObject({ status: 422 });
  expect((await ask('k', { n: 1, prompt: 'a' })).replayed).toBe(true);
});

test('no key and principal run together', async () => {
  const { cache } = setUp();
  await cache.answer('b', 'a', {}, async () => 1);
  expect(await cache.answer('', 'ab', {}, async () => 2)).toEqual({ answer: 2, replayed: false });
});

test('keys are visible ASCII, up to 255 of it', () => {
  expect(checkIdempotencyKey('x'.repeat(255))).toHaveLength(255);
  for (const bad of ['', 'x'.repeat(256), 'a b', 'a\n', 'é', 7, undefined]) {
    expect(() => checkIdempotencyKey(bad)).toThrow(expect.objectContaining({ status: 400 }));
  }
});
