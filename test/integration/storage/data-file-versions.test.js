/**
 * Data files of earlier versions, as the code of their time wrote them (test/support/data-files): each
 * opens, is brought up to date in one transaction, and loses nothing.
 */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SqliteStore } from '../../../lib/jobs/storage/sqlite.js';
import { exported } from '../../../lib/jobs/storage/export.js';
import { dataFile } from '../../support/files/data-file.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { listProvider } from '../../support/providers/providers.js';

const folder = fileURLToPath(new URL('../../support/data-files/', import.meta.url));
const versions = fs.readdirSync(folder).flatMap((name) => /^(v\d+)\.db$/.exec(name)?.[1] ?? []);

afterEach(async () => {
  jest.restoreAllMocks();
  await stopAll();
});

/** A copy of a stored file, and its content by the `sluice export` of its version. */
function kept(version) {
  const path = dataFile();
  fs.copyFileSync(`${folder}${version}.db`, path);
  fs.chmodSync(path, 0o600);
  const text = fs.readFileSync(`${folder}${version}.jsonl`, 'utf8');
  return {
    path,
    lines: text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  };
}

test('there is at least one', () => {
  expect(versions).toEqual(expect.arrayContaining(['v1', 'v2']));
});

describe.each(versions)('a file of %s', (version) => {
  test('is upgraded, and has the same content', () => {
    const { path, lines } = kept(version);
    new SqliteStore(path).release();
    const now = [...exported(path)].map((line) => JSON.parse(JSON.stringify(line)));
    expect(now).toEqual(lines);
    // And once more: it is up to date.
    new SqliteStore(path).release();
    expect([...exported(path)]).toHaveLength(lines.length);
  });

  test('is served: jobs, streams, keys, conversations, credits and usage', async () => {
    const { path, lines } = kept(version);
    const of = (type) => lines.filter((line) => line.type === type);
    // The time of its last write: the retention of finished jobs has not passed.
    const leftMs = Math.max(...of('job').map((job) => job.created_at_ms)) + 1000;
    const began = performance.now();
    jest
      .spyOn(Date, 'now')
      .mockImplementation(() => Math.floor(leftMs + performance.now() - began));
    const server = await start({
      provider: listProvider(['new']),
      data: path,
      access: { prices: { '*': { prompt: 3, completion: 10 } } },
    });
    for (const { job_id: id, status, text, metadata, error, reason } of of('job')) {
      const job = await server.job(id);
      const over = status === 'running' ? 'failed' : status;
      expect(job).toMatchObject({ status: over, text, ...(metadata && { metadata }) });
      if (status === 'running') expect(job.error.code).toBe('server_restarted');
      else expect([job.error, job.reason]).toEqual([error, reason]);
      const { events } = await server.read(`/v1/stream?job_id=${id}`);
      const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
      expect(tokens.join('')).toBe(text);
    }
    for (const { key, job_id: id, principal } of of('idempotency_key')) {
      expect(principal).toBe('anonymous');
      const reused = await server.submit({ prompt: 'another body' }, { 'idempotency-key': key });
      expect([key, reused.status]).toEqual([key, 422]);
      expect(typeof id).toBe('string');
    }
    const { items } = (await server.get('/v1/kv?limit=1000')).body;
    const expected = of('kv').filter(({ area }) => area === 'kv');
    expect(items).toEqual(
      expected
        .map(({ key, value, version: at, encoding }) => ({
          key,
          value,
          ...(encoding && { encoding }),
          version: at,
        }))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    );
    const { data: conversations } = (await server.get('/v1/conversations')).body;
    const heads = of('kv').filter(({ key }) => key.startsWith('c/'));
    expect(conversations.map(({ title }) => title)).toEqual(heads.map(({ value }) => value.title));
    const { conversation_id: id } = conversations[0];
    const { messages } = (await server.get(`/v1/conversations/${id}`)).body;
    expect(messages.map(({ role, content }) => [role, content])).toEqual([
      ['user', 'hello'],
      ['assistant', 'Grüße, hello 🎈\n'],
      ['user', 'and again'],
      ['assistant', 'Grüße, and again 🎈\n'],
    ]);
    const account = (await server.get('/v1/accounts/Zo%C3%AB')).body;
    expect(account.posted).toBe('9007199254740993');
    const usage = (await server.get('/v1/usage?from=0&group_by=model')).body.total;
    const sum = (name) => of('usage').reduce((all, row) => all + Number(row[name]), 0);
    // The jobs that were cut off count when they end, which is now.
    const cutOff = of('job').filter(({ status }) => status === 'running').length;
    expect(usage.requests).toBe(sum('requests') + cutOff);
    expect(usage.cached_requests).toBe(sum('cached_requests'));
  });
});

