/** The model of several deployments: sums by hand, and the first bottleneck. */
import { CHAT, MACHINE, capacity, cpuOf, fullest } from '../../../bench/scale/model.mjs';

const costs = {
  processUs: { token: 10, job: 1000, remoteToken: 5 },
  redisUs: { token: 2, job: 100, remoteToken: 1, beat: 20, beatMember: 1 },
  redisBytes: { token: 10, job: 5000 },
  redisNetBytes: { token: 100, remoteToken: 50 },
};

test('the CPU is the sum of its parts, with beats of all processes to each', () => {
  const done = { tokens: 1000, remoteTokens: 500, jobs: 10, seconds: 2 };
  expect(cpuOf(costs, done, 3)).toEqual({
    processUs: 10_000 + 2500 + 10_000,
    // Three processes send one beat in two seconds each, and receive three.
    redisUs: 2000 + 500 + 1000 + 3 * (20 + 3),
  });
});

test('one process is full before its Redis, a hundred are not', () => {
  const one = capacity(costs, 1);
  // 30 tokens/s of 10 us, and 30/400 jobs/s of 1000 us, into 0.7 s of CPU in a second.
  expect(one).toMatchObject({ limit: 'CPU of the processes', streams: Math.floor(700_000 / 375) });
  expect(capacity(costs, 100).limit).toBe('CPU of Redis');
});

test('memory, network and connections can be full first', () => {
  const small = (fields) => capacity(costs, 10, CHAT, { ...MACHINE, ...fields }).limit;
  expect(small({ redisBytes: 2 ** 20 })).toBe('memory of Redis');
  expect(small({ redisNetBytes: 1000 })).toBe('network of Redis');
  const silent = { ...costs, redisUs: { ...costs.redisUs, beat: 0, beatMember: 0 } };
  expect(capacity(silent, 3000)).toMatchObject({ limit: 'connections of Redis', streams: 0 });
  // Beats saturate Redis long before: each of 3,000 processes receives 3,000 of them.
  expect(capacity(costs, 3000)).toMatchObject({ limit: 'CPU of Redis', streams: 0 });
});

test('several deployments carry more than one, but for tenants that are larger than a share', () => {
  expect(2 * capacity(costs, 50).streams).toBeGreaterThan(1.9 * capacity(costs, 100).streams);
  const even = { tenants: 2000, random: Math.random };
  expect(fullest(4, 'size', even)).toBeCloseTo(1, 2);
  // The largest tenant is 1 of 8.18 in all.
  expect(fullest(64, 'size', even)).toBeCloseTo(64 / 8.178, 1);
});
