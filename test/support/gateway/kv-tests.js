/** Tests of `/v1/kv` over HTTP that run over every kind of storage. */
import { bearer, entry } from './keys.js';
import { testKvAccess } from './kv-access-tests.js';
import { testKvTransactions } from './kv-transaction-tests.js';
import { until } from '../until.js';

/**
 * Defines the tests, those of transactions and of access included.
 * @param {typeof import('./kv.js').startKv} open a gateway with an empty store of its own
 */
export function testKv(open) {
  describe('one key', () => {
    test('is put, read and deleted, with its version as entity tag', async () => {
      const { put, read, remove } = await open();
      const missing = await read('a');
      expect([missing.status, missing.headers.get('etag')]).toEqual([404, null]);
      const refused = await put('a', 'one', { headers: { 'if-match': '*' } });
      expect([refused.status, refused.headers.get('etag')]).toEqual([412, null]);
      const made = await put('a', 'one');
      expect(made.status).toBe(201);
      expect(made.body).toEqual({ key: 'a', version: 1 });
      expect(made.headers.get('etag')).toBe('"1"');
      const found = await read('a');
      expect(found).toMatchObject({ status: 200, body: 'one' });
      expect(found.headers.get('etag')).toBe('"1"');
      expect(found.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(found.headers.get('x-content-type-options')).toBe('nosniff');
      expect(found.headers.get('cache-control')).toBe('no-store');
      expect(found.headers.get('x-expires-at')).toBeNull();
      expect(await put('a', 'two')).toMatchObject({ status: 200, body: { version: 2 } });
      expect((await remove('a')).status).toBe(204);
      expect(await remove('a')).toMatchObject({
        status: 404,
        body: { error: { code: 'key_not_found', type: 'not_found_error', param: 'key' } },
      });
    });

    test('returns the value that was put, with its type', async () => {
      const { url, put, read } = await open();
      const value = { list: [1, 'ä', null], empty: {} };
      await put('json', JSON.stringify(value), { type: 'application/json; charset=utf-8' });
      const json = await read('json');
      expect(json.body).toEqual(value);
      expect(json.headers.get('content-type')).toMatch(/^application\/json/);
      for (const odd of ['null', '0', 'false', '""', '[]']) {
        await put('odd', odd, { type: 'application/json' });
        const found = await fetch(`${url}/v1/kv/odd`);
        expect(found.status).toBe(200);
        // A JSON string is stored as text.
        expect(await found.text()).toBe(odd === '""' ? '' : odd);
      }
      await put('empty', '');
      expect(await read('empty')).toMatchObject({ status: 200, body: '' });
      const bytes = new Uint8Array([0, 255, 10, 13]);
      await put('bytes', bytes, { type: 'application/octet-stream' });
      const found = await fetch(`${url}/v1/kv/bytes`);
      expect(found.headers.get('content-type')).toBe('application/octet-stream');
      expect(new Uint8Array(await found.arrayBuffer())).toEqual(bytes);
      const head = await fetch(`${url}/v1/kv/bytes`, { method: 'HEAD' });
      expect(head.status).toBe(200);
      expect(head.headers.get('content-length')).toBe('4');
    });

    test('has any name that a URL can carry', async () => {
      const { get, put, read } = await open();
      const names = ['user/1', 'user//2', 'dir/', 'txn', 'ä \u{1F600}', 'a%2Fb?&#', '..x', '%'];
      for (const name of names) {
        const path = name.split('/').map(encodeURIComponent).join('/');
        expect((await put(path, name)).body.key).toBe(name);
        expect((await read(path)).body).toBe(name);
      }
      await put('x%2Fy', 'slash');
      expect((await read('x/y')).body).toBe('slash');
      const { items } = (await get('/v1/kv')).body;
      expect(items.map(({ key }) => key)).toEqual([...names, 'x/y'].sort());
    });
  });

  describe('conditions', () => {
    test('If-Match: only that version', async () => {
      const { put, read, remove } = await open();
      const failed = { status: 412, body: { error: { code: 'precondition_failed' } } };
      expect(await put('a', 'x', { headers: { 'if-match': '"1"' } })).toMatchObject(failed);
      expect(await put('a', 'x', { headers: { 'if-match': '*' } })).toMatchObject(failed);
      await put('a', 'x', { query: '?ttl_s=1000' });
      const refused = await put('a', 'y', { headers: { 'if-match': '"7", W/"1"' } });
      expect(refused).toMatchObject(failed);
      expect(refused.headers.get('etag')).toBe('"1"');
      expect(await remove('a', { 'if-match': '"2"' })).toMatchObject(failed);
      const still = await read('a', { 'if-match': '"1"' });
      expect(still).toMatchObject({ status: 200, body: 'x' });
      expect(still.headers.get('x-expires-at')).not.toBeNull();
      expect(await read('a', { 'if-match': '"3"' })).toMatchObject(failed);
      expect((await put('a', 'y', { headers: { 'if-match': '"7" , "1"' } })).status).toBe(200);
      expect((await read('a')).headers.get('x-expires-at')).toBeNull();
      expect((await remove('a', { 'if-match': '*' })).status).toBe(204);
    });

    test('If-None-Match: only if it is absent, or differs from the known version', async () => {
      const { put, read } = await open();
      const absent = { headers: { 'if-none-match': '*' } };
      expect((await put('a', 'x', absent)).status).toBe(201);
      expect((await put('a', 'y', absent)).status).toBe(412);
      expect((await put('a', 'y', { headers: { 'if-none-match': '"1"' } })).status).toBe(412);
      const same = await read('a', { 'if-none-match': '"5", W/"1"' });
      expect(same).toMatchObject({ status: 304, body: '' });
      expect(same.headers.get('etag')).toBe('"1"');
      expect(await read('a', { 'if-none-match': '"2"' })).toMatchObject({ status: 200, body: 'x' });
      expect((await put('a', 'y', { headers: { 'if-none-match': '"2"' } })).status).toBe(200);
    });

    test.each(['1', '"1', 'W/1', '"1" "2"', ''])('%j is refused', async (tag) => {
      const { put } = await open();
      for (const name of ['If-Match', 'If-None-Match']) {
        const { status, body } = await put('a', 'x', { headers: { [name]: tag } });
        expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', name]);
      }
    });

    test('of many writes with one version in If-Match, one succeeds', async () => {
      const { put } = await open();
      await put('a', '0');
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) => put('a', `${i}`, { headers: { 'if-match': '"1"' } })),
      );
      expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(all.filter(({ status }) => status === 412)).toHaveLength(19);
    });
  });

  describe('time', () => {
    test.each(['0', '-1', 'x', '', '1e3', '9999999999'])('ttl_s=%s is refused', async (ttl) => {
      const { put } = await open();
      const { status, body } = await put('a', 'x', { query: `?ttl_s=${ttl}` });
      expect([status, body.error.param]).toEqual([400, 'ttl_s']);
    });
  });

  describe('pages', () => {
    test('by prefix, limit and cursor', async () => {
      const { get, put } = await open();
      for (const key of ['b/3', 'b/1', 'a', 'b/2', 'c']) await put(key, key);
      await put('b/4', new Uint8Array([1, 2]), { type: 'application/octet-stream' });
      const first = (await get('/v1/kv?prefix=b/&limit=2')).body;
      expect(first.items).toEqual([
        { key: 'b/1', value: 'b/1', version: 2 },
        { key: 'b/2', value: 'b/2', version: 4 },
      ]);
      const rest = (await get(`/v1/kv?prefix=b/&limit=2&cursor=${first.cursor}`)).body;
      expect(rest).toEqual({
        items: [
          { key: 'b/3', value: 'b/3', version: 1 },
          { key: 'b/4', value: 'AQI=', encoding: 'base64', version: 6 },
        ],
        cursor: null,
      });
      expect((await get('/v1/kv')).body.items).toHaveLength(6);
    });

    test('are cut where values are large, and continue', async () => {
      const { get, put } = await open();
      for (let i = 0; i < 40; i += 1) await put(`k${i + 10}`, 'x'.repeat(300_000));
      const keys = [];
      let cursor = '';
      do {
        const { body } = await get(`/v1/kv?limit=1000${cursor && `&cursor=${cursor}`}`);
        keys.push(...body.items.map(({ key }) => key));
        ({ cursor } = body);
        expect(body.items.length).toBeLessThan(40);
      } while (cursor);
      expect(keys).toEqual(Array.from({ length: 40 }, (_, i) => `k${i + 10}`));
    });

    test.each([
      ['limit=0', 'limit'],
      ['limit=1001', 'limit'],
      ['limit=x', 'limit'],
      ['cursor=x', 'cursor'],
      ['prefix=a&prefix=b', 'prefix'],
    ])('%s is refused', async (query, param) => {
      const { get } = await open();
      const { status, body } = await get(`/v1/kv?${query}`);
      expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_value', param]);
    });
  });

  describe('large pages', () => {
    test('a page has up to 4 MiB of JSON, and the next one begins after it', async () => {
      const { put, url } = await open();
      for (let i = 0; i < 12; i += 1) {
        await put(`k${10 + i}`, Buffer.alloc(2 ** 20), { type: 'application/octet-stream' });
      }
      // A control character takes six bytes of JSON.
      await put('k30', '\u0001'.repeat(2 ** 20));
      await put('k31', 'last');
      const keys = [];
      let cursor = '';
      do {
        const response = await fetch(`${url}/v1/kv?limit=1000${cursor && `&cursor=${cursor}`}`);
        const text = await response.text();
        const page = JSON.parse(text);
        if (page.items.length > 1) expect(text.length).toBeLessThan(4 * 2 ** 20 + 4096);
        keys.push(...page.items.map(({ key }) => key));
        ({ cursor } = page);
      } while (cursor);
      const all = Array.from({ length: 12 }, (_, i) => `k${10 + i}`);
      expect(keys).toEqual([...all, 'k30', 'k31']);
    });
  });

  describe('changes of a key', () => {
    const json = { 'content-type': 'application/json' };

    test('PATCH adds to a number, or gives another time to live', async () => {
      const { call, read, put } = await open();
      const patch = (key, body, headers = {}) =>
        call('PATCH', `/v1/kv/${key}`, {
          raw: JSON.stringify(body),
          headers: { ...json, ...headers },
        });
      const made = await patch('n', { increment: 2 });
      expect([made.status, made.body]).toEqual([
        201,
        { key: 'n', value: 2, version: 1, expires_at: null },
      ]);
      expect(made.headers.get('etag')).toBe('"1"');
      const added = await patch('n', { increment: -0.5 }, { 'if-match': '"1"' });
      expect([added.status, added.body.value, added.body.version]).toEqual([200, 1.5, 2]);
      expect((await patch('n', { increment: 1 }, { 'if-match': '"1"' })).status).toBe(412);
      const touched = await patch('n', { ttl_s: 60 });
      expect(touched.body).toEqual({ key: 'n', version: 3, expires_at: expect.any(Number) });
      expect((await read('n')).headers.get('x-expires-at')).toBe(String(touched.body.expires_at));
      // A counter of a window: its expiry stays.
      const end = (await patch('w', { increment: 1, ttl_s: 10 })).body.expires_at;
      expect((await patch('w', { increment: 1, ttl_s: 10 })).body).toMatchObject({
        value: 2,
        expires_at: end,
      });
      expect((await patch('n', { ttl_s: null })).body.expires_at).toBeNull();
      expect((await patch('none', { ttl_s: 5 })).body.error.code).toBe('key_not_found');
      await put('text', 'x');
      const refused = await patch('text', { increment: 1 });
      expect([refused.status, refused.body.error.code]).toEqual([409, 'not_a_number']);
      for (const [body, param] of [
        [{}, null],
        [{ by: 1 }, 'by'],
        [{ increment: '1' }, 'increment'],
        [{ ttl_s: 0 }, 'ttl_s'],
      ]) {
        const { status, body: answer } = await patch('n', body);
        expect([status, answer.error.param]).toEqual([400, param]);
      }
    });

    test('-0 stays -0', async () => {
      const { url, put, txn } = await open();
      await put('zero', '{"a":[-0]}', { type: 'application/json' });
      expect(await (await fetch(`${url}/v1/kv/zero`)).text()).toBe('{"a":[-0]}');
      expect(await (await fetch(`${url}/v1/kv`)).text()).toContain('{"a":[-0]}');
      const { body } = await txn({ success: [{ op: 'get', key: 'zero' }] });
      expect(Object.is(body.responses[0].value.a[0], -0)).toBe(true);
    });
  });

  describe('lists', () => {
    test('in reverse, and of keys alone', async () => {
      const { get, put } = await open();
      for (const key of ['a', 'b', 'c']) await put(key, 'x');
      const list = async (query) => (await get(`/v1/kv?${query}`)).body;
      const first = await list('reverse=true&keys_only=true&limit=2');
      expect(first.items).toEqual([
        { key: 'c', version: 3 },
        { key: 'b', version: 2 },
      ]);
      const rest = await list(`reverse=true&limit=2&cursor=${first.cursor}`);
      expect(rest).toEqual({ items: [{ key: 'a', value: 'x', version: 1 }], cursor: null });
      for (const query of ['reverse=1', 'keys_only=yes', `cursor=${first.cursor}`]) {
        expect((await get(`/v1/kv?${query}`)).status).toBe(400);
      }
    });
  });

  describe('watch', () => {
    test('streams the changes of the caller’s keys', async () => {
      const access = { keys: [entry('ann', 'ann'), entry('bob', 'bob')] };
      const { stream, put, remove, gateway } = await open({ access });
      const headers = bearer('ann');
      const watching = await stream('/v1/kv?watch=true&prefix=a', { headers });
      await put('a1', '{"n":-1}', { headers, type: 'application/json', query: '?ttl_s=600' });
      await put('b', 'not asked for', { headers });
      await put('a2', 'of somebody else', { headers: bearer('bob') });
      await put('a3', Buffer.from([255]), { headers, type: 'application/octet-stream' });
      await remove('a1', headers);
      await until(() => watching.events.length >= 3, 'three changes');
      expect(watching.events.map(({ type, data }) => [type, data])).toEqual([
        ['set', { key: 'a1', value: { n: -1 }, version: 1, expires_at: expect.any(Number) }],
        ['set', { key: 'a3', value: '/w==', encoding: 'base64', version: 4, expires_at: null }],
        ['delete', { key: 'a1', version: 5 }],
      ]);
      const closed = gateway.close({ drainMs: 0 });
      await watching.closed;
      await closed;
    });
  });

  testKvTransactions(open);
  testKvAccess(open);
}