/** Rows of v1 have no checksums; rows of later versions are checked before the upgrade. */
describe.each(versions)('damage in a file of %s', (version) => {
  test.each([
    ['a text', 'Grüße, one', 'job_', /the text of job job_\S+ from token 1: its checksum/],
    ['a value', 'plain text, ', 'key', /the key kv\/anonymous\/a\/text of version 2: its checksum/],
    ['an amount', null, null, /event 2 of its ledger: its checksum/],
  ])('in %s is named, and the file is not changed', (_name, text, _kind, message) => {
    const { path } = kept(version);
    if (version === 'v1') new SqliteStore(path).release();
    const bytes = fs.readFileSync(path);
    if (text === null) {
      // The deposit under the key `first`: a byte of the key stands for any of the row.
      const at = bytes.indexOf('first@external');
      expect(at).toBeGreaterThan(0);
      bytes[at] ^= 1;
    } else {
      let at = bytes.indexOf(text);
      expect(at).toBeGreaterThan(0);
      for (; at !== -1; at = bytes.indexOf(text, at + 1)) bytes[at + 1] ^= 0x20;
    }
    fs.writeFileSync(path, bytes);
    for (const readOnly of version === 'v1' ? [true, false] : [false]) {
      let error;
      try {
        new SqliteStore(path, { readOnly }).release();
      } catch (caught) {
        error = caught;
      }
      expect(error).toMatchObject({ code: 'ERR_DATA_CORRUPT' });
      expect(error.message).toMatch(message);
    }
    expect(fs.readFileSync(path).equals(bytes)).toBe(true);
  });
});

test('a server whose file was moved refuses new work, and is not ready', async () => {
  const path = dataFile();
  const server = await start({ provider: listProvider(['text']), data: path });
  const { job_id: id } = (await server.submit({ prompt: 'before' })).body;
  await server.ended(id);
  expect((await server.get('/readyz')).status).toBe(200);
  fs.renameSync(path, `${path}.away`);
  fs.writeFileSync(path, 'another file');
  const refused = await server.submit({ prompt: 'after' });
  expect([refused.status, refused.body.error.code]).toEqual([503, 'storage_unavailable']);
  expect(refused.body.error.message).toMatch(/renamed, removed or replaced/);
  expect(await server.get('/readyz')).toMatchObject({
    status: 503,
    body: { status: 'storage_unavailable' },
  });
  expect((await server.get('/metrics')).body).toMatch(/sluice_store_state\{state="moved"\} 1/);
  expect((await server.job(id)).text).toBe('text');
  await server.gateway.close({ drainMs: 0 });
  expect(fs.readFileSync(path, 'utf8')).toBe('another file');
  fs.renameSync(`${path}.away`, path);
  const next = await start({ provider: listProvider(['text']), data: path });
  expect((await next.job(id)).text).toBe('text');
});

test('a second server is refused, even if files beside the data file are deleted', async () => {
  const path = dataFile();
  await start({ provider: listProvider([]), data: path });
  fs.rmSync(`${path}-lock`, { force: true });
  await expect(start({ provider: listProvider([]), data: path })).rejects.toMatchObject({
    code: 'ERR_DATA_LOCKED',
  });
  // A refused attempt does not release the lock.
  await expect(start({ provider: listProvider([]), data: path })).rejects.toMatchObject({
    code: 'ERR_DATA_LOCKED',
  });
});
