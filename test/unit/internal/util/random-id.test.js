import { randomId } from '../../../../lib/internal/util/random-id.js';

test('ids are 144 bits after their prefix, and never repeat', () => {
  // More than one fill of the pool.
  const ids = Array.from({ length: 5000 }, () => randomId('job'));
  for (const id of ids) expect(id).toMatch(/^job_[\w-]{24}$/);
  expect(new Set(ids).size).toBe(ids.length);
});
