/** Accepted requests; refusals are tested over HTTP. */
import { asJson, checkJobRequest, checkListQuery } from '../../../lib/jobs/request.js';

test('a request with every field is accepted unchanged', () => {
  const request = {
    messages: [
      { role: 'system', content: 's' },
      { role: 'developer', content: 'd' },
      { role: 'user', content: 'u' },
      { role: 'assistant', content: '' },
    ],
    model: 'm',
    max_tokens: 1,
    temperature: 0,
    stop: ['a', 'b', 'c', 'd'],
    metadata: { a: { b: [null] } },
    on_disconnect: 'continue',
    disconnect_grace_ms: 0,
    max_wall_ms: 1,
  };
  expect(checkJobRequest(request)).toBe(request);
});

test('metadata may have up to 16 KiB as JSON', () => {
  const frame = JSON.stringify({ m: '' }).length;
  const fits = { prompt: 'p', metadata: { m: 'x'.repeat(16 * 1024 - frame) } };
  expect(checkJobRequest(fits)).toBe(fits);
  fits.metadata.m += 'x';
  expect(() => checkJobRequest(fits)).toThrow(expect.objectContaining({ param: 'metadata' }));
});

test('metadata counts in bytes, not characters', () => {
  const request = { prompt: 'p', metadata: { m: 'é'.repeat(8200) } };
  expect(() => checkJobRequest(request)).toThrow(expect.objectContaining({ param: 'metadata' }));
});

test('metadata may be up to 32 levels deep', () => {
  const nested = (levels) => JSON.parse('{"x":'.repeat(levels) + '1' + '}'.repeat(levels));
  expect(() => checkJobRequest({ prompt: 'p', metadata: nested(32) })).not.toThrow();
  expect(() => checkJobRequest({ prompt: 'p', metadata: nested(33) })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_VALUE', param: 'metadata' }),
  );
});

test('half a surrogate pair is refused in any field', () => {
  for (const request of [
    { prompt: 'a\ud83d' },
    { prompt: 'a', metadata: { '\udc00': 1 } },
    { prompt: 'a', metadata: { x: ['\udc00'] } },
    { messages: [{ role: 'user', content: '\ude00\ud83d' }] },
  ]) {
    expect(() => checkJobRequest(request)).toThrow(expect.objectContaining({ status: 400 }));
  }
  expect(() => checkJobRequest({ prompt: '😀' })).not.toThrow();
});

test("a JS caller's request is copied as JSON would carry it", () => {
  const request = { prompt: 'p', model: undefined, metadata: { at: new Date(0) } };
  const copy = asJson(request);
  request.metadata.at = 'later';
  expect(copy).toEqual({ prompt: 'p', metadata: { at: '1970-01-01T00:00:00.000Z' } });
  expect(asJson(undefined)).toBeUndefined();
  expect(() => asJson({ metadata: { n: 1n } })).toThrow(expect.objectContaining({ status: 400 }));
});

test('the query of a list is text', () => {
  expect(checkListQuery({})).toEqual({ limit: 20, after: undefined, status: undefined });
  expect(checkListQuery({ limit: '100', after: 'job_x', status: 'failed', other: '1' })).toEqual({
    limit: 100,
    after: 'job_x',
    status: 'failed',
  });
  for (const query of [{ limit: '1e1' }, { limit: ['1'] }, { after: {} }, { status: ['queued'] }]) {
    expect(() => checkListQuery(query)).toThrow(expect.objectContaining({ status: 400 }));
  }
});
