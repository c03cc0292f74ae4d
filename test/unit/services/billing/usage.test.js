/** Counts by hour, principal and model, and queries of them. */
import { UsageTable } from '../../../../lib/services/billing/usage.js';

const HOUR_MS = 3_600_000;

function bookAt(startMs, options) {
  let nowMs = startMs;
  const book = new UsageTable({ nowMs: () => nowMs, ...options });
  let id = 0;
  const count = (principal, model, [prompt_tokens, completion_tokens], cost, cached = false) =>
    book.count({
      record: { id: `job_${++id}`, principal, model },
      cached,
      usage: { prompt_tokens, completion_tokens },
      cost,
    });
  const advance = (ms) => (nowMs += ms);
  const all = (groupBy, more) => book.query({ fromMs: 0, toMs: nowMs + 1, groupBy, ...more });
  return { book, count, advance, all };
}

const nothing = {
  requests: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  cached_requests: 0,
  cached_prompt_tokens: 0,
  cached_completion_tokens: 0,
  cost: 0n,
};

test('sums by model, key and day', () => {
  const { count, advance, all } = bookAt(Date.parse('2026-01-31T23:30:00Z'));
  count('ann', 'm', [1, 2], 3n);
  count('ann', 'm', [10, 20], 30n, true);
  count('bob', 'n', [100, 200], 300n);
  advance(HOUR_MS);
  count('ann', 'n', [1000, 2000], 2n ** 60n);
  const ann = { ...nothing, requests: 2, prompt_tokens: 1, completion_tokens: 2, cost: 33n };
  const shared = { cached_requests: 1, cached_prompt_tokens: 10, cached_completion_tokens: 20 };
  const rest = { requests: 1, prompt_tokens: 1000, completion_tokens: 2000, cost: 2n ** 60n };
  expect(all('key').data).toEqual([
    {
      ...ann,
      ...shared,
      group: 'ann',
      requests: 3,
      prompt_tokens: 1001,
      completion_tokens: 2002,
      cost: 33n + 2n ** 60n,
    },
    {
      ...nothing,
      group: 'bob',
      requests: 1,
      prompt_tokens: 100,
      completion_tokens: 200,
      cost: 300n,
    },
  ]);
  expect(all('model').data.map(({ group, requests }) => [group, requests])).toEqual([
    ['m', 2],
    ['n', 2],
  ]);
  expect(all('day').data.map(({ group, requests }) => [group, requests])).toEqual([
    ['2026-01-31', 3],
    ['2026-02-01', 1],
  ]);
  expect(all('day', { principal: 'bob' }).total).toEqual({
    ...all('key').data[1],
    group: undefined,
  });
  expect(all('model', { principal: 'ann' }).data[1]).toEqual({ ...nothing, ...rest, group: 'n' });
  expect(all('model', { principal: 'eve' })).toEqual({ data: [], total: nothing });
});

test('a span is whole hours', () => {
  const start = Date.parse('2026-01-31T10:00:00Z');
  const { book, count, advance } = bookAt(start);
  for (let i = 0; i < 3; i += 1) {
    count('ann', 'm', [1, 1], 1n);
    advance(HOUR_MS);
  }
  const between = (fromMs, toMs) =>
    book.query({ fromMs: start + fromMs, toMs: start + toMs, groupBy: 'day' }).total.requests;
  expect(between(0, 3 * HOUR_MS)).toBe(3);
  expect(between(HOUR_MS - 1, HOUR_MS)).toBe(1);
  expect(between(HOUR_MS, HOUR_MS + 1)).toBe(1);
  expect(between(HOUR_MS, HOUR_MS)).toBe(0);
  expect(between(0, HOUR_MS + 1)).toBe(2);
  expect(between(-HOUR_MS, 0)).toBe(0);
});

test('the oldest hour goes as a whole when there are too many counts', () => {
  const { count, advance, all } = bookAt(0, { rowsMax: 4 });
  for (const principal of ['a', 'b', 'c']) count(principal, 'm', [1, 1], 1n);
  advance(HOUR_MS);
  count('a', 'm', [1, 1], 1n);
  expect(all('key').total.requests).toBe(4);
  count('b', 'm', [1, 1], 1n);
  expect(all('key').data.map(({ group, requests }) => [group, requests])).toEqual([
    ['a', 1],
    ['b', 1],
  ]);
});

test('usage in the file is counted, and each job is written there', () => {
  const row = { ...nothing, hour: 0, principal: 'ann', model: 'm', requests: 5, cost: 7n };
  const written = [];
  const file = {
    takeUsage: () => [row],
    addUsage: (added, id) => written.push([added, id]),
    dropUsage: () => {},
  };
  const { count, all } = bookAt(0, { file });
  count('ann', 'm', [1, 2], 3n);
  expect(all('model').total).toEqual({
    ...nothing,
    requests: 6,
    prompt_tokens: 1,
    completion_tokens: 2,
    cost: 10n,
  });
  expect(written).toEqual([
    [{ ...row, requests: 1, prompt_tokens: 1, completion_tokens: 2, cost: 3n }, 'job_1'],
  ]);
});
