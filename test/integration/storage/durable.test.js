/** A gateway with a data file: acknowledged state survives a restart or a crash. */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { ManualClock, createGateway } from '../../../lib/index.js';
import { SqliteStore } from '../../../lib/jobs/storage/sqlite.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const words = async function* () {
  yield* ['one ', 'two ', 'three'];
};
const key = (value) => ({ 'idempotency-key': value });

/** Tokens of a job that are on the disk. */
function writtenTokens(data) {
  const store = new SqliteStore(data, { readOnly: true });
  return store.select('jobs').flatMap((row) => {
    const rows = store.select('tokens', [row[0], row[8]]);
    return rows.map(([, , text]) => text.toString());
  });
}

test.each([1, 3])('finished jobs are as they were (%d reactors)', async (reactors) => {
  const data = dataFile();
  const first = await start({ provider: words, data, reactors });
  const ids = [];
  for (let i = 0; i < 5; i += 1) {
    const { body } = await first.submit({ prompt: 'hello', metadata: { i } });
    ids.push(body.job_id);
    await first.ended(body.job_id);
  }
  const [before] = (await first.read(`/v1/stream?job_id=${ids[2]}`)).raw.match(/id: 1-1[^]*/);
  const jobs = await Promise.all(ids.map(first.job));
  const list = (await first.get('/v1/jobs')).body;
  await first.gateway.close();

  const second = await start({ provider: words, data, reactors });
  expect(await Promise.all(ids.map(second.job))).toEqual(jobs);
  expect(jobs[2]).toMatchObject({ status: 'completed', text: 'one two three', metadata: { i: 2 } });
  expect((await second.get('/v1/jobs')).body).toEqual(list);
  expect(list.data.map(({ job_id: id }) => id)).toEqual(ids.toReversed());

  const path = `/v1/stream?job_id=${ids[2]}`;
  expect((await second.read(path)).raw).toContain(before);
  const rest = await second.read(path, { headers: { 'last-event-id': '1-2' } });
  expect(rest.ids).toEqual(['1-3', '1-4']);
  expect((await second.get(path, { headers: { 'last-event-id': '1-4' } })).status).toBe(204);
  const both = await second.read(`/v1/events?job_id=${ids[0]}&job_id=${ids[1]}`);
  expect(both.events.filter(({ type }) => type === 'job_complete')).toHaveLength(2);
  // There is no job to cancel.
  expect((await second.cancel(ids[0])).body).toEqual(jobs[0]);
  expect((await second.get('/metrics')).body).not.toMatch(
    /sluice_jobs_total\{status="completed"\} [1-9]/,
  );
});

test('failures and cancellations are as they were, too', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, data });
  const failed = (await first.submit({ prompt: 'a' })).body.job_id;
  (await call(0)).fail(new Error('no luck'));
  const cancelled = (await first.submit({ prompt: 'b' })).body.job_id;
  (await call(1)).push('some');
  await first.cancel(cancelled);
  const jobs = [await first.ended(failed), await first.ended(cancelled)];
  expect(jobs.map(({ status }) => status)).toEqual(['failed', 'cancelled']);
  await first.gateway.close();
  const second = await start({ provider, data });
  expect([await second.job(failed), await second.job(cancelled)]).toEqual(jobs);
});

test('a job that was running ends as server_restarted, with the text so far', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, data, maxConcurrency: 1 });
  const { body } = await first.submit({ prompt: 'a' }, key('k'));
  const queued = await first.submit({ prompt: 'b' });
  (await call(0)).push('one ', 'two ');
  await until(() => writtenTokens(data).join('') === 'one two ', 'the tokens to be written');

  const second = await start({ provider, data: afterCrash(data) });
  const job = await second.job(body.job_id);
  expect(job).toMatchObject({
    status: 'failed',
    text: 'one two ',
    error: { code: 'server_restarted', type: 'server_error' },
    metrics: { tokens: 2 },
  });
  expect(job.metrics.ttft_ms).toBeGreaterThanOrEqual(job.metrics.queue_ms);
  const path = `/v1/stream?job_id=${body.job_id}`;
  const whole = await second.read(path);
  expect(whole.text).toBe('one two ');
  expect(whole.last()).toMatchObject({ type: 'job_error', data: { error: job.error } });
  const rest = await second.read(path, { headers: { 'last-event-id': '1-1' } });
  expect(rest.ids).toEqual(['1-2', whole.last().id]);
  // For a reader with more tokens than were written, the ending must not have the id of one of them.
  const more = await second.read(path, { headers: { 'last-event-id': '1-3' } });
  expect(more.events.map(({ type }) => type)).toEqual(['gap', 'token', 'token', 'job_error']);
  const end = await second.get(path, { headers: { 'last-event-id': whole.last().id } });
  expect(end.status).toBe(204);
  expect(await second.job(queued.body.job_id)).toMatchObject({
    status: 'failed',
    text: '',
    error: { code: 'server_restarted' },
  });
  // Its key still belongs to it.
  const again = await second.submit({ prompt: 'a' }, key('k'));
  expect([again.status, again.body]).toEqual([200, body]);

  // And so it stays.
  await second.gateway.close();
});

