/** Tests of `POST /v1/kv/txn` that run over every kind of storage. */

/**
 * Defines the tests.
 * @param {typeof import('./kv.js').startKv} open a gateway with an empty store of its own
 */
export function testKvTransactions(open) {
  describe('several at once', () => {
    test('success or failure, depending on the comparisons', async () => {
      const { put, read, txn } = await open();
      await put('stock', '5', { type: 'application/json' });
      const request = {
        compare: [
          { key: 'stock', value: 5 },
          { key: 'stock', version: 1 },
          { key: 'order', version: 0 },
        ],
        success: [
          { op: 'put', key: 'stock', value: 4 },
          { op: 'put', key: 'order', value: { n: 1 }, ttl_s: 60 },
          { op: 'get', key: 'stock' },
          { op: 'delete', key: 'nothing' },
        ],
        failure: [
          { op: 'get', key: 'stock' },
          { op: 'get', key: 'nothing' },
        ],
      };
      const done = await txn(request);
      expect(done.status).toBe(200);
      const order = done.body.responses[1].version;
      const stock = done.body.responses[0].version;
      expect(new Set([1, order, stock]).size).toBe(3);
      expect(done.body).toEqual({
        succeeded: true,
        responses: [
          { op: 'put', key: 'stock', version: stock },
          { op: 'put', key: 'order', version: order },
          { op: 'get', key: 'stock', found: true, value: 4, version: stock, expires_at: null },
          { op: 'delete', key: 'nothing', deleted: false },
        ],
      });
      expect((await read('stock')).headers.get('etag')).toBe(`"${stock}"`);
      expect((await read('order')).headers.get('x-expires-at')).not.toBeNull();
      expect((await txn(request)).body).toEqual({
        succeeded: false,
        responses: [
          { op: 'get', key: 'stock', found: true, value: 4, version: stock, expires_at: null },
          { op: 'get', key: 'nothing', found: false },
        ],
      });
    });

    test('all or nothing if there is no room', async () => {
      const { get, txn } = await open({ kv: { maxKeys: 2 } });
      const put = (key) => ({ op: 'put', key, value: 1 });
      const full = await txn({ success: [put('a'), put('b'), put('c')] });
      expect(full).toMatchObject({ status: 507, body: { error: { code: 'kv_full' } } });
      expect((await get('/v1/kv')).body.items).toEqual([]);
    });

    test('values beyond 4 MiB of an answer are omitted, and follow from its cursor', async () => {
      const { put, txn, url } = await open();
      await put('a', 'x'.repeat(2 ** 20));
      const request = { success: Array(128).fill({ op: 'get', key: 'a' }) };
      const response = await fetch(`${url}/v1/kv/txn`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      const text = await response.text();
      expect(text.length).toBeLessThan(4 * 2 ** 20 + 128 * 128);
      const { responses, cursor } = JSON.parse(text);
      expect(responses).toHaveLength(128);
      // A text of 1 MiB takes two quotes in addition: three of them fit.
      expect(cursor).toBe(3);
      expect(responses[2].value).toHaveLength(2 ** 20);
      expect(responses[3]).toEqual({
        op: 'get',
        key: 'a',
        found: true,
        version: 1,
        expires_at: null,
        value_omitted: true,
      });
      const rest = (await txn({ ...request, cursor: 126 })).body;
      expect(rest.cursor).toBeUndefined();
      expect(rest.responses.map(({ value_omitted: is }) => is === true).lastIndexOf(true)).toBe(
        125,
      );
      expect(rest.responses[127].value).toHaveLength(2 ** 20);
    });

    test('a single value larger than 4 MiB is answered whole', async () => {
      const { put, txn } = await open({ kv: { maxValueBytes: 6 * 2 ** 20 } });
      await put('large', 'x'.repeat(5 * 2 ** 20));
      await put('small', 'x');
      const get = (key) => ({ op: 'get', key });
      const both = (await txn({ success: [get('small'), get('large')] })).body;
      expect([both.cursor, both.responses[1].value_omitted]).toEqual([1, true]);
      const rest = (await txn({ success: [get('small'), get('large')], cursor: 1 })).body;
      expect([rest.cursor, rest.responses[1].value.length]).toEqual([undefined, 5 * 2 ** 20]);
    });

    test.each([
      [{ success: [{ op: 'delete', key: 'a' }], cursor: 0 }, 'cursor'],
      [{ success: [{ op: 'get', key: 'a' }], cursor: -1 }, 'cursor'],
      [{ success: [{ op: 'put', key: 'a' }] }, 'success[0].value'],
      [{ success: [{ op: 'move', key: 'a' }] }, 'success[0].op'],
      [{ failure: [{ op: 'get', key: 'a', value: 1 }] }, 'failure[0].value'],
      [{ success: [{ op: 'get', key: '' }] }, 'success[0].key'],
      [{ compare: [{ key: 'a' }] }, 'compare[0].version'],
      [{ compare: [{ key: 'a', version: -1 }] }, 'compare[0].version'],
      [{ compare: [{ key: 'a', versoin: 1 }] }, 'compare[0].versoin'],
      [{ sucess: [] }, 'sucess'],
      [{ success: [{ op: 'put', key: 'a', value: 1, ttl_s: 0 }] }, 'success[0].ttl_s'],
      [
        { success: ['put', 'delete'].map((op) => ({ op, key: 'a', value: 1 })) },
        'success[1].value',
      ],
      [{ success: [1, 2].map((value) => ({ op: 'put', key: 'a', value })) }, 'success[1].key'],
      [{ success: [{ op: 'put', key: '\ud800', value: 1 }] }, 'key'],
      [{ success: Array(129).fill({ op: 'get', key: 'a' }) }, 'success'],
      [[], null],
    ])('%j is refused', async (body, param) => {
      const { status, body: answer } = await (await open()).txn(body);
      expect([status, answer.error.param]).toEqual([400, param]);
    });

    test('a transaction increments and touches', async () => {
      const { put, txn } = await open();
      await put('text', 'x');
      const success = [
        { op: 'increment', key: 'n', by: 5, ttl_s: 60 },
        { op: 'touch', key: 'text', ttl_s: 60 },
        { op: 'touch', key: 'none' },
        { op: 'get', key: 'text' },
      ];
      const { status, body } = await txn({ success });
      expect(status).toBe(200);
      expect(body.responses).toEqual([
        { op: 'increment', key: 'n', value: 5, version: 2 },
        { op: 'touch', key: 'text', found: true, version: 3 },
        { op: 'touch', key: 'none', found: false },
        expect.objectContaining({ op: 'get', found: true, value: 'x' }),
      ]);
      const wrong = await txn({ success: [{ op: 'touch', key: 'n', value: 1 }] });
      expect(wrong.body.error).toMatchObject({ code: 'unknown_field', param: 'success[0].value' });
    });
  });
}
