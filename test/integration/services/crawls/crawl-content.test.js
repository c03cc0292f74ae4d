/** Answers of servers: types, charsets, codings, sizes, delays. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { items, linking, outcomes, startSite } from '../../../support/upstream/site.js';
import { until } from '../../../support/until.js';

let site;
afterEach(() => site.close());

/** The one page of a site. */
async function only(page, options) {
  site = await startSite({ '/': page });
  const [item, ...more] = await items(site.crawl(options));
  expect(more).toEqual([]);
  return item;
}

const typed = (type, body, headers = {}) => ({
  headers: { ...(type && { 'content-type': type }), ...headers },
  body,
});

describe('content types', () => {
  test.each([
    ['text/html', 200],
    ['TEXT/HTML ; charset="utf-8"', 200],
    ['application/xhtml+xml', 200],
    ['text/plain', 200],
    ['application/pdf', 'content_type'],
    ['image/svg+xml', 'content_type'],
    ['text/htmlx', 'content_type'],
  ])('%s', async (type, outcome) => {
    expect(outcomes([await only(typed(type, '<p>x</p>'))])).toEqual({ '/': outcome });
  });

  test.each([
    ['a page without a type is seen by its beginning', ' \n<!doctype html><p>x</p>', 'x'],
    ['so is a text', 'a < b', 'a < b'],
  ])('%s', async (_name, body, text) => {
    expect(await only(typed('', body))).toMatchObject({ status: 200, text });
  });

  test('binary data without a type are no page', async () => {
    expect(await only(typed('', Buffer.from([0x89, 0x50, 0, 1])))).toMatchObject({
      skipped: 'content_type',
    });
  });

  test('the type of a skipped resource is reported, and its body is not read', async () => {
    let closed = false;
    const item = await only((req, res) => {
      req.socket.on('close', () => (closed = true));
      res.writeHead(200, { 'content-type': 'video/mp4' });
      res.write('x');
    });
    expect(item).toMatchObject({ skipped: 'content_type', contentType: 'video/mp4' });
    await until(() => closed, 'the connection to be closed');
  });
});

describe('charsets', () => {
  const latin = (text) => Buffer.from(text, 'latin1');
  test.each([
    ['of the header', 'text/html; charset=iso-8859-2', latin('\xb1\xe6')],
    ['of a meta element', 'text/html', latin('<meta charset=iso-8859-2>\xb1\xe6')],
    [
      'of an http-equiv',
      'text/html',
      latin('<meta http-equiv=content-type content="text/html; charset=iso-8859-2">\xb1\xe6'),
    ],
    ['utf-8 unannounced', 'text/html', Buffer.from('ąć')],
    ['of the byte order mark, against the header', 'text/html; charset=iso-8859-1', '\ufeffąć'],
    [
      'utf-16 by its mark',
      'text/html',
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('ąć', 'utf16le')]),
    ],
    ['the header against the meta element', 'text/html; charset=utf-8', '<meta charset=latin1>ąć'],
    ['of a text', 'text/plain; charset=iso-8859-2', latin('\xb1\xe6')],
  ])('%s', async (_name, type, body) => {
    expect(await only(typed(type, body))).toMatchObject({ text: 'ąć' });
  });

  test.each([
    ['the usual one of old pages, unannounced', 'text/html'],
    ['announced as latin1, which the web takes for it', 'text/html; charset=iso-8859-1'],
    ['unknown', 'text/html; charset=klingon'],
  ])('windows-1252: %s', async (_name, type) => {
    const body = latin('caf\xe9 \x80 \x93\x97\x94 \x9f');
    expect(await only(typed(type, body))).toMatchObject({ text: 'café € “—” Ÿ' });
  });

  test.each([
    ['shift_jis', [0x93, 0xfa, 0x96, 0x7b], '日本'],
    ['gb18030', [0xc4, 0xe3, 0xba, 0xc3], '你好'],
    ['koi8-r', [0xd0, 0xd2], 'пр'],
  ])('%s', async (charset, bytes, text) => {
    const item = await only(typed(`text/html; charset=${charset}`, Buffer.from(bytes)));
    expect(item).toMatchObject({ text });
  });

  test('an unfinished declaration is ignored', async () => {
    const body = '<meta http-equiv="content-type" content="text/html; charset">ok';
    expect(await only(typed('text/html', body))).toMatchObject({ text: 'ok' });
  });
});