test('an interrupted job ends once, however often the server is restarted', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, data });
  const { job_id: id } = (await first.submit({ prompt: 'a' })).body;
  (await call(0)).push('one');
  await until(() => writtenTokens(data).length > 0, 'the token to be written');
  const crashed = afterCrash(data);
  const raws = [];
  for (let i = 0; i < 3; i += 1) {
    const server = await start({ provider, data: crashed });
    raws.push((await server.read(`/v1/stream?job_id=${id}`)).raw);
    await server.gateway.close();
  }
  expect(new Set(raws).size).toBe(1);
});

test('answers are kept by their keys', async () => {
  const data = dataFile();
  const first = await start({ provider: words, data });
  const answer = await first.submit({ prompt: 'a' }, key('k'));
  await first.gateway.close();
  const second = await start({ provider: words, data });
  const again = await second.submit({ prompt: 'a' }, key('k'));
  expect([again.status, again.body]).toEqual([200, answer.body]);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect((await second.submit({ prompt: 'b' }, key('k'))).status).toBe(422);
  expect((await second.submit({ prompt: 'b' }, key('l'))).status).toBe(201);
});

test('keys leave the file when their time is over, and are refused beyond the bound', async () => {
  const data = dataFile();
  const first = await start({ provider: words, data, idempotency: { maxKeys: 2 } });
  const statuses = [];
  for (const name of ['a', 'b', 'c']) {
    statuses.push((await first.submit({ prompt: 'x' }, key(name))).status);
  }
  expect(statuses).toEqual([201, 201, 507]);
  await first.gateway.close();
  const names = () => {
    const store = new SqliteStore(data, { readOnly: true });
    return store.select('keys').map(([name]) => name.split('\n')[0]);
  };
  expect(names()).toEqual(['a', 'b']);
  const second = await start({ provider: words, data, idempotency: { ttlMs: 0 } });
  expect((await second.submit({ prompt: 'x' }, key('b'))).status).toBe(201);
  await second.gateway.close();
  const third = await start({ provider: words, data });
  await third.gateway.close();
  expect(names()).toEqual([]);
});

test('the file holds no prompt, and no data of purged jobs', async () => {
  const data = dataFile();
  const clock = new ManualClock();
  const first = await start({ provider: words, data, retentionMs: 100, clock });
  const { body } = await first.submit({ prompt: 'a secret prompt', metadata: { tag: 'mine' } });
  await first.read(`/v1/stream?job_id=${body.job_id}`);
  expect(writtenTokens(data).join('')).toBe('one two three');
  clock.advanceMs(100);
  await until(async () => (await first.get(`/v1/jobs/${body.job_id}`)).status === 404);
  await first.gateway.close();
  const bytes = fs.readFileSync(data, 'latin1');
  for (const text of ['secret', 'two', 'mine', body.job_id]) expect(bytes).not.toContain(text);
});

test('a finished job is kept for the rest of its time only', async () => {
  const data = dataFile();
  const first = await start({ provider: words, data, retentionMs: 60_000 });
  const { body } = await first.submit({ prompt: 'a' });
  await first.ended(body.job_id);
  await first.gateway.close();
  const second = await start({ provider: words, data, retentionMs: 0 });
  expect((await second.get(`/v1/jobs/${body.job_id}`)).status).toBe(404);
  await second.gateway.close();
  expect(writtenTokens(data)).toEqual([]);
});

test('beyond maxRetainedJobs the jobs that ended first are purged', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await start({ provider, data });
  const ids = [];
  for (let i = 0; i < 4; i += 1) ids.push((await first.submit({ prompt: 'x' })).body.job_id);
  // The first one still runs when the server is killed; the others end in another order.
  for (const i of [2, 1, 3]) {
    (await call(i)).end();
    await first.ended(ids[i]);
  }
  const second = await start({ provider, data: afterCrash(data), maxRetainedJobs: 2 });
  const { data: kept } = (await second.get('/v1/jobs')).body;
  expect(kept.map(({ job_id: id }) => ids.indexOf(id))).toEqual([3, 0]);
});

