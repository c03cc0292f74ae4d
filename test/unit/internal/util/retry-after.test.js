import { parseRetryAfterMs } from '../../../../lib/internal/util/retry-after.js';

describe('parseRetryAfterMs', () => {
  const nowMs = Date.parse('1994-11-06T08:49:27Z');
  test.each([
    [{}, undefined],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after-ms': '350', 'retry-after': '1' }, 350],
    // The three forms of an HTTP date (RFC 9110, section 5.6.7).
    [{ 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }, 10_000],
    [{ 'retry-after': 'Sunday, 06-Nov-94 08:49:37 GMT' }, 10_000],
    [{ 'retry-after': 'Sun Nov  6 08:49:37 1994' }, 10_000],
    [{ 'retry-after': 'Sun, 06 Nov 1994 08:00:00 GMT' }, 0],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
  ])('%j', (headers, expected) => {
    expect(parseRetryAfterMs(headers, nowMs)).toBe(expected);
  });
});
