/** A disk that is full: new work is refused, and nothing that was acknowledged is lost. */
import { providers } from '../../../lib/index.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { JobStore } from '../../../lib/jobs/storage/job-store.js';
import { afterCrash } from '../../support/files/data-file.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { dataFileOnSmallDisk, fillDiskOf, testWithDisk } from '../../support/files/small-disk.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const key = (value) => ({ 'idempotency-key': value });

testWithDisk('a full disk refuses new work, continues streams, and loses nothing', async () => {
  const data = dataFileOnSmallDisk();
  const { provider, call } = handProvider();
  const first = await start({ provider, data });
  const running = (await first.submit({ prompt: 'a' }, key('before'))).body;
  const stream = await first.stream(running.stream_url);
  const feed = await call(0);
  feed.push('before ');
  await until(() => stream.text === 'before ');

  const makeRoom = fillDiskOf(data);
  feed.push('x'.repeat(300_000), ' during ');
  await until(() => stream.text.endsWith(' during '));
  const refused = await until(async () => {
    const answer = await first.submit({ prompt: 'b' }, key('refused'));
    return answer.status !== 201 && answer;
  }, 'a refusal');
  expect(refused.status).toBe(507);
  expect(refused.body.error).toMatchObject({ code: 'insufficient_storage', type: 'server_error' });
  expect(refused.headers.get('retry-after')).toBe('10');
  // Operations are new work, too. (A small write may still fit when the tokens do not.)
  const refusing = (path, body) => async () => (await first.post(path, body)).status === 507;
  await until(refusing('/v1/workflows', { nodes: [{ id: 'a', prompt: 'x' }] }), 'no workflow');
  await until(refusing('/v1/crawls', { start_url: 'http://127.0.0.1:9/' }), 'no crawl');
  const isFull = async () => (await first.metric('sluice_store_state{state="full"}')) === 1;
  await until(isFull, 'the state in the metrics');
  // Repeats of acknowledged requests are still answered.
  expect((await first.submit({ prompt: 'a' }, key('before'))).status).toBe(200);

  makeRoom();
  const taken = await until(async () => {
    const answer = await first.submit({ prompt: 'b' }, key('refused'));
    return answer.status === 201 && answer;
  }, 'room again');
  feed.push('after');
  feed.end();
  await stream.done;
  expect(stream.last().type).toBe('job_complete');
  const job = await first.ended(running.job_id);

  const second = await start({ provider, data: afterCrash(data) });
  expect(await second.job(running.job_id)).toEqual(job);
  expect(job.text).toMatch(/^before x{300000} during after$/);
  expect((await second.job(taken.body.job_id)).error.code).toBe('server_restarted');
});

testWithDisk('keys changed while the disk filled up have their acknowledged values', async () => {
  const data = dataFileOnSmallDisk();
  const first = await start({ provider: providers.demo(), data });
  const put = (name, raw) =>
    first.call('PUT', `/v1/kv/${name}`, { raw, headers: { 'content-type': 'text/plain' } });
  const keysOf = async ({ get }) => (await get('/v1/kv?limit=1000')).body.items;
  await put('old', 'value');
  const makeRoom = fillDiskOf(data);
  const acknowledged = new Map();
  // Several at once, so that some are queued when the write fails.
  const refused = [];
  for (let n = 0; refused.length === 0; n += 1) {
    const names = [0, 1, 2, 3].map((i) => `key-${n}-${i}`);
    const answers = await Promise.all(names.map((name) => put(name, 'x'.repeat(3000))));
    answers.forEach(({ status, body }, i) => {
      if (status === 201) acknowledged.set(names[i], body.version);
      else refused.push(names[i]);
      expect([201, 507]).toContain(status);
    });
  }
  const answer = await put('new', 'x');
  expect(answer).toMatchObject({ status: 507, body: { error: { code: 'insufficient_storage' } } });
  const txn = await first.post('/v1/kv/txn', { success: [{ op: 'put', key: 'new', value: 1 }] });
  expect(txn.status).toBe(507);
  expect((await first.call('DELETE', '/v1/kv/old')).status).toBe(507);
  // No answer depends on data that a crash could lose.
  for (const name of refused) expect((await first.get(`/v1/kv/${name}`)).status).toBe(507);
  expect((await first.get('/v1/kv')).status).toBe(507);
  // Data on the disk can be read.
  expect(await first.get('/v1/kv/old')).toMatchObject({ status: 200, body: 'value' });
  const onlyReads = { success: [{ op: 'get', key: 'old' }] };
  expect((await first.post('/v1/kv/txn', onlyReads)).status).toBe(507);

  makeRoom();
  await until(async () => (await put('new', 'x')).status === 201, 'room again');
  const items = await keysOf(first);
  const versions = new Map(items.map(({ key: name, version }) => [name, version]));
  for (const [name, version] of acknowledged) expect(versions.get(name)).toBe(version);
  const second = await start({ provider: providers.demo(), data: afterCrash(data) });
  expect(await keysOf(second)).toEqual(items);
});

testWithDisk('the events of a ledger wait for room, in order', async () => {
  const data = dataFileOnSmallDisk();
  const storeOf = (file) => {
    const options = { reactor: sharedReactor(), keyTtlMs: 1000, retentionMs: 1000 };
    const store = new JobStore(file, options);
    cleanUp(() => store.close());
    return store;
  };
  const store = storeOf(data);
  const ledger = store.file.ledger;
  ledger.open({ account: 'a' });
  await store.file.synced();
  const makeRoom = fillDiskOf(data);
  let n = 0;
  const deposit = () => {
    n += 1;
    return ledger.deposit({ key: `${n} ${'k'.repeat(200)}`, account: 'a', amount: 1n });
  };
  let refusal;
  while (refusal === undefined) {
    for (let i = 0; i < 50; i += 1) deposit();
    await store.file.synced().catch((error) => (refusal = error));
  }
  expect(refusal).toMatchObject({ status: 507, wireCode: 'insufficient_storage' });
  expect(() => store.file.checkRoom()).toThrow(expect.objectContaining({ status: 507 }));
  // Also for another client: the decision stands.
  const { event, balance } = deposit();
  await expect(store.file.synced()).rejects.toMatchObject({ status: 507 });
  const before = storeOf(afterCrash(data)).file.ledger.journal();
  expect(before).toEqual(ledger.journal().slice(0, before.length));
  expect(before.length).toBeLessThan(event.id);

  makeRoom();
  await until(
    () =>
      store.file
        .synced()
        .then(() => true)
        .catch(() => false),
    'room again',
  );
  store.file.checkRoom();
  const after = storeOf(afterCrash(data)).file.ledger;
  expect(after.journal()).toEqual(ledger.journal());
  expect(after.balance('a')).toEqual(balance);
});