describe('content codings', () => {
  const page = Buffer.from('<title>t</title>packed');
  test.each([
    ['gzip', gzipSync(page)],
    ['x-gzip', gzipSync(page)],
    ['br', brotliCompressSync(page)],
    ['deflate', deflateSync(page)],
    ['deflate', deflateRawSync(page)],
    ['gzip, br', brotliCompressSync(gzipSync(page))],
    ['identity', page],
  ])('%s', async (coding, body) => {
    const item = await only(typed('text/html', body, { 'content-encoding': coding }));
    expect(item).toMatchObject({ title: 't', text: 'packed' });
  });

  test.each([
    ['zstd', page],
    ['gzip', page],
    ['gzip', gzipSync(page).subarray(0, -12)],
    ['gzip, gzip, gzip, gzip', page],
  ])('%s that cannot be read is an error', async (coding, body) => {
    const item = await only(typed('text/html', body, { 'content-encoding': coding }));
    expect(item.error.code).toBe('bad_encoding');
  });

  test('the Accept headers name the formats that are understood', async () => {
    await only('x');
    expect(site.requests[1].headers['accept-encoding']).toBe('gzip, br, deflate');
  });
});

describe('size', () => {
  test.each([
    ['announced', (_req, res) => res.writeHead(200, { 'content-length': 1001 }).write('x')],
    ['without end', (_req, res) => void endless(res)],
  ])('a page that is too large, %s, is skipped, and its connection closed', async (_n, page) => {
    expect(await only(page, { maxBodyBytes: 1000 })).toMatchObject({ skipped: 'too_large' });
    await site.allClosed();
  });

  test('the limit is meant', async () => {
    expect(await only('x'.repeat(1000), { maxBodyBytes: 1000 })).toMatchObject({ status: 200 });
    await site.close();
    expect(await only('x'.repeat(1001), { maxBodyBytes: 1000 })).toMatchObject({
      skipped: 'too_large',
    });
  });

  test.each([
    ['gzip', gzipSync(Buffer.alloc(10_000_000))],
    ['br', brotliCompressSync(Buffer.alloc(10_000_000))],
    ['gzip, gzip', gzipSync(gzipSync(Buffer.alloc(10_000_000)))],
  ])('and so is a body that unpacks to more (%s)', async (coding, body) => {
    const item = await only(typed('text/html', body, { 'content-encoding': coding }));
    expect(item).toMatchObject({ skipped: 'too_large' });
  });

  async function endless(res) {
    res.writeHead(200, { 'content-type': 'text/html' });
    const piece = Buffer.alloc(1024, 'x');
    while (!res.destroyed) {
      res.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
});

describe('time', () => {
  test.each([
    ['before the head', () => {}],
    ['within the body', (_req, res) => res.writeHead(200).write('x')],
    [
      'drop by drop',
      (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/html' });
        const drip = setInterval(() => res.write('x'), 10);
        res.on('close', () => clearInterval(drip));
      },
    ],
    ['within a redirect', (_req, res) => res.writeHead(404, { 'content-length': 9 }).write('x')],
  ])('a page that stops %s ends with the time of the fetch', async (where, page) => {
    // Long enough for a busy machine to connect and to send the request.
    const item = await only(page, { timeoutMs: 1500 });
    expect(item.error.code).toBe(where === 'within a redirect' ? 'http_status' : 'timeout');
    await site.allClosed();
    expect(site.counts()).toEqual({ '/': 1 });
  });
});

describe('servers that do not speak HTTP', () => {
  test.each([
    ['garbage', 'HELLO\r\n\r\n', 'protocol_error'],
    [
      'too many headers',
      `HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(40)}`,
      'protocol_error',
    ],
    ['a body cut short', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'disconnected'],
  ])('%s', async (_name, bytes, code) => {
    const item = await only((req) => req.socket.end(bytes));
    expect(item.error.code).toBe(code);
  });
});

test('X-Robots-Tag: nofollow is heeded', async () => {
  const item = await only(typed('text/html', linking('/never'), { 'x-robots-tag': 'nofollow' }));
  expect(item).toMatchObject({ status: 200 });
  expect(site.counts()).toEqual({ '/': 1 });
});
