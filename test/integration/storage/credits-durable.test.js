/** Credits and usage with a data file: as acknowledged, after a restart or a crash. */
import { ManualClock, createGateway } from '../../../lib/index.js';
import { SqliteStore } from '../../../lib/jobs/storage/sqlite.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { file, killAll, removeFiles, serve } from '../../support/crash/cli.js';
import { partsOf } from '../../support/gateway/parts.js';
import { sharedReactors } from '../../../lib/internal/native/reactor.js';
import { until } from '../../support/until.js';

afterEach(async () => {
  killAll();
  await stopAll();
});
afterAll(removeFiles);

const prices = { '*': { prompt: 3, completion: 10, cached_prompt: 1, cached_completion: 2 } };
const access = { prices };
/** Of two tokens, by the estimate of a quarter of its bytes. */
const prompt = 'one two ';

/** The state of a gateway that must be the same after a restart. */
async function stateOf({ get }) {
  const account = (await get('/v1/accounts/anonymous')).body;
  const events = (await get('/v1/accounts/anonymous/events?limit=1000')).body;
  const usage = (await get('/v1/usage?group_by=model')).body;
  return { account, events, usage };
}

/** Tokens of a job that are on the disk. */
function writtenTokens(data) {
  const store = new SqliteStore(data, { readOnly: true });
  try {
    const rows = store.select('jobs').flatMap((row) => store.select('tokens', [row[0], row[8]]));
    return rows.reduce((sum, [, count]) => sum + count, 0);
  } finally {
    store.release();
  }
}

const deposit = { to: 'anonymous', amount: 1000, key: 'k' };

test('the state is the same after any number of restarts', async () => {
  const data = dataFile();
  const first = await start({ provider: echo, access, data });
  const given = await first.post('/v1/transfers', deposit);
  for (let i = 0; i < 3; i += 1) {
    const { body } = await first.submit({ prompt, max_tokens: 5, temperature: 0 });
    await first.ended(body.job_id);
  }
  const refused = { from: 'anonymous', amount: 5000, key: 'too-much' };
  expect((await first.post('/v1/transfers', refused)).status).toBe(402);
  const before = await stateOf(first);
  expect(before.account).toMatchObject({ available: 1000 - 26 - 2 * 6, held: 0 });
  expect(before.usage.total).toMatchObject({ requests: 3, cached_requests: 2, cost: 38 });
  await first.gateway.close();
  for (let i = 0; i < 2; i += 1) {
    const next = await start({ provider: echo, access, data });
    expect(await stateOf(next)).toEqual(before);
    const again = await next.post('/v1/transfers', deposit);
    expect([again.status, again.body]).toEqual([200, given.body]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await next.post('/v1/transfers', refused)).status).toBe(402);
    expect((await next.post('/v1/transfers', { ...deposit, amount: 1 })).status).toBe(422);
    await next.gateway.close();
  }
});

test('a transfer is on the disk when it is answered', async () => {
  const data = dataFile();
  const first = await start({ provider: echo, access, data });
  const { body } = await first.post('/v1/transfers', deposit);
  const reversed = await first.post(`/v1/transfers/${body.transfer_id}/reverse`, { key: 'r' });
  const second = await start({ provider: echo, access, data: afterCrash(data) });
  const again = await second.post(`/v1/transfers/${body.transfer_id}/reverse`, { key: 'r' });
  expect([again.status, again.body]).toEqual([200, reversed.body]);
});

test('a job that was running pays for the text so far, a waiting one nothing', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, access, data, maxConcurrency: 1 });
  await first.post('/v1/transfers', deposit);
  await first.submit({ prompt, max_tokens: 20 });
  await first.submit({ prompt, max_tokens: 20 });
  (await call(0)).push('a ', 'b ');
  await until(() => writtenTokens(data) === 2, 'the tokens to be written');
  expect((await stateOf(first)).account).toMatchObject({ available: 1000 - 412, held: 412 });

  const copy = afterCrash(data);
  const second = await start({ provider, data: copy });
  const after = await stateOf(second);
  expect(after.account).toMatchObject({ available: 1000 - 26, held: 0 });
  expect(after.usage.total).toMatchObject({ requests: 2, prompt_tokens: 2, completion_tokens: 2 });
  expect(after.usage.total.cost).toBe(26);
  await second.gateway.close();
  const third = await start({ provider, access, data: copy });
  expect(await stateOf(third)).toEqual(after);
});

test('of a shared answer each pays for the text so far', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, access, data });
  await first.post('/v1/transfers', deposit);
  const body = { prompt, max_tokens: 20, temperature: 0 };
  const miss = await first.submit(body);
  const join = await first.submit(body);
  expect([miss, join].map(({ headers }) => headers.get('x-cache'))).toEqual(['MISS', 'JOIN']);
  (await call(0)).push('a ', 'b ', 'c ');
  await until(() => writtenTokens(data) === 6, 'the tokens to be written');
  const second = await start({ provider, access, data: afterCrash(data) });
  const { account, usage } = await stateOf(second);
  expect(account).toMatchObject({ available: 1000 - 36 - 8, held: 0 });
  expect(usage.total).toMatchObject({ requests: 2, cached_requests: 1, cost: 44 });
});

