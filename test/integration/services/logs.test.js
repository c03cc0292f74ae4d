/** `/v1/logs`: the gateway's own errors, files it follows, logs that are sent in, and who may. */
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bearer, entry } from '../../support/gateway/keys.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

let folder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-http-logs-'));
});
afterEach(stopAll);
afterAll(() => rm(folder, { recursive: true }));

async function* fails({ prompt }) {
  if (prompt === 'bad') throw new Error('the tensor has no shape');
  yield 'ok';
}

const errorsOf = (stream) => stream.events.filter(({ type }) => type === 'log_error');

test('a failed job is among the top errors, and on the stream; one that went well is not', async () => {
  const { submit, ended, get, stream } = await start({ provider: fails });
  const open = await stream('/v1/logs/errors');
  const ids = [];
  for (const prompt of ['good', 'bad', 'bad']) {
    const { body } = await submit({ prompt });
    await ended(body.job_id);
    ids.push(body.job_id);
  }
  await until(() => errorsOf(open).length === 2, 'two errors');
  expect(errorsOf(open).map(({ data }) => [data.level, data.source, data.message])).toEqual([
    ['error', 'sluice', 'job ended'],
    ['error', 'sluice', 'job ended'],
  ]);
  expect(JSON.parse(errorsOf(open)[1].data.lines[0])).toMatchObject({
    job_id: ids[2],
    status: 'failed',
    error: { code: 'provider_error' },
  });
  expect(open.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  expect(open.raw).toMatch(/^retry: 2000\n/);
  open.close();
  const { status, body } = await get('/v1/logs/top-errors?window_s=60&k=5');
  expect(status).toBe(200);
  expect(body.data).toHaveLength(1);
  expect(body.data[0]).toMatchObject({ count: 2, template: expect.stringMatching(/^job ended: /) });
  for (const at of ['first_at', 'last_at']) {
    expect(Math.abs(body.data[0][at] - Date.now() / 1000)).toBeLessThan(30);
  }
});

const NOW = new Date().toISOString();
const LOG =
  `${NOW} ERROR connect to 10.0.0.1 failed\n` +
  `${NOW} INFO fine\n` +
  '\n' +
  `${NOW} ERROR connect to 10.0.0.2 failed\r\n` +
  '{"level":50,"msg":"half\n' +
  'panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\n';

describe('POST /v1/logs', () => {
  const expected = {
    bytes: Buffer.byteLength(LOG),
    lines: 10,
    events: 5,
    errors: 4,
    malformed: 1,
    truncated: 0,
  };

  test('counts its input, plain or gzip, in pieces of any size', async () => {
    const { call, get, url } = await start({ provider: fails });
    expect((await call('POST', '/v1/logs?source=engine', { raw: LOG })).body).toEqual(expected);
    expect((await call('POST', '/v1/logs', { raw: gzipSync(LOG) })).body).toEqual(expected);
    const slow = await new Promise((resolve, reject) => {
      const request = http.request(`${url}/v1/logs`, { method: 'POST' }, (response) => {
        response.setEncoding('utf8').once('data', (text) => resolve(JSON.parse(text)));
      });
      request.once('error', reject);
      const bytes = gzipSync(LOG);
      const sendFrom = (at) => {
        if (at >= bytes.length) return request.end();
        request.write(bytes.subarray(at, at + 7));
        setImmediate(sendFrom, at + 7);
      };
      sendFrom(0);
    });
    expect(slow).toEqual(expected);
    const { body } = await get('/v1/logs/top-errors?window_s=3600');
    expect(body.data.map(({ template, count }) => [template, count])).toEqual([
      ['connect to <*> failed', 6],
      ['panic: boom', 3],
      ['{"<*>', 3],
    ]);
  });

  test('an empty body is an empty log; truncated gzip is refused', async () => {
    const { call } = await start({ provider: fails });
    const empty = await call('POST', '/v1/logs');
    expect(empty.body).toMatchObject({ lines: 0, events: 0 });
    const broken = await call('POST', '/v1/logs', { raw: gzipSync(LOG).subarray(0, 40) });
    expect(broken.status).toBe(400);
    expect(broken.body.error.code).toBe('invalid_gzip');
    const named = await call('POST', '/v1/logs?source=', { raw: '' });
    expect(named.body.error).toMatchObject({ code: 'invalid_value', param: 'source' });
  });

  test('after a disconnect in the middle the whole lines count', async () => {
    const { server, url, get } = await start({ provider: fails });
    let received;
    server.once('request', (req) => (received = req));
    const request = http.request(`${url}/v1/logs`, { method: 'POST' });
    request.on('error', () => {});
    await new Promise((resolve) => request.write('ERROR one\nERROR two', resolve));
    const count = async () => (await get('/v1/logs/top-errors')).body.data.length;
    // Unread input is lost with the connection.
    await until(
      () => received?.readableDidRead && received.socket.bytesRead === request.socket.bytesWritten,
      'the lines to be read',
    );
    await new Promise(setImmediate);
    request.destroy();
    await until(async () => (await count()) === 2, 'both lines');
  });
});

test('an event ended by silence is reported for its source, while other sources are read', async () => {
  const { call, url, stream } = await start({ provider: fails });
  const open = await stream('/v1/logs/errors');
  const slow = http.request(`${url}/v1/logs?source=slow`, { method: 'POST' });
  slow.on('error', () => {});
  slow.write('2026-11-21T05:00:00Z ERROR of the slow one\n');
  const ended = until(() => errorsOf(open).length >= 1, 'what silence ended');
  const others = setInterval(() => call('POST', '/v1/logs?source=quick', { raw: 'INFO x\n' }), 20);
  await ended.finally(() => clearInterval(others));
  expect(errorsOf(open).map(({ data }) => [data.source, data.message])).toEqual([
    ['slow', 'of the slow one'],
  ]);
  slow.destroy();
});

describe('GET /v1/logs/errors', () => {
  test('continues after the last id, or reports a gap', async () => {
    const { call, stream } = await start({ provider: fails });
    for (const name of ['a', 'b', 'c']) await call('POST', '/v1/logs', { raw: `ERROR ${name}\n` });
    const all = await stream('/v1/logs/errors');
    await until(() => errorsOf(all).length === 3, 'all three');
    const ids = errorsOf(all).map(({ id }) => id);
    all.close();
    expect(new Set(ids).size).toBe(3);
    const rest = await stream('/v1/logs/errors', { headers: { 'last-event-id': ids[1] } });
    await call('POST', '/v1/logs', { raw: 'ERROR d\n' });
    await until(() => rest.events.length === 2, 'the third and the live one');
    expect(rest.events.map(({ data }) => data.message)).toEqual(['c', 'd']);
    rest.close();
    for (const cursor of ['nonsense', '1-1', ids[0].replace(/\d+$/, '99')]) {
      const gap = await stream(`/v1/logs/errors?last_event_id=${cursor}`);
      await until(() => gap.events.length === 5, 'a gap and all four');
      expect(gap.events[0]).toMatchObject({
        type: 'gap',
        data: { requested: cursor, earliest: ids[0] },
      });
      gap.close();
    }
  });

  test('silence is broken by comments, and closing the gateway ends it', async () => {
    const { gateway, stream } = await start({ provider: fails, heartbeatMs: 20 });
    const open = await stream('/v1/logs/errors');
    await until(() => open.raw.split(': keep-alive\n').length > 2, 'two comments');
    const closed = gateway.close({ drainMs: 0 });
    await open.closed;
    expect(open.ended).toBe(true);
    await closed;
  });
});

test('files of engines are followed, over rotation, and traces end by silence', async () => {
  const file = join(folder, 'engine.log');
  await writeFile(file, 'ERROR before\n');
  const { get, stream } = await start({ provider: fails, logs: { files: [file] } });
  const open = await stream('/v1/logs/errors');
  await until(() => errorsOf(open).length === 1, 'what was there');
  await appendFile(file, 'Traceback (most recent call last):\n  File "a"\nKeyError: 1\n');
  await until(() => errorsOf(open).length === 2, 'the traceback');
  await rename(file, `${file}.1`);
  await writeFile(file, 'ERROR after\n');
  await until(() => errorsOf(open).length === 3, 'the new file');
  expect(errorsOf(open).map(({ data }) => [data.source, data.lines.length])).toEqual([
    [file, 1],
    [file, 3],
    [file, 1],
  ]);
  const { body } = await get('/v1/logs/top-errors');
  expect(body.data).toHaveLength(3);
  open.close();
});

describe('access', () => {
  test('with keys, keys of administrators', async () => {
    const { call } = await start({
      provider: fails,
      access: { keys: [entry('ops', 'sk_ops', { admin: true }), entry('user', 'sk_user')] },
    });
    for (const [method, path] of [
      ['POST', '/v1/logs'],
      ['GET', '/v1/logs/top-errors'],
      ['GET', '/v1/logs/errors'],
    ]) {
      expect((await call(method, path)).status).toBe(401);
      const { status, body } = await call(method, path, { headers: bearer('sk_user') });
      expect([status, body.error.code]).toEqual([403, 'admin_key_required']);
    }
    const { status } = await call('GET', '/v1/logs/top-errors', { headers: bearer('sk_ops') });
    expect(status).toBe(200);
  });

  test('without keys, no request forwarded by a proxy', async () => {
    const { get } = await start({ provider: fails });
    const headers = { 'x-forwarded-for': '203.0.113.7' };
    expect((await get('/v1/logs/top-errors', { headers })).status).toBe(403);
    expect((await get('/v1/logs/top-errors')).status).toBe(200);
  });

  test('without, no page of elsewhere in a browser of this machine, unless it may call', async () => {
    const server = await start({ provider: fails, corsOrigins: ['https://app.example'] });
    // A browser sends this without a preflight.
    const send = async (origin) => {
      const headers = { 'content-type': 'text/plain', ...(origin && { origin }) };
      const body = '{"level":50,"msg":"forged"}\n';
      const url = `${server.url}/v1/logs?source=page`;
      return (await fetch(url, { method: 'POST', headers, body })).status;
    };
    for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'null', 'nonsense']) {
      expect(await send(origin)).toBe(403);
    }
    for (const origin of [undefined, server.url, 'https://app.example']) {
      expect(await send(origin)).toBe(200);
    }
  });
});

test.each(['k=0', 'k=1001', 'k=x', 'window_s=0', 'window_s=86401', 'window_s=1&window_s=2'])(
  '%s is refused by name',
  async (query) => {
    const { get } = await start({ provider: fails });
    const { status, body } = await get(`/v1/logs/top-errors?${query}`);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_value', param: query.split('=')[0] });
  },
);

test('bad options are named', async () => {
  await expect(start({ provider: fails, logs: { files: 'x' } })).rejects.toThrow('logs.files');
  await expect(start({ provider: fails, logs: { file: 'x' } })).rejects.toThrow(
    'logs has no option',
  );
});
