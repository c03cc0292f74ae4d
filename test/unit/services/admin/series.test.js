/** The charts' figures: buckets, percentiles, groups, and their bounds. */
import { JobSeries, percentile } from '../../../../lib/services/admin/series.js';

const ended = (more) => ({
  ...{ model: 'm', status: 'completed', endedMs: 100_000, tokens: 11 },
  ...{ ttftMs: 50, durationMs: 150, ...more },
});

test.each([
  [[], 0.5, null],
  [[7], 0.99, 7],
  [[1, 2, 3, 4], 0.5, 2],
  [[1, 2, 3, 4], 0.95, 4],
  [[1, 2, 3, 4], 0, 1],
])('percentile of %j at %d is %d', (sorted, share, value) => {
  expect(percentile(sorted, share)).toBe(value);
});

test('buckets of ten seconds hold counts and percentiles, by model and upstream', () => {
  const series = new JobSeries();
  for (let ms = 1; ms <= 100; ms += 1) series.add(ended({ ttftMs: ms, durationMs: ms + 100 }));
  series.add(ended({ model: 'n', upstream: 'u', status: 'failed', ttftMs: null, tokens: 0 }));
  series.add(ended({ endedMs: 110_000, tokens: 1 }));
  const [all, m, n] = series.points();
  expect(all.points).toEqual([
    [100, 101, 1, 1100, 50, 95, 99, 10, 10, 10],
    [110, 1, 0, 1, 50, 50, 50, null, null, null],
  ]);
  expect([m.model, m.upstream, m.points[0][1]]).toEqual(['m', '', 100]);
  expect([n.model, n.upstream, n.points]).toEqual([
    ...['n', 'u', [[100, 1, 1, 0, null, null, null, null, null, null]]],
  ]);
  expect(series.points(110_000)[0].points).toHaveLength(1);
  expect(series.summary(110_000)[0].point.slice(1, 4)).toEqual([102, 1, 1101]);
});

test('old buckets and groups are dropped; there are 20 groups and one for the rest', () => {
  const series = new JobSeries();
  for (let i = 0; i < 30; i += 1) series.add(ended({ model: `m${i}` }));
  const groups = series.points();
  expect(groups).toHaveLength(22);
  expect(groups.at(-1)).toMatchObject({ model: '(others)', upstream: '' });
  expect(groups.at(-1).points[0][1]).toBe(10);
  series.add(ended({ model: 'm0', endedMs: 1_000_000 }));
  series.drop(1_000_000);
  expect(series.points().map(({ model, points }) => [model, points.length])).toEqual([
    ['', 1],
    ['m0', 1],
  ]);
});

test('a bucket keeps a sample of its values', () => {
  const series = new JobSeries();
  for (let i = 0; i < 5000; i += 1) series.add(ended({ ttftMs: i, durationMs: i + 100 }));
  const [, jobs, , , p50] = series.points()[0].points[0];
  expect(jobs).toBe(5000);
  // A sample of 256: the median of it lies in the middle half with certainty.
  expect(p50).toBeGreaterThan(1250);
  expect(p50).toBeLessThan(3750);
});
