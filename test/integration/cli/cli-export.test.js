/** `sluice export`, and `sluice serve --data` as processes. */
import fs from 'node:fs';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { JobStore } from '../../../lib/jobs/storage/job-store.js';
import { killAll, serve, sluice } from '../../support/crash/cli.js';
import { dataFile } from '../../support/files/data-file.js';
import { stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(async () => {
  killAll();
  await stopAll();
});

const fast = ['--token-interval-ms', '1'];

async function exportOf(...args) {
  const { code, stdout, stderr } = await sluice('export', ...args).exited;
  expect([code, stderr]).toEqual([0, '']);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test('the committed data of a running server is written, one record per line', async () => {
  const data = dataFile();
  const server = await serve('--data', data, ...fast);
  const first = await server.submit(
    { prompt: 'a', metadata: { n: 1 }, max_tokens: 2 },
    { 'idempotency-key': 'k-1' },
  );
  const second = await server.submit({ prompt: 'b' });
  const jobs = [await server.ended(first.body.job_id), await server.ended(second.body.job_id)];
  // Usage is counted when a job has ended, by the hour.
  const isUsage = ({ type }) => type === 'usage';
  const counted = (lines, name) =>
    lines.filter(isUsage).reduce((sum, { [name]: count }) => sum + count, 0);
  const lines = await until(async () => {
    const found = await exportOf(data);
    return counted(found, 'requests') === 2 && found;
  }, 'both jobs to be counted');
  const { completion_tokens: tokens, ...rest } = lines.find(isUsage);
  expect(counted(lines, 'completion_tokens')).toBe(
    jobs.reduce((sum, { usage }) => sum + usage.completion_tokens, 0),
  );
  expect(tokens).toBeGreaterThan(0);
  expect(rest).toMatchObject({ principal: 'anonymous', model: 'demo', cost: '0' });
  expect(rest.from_ms % 3_600_000).toBe(0);
  expect(lines.filter((line) => !isUsage(line))).toEqual([
    {
      type: 'job',
      job_id: jobs[0].job_id,
      principal: 'anonymous',
      model: 'demo',
      status: 'completed',
      created_at_ms: expect.any(Number),
      ended_at_ms: expect.any(Number),
      attempt: 1,
      tokens: 2,
      text: jobs[0].text,
      usage: jobs[0].usage,
      reason: 'length',
      metadata: { n: 1 },
    },
    expect.objectContaining({ job_id: jobs[1].job_id, text: jobs[1].text, reason: 'stop' }),
    {
      type: 'idempotency_key',
      key: 'k-1',
      principal: 'anonymous',
      fingerprint: expect.any(String),
      job_id: jobs[0].job_id,
      expires_at_ms: expect.any(Number),
    },
  ]);
  const [{ created_at_ms: made, ended_at_ms: ended }] = lines;
  expect(Math.floor(made / 1000)).toBe(jobs[0].created_at);
  expect(ended).toBeGreaterThanOrEqual(made);

  // The same of a server that is gone, and into a file.
  server.child.kill('SIGKILL');
  await server.exited;
  const output = `${data}.jsonl`;
  expect(await exportOf(data, '--output', output)).toEqual([]);
  expect(fs.readFileSync(output, 'utf8').trim().split('\n').map(JSON.parse)).toEqual(lines);
});

test('nothing is written over the data file', async () => {
  const data = dataFile();
  const server = await serve('--data', data, ...fast);
  const { body } = await server.submit({ prompt: 'a', max_tokens: 2 });
  await server.ended(body.job_id);
  fs.symlinkSync(data, `${data}-link`);
  for (const output of [data, `${data}-wal`, `${data}-lock`, `${data}-link`]) {
    const { code, stderr } = await sluice('export', data, '--output', output).exited;
    expect([code, stderr]).toEqual([2, expect.stringContaining('is part of the data file')]);
  }
  expect((await server.submit({ prompt: 'b' })).status).toBe(201);
  expect((await exportOf(data)).map(({ type }) => type)).toContain('job');
});

test('keys and values, and the events of the ledger, with exact amounts', async () => {
  const data = dataFile();
  const store = new JobStore(data, { reactor: sharedReactor(), keyTtlMs: 1000, retentionMs: 1000 });
  const ledger = store.file.ledger;
  ledger.open({ account: 'a', overdraft: Infinity });
  const { event } = ledger.deposit({ key: 'k', account: 'a', amount: 2n ** 62n + 1n });
  ledger.hold({ key: 'h', account: 'a', amount: 5n, timeoutMs: 60_000 });
  ledger.reverse({ key: 'r', event, force: true });
  expect(() => ledger.settle({ key: 's', hold: 7, amount: 1n })).toThrow();
  await store.close();
  const server = await serve('--data', data);
  const put = (key, raw, type) =>
    server.call('PUT', `/v1/kv/${key}`, { raw, headers: { 'content-type': type } });
  await put('a/b', 'text', 'text/plain');
  await put('json?ttl_s=60', '{"n":[1]}', 'application/json');
  await put('bytes', Buffer.from([1, 2]), 'application/octet-stream');
  const at = expect.any(Number);
  expect(await exportOf(data)).toEqual([
    {
      type: 'ledger_event',
      event_type: 'open',
      id: 1,
      at_ms: at,
      account: 'a',
      overdraft: 'Infinity',
    },
    {
      ...{
        type: 'ledger_event',
        event_type: 'deposit',
        id: 2,
        at_ms: expect.closeTo(event.atMs, 2),
        key: 'k',
      },
      ...{ from: '@external', to: 'a', amount: '4611686018427387905' },
    },
    {
      ...{ type: 'ledger_event', event_type: 'hold', id: 3, at_ms: at, key: 'h' },
      ...{ from: 'a', to: '@usage', amount: '5', timeout_ms: 60_000, expires_at_ms: at },
    },
    {
      ...{ type: 'ledger_event', event_type: 'reverse', id: 4, at_ms: at, key: 'r', event: 2 },
      ...{ from: 'a', to: '@external', amount: '4611686018427387905', force: true },
    },
    {
      ...{ type: 'ledger_event', event_type: 'refused', id: 5, at_ms: at, key: 's', hold: 7 },
      ...{ operation: 'settle', code: 'ERR_NO_SUCH_HOLD', amount: '1' },
    },
    { type: 'kv', area: 'kv', key: 'a/b', principal: 'anonymous', value: 'text', version: 1 },
    {
      ...{
        type: 'kv',
        area: 'kv',
        key: 'json',
        principal: 'anonymous',
        value: { n: [1] },
        version: 2,
      },
      expires_at_ms: at,
    },
    {
      type: 'kv',
      area: 'kv',
      key: 'bytes',
      principal: 'anonymous',
      value: 'AQI=',
      encoding: 'base64',
      version: 3,
    },
  ]);
});

test.each([
  ['no file', [], 2, /export takes one FILE/],
  ['one that is not there', ['/nowhere/data.db'], 1, /\/nowhere\/data\.db cannot be opened/],
])('%s is one line of error', async (_name, args, code, message) => {
  const result = await sluice('export', ...args).exited;
  expect(result.code).toBe(code);
  expect(result.stderr).toMatch(message);
  expect(result.stderr.trim().split('\n')).toHaveLength(1);
});

test('a second server reports that the file is in use, and the first continues', async () => {
  const data = dataFile();
  const server = await serve('--data', data, ...fast);
  const { code, stdout, stderr } = await sluice('serve', '--port', '0', '--data', data).exited;
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain(`${data} is in use: one server at a time may have a data file`);
  expect((await server.submit({ prompt: 'a' })).status).toBe(201);
  server.child.kill('SIGTERM');
  expect((await server.exited).code).toBe(0);
  // A clean shutdown leaves the data file and the lock file.
  expect(fs.existsSync(`${data}-wal`)).toBe(false);
});
