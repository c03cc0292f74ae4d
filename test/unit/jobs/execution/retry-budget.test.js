/** The budget of retries: refill and use. */
import { RetryBudget } from '../../../../lib/jobs/execution/retry-budget.js';

/** The number of retries available now. */
function drain(budget) {
  let taken = 0;
  while (budget.take()) taken += 1;
  return taken;
}

test('a hundred at once, ten a second, and a fifth of the successes', () => {
  let nowMs = 0;
  const budget = new RetryBudget(() => nowMs);
  expect(drain(budget)).toBe(100);
  expect(drain(budget)).toBe(0);
  expect(budget.refused).toBe(2);
  nowMs = 500;
  expect(drain(budget)).toBe(5);
  for (let i = 0; i < 50; i += 1) budget.onSuccess();
  expect(drain(budget)).toBe(10);
  nowMs = 3_600_000;
  expect(drain(budget)).toBe(100);
});
