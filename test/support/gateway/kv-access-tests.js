/** Tests of the owners and the limits of keys of `/v1/kv` that run over every kind of storage. */
import { bearer, entry } from './keys.js';

/**
 * Defines the tests.
 * @param {typeof import('./kv.js').startKv} open a gateway with an empty store of its own
 */
export function testKvAccess(open) {
  describe('access and limits', () => {
    test('keys belong to a principal', async () => {
      const { call } = await open({
        access: { keys: [entry('ann', 'key-of-ann'), entry('bob/', 'key-of-bob')] },
      });
      const ann = bearer('key-of-ann');
      const bob = bearer('key-of-bob');
      const put = (headers, raw) =>
        call('PUT', '/v1/kv/shared', {
          raw,
          headers: { ...headers, 'content-type': 'text/plain' },
        });
      await put(ann, 'of ann');
      expect((await put(bob, 'of bob')).status).toBe(201);
      expect((await call('GET', '/v1/kv/shared', { headers: ann })).body).toBe('of ann');
      const { items, cursor } = (await call('GET', '/v1/kv', { headers: bob })).body;
      expect(items).toEqual([{ key: 'shared', value: 'of bob', version: 2 }]);
      expect(cursor).toBeNull();
      expect((await call('GET', '/v1/kv?prefix=sh&limit=1', { headers: ann })).body.items).toEqual([
        { key: 'shared', value: 'of ann', version: 1 },
      ]);
      await call('DELETE', '/v1/kv/shared', { headers: bob });
      expect((await call('GET', '/v1/kv/shared', { headers: ann })).status).toBe(200);
      expect((await call('GET', '/v1/kv/shared')).status).toBe(401);
    });

    test('errors name limits and types', async () => {
      const { put, remove, call } = await open({
        kv: { maxKeys: 1, maxKeyBytes: 5, maxValueBytes: 100 },
      });
      const refusalOf = ({ status, body }) => [status, body.error.code, body.error.param];
      const large = await put('ääb', 'x'.repeat(101));
      expect(refusalOf(large)).toEqual([413, 'body_too_large', null]);
      expect(large.body.error.message).toContain('100 bytes');
      expect(refusalOf(await put('äääb', 'x'))).toEqual([400, 'invalid_value', 'key']);
      expect(refusalOf(await remove('123456'))).toEqual([400, 'invalid_value', 'key']);
      const json = { type: 'application/json' };
      const grown = `[${'1e20,'.repeat(19)}1]`;
      expect(refusalOf(await put('a', grown, json))).toEqual([400, 'invalid_value', 'value']);
      expect(refusalOf(await put('a', '1e999', json))).toEqual([400, 'invalid_value', 'value']);
      expect(refusalOf(await put('a', '{', json))).toEqual([400, 'invalid_json', null]);
      expect(refusalOf(await put('a', '', json))).toEqual([400, 'invalid_json', null]);
      const broken = new Uint8Array([0xff]);
      expect(refusalOf(await put('a', broken, json))).toEqual([400, 'invalid_json', null]);
      expect(refusalOf(await put('a', broken))).toEqual([400, 'invalid_value', null]);
      for (const type of ['text/html', 'text/plain; charset=latin1', '']) {
        expect(refusalOf(await put('a', broken, { type }))[0]).toBe(415);
      }
      expect((await put('a', 'x')).status).toBe(201);
      expect(refusalOf(await put('b', 'x'))).toEqual([507, 'kv_full', null]);
      expect((await put('a', 'y')).status).toBe(200);
      const post = await call('POST', '/v1/kv/a', { body: {} });
      expect(post.status).toBe(405);
      expect(post.headers.get('allow')).toBe('GET, HEAD, PUT, PATCH, DELETE');
    });

    test('no caller takes the room of other callers', async () => {
      const { call } = await open({
        access: { keys: [entry('ann', 'key-of-ann'), entry('bob', 'key-of-bob')] },
        kv: { maxKeysPerPrincipal: 2, maxBytesPerPrincipal: 100 },
      });
      const put = (key, path, raw) =>
        call('PUT', `/v1/kv/${path}`, {
          raw,
          headers: { ...bearer(key), 'content-type': 'text/plain' },
        });
      const full = (answer, limit) => {
        expect(answer).toMatchObject({ status: 507, body: { error: { code: 'kv_full' } } });
        expect(answer.body.error.message).toContain(limit);
      };
      expect((await put('key-of-ann', 'a', 'x')).status).toBe(201);
      full(await put('key-of-ann', 'b', 'x'.repeat(100)), 'maxBytesPerPrincipal is 100');
      expect((await put('key-of-ann', 'b', 'x')).status).toBe(201);
      full(await put('key-of-ann', 'c', 'x'), 'maxKeysPerPrincipal is 2');
      expect((await put('key-of-ann', 'b', 'y')).status).toBe(200);
      expect((await put('key-of-bob', 'c', 'x')).status).toBe(201);
    });
  });

  test('principals with similar names have separate keys', async () => {
    const names = [
      'a',
      'a/b',
      'a%2Fb',
      '#',
      '\ufffd',
      '\u00e9',
      'e\u0301',
      '__proto__',
      'x'.repeat(200),
    ];
    const broken = ['\ud800', { principal: '\ud801' }, { principal: 'a', account: '\ud800' }];
    const given = [...names, ...broken];
    const { put, read } = await open({
      authenticate: ({ headers }) => given[Number(headers['x-who'])],
    }).then((made) => ({
      ...made,
      put: (i) =>
        made.call('PUT', '/v1/kv/k', {
          raw: `of ${i}`,
          headers: { 'content-type': 'text/plain', 'x-who': i },
        }),
      read: (i) => made.call('GET', '/v1/kv/k', { headers: { 'x-who': i } }),
    }));
    for (const i of names.keys()) expect((await put(`${i}`)).status).toBe(201);
    for (const i of names.keys()) expect((await read(`${i}`)).body).toBe(`of ${i}`);
    for (const i of broken.keys()) expect((await put(`${names.length + i}`)).status).toBe(500);
  });
}
