/** `/v1/durable` over HTTP, for every kind of storage: rules beyond those of the conformance suite. */
import http from 'node:http';
import { bearer, entry } from './keys.js';

const START = '0'.repeat(16) + '_' + '0'.repeat(16);
const BYTES = { type: 'application/octet-stream' };
const JSON_TYPE = { type: 'application/json' };

/** Reads a stream from an offset to its end, page by page. */
async function readAll(read, path, offset = '-1') {
  const pages = [];
  for (;;) {
    const page = await read(path, `?offset=${offset}`);
    expect(page.status).toBe(200);
    pages.push(page);
    if (page.upToDate) return { pages, bytes: Buffer.concat(pages.map(({ bytes }) => bytes)) };
    expect(page.offset > offset).toBe(true);
    offset = page.offset;
  }
}

/** Events of an event stream that has ended. */
export function eventsOf(text) {
  return text
    .split('\n\n')
    .map((block) => ({
      type: /^event: (.*)$/m.exec(block)?.[1],
      data: [...block.matchAll(/^data:(?: )?(.*)$/gm)].map(([, line]) => line).join('\n'),
    }))
    .filter(({ type }) => type !== undefined);
}

const refusalOf = ({ status, error }) => [status, error.code];

/**
 * Defines the tests.
 * @param {typeof import('./durable.js').startDurable} open a gateway with an empty store of
 *   streams of its own
 * @param {(gateway: object) => Promise<number>} sizeOf the number of streams of all principals
 */
