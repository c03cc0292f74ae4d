/** The budget of memory: marks, shares, the order of evictions, and refusals. */
import { MemoryBudget, defaultMemoryBudget } from '../../../../lib/internal/util/memory-budget.js';

const budgets = [];
afterEach(() => {
  for (const budget of budgets.splice(0)) budget.close();
});

/** A budget of 1000 bytes, and a holder of finished things, `[principal, bytes]` in their order. */
function setUp() {
  let free = () => {};
  const settled = () => new Promise((resolve) => (free = resolve));
  const budget = new MemoryBudget({ limitBytes: 1000, settled });
  budgets.push(budget);
  let logs = 0;
  budget.gauge('logs', () => logs);
  const things = [];
  const evicted = [];
  budget.addHolder({
    oldest: (principal) => things.find((thing) => thing.principal === principal)?.endedAt,
    evict: (principal) => {
      const i = things.findIndex((thing) => thing.principal === principal);
      const [{ bytes, name }] = things.splice(i, 1);
      evicted.push(name);
      budget.retain(principal, -bytes);
    },
  });
  let endedAt = 0;
  const finish = (principal, bytes, name = principal) => {
    logs += bytes;
    things.push({ principal, bytes, name, endedAt: (endedAt += 1) });
    budget.retain(principal, bytes);
    budget.relieve();
  };
  /** Dropped items no longer count in the gauges. */
  const freed = async (bytes) => {
    logs -= bytes;
    free();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { budget, finish, evicted, freed, setLogs: (bytes) => (logs = bytes) };
}

test('finished work goes above 80 %, oldest first, of the principal that holds most', async () => {
  const { budget, finish, evicted, freed } = setUp();
  finish('ann', 50);
  finish('bob', 100);
  for (let i = 0; i < 6; i += 1) finish('busy', 100, `busy ${i}`);
  expect(evicted).toEqual([]);
  finish('busy', 100, 'last');
  // 850 of 1000: down to 750 or less.
  expect(evicted).toEqual(['busy 0']);
  expect(budget.used()).toBe(750);
  // An item being dropped is not dropped twice.
  budget.relieve();
  expect(evicted).toEqual(['busy 0']);
  await freed(100);
  expect(budget.used()).toBe(750);
  expect(budget.evictions).toBe(1);
});

test('above 95 % new work is refused by name; below it is admitted', () => {
  const { budget, setLogs } = setUp();
  setLogs(949);
  budget.check('jobs', 'ann');
  setLogs(950);
  const failure = (resource) => {
    try {
      budget.check(resource, 'ann');
      return undefined;
    } catch (error) {
      const { status, wireCode, headers, message } = error;
      return { status, wireCode, retryAfter: headers?.['Retry-After'], message };
    }
  };
  for (const resource of ['jobs', 'workflows', 'crawls', 'bodies']) {
    expect(failure(resource)).toMatchObject({
      status: 503,
      wireCode: 'memory_full',
      retryAfter: '1',
    });
  }
  expect(failure('bodies').message).toMatch(/^There is no memory for more request bodies: /);
  for (const [resource, code] of [
    ['kv', 'kv_full'],
    ['conversations', 'conversations_full'],
    ['idempotency_keys', 'idempotency_keys_full'],
  ]) {
    expect(failure(resource)).toMatchObject({ status: 507, wireCode: code, retryAfter: undefined });
  }
  expect(budget.refusals).toMatchObject({ jobs: 1, bodies: 2, kv: 1 });
});

test('requested bytes count, and returned ones are available again', () => {
  const { budget } = setUp();
  budget.count('bodies', 'ann', 400);
  budget.check('bodies', 'bob', 500);
  expect(() => budget.check('bodies', 'bob', 600)).toThrow('no memory for more request bodies');
  budget.count('bodies', 'ann', -400);
  budget.check('bodies', 'bob', 600);
  expect(budget.byKind()).toEqual({ prompts: 0, bodies: 0, answers: 0, workflows: 0, logs: 0 });
});

test('above 80 % a principal with half of it is refused while other principals hold some', () => {
  const { budget } = setUp();
  budget.count('prompts', 'busy', 810);
  budget.check('jobs', 'busy');
  budget.count('prompts', 'ann', 10);
  expect(() => budget.check('jobs', 'busy')).toThrow('this caller holds half');
  budget.check('jobs', 'ann');
  budget.check('jobs', 'bob');
});

test('unfinished work counts for its principal, as it was last read', async () => {
  const { budget, setLogs } = setUp();
  let running = new Map([
    ['busy', 700],
    ['ann', 110],
  ]);
  let reads = 0;
  budget.setRunning(async () => {
    reads += 1;
    return running;
  });
  setLogs(700);
  await budget.sample();
  expect(reads).toBe(0);
  setLogs(810);
  budget.check('jobs', 'busy');
  await budget.sample();
  expect(() => budget.check('jobs', 'busy')).toThrow('this caller holds half');
  budget.check('jobs', 'ann');
  running = new Map([['ann', 810]]);
  await budget.sample();
  budget.check('jobs', 'busy');
  // Nobody else holds anything.
  budget.check('jobs', 'ann');
  budget.setRunning(() => Promise.reject(new Error('closed')));
  await budget.sample();
  budget.check('jobs', 'busy');
});

test('many principals with as much each are dropped from in turn', () => {
  const { finish, evicted } = setUp();
  for (let i = 0; i < 160; i += 1) finish(`p${i % 40}`, 5, i);
  // 160 times 5 is the mark: ten of them bring it down to 75 %.
  expect(evicted).toHaveLength(10);
  expect(new Set(evicted.map((i) => i % 40)).size).toBe(10);
  expect(Math.max(...evicted)).toBeLessThan(40);
});

test('a job that has just ended is dropped in a later turn', async () => {
  const { budget, setLogs } = setUp();
  const evicted = [];
  budget.addHolder({
    oldest: (principal) => (principal === 'new' && evicted.length === 0 ? 1 : undefined),
    evict: (principal) => {
      evicted.push(principal);
      budget.retain(principal, -300);
    },
  });
  setLogs(900);
  budget.retain('new', 300);
  expect(evicted).toEqual([]);
  await null;
  expect(evicted).toEqual(['new']);
});

test('the default is a quarter of the memory, at most 2 GiB', () => {
  expect(defaultMemoryBudget()).toBeGreaterThan(64 * 2 ** 20);
  expect(defaultMemoryBudget()).toBeLessThanOrEqual(2 ** 31);
});
