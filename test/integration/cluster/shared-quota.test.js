/** Quotas in Redis: the table of quotas in memory, and sharing by several handles. */
import { Redis } from 'ioredis';
import { ManualClock } from '../../../lib/index.js';
import { openRedis } from '../../../lib/cluster/open-redis.js';
import { SharedQuotaLease } from '../../../lib/cluster/quota/shared-quota.js';
import { describeQuota } from '../../support/quota-table.js';
import { startRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

let redis;
const opened = [];
let quotas = 0;

/** A handle on a quota; those with the same name share it. */
async function make({ clock, name = `q${(quotas += 1)}`, ...options }) {
  const shared = await openRedis({ url: redis.url, clock });
  opened.push(shared);
  return shared.quota({ name, ...options });
}

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await Promise.all(opened.map((shared) => shared.close()));
  await redis.stop();
});

describeQuota({ name: 'SharedQuota', make, Lease: SharedQuotaLease });

test('handles with the same name share everything, other handles nothing', async () => {
  const clock = new ManualClock();
  const limits = { tokens: { limit: 10, windowMs: 60_000 }, jobs: { concurrent: 2 } };
  const [a, b] = [
    await make({ limits, clock, name: 's' }),
    await make({ limits, clock, name: 's' }),
  ];
  const lease = await a.reserve({ tokens: 8, jobs: 1 });
  expect((await b.reserve({ tokens: 3 })).allowed).toBe(false);
  expect(await b.openLeases).toBe(1);
  expect(await lease.settle({ tokens: 1 })).toBe(true);
  expect((await b.reserve({ tokens: 9, jobs: 2 })).allowed).toBe(true);
  const other = await make({ limits, clock, name: 'other' });
  expect((await other.reserve({ tokens: 10, jobs: 2 })).allowed).toBe(true);
});

test('the work of a call does not grow with the holders', async () => {
  const clock = new ManualClock();
  const quota = await make({ limits: { jobs: { concurrent: 300 } }, clock, name: 'many' });
  const leases = [];
  for (let i = 0; i < 150; i += 1) {
    leases.push(await quota.reserve({ jobs: 2 }));
    clock.advanceMs(1);
  }
  const admin = new Redis(redis.port, '127.0.0.1');
  const monitor = await admin.monitor();
  const seen = [];
  monitor.on('monitor', (_time, args) => seen.push(args));
  const refused = await quota.reserve({ jobs: 3 });
  // The first two of them are enough.
  const { retryAfter } = refused.entries[0];
  expect([refused.allowed, refused.entries[0].remaining]).toEqual([false, 0]);
  expect(await leases[0].release()).toBe(true);
  expect((await quota.reserve({ jobs: 1 })).entries[0].remaining).toBe(1);
  expect(await leases[1].settle({})).toBe(true);
  expect((await quota.reserve({ jobs: 3 })).entries[0].remaining).toBe(0);
  await admin.echo('end');
  await until(() => seen.some(([name]) => /^echo$/i.test(name)), 'the monitor');
  monitor.disconnect();
  admin.disconnect();
  expect(retryAfter).toBeCloseTo(leases[1].expiresAt - clock.nowMs() / 1000, 6);
  const ranges = seen.filter(([name]) => /^z(rev)?range$/i.test(name));
  expect(ranges.length).toBeGreaterThan(0);
  for (const [, , from, to] of ranges) expect(to - from).toBeLessThan(100);
});

test('three concurrent connections never exceed the limit', async () => {
  const limits = { calls: { limit: 50, windowMs: 3_600_000 }, jobs: { concurrent: 7 } };
  const handles = [];
  for (let i = 0; i < 3; i += 1) handles.push(await make({ limits, name: 'race' }));
  const answers = await Promise.all(
    Array.from({ length: 150 }, (_, i) => handles[i % 3].reserve({ calls: 1 })),
  );
  expect(answers.filter(({ allowed }) => allowed)).toHaveLength(50);
  // Workers that take a place, work for a turn and return it.
  let inUse = 0;
  let most = 0;
  let done = 0;
  await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      for (let round = 0; round < 8; round += 1) {
        const lease = await handles[(i + round) % 3].reserve({ jobs: 1 });
        if (!lease.allowed) continue;
        inUse += 1;
        most = Math.max(most, inUse);
        await new Promise(setImmediate);
        inUse -= 1;
        expect(await lease.settle()).toBe(true);
        done += 1;
      }
    }),
  );
  expect(most).toBeLessThanOrEqual(7);
  expect(done).toBeGreaterThan(30);
  const full = await handles[0].reserve({ jobs: 7 });
  expect(full.allowed).toBe(true);
});

test('unneeded keys expire', async () => {
  const quota = await make({
    ...{ name: 'ttl', leaseMs: 1000 },
    limits: { calls: { limit: 100, windowMs: 10_000 }, jobs: { concurrent: 2 } },
  });
  // The bucket is full again in half of its window.
  await quota.reserve({ calls: 50, jobs: 1 }, { key: 'k/ü' });
  const keys = (await redis.keys('{sluice}:quota:ttl:*')).filter((key) => !key.endsWith(':last'));
  expect(keys).toEqual([
    ...['{sluice}:quota:ttl:b:calls/k/ü', '{sluice}:quota:ttl:expiry', '{sluice}:quota:ttl:leases'],
    ...['{sluice}:quota:ttl:p:jobs/k/ü', '{sluice}:quota:ttl:p:jobs/k/ü:used'],
  ]);
  for (const key of keys) {
    const ttl = await redis.call('PTTL', key);
    expect([key, ttl > 0 && ttl <= 61_000]).toEqual([key, true]);
  }
});

test('names, unknown options and a closed connection are refused by name', async () => {
  const shared = await openRedis({ url: redis.url });
  const limits = { jobs: { concurrent: 1 } };
  expect(() => shared.quota({ limits, name: 'a/b' })).toThrow(/name takes/);
  expect(() => shared.quota({ limits, clock: new ManualClock() })).toThrow(/clock/);
  const quota = shared.quota({ limits });
  await shared.close();
  await expect(quota.reserve({ jobs: 1 })).rejects.toMatchObject({ code: 'ERR_REDIS_CLOSED' });
});