test('jobs that share an answer are written each by itself', async () => {
  const data = dataFile();
  const first = await start({ provider: words, data });
  const ask = () => first.submit({ prompt: 'a', temperature: 0 });
  const one = (await ask()).body.job_id;
  await first.ended(one);
  const two = await ask();
  expect(two.headers.get('x-cache')).toBe('HIT');
  const jobs = [await first.ended(one), await first.ended(two.body.job_id)];
  await first.gateway.close();
  const second = await start({ provider: words, data });
  expect([await second.job(one), await second.job(two.body.job_id)]).toEqual(jobs);
  expect(jobs.map(({ text }) => text)).toEqual(['one two three', 'one two three']);
});

test('the parts of works are not written', async () => {
  const data = dataFile();
  const first = await start({ provider: words, data });
  const { body } = await first.post('/v1/workflows', { nodes: [{ id: 'a', prompt: 'x' }] });
  await first.read(body.stream_url);
  await first.gateway.close();
  const second = await start({ provider: words, data });
  expect((await second.get('/v1/jobs')).body.data).toEqual([]);
});

test('works under a clock that is moved by hand', async () => {
  const data = dataFile();
  const clock = new ManualClock();
  const gateway = createGateway({ provider: words, data, clock, logger: false });
  const { id } = await gateway.submit({ prompt: 'a' });
  const events = [];
  for await (const { type } of gateway.stream(id)) events.push(type);
  expect(events).toEqual(['token', 'token', 'token', 'job_complete']);
  await gateway.close();
  const again = createGateway({ provider: words, data, clock: new ManualClock(), logger: false });
  expect((await again.get(id)).text).toBe('one two three');
  await again.close();
});

describe('an unsuitable file is refused and not changed', () => {
  const open = (data) => createGateway({ provider: words, data, logger: false });
  const refusal = (data) => {
    try {
      open(data);
    } catch (error) {
      return error;
    }
    throw new Error('it was opened');
  };

  async function filled() {
    const data = dataFile();
    const gateway = open(data);
    for (let i = 0; i < 100; i += 1) {
      await gateway.submit({ prompt: 'x', metadata: { pad: 'x'.repeat(500) } });
    }
    await gateway.close();
    return data;
  }

  test.each([
    ['another program’s', 'ERR_DATA_NOT_OURS', (bytes) => bytes.writeUInt32BE(1, 68)],
    ['a newer version’s', 'ERR_DATA_NEWER', (bytes) => bytes.writeUInt32BE(99, 60)],
    ['a damaged one', 'ERR_DATA_CORRUPT', (bytes) => bytes.fill(0x5a, 4 * 4096, 6 * 4096)],
    [
      'a text that is no JSON',
      'ERR_DATA_CORRUPT',
      (bytes) => bytes.write('"', bytes.indexOf('{"pad":')),
    ],
    ['no database at all', 'ERR_DATA_NOT_OURS', (bytes) => bytes.fill(0x5a)],
  ])('%s: %s', async (_name, code, change) => {
    const data = await filled();
    const bytes = fs.readFileSync(data);
    change(bytes);
    fs.writeFileSync(data, bytes);
    const error = refusal(data);
    expect(error.code).toBe(code);
    expect(error.message).toContain(data);
    expect(fs.readFileSync(data).equals(bytes)).toBe(true);
  });

  test('one that another gateway has', async () => {
    const data = dataFile();
    const gateway = open(data);
    const error = refusal(data);
    expect(error.code).toBe('ERR_DATA_LOCKED');
    expect(error.message).toContain(data);
    const { id } = await gateway.submit({ prompt: 'x' });
    await gateway.close();
    const next = open(data);
    expect((await next.get(id)).id).toBe(id);
    await next.close();
  });

  test('one that another gateway has by another name', async () => {
    const data = dataFile();
    const link = `${data}-link`;
    // Before there is a file, and then to one that is there.
    fs.symlinkSync(data, link);
    const gateway = open(link);
    expect(refusal(data).code).toBe('ERR_DATA_LOCKED');
    fs.symlinkSync(link, `${link}-link`);
    expect(refusal(`${link}-link`).code).toBe('ERR_DATA_LOCKED');
    await gateway.close();
    await open(`${link}-link`).close();
  });

  test('one in a folder that is not there', () => {
    const error = refusal(join(dirname(dataFile()), 'nowhere', 'data.db'));
    expect(error.code).toBe('ERR_DATA_UNAVAILABLE');
    expect(error.message).toMatch(/nowhere\/data\.db/);
  });

  test('no path', () => {
    expect(() => open('')).toThrow(/^data takes the path of a file/);
    expect(() => open(7)).toThrow(/^data takes a string/);
  });
});