export function testDurable(open, sizeOf) {
  describe('offsets', () => {
    test('of a stream that had the path before are gone', async () => {
      const { put, append, read, remove } = await open();
      const { offset: start } = await put('a', '');
      const { offset } = await append('a', 'one');
      await remove('a');
      await put('a', 'other data');
      for (const old of [start, offset]) {
        const { status, error } = await read('a', `?offset=${old}`);
        expect([status, error.code, error.param]).toEqual([410, 'offset_gone', 'offset']);
      }
      expect(await read('a', `?offset=${START}`)).toMatchObject({ text: 'other data' });
    });

    test('name any byte, or the beginning of an append of JSON', async () => {
      const { put, append, read } = await open();
      const offsetPlus = (offset, bytes) => {
        const [space, position] = offset.split('_');
        return `${space}_${String(Number(position) + bytes).padStart(16, '0')}`;
      };
      const { offset: first } = await put('bytes', 'abc');
      await append('bytes', 'def');
      for (let from = -3; from <= 3; from += 1) {
        const { text } = await read('bytes', `?offset=${offsetPlus(first, from)}`);
        expect(text).toBe('abcdef'.slice(3 + from));
      }
      expect((await read('bytes', `?offset=${offsetPlus(first, 4)}`)).error).toMatchObject({
        code: 'invalid_value',
        param: 'offset',
        message: 'offset is after the end of the stream.',
      });
      const { offset: json } = await put('json', '[1,22]', JSON_TYPE);
      await append('json', '333', JSON_TYPE);
      expect((await read('json', `?offset=${json}`)).text).toBe('[333]');
      const within = await read('json', `?offset=${offsetPlus(json, -2)}`);
      expect([within.status, within.error.param]).toEqual([400, 'offset']);
    });

    test('a long stream is read in pages of exactly the written bytes', async () => {
      const { put, append, read } = await open();
      const parts = Array.from({ length: 40 }, (_, i) => Buffer.alloc(100_000, i));
      await put('long', undefined, BYTES);
      for (const part of parts) await append('long', part, BYTES);
      const { pages, bytes } = await readAll(read, 'long');
      expect(bytes.equals(Buffer.concat(parts))).toBe(true);
      expect(pages.length).toBeGreaterThan(1);
      for (const page of pages) expect(page.bytes.length).toBeLessThanOrEqual(1 << 20);
    });

    test('a stream of many small appends is read in pages, too', async () => {
      const { put, appendMany, read } = await open();
      const { offset } = await put('many', '');
      await appendMany('many', 'x', 1100);
      const { pages, bytes } = await readAll(read, 'many', offset);
      expect(bytes.toString()).toBe('x'.repeat(1100));
      expect(pages.map((page) => page.text.length)).toEqual([1024, 76]);
    });
  });

  describe('JSON', () => {
    test('keeps the digits of numbers and takes any white space', async () => {
      const { put, append, read } = await open();
      await put('a', '[ 12345678901234567890 , 1.10 ]', JSON_TYPE);
      await append('a', '{"a":\n1}', JSON_TYPE);
      expect((await read('a')).text).toBe('[12345678901234567890 , 1.10,{"a":\n1}]');
    });
  });

  describe('event streams', () => {
    /** The events of a closed stream. */
    const replay = async (read, path, offset = '-1') =>
      eventsOf((await read(path, `?offset=${offset}&live=sse`)).text);

    test('a character cut by appends is sent whole, and no offset within it is sent', async () => {
      const { put, append, at, read } = await open();
      const text = Buffer.from('aä\u{1F600}z');
      const { offset: start } = await put('a', '');
      const response = await fetch(at('a?offset=-1&live=sse'));
      let raw = '';
      const reading = (async () => {
        for await (const bytes of response.body) raw += Buffer.from(bytes).toString();
      })();
      const offsets = [start];
      for (const byte of text) offsets.push((await append('a', Buffer.from([byte]))).offset);
      await append('a', undefined, { 'stream-closed': 'true' });
      await reading;
      const events = eventsOf(raw);
      const data = events.filter(({ type }) => type === 'data').map((event) => event.data);
      expect(data.join('')).toBe(text.toString());
      const ends = events
        .filter(({ type }) => type === 'control')
        .map((event) => offsets.indexOf(JSON.parse(event.data).streamNextOffset));
      // 0, a, ä (2 bytes), the emoji (4), z.
      expect(ends.every((index) => [0, 1, 3, 7, 8].includes(index))).toBe(true);
      expect(ends.at(-1)).toBe(8);
      // The rest of a character at the end is sent as U+FFFD.
      await put('cut', text.subarray(0, 2), { 'stream-closed': 'true' });
      expect((await replay(read, 'cut'))[0].data).toBe('a\ufffd');
    });

    test('lines keep their leading spaces', async () => {
      const { put, read } = await open();
      await put('a', ' a\n  b\n\nc\n', { 'stream-closed': 'true' });
      const [data, control] = await replay(read, 'a');
      expect(data).toEqual({ type: 'data', data: ' a\n  b\n\nc\n' });
      expect(JSON.parse(control.data)).toMatchObject({ streamClosed: true, upToDate: true });
    });

    test('text of another charset is sent as base64', async () => {
      const { put, read } = await open();
      const type = 'text/plain; charset=iso-8859-1';
      await put('a', Buffer.from([0xe4]), { type, 'stream-closed': 'true' });
      const answer = await read('a', '?offset=-1&live=sse');
      expect(answer.headers.get('stream-sse-data-encoding')).toBe('base64');
      expect(eventsOf(answer.text)[0].data).toBe('5A==');
    });

    test('ends after its time, and the next one continues', async () => {
      const { put, append, read } = await open({ durable: { sseMs: 50 } });
      await put('a', 'one');
      const first = eventsOf((await read('a', '?offset=-1&live=sse')).text);
      expect(first.map(({ type }) => type)).toEqual(['data', 'control']);
      await append('a', 'two', { 'stream-closed': 'true' });
      const { streamNextOffset, streamCursor } = JSON.parse(first[1].data);
      expect(streamCursor).toMatch(/^\d+$/);
      expect((await replay(read, 'a', streamNextOffset))[0].data).toBe('two');
    });

    test('a reader that stops reading is disconnected, and occupies at most a page', async () => {
      const { put, append, at, readers } = await open({ stallMs: 300 });
      await put('a', undefined, BYTES);
      const part = Buffer.alloc(1 << 20);
      for (let i = 0; i < 32; i += 1) await append('a', part, BYTES);
      const request = http.get(at('a?offset=-1&live=sse'));
      const response = await new Promise((resolve) => request.once('response', resolve));
      response.pause();
      await readers(1);
      await readers(0);
      request.destroy();
    });

    test('a deleted stream ends its readers', async () => {
      const { put, at, remove, read } = await open();
      await put('a', 'one');
      const response = await fetch(at('a?offset=-1&live=sse'));
      const text = response.text();
      const poll = read('a', '?offset=now&live=long-poll');
      await remove('a');
      expect(eventsOf(await text).map(({ type }) => type)).toEqual(['data', 'control']);
      expect((await poll).status).toBe(404);
    });
  });

  describe('many readers', () => {
    test('of one stream all receive the next append', async () => {
      const { put, append, read, readers } = await open({ durable: { longPollMs: 600_000 } });
      await put('a', 'one');
      const polls = Array.from({ length: 300 }, () => read('a', '?offset=now&live=long-poll'));
      await readers(300);
      const { offset } = await append('a', 'two');
      for (const answer of await Promise.all(polls)) {
        expect(answer).toMatchObject({ status: 200, text: 'two', offset, upToDate: true });
        expect(answer.headers.get('stream-cursor')).toMatch(/^\d+$/);
      }
      await readers(0);
    });

    test('are limited in number, per caller', async () => {
      const access = { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] };
      const ann = await open(
        { maxStreams: 4, access, durable: { longPollMs: 600_000 } },
        bearer('key-of-ann'),
      );
      await ann.put('a', 'one');
      const leave = new AbortController();
      const poll = () =>
        ann.ask('GET', 'a?offset=now&live=long-poll', { signal: leave.signal }).catch(() => {});
      const polls = [poll(), poll()];
      await ann.readers(2);
      for (const live of ['long-poll', 'sse']) {
        const refused = await ann.read('a', `?offset=now&live=${live}`);
        expect([refused.status, refused.error.code]).toEqual([503, 'overloaded']);
        expect(refused.headers.get('retry-after')).toBe('5');
      }
      // A read of existing data takes no place.
      expect((await ann.read('a', '?offset=-1&live=long-poll')).text).toBe('one');
      leave.abort();
      await Promise.all(polls);
      await ann.readers(0);
    });

    test('end when the gateway closes', async () => {
      const { gateway, put, at, read, readers } = await open({
        durable: { longPollMs: 600_000 },
      });
      await put('a', 'one');
      const events = (await fetch(at('a?offset=-1&live=sse'))).text();
      const poll = read('a', '?offset=now&live=long-poll');
      await readers(2);
      await gateway.close({ drainMs: 0 });
      expect((await poll).status).toBe(204);
      expect(eventsOf(await events)).toHaveLength(2);
    });
  });

  describe('callers', () => {
    const access = { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] };

    test('have separate paths, and fork only their own streams', async () => {
      const { ask, url } = await open({ access });
      const as = (name, method, path, headers = {}) =>
        ask(method, path, { headers: { ...bearer(`key-of-${name}`), ...headers } });
      expect((await ask('PUT', 'a')).status).toBe(401);
      expect((await as('ann', 'PUT', 'a')).status).toBe(201);
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        expect((await as('bob', method, 'a')).status).toBe(404);
      }
      const from = { 'stream-forked-from': '/v1/durable/a' };
      expect((await as('bob', 'PUT', 'fork', from)).status).toBe(404);
      expect((await as('ann', 'PUT', 'fork', from)).status).toBe(201);
      const made = await as('bob', 'PUT', 'dir/%C3%A4%20b');
      expect(made.headers.get('location')).toBe(`${url}/v1/durable/dir/%C3%A4%20b`);
    });

    test('are erased with their streams', async () => {
      const { gateway, ask, at } = await open({ access });
      const headers = bearer('key-of-ann');
      await ask('PUT', 'a', { headers, body: 'secret' });
      await ask('PUT', 'b', { headers: bearer('key-of-bob'), body: 'of bob' });
      const events = (await fetch(at('a?offset=-1&live=sse'), { headers })).text();
      expect(await sizeOf(gateway)).toBe(2);
      await gateway.erasePrincipal('ann');
      expect((await ask('GET', 'a', { headers })).status).toBe(404);
      expect((await ask('GET', 'b', { headers: bearer('key-of-bob') })).text).toBe('of bob');
      expect(eventsOf(await events)).toHaveLength(2);
      expect(await sizeOf(gateway)).toBe(1);
    });
  });

  describe('limits', () => {
    test('of streams, by principal and in all', async () => {
      const access = { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] };
      const durable = { maxStreams: 3, maxStreamsPerPrincipal: 2 };
      const { ask } = await open({ access, durable });
      const put = (name, path, headers) =>
        ask('PUT', path, { headers: { ...bearer(`key-of-${name}`), ...headers } });
      await put('ann', 'a');
      await put('ann', 'b', { 'stream-forked-from': '/a' });
      expect(refusalOf(await put('ann', 'c'))).toEqual([507, 'durable_full']);
      expect((await put('ann', 'a')).status).toBe(200);
      await put('bob', 'a');
      expect(refusalOf(await put('bob', 'b'))).toEqual([507, 'durable_full']);
      // It is kept for its fork, so it counts until the fork is deleted.
      await ask('DELETE', 'a', { headers: bearer('key-of-ann') });
      expect((await put('ann', 'c')).status).toBe(507);
      await ask('DELETE', 'b', { headers: bearer('key-of-ann') });
      expect((await put('ann', 'c')).status).toBe(201);
      expect((await put('bob', 'b')).status).toBe(201);
    });

    test('of bytes: a refused append changes nothing, closing is always possible', async () => {
      const { gateway, get, put, append, read, remove } = await open({
        durable: { maxBytesPerPrincipal: 10_000, maxAppendBytes: 5000 },
      });
      await put('a', Buffer.alloc(4000), BYTES);
      await append('a', Buffer.alloc(4000), BYTES);
      const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' };
      const refused = await append('a', Buffer.alloc(4000), { ...BYTES, ...producer });
      expect(refusalOf(refused)).toEqual([507, 'durable_full']);
      expect(refused.error.message).toContain('10000');
      expect(refusalOf(await append('a', Buffer.alloc(5001), BYTES))).toEqual([
        413,
        'body_too_large',
      ]);
      expect((await read('a')).bytes).toHaveLength(8000);
      await put('small', '');
      expect((await append('small', 'x', producer)).status).toBe(200);
      expect((await append('a', undefined, { 'stream-closed': 'true' })).status).toBe(204);
      expect(await sizeOf(gateway)).toBe(2);
      expect((await get('/metrics')).body).toMatch(/^sluice_durable_streams 2$/m);
      await remove('a');
      expect((await put('b', Buffer.alloc(5000), BYTES)).status).toBe(201);
    });

    const producerIds = { 'producer-epoch': '0', 'producer-seq': '0' };
    test.each([
      ['stream-ttl', 'PUT', { 'stream-ttl': '1', 'stream-expires-at': '2100-01-01T00:00:00Z' }],
      ['stream-ttl', 'PUT', { 'stream-ttl': '3153600001' }],
      ['stream-expires-at', 'PUT', { 'stream-expires-at': '2100-01-01' }],
      ['content-type', 'PUT', { 'content-type': 'text' }],
      ['stream-forked-from', 'PUT', { 'stream-fork-offset': START }],
      ['stream-forked-from', 'PUT', { 'stream-forked-from': '/%ff' }],
      [
        'stream-fork-sub-offset',
        'PUT',
        { 'stream-forked-from': '/a', 'stream-fork-sub-offset': '-1' },
      ],
      ['producer-seq', 'POST', { 'producer-id': 'p', 'producer-epoch': '0' }],
      ['producer-id', 'POST', { 'producer-id': 'x'.repeat(257), ...producerIds }],
      ['live', 'GET', {}, '?live=yes'],
      ['offset', 'GET', {}, '?live=sse'],
      ['offset', 'GET', {}, '?offset=x'],
      ['cursor', 'GET', {}, '?cursor=1&cursor=2'],
    ])('an invalid %s is refused by name (%s, %#)', async (param, method, headers, query = '') => {
      const { put, ask } = await open();
      await put('a', 'x');
      const path = (method === 'PUT' ? 'new' : 'a') + query;
      const body = method === 'POST' ? Buffer.from('x') : undefined;
      const { status, error } = await ask(method, path, { headers, body });
      expect([status, error.param]).toEqual([400, param]);
    });

    test('paths below the reserved prefix cannot be streams', async () => {
      const { put } = await open();
      for (const path of ['__ds', '__ds/subscriptions/a']) {
        expect(refusalOf(await put(path, ''))).toEqual([404, 'not_found']);
      }
      expect((await put('__dsx', '')).status).toBe(201);
    });

    test('a path has up to 1024 bytes', async () => {
      const { put } = await open();
      expect((await put('x'.repeat(1024), '')).status).toBe(201);
      expect((await put('x'.repeat(1025), '')).error.param).toBe('path');
    });
  });
}
