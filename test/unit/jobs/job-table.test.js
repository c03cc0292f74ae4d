/** The table of jobs: lookup by principal, pages, the bound of retained jobs. */
import { JobRecord } from '../../../lib/jobs/job.js';
import { JobTable } from '../../../lib/jobs/job-table.js';

function setUp({ maxRetainedJobs = 100 } = {}) {
  const evicted = [];
  const table = new JobTable({ maxRetainedJobs, onEvict: (record) => evicted.push(record) });
  let handle = 0;
  const add = (principal = 'ann') => {
    const record = new JobRecord({
      principal,
      model: 'm',
      request: { prompt: 'p' },
      createdAtMs: 0,
    });
    record.handle = handle += 1;
    table.add(record);
    return record;
  };
  return { table, evicted, add };
}

test('ids are long, url-safe and never the same', () => {
  const { add } = setUp();
  const ids = Array.from({ length: 1000 }, () => add().id);
  expect(new Set(ids).size).toBe(1000);
  for (const id of ids) expect(id).toMatch(/^job_[\w-]{24}$/);
});

test('a job is found by its principal alone', () => {
  const { table, add } = setUp();
  const record = add('ann');
  expect(table.get(record.id, 'ann')).toBe(record);
  expect(table.get(record.id, 'bob')).toBeUndefined();
  expect(table.get('__proto__', 'ann')).toBeUndefined();
  expect(table.byHandle(record.handle)).toBe(record);
});

test('pages hold one principal and one status, newest first', () => {
  const { table, add } = setUp();
  const mine = [add(), add(), add()];
  add('bob');
  table.finish(mine[1], { status: 'completed' });
  const list = (query) => table.list({ principal: 'ann', limit: 10, ...query });
  expect(list({}).page).toEqual(mine.toReversed());
  expect(list({ status: 'queued' }).page).toEqual([mine[2], mine[0]]);
  expect(list({ limit: 1, status: 'queued' })).toEqual({ page: [mine[2]], hasMore: true });
  expect(list({ limit: 1, status: 'completed' })).toEqual({ page: [mine[1]], hasMore: false });
  expect(list({ after: mine[2].id, limit: 2 })).toEqual({
    page: [mine[1], mine[0]],
    hasMore: false,
  });
  expect(list({ after: mine[0].id })).toEqual({ page: [], hasMore: false });
  expect(list({ after: 'job_unknown' })).toBeUndefined();
  expect(table.list({ principal: 'bob', limit: 10, after: mine[0].id })).toBeUndefined();
});

test("one principal's endings do not drop those of another", () => {
  const { table, evicted, add } = setUp({ maxRetainedJobs: 4 });
  const end = (principal) => {
    const record = add(principal);
    table.finish(record, { status: 'completed' });
    return record;
  };
  const [a, b] = [end('ann'), end('bob')];
  const busy = Array.from({ length: 1000 }, () => end('busy'));
  expect(evicted).toEqual(busy.slice(0, -2));
  expect(table.get(a.id, 'ann')).toBe(a);
  expect(table.get(b.id, 'bob')).toBe(b);
  // All have one in the end: then the oldest of all goes.
  end('cat');
  end('dan');
  expect(evicted.slice(998)).toEqual([busy[998], a]);
  expect(table.size).toBe(4);
});

test('the oldest ended job is dropped first, open jobs stay', () => {
  const { table, evicted, add } = setUp({ maxRetainedJobs: 2 });
  const [a, b, c, d] = [add(), add(), add(), add()];
  for (const record of [c, a, b]) table.finish(record, { status: 'completed' });
  expect(evicted).toEqual([c]);
  expect(table.size).toBe(3);
  expect(table.active()).toEqual([d]);
  table.delete(a);
  table.finish(d, { status: 'failed' });
  expect(evicted).toEqual([c]);
  expect(table.get(d.id, 'ann').status).toBe('failed');
  expect(d.request).toBeUndefined();
});
