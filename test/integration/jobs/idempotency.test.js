/** Idempotency keys over HTTP: one key, one job, one answer. */
import { start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const key = (value) => ({ 'idempotency-key': value });

test('50 posts at once with one key make one job, and all get its answer', async () => {
  const { provider, calls, call } = handProvider();
  const { submit, get } = await start({ provider });
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => submit({ prompt: 'once' }, key('k1'))),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
  for (const { status, headers, body } of answers) {
    expect(body).toEqual(answers[0].body);
    expect(headers.get('idempotency-replayed')).toBe(status === 200 ? 'true' : null);
    expect(headers.get('location')).toBe(`/v1/jobs/${body.job_id}`);
  }
  await call(0);
  expect(calls).toHaveLength(1);
  expect((await get('/v1/jobs')).body.data).toHaveLength(1);
});

test('the answer stays the first one when the job has moved on', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({ provider });
  const first = await submit({ prompt: 'a' }, key('k'));
  (await call(0)).end();
  await ended(first.body.job_id);
  const again = await submit({ prompt: 'a' }, key('k'));
  expect(again.status).toBe(200);
  expect(again.body).toEqual(first.body);
});

test('bodies are compared as canonical JSON', async () => {
  const { provider } = handProvider();
  const { call } = await start({ provider });
  const post = (raw) =>
    call('POST', '/v1/jobs', {
      raw,
      headers: { 'content-type': 'application/json', ...key('k') },
    });
  const first = await post('{"prompt":"\\u0061","temperature":1}');
  expect(first.status).toBe(201);
  const same = await post(' { "temperature" : 1.0, "prompt" : "a" } ');
  expect(same.status).toBe(200);
  expect(same.body).toEqual(first.body);
  const other = await post('{"prompt":"a","temperature":1.5}');
  expect(other.status).toBe(422);
  expect(other.body.error).toMatchObject({
    code: 'idempotency_key_reused',
    param: 'Idempotency-Key',
  });
});

test('a key belongs to its principal', async () => {
  const { provider } = handProvider();
  const { submit } = await start({ provider, authenticate: (req) => req.get('x-user') });
  const ann = await submit({ prompt: 'a' }, { ...key('k'), 'x-user': 'ann' });
  const bob = await submit({ prompt: 'b' }, { ...key('k'), 'x-user': 'bob' });
  expect([ann.status, bob.status]).toEqual([201, 201]);
  expect(ann.body.job_id).not.toBe(bob.body.job_id);
});

test('a refused submission does not use up its key', async () => {
  const { provider, call } = handProvider();
  const { submit, ended } = await start({
    provider,
    maxConcurrency: 1,
    processingCapacity: 1,
    incomingCapacity: 1,
    admissionWaitMs: 30,
  });
  const taken = [];
  let refused;
  while (refused === undefined) {
    const answer = await submit({ prompt: 'a' }, key(`k${taken.length}`));
    if (answer.status === 201) taken.push(answer);
    else refused = answer;
  }
  expect(refused.status).toBe(503);
  for (let i = 0; i < taken.length; i += 1) (await call(i)).end();
  for (const { body } of taken) await ended(body.job_id);
  // The place of a job may be free a little later than its end is known.
  const again = () => submit({ prompt: 'a' }, key(`k${taken.length}`));
  await until(async () => (await again()).status === 201, 'a place for the key');

  expect((await submit({ prompt: 7 }, key('fresh'))).status).toBe(400);
  expect((await submit({ prompt: 'right' }, key('fresh'))).status).toBe(201);
});

test.each([['a b'], ['ä'], ['x'.repeat(256)], ['']])('the key %.10j is refused', async (value) => {
  const { provider } = handProvider();
  const { submit } = await start({ provider });
  const { status, body } = await submit({ prompt: 'a' }, key(value));
  expect(status).toBe(400);
  expect(body.error).toMatchObject({ code: 'invalid_value', param: 'Idempotency-Key' });
});