test('a hold of a child job is released at start', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, access, data });
  await first.post('/v1/transfers', deposit);
  const nodes = [{ id: 'a', prompt, max_tokens: 20 }];
  // The data file has neither workflows nor their jobs.
  await first.post('/v1/workflows', { nodes });
  await call(0);
  expect((await stateOf(first)).account.held).toBe(206);
  const second = await start({ provider, access, data: afterCrash(data) });
  const { account, events } = await stateOf(second);
  expect(account).toMatchObject({ available: 1000, held: 0 });
  expect(events.data.at(-1)).toMatchObject({ type: 'void', job_id: events.data.at(-2).job_id });
});

test('a hold without a stored job is released at the start, a later hold is not', async () => {
  const data = dataFile();
  const first = await start({ provider: echo, access, data });
  await first.post('/v1/transfers', deposit);
  // The state after a crash between the hold and the job, and between a settlement and its other writes.
  const { ledger } = partsOf(first.gateway);
  const timeoutMs = 3_600_000;
  for (const [key, amount] of [
    ['@hold:job_a', 100n],
    ['@hold:job_b:2', 200n],
    ['@hold:job_c:rest', 300n],
  ]) {
    ledger.hold({ key, account: 'anonymous', amount, timeoutMs });
  }
  expect((await stateOf(first)).account).toMatchObject({ available: 400, held: 600 });

  const copy = afterCrash(data);
  const { provider, call } = handProvider();
  const gateway = createGateway({ provider, access, data: copy, logger: false });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  const job = await gateway.submit({ prompt, max_tokens: 20 });
  const run = await call(0);
  await gateway.listen({ port: 0 });
  expect(await gateway.credits.account('anonymous')).toMatchObject({ available: 794n, held: 206n });
  run.end();
  await until(async () => (await gateway.get(job.id)).status === 'completed', 'the end');
  expect(await gateway.credits.account('anonymous')).toMatchObject({ available: 994n, held: 0n });
  const { data: events } = await gateway.credits.events('anonymous');
  const voided = events.filter(({ type }) => type === 'void');
  expect(voided.map(({ amount }) => amount)).toEqual([100n, 200n, 300n]);
});

test('a job whose hold expired while the server was down is still charged', async () => {
  const data = dataFile();
  const before = new ManualClock();
  const { provider, call } = handProvider();
  const first = await start({ provider, access, data, clock: before });
  await first.post('/v1/transfers', deposit);
  await first.submit({ prompt, max_tokens: 20 });
  (await call(0)).push('a ', 'b ');
  await until(() => (before.advanceMs(1), writtenTokens(data) === 2), 'the tokens to be written');
  const clock = new ManualClock();
  const gateway = createGateway({ provider, access, data: afterCrash(data), clock, logger: false });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  clock.advanceMs(1_000_000);
  await gateway.listen();
  const { available, held } = await gateway.credits.account('anonymous');
  expect([available, held]).toEqual([974n, 0n]);
  const types = (await gateway.credits.events('anonymous')).data.map(({ type }) => type);
  expect(types.slice(2)).toEqual(['hold', 'hold_expired', 'hold', 'settle']);
});

test('the usage of a job is counted although its retention was over before the start', async () => {
  const data = dataFile();
  // The state after a crash between a job's ending and its counting.
  const store = new SqliteStore(data);
  store.start(sharedReactors(1)[0]);
  const nowMs = Date.now();
  const made = [1, 'job_x', 'anonymous', 'echo', nowMs, null, null, 2, null];
  const ending = [1, 1, 1, 1, 2, nowMs, 'completed', 'stop', null, null, null, 2, 3, '{}', 0];
  const ended = [...ending, null, null, null, null, 0]; // no usage object, no head, no retry
  await store.commit(['add_job', made, 'end_job', ended]);
  await store.close();
  for (let i = 0; i < 2; i += 1) {
    const next = await start({ provider: echo, data, retentionMs: 0 });
    const { total } = (await stateOf(next)).usage;
    expect(total).toMatchObject({ requests: 1, prompt_tokens: 2, completion_tokens: 3 });
    await next.gateway.close();
  }
});

test('after kill -9 in the middle of a stream a server settles by the written usage', async () => {
  const data = dataFile();
  const config = await file('prices.json', JSON.stringify({ prices }));
  const options = ['--data', data, '--config', config, '--admin-open', '--token-interval-ms', '20'];
  const first = await serve(...options);
  await first.post('/v1/transfers', { ...deposit, amount: 100_000 });
  const { body } = await first.submit({ prompt, on_disconnect: 'continue' });
  await until(() => writtenTokens(data) >= 3, 'some tokens to be written');
  first.child.kill('SIGKILL');
  await first.exited;
  const second = await serve(...options);
  const job = await second.job(body.job_id);
  expect(job).toMatchObject({ status: 'failed', error: { code: 'server_restarted' } });
  const { account, usage, events } = await stateOf(second);
  const cost = 6 + 10 * job.usage.completion_tokens;
  expect(account).toMatchObject({ available: 100_000 - cost, held: 0 });
  expect(usage.total).toMatchObject({ requests: 1, cost });
  expect(events.data.filter(({ type }) => type === 'settle')).toHaveLength(1);
  // It continues like any other.
  const next = await second.submit({ prompt, max_tokens: 2 });
  await second.ended(next.body.job_id);
  expect((await stateOf(second)).account.available).toBe(100_000 - cost - 26);
});
