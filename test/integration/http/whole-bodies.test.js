/**
 * A body that arrives whole with its head is read at once, any other one in pieces: the answers are the same. Each
 * request is sent in one write, and byte by byte at its critical places.
 */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { echo } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

let server;
beforeAll(async () => {
  ({ server } = await start({ provider: echo, maxBodyBytes: 2000, logger: false }));
});
afterAll(stopAll);

const JSON_TYPE = 'content-type: application/json';

/** @param {string | Buffer} body @param {string[]} [headers] */
function request(body, headers = [JSON_TYPE], path = '/v1/jobs', method = 'POST') {
  const bytes = Buffer.from(body);
  const isSized = !headers.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: localhost',
    'connection: close',
    ...(isSized ? [`content-length: ${bytes.length}`] : []),
    ...headers,
  ];
  return { head: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body: bytes };
}

/** Sends the parts one after the other, each once the previous one is sent; resolves with the answer. */
function send(parts, port = server.port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    let text = '';
    socket.setEncoding('latin1').on('data', (piece) => (text += piece));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    const next = (i) => {
      if (i < parts.length) socket.write(parts[i], () => setImmediate(next, i + 1));
    };
    next(0);
  });
}

/** A client's view, without ids and times. */
function seen(answer) {
  return answer
    .replace(/^(x-request-id|date): .*\r\n/gim, '')
    .replace(/job_[\w-]{24}/g, 'JOB')
    .replace(/"created_at":\d+/, '"created_at":0');
}

const gzipped = gzipSync('{"prompt":"a"}');
const chunked = (text) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;

test.each([
  ['a job', 201, request('{"prompt":"a"}')],
  ['every option', 201, request('{"prompt":"ä","metadata":{"a":12345678901234567890}}')],
  ['a byte order mark', 201, request('\ufeff{"prompt":"a"}')],
  ['no JSON', 400, request('{"prompt":')],
  ['bytes that are no UTF-8', 400, request(Buffer.from('{"prompt":"\xff"}', 'latin1'))],
  ['an unknown field', 400, request('{"prompt":"a","b":1}')],
  ['an empty body', 400, request('')],
  ['a body of spaces', 400, request('  ')],
  ['an array', 400, request('[]')],
  ['another type', 415, request('{"prompt":"a"}', ['content-type: text/plain'])],
  ['no type', 415, request('{"prompt":"a"}', [])],
  ['another charset', 415, request('{}', [`${JSON_TYPE}; charset=utf-16`])],
  ['gzip', 201, request(gzipped, [JSON_TYPE, 'content-encoding: gzip'])],
  ['broken gzip', 400, request('{"prompt":"a"}', [JSON_TYPE, 'content-encoding: gzip'])],
  ['an unknown encoding', 415, request('{}', [JSON_TYPE, 'content-encoding: zip'])],
  ['identity', 201, request('{"prompt":"a"}', [JSON_TYPE, 'content-encoding: identity'])],
  ['chunks', 201, request(chunked('{"prompt":"a"}'), [JSON_TYPE, 'transfer-encoding: chunked'])],
  ['too many bytes', 413, request(JSON.stringify({ prompt: 'a'.repeat(2000) }))],
  ['as many as allowed', 201, request(JSON.stringify({ prompt: 'a'.repeat(1987) }))],
  ['a body that nobody reads', 200, request('abc', [JSON_TYPE], '/v1/models', 'GET')],
  ['a value', 412, request('"v"', [JSON_TYPE, 'if-match: "9"'], '/v1/kv/a', 'PUT')],
])('%s', async (_name, status, { head, body }) => {
  const half = Math.floor(body.length / 2);
  const whole = await send([Buffer.concat([head, body])]);
  expect(whole).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const inPieces = await send([head, body.subarray(0, half), body.subarray(half)]);
  const split = await send([head.subarray(0, -1), Buffer.concat([head.subarray(-1), body])]);
  expect(seen(inPieces)).toBe(seen(whole));
  expect(seen(split)).toBe(seen(whole));
});

test('a body that has come with its head is read without a listener for its pieces', async () => {
  const { gateway } = await start({ provider: echo, logger: false });
  const handle = gateway.handler();
  const counts = [];
  const ends = [];
  const app = createServer((req, res) => {
    const at = counts.push(0) - 1;
    ends.push(once(req, 'end'), once(req, 'close'));
    req.on('newListener', (name) => (counts[at] += Number(name === 'data')));
    handle(req, res);
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const plain = request('{"prompt":"a"}');
  const inChunks = request(chunked('{"prompt":"a"}'), [JSON_TYPE, 'transfer-encoding: chunked']);
  for (const { head, body } of [plain, inChunks]) {
    expect(await send([Buffer.concat([head, body])], app.address().port)).toMatch(
      /^HTTP\/1\.1 201 /,
    );
  }
  // Other listeners of the application, and Node, wait for the end of the body.
  await Promise.all(ends);
  app.close();
  expect(counts[0]).toBe(0);
  expect(counts[1]).toBeGreaterThan(0);
});
