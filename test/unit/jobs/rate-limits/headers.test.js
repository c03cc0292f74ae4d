/**
 * Headers about limits. The expected texts follow draft-ietf-httpapi-ratelimit-headers-11
 * (sections 3 and 4) and the examples in OpenAI's guide to rate limits.
 */
import { formatSpan, rateLimitHeaders } from '../../../../lib/jobs/rate-limits/headers.js';

const windowed = (dimension, limit, remaining, more) => ({
  dimension,
  key: 'principal:ann',
  cost: 1,
  allowed: true,
  limit,
  windowMs: 60_000,
  remaining,
  retryAfter: 0,
  resetAfter: ((limit - remaining) * 60) / limit,
  ...more,
});
const jobs = (limit, remaining, more) => ({
  ...windowed('concurrent_jobs', limit, remaining),
  windowMs: undefined,
  resetAfter: 360,
  ...more,
});

test('without limits there are no headers', () => {
  expect(rateLimitHeaders([])).toEqual({});
});

test('requests, tokens and jobs at a time', () => {
  const entries = [windowed('requests', 60, 59), windowed('tokens', 150_000, 149_984), jobs(5, 4)];
  expect(rateLimitHeaders(entries)).toEqual({
    'RateLimit-Policy':
      '"requests";q=60;w=60, "tokens";q=150000;w=60, ' +
      '"concurrent-jobs";q=5;qu="concurrent-requests"',
    RateLimit: '"requests";r=59;t=1, "tokens";r=149984;t=1, "concurrent-jobs";r=4',
    'x-ratelimit-limit-requests': '60',
    'x-ratelimit-remaining-requests': '59',
    'x-ratelimit-reset-requests': '1s',
    'x-ratelimit-limit-tokens': '150000',
    'x-ratelimit-remaining-tokens': '149984',
    // 16 tokens at 2500 a second are 6.4 ms.
    'x-ratelimit-reset-tokens': '7ms',
  });
});

test('t is the time of the next unit, the reset that of all units', () => {
  // One a second, half of the next one is there: 10 lack 9.5 s.
  const headers = rateLimitHeaders([windowed('requests', 60, 50, { resetAfter: 9.5 })]);
  expect(headers.RateLimit).toBe('"requests";r=50;t=1');
  expect(headers['x-ratelimit-reset-requests']).toBe('9.5s');
  // Six a minute: the next is 10 s away, less the part already refilled.
  const slow = rateLimitHeaders([windowed('requests', 6, 2, { resetAfter: 34 })]);
  expect(slow.RateLimit).toBe('"requests";r=2;t=4');
});

test('a debt has no remainder, and a longer reset', () => {
  // 100 a minute, 50 owed: 150 lack 90 s, and the first is there after 50 + 1 of them.
  const headers = rateLimitHeaders([windowed('tokens', 100, -50)]);
  expect(headers.RateLimit).toBe('"tokens";r=0;t=31');
  expect(headers['x-ratelimit-remaining-tokens']).toBe('0');
  expect(headers['x-ratelimit-reset-tokens']).toBe('1m30s');
});

test('a full bucket has no time to wait for', () => {
  expect(rateLimitHeaders([windowed('requests', 60, 60)]).RateLimit).toBe('"requests";r=60;t=0');
});

test.each([
  ['less is left', [60, 10], [1000, 9], 9],
  ['as much is left of a smaller limit', [60, 10], [20, 10], 10],
])('the tightest is shown: %s', (_name, first, second, left) => {
  const entries = [windowed('requests', ...first), windowed('requests', ...second)];
  for (const each of [entries, [...entries].reverse()]) {
    const headers = rateLimitHeaders(each);
    expect(headers['x-ratelimit-limit-requests']).toBe(String(second[0]));
    expect(headers['x-ratelimit-remaining-requests']).toBe(String(left));
    expect(headers['RateLimit-Policy'].split(', ')).toHaveLength(1);
  }
});

test.each([
  [0, '0s'],
  [0.012, '12ms'],
  [0.0000001, '1ms'],
  [0.9999, '1s'],
  [1, '1s'],
  [1.5, '1.5s'],
  [8.64, '8.64s'],
  [59.9991, '1m0s'],
  [90.951, '1m30.951s'],
  [360, '6m0s'],
  [3600.25, '1h0m0.25s'],
  [61_464, '17h4m24s'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatSpan(seconds)).toBe(text);
});
