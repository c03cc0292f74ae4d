/** Tests of a quota that run over each implementation. */
import { ManualClock, SluiceError } from '../../lib/index.js';

const minute = { windowMs: 60_000 };

/** The error of a call, synchronous or not. */
async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('no error');
}

/** The remainder of a dimension. */
async function remaining(quota, dimension, key) {
  const peek = await quota.reserve({ [dimension]: 0 }, { key });
  await peek.release();
  return peek.dimensions[dimension].remaining;
}

/**
 * @param {object} implementation
 * @param {string} implementation.name
 * @param {(options: object) => any} implementation.make a new quota, or a promise of it; its answers are awaited
 * @param {Function} implementation.Lease class of its leases
 */
export function describeQuota({ name, make, Lease }) {
  const quotaOf = (limits, options) => make({ limits, clock: new ManualClock(), ...options });

  describe(name, () => {
    test('of five requests for 50 of 100 tokens a minute two are admitted; settling one returns 40', async () => {
      const quota = await quotaOf({ tokens: { limit: 100, ...minute } });
      const leases = [];
      for (let i = 0; i < 5; i += 1) leases.push(await quota.reserve({ tokens: 50 }));
      expect(leases.map(({ allowed }) => allowed)).toEqual([true, true, false, false, false]);
      expect(leases[4]).toMatchObject({ retryAfter: 30, failed: ['tokens'], id: null });
      expect(await remaining(quota, 'tokens')).toBe(0);
      expect(await leases[0].settle({ tokens: 10 })).toBe(true);
      expect(await remaining(quota, 'tokens')).toBe(40);
    });

    test('reports the figures of each dimension for headers', async () => {
      const clock = new ManualClock();
      const quota = await quotaOf(
        {
          requests: { limit: 60, ...minute },
          tokens: { limit: 1000, ...minute },
          jobs: { concurrent: 5 },
        },
        { clock, leaseMs: 30_000 },
      );
      const lease = await quota.reserve({ requests: 1, tokens: 100, jobs: 1 }, { key: 'alice' });
      expect(lease).toBeInstanceOf(Lease);
      expect(lease).toMatchObject({ allowed: true, retryAfter: 0, failed: [], expiresAt: 30 });
      expect(lease.dimensions).toEqual({
        requests: {
          dimension: 'requests',
          key: 'alice',
          cost: 1,
          allowed: true,
          limit: 60,
          windowMs: 60_000,
          remaining: 59,
          retryAfter: 0,
          resetAfter: 1,
        },
        tokens: expect.objectContaining({ limit: 1000, remaining: 900, resetAfter: 6 }),
        jobs: expect.objectContaining({
          limit: 5,
          windowMs: undefined,
          remaining: 4,
          resetAfter: 30,
        }),
      });
    });

    test('takes all or nothing; the wait is that of the slowest failed dimension', async () => {
      const quota = await quotaOf({
        requests: { limit: 10, ...minute },
        tokens: { limit: 100, ...minute },
      });
      expect((await quota.reserve({ requests: 10, tokens: 90 })).allowed).toBe(true);
      const denied = await quota.reserve({ requests: 1, tokens: 40 });
      expect(denied).toMatchObject({
        allowed: false,
        retryAfter: 18,
        failed: ['requests', 'tokens'],
      });
      expect(denied.dimensions.requests.retryAfter).toBe(6);
      expect((await quota.reserve({ requests: 1, tokens: 5 })).failed).toEqual(['requests']);
      expect(await remaining(quota, 'tokens')).toBe(10);
      expect((await quota.reserve({ tokens: 101 })).retryAfter).toBe(Infinity);
    });

    test('a number settles the one rate dimension; concurrent jobs are returned whole', async () => {
      const quota = await quotaOf({
        tokens: { limit: 100, ...minute },
        requests: { limit: 5, ...minute },
        jobs: { concurrent: 2 },
      });
      expect(await (await quota.reserve({ tokens: 50, jobs: 1 })).settle(10)).toBe(true);
      expect(await remaining(quota, 'tokens')).toBe(90);
      const all = await quota.reserve({ tokens: 50, requests: 1, jobs: 2 });
      expect((await errorOf(() => all.settle(10))).message).toMatch(/actual takes an object/);
      expect(await all.settle({ tokens: 10, requests: 1, jobs: 1 })).toBe(true);
      expect([
        await remaining(quota, 'tokens'),
        await remaining(quota, 'requests'),
        await remaining(quota, 'jobs'),
      ]).toEqual([80, 4, 2]);
    });

    test('a lease ends exactly once', async () => {
      const quota = await quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
      for (const end of ['settle', 'release']) {
        const lease = await quota.reserve({ tokens: 50, jobs: 1 });
        expect(await quota.openLeases).toBe(1);
        expect(await lease[end]()).toBe(true);
        expect(await lease.settle({ tokens: 0 })).toBe(false);
        expect(await lease.release()).toBe(false);
        expect(await lease.renew()).toBe(false);
        expect(await quota.openLeases).toBe(0);
      }
      expect(await remaining(quota, 'tokens')).toBe(50);
      const denied = await quota.reserve({ tokens: 51 });
      for (const end of ['settle', 'release', 'renew']) expect(await denied[end]()).toBe(false);
    });

    test('usage beyond the reservation is a debt, repaid over time', async () => {
      const clock = new ManualClock();
      const quota = await quotaOf({ tokens: { limit: 100, ...minute } }, { clock });
      expect(await (await quota.reserve({ tokens: 50 })).settle({ tokens: 160 })).toBe(true);
      const { retryAfter } = await quota.reserve({ tokens: 10 });
      expect(retryAfter).toBe(42);
      clock.advanceMs(retryAfter * 1000 - 1e-6);
      expect((await quota.reserve({ tokens: 10 })).allowed).toBe(false);
      clock.advanceMs(1e-6);
      expect((await quota.reserve({ tokens: 10 })).allowed).toBe(true);
    });

    test('a lost lease expires: jobs are freed, tokens stay charged; a renewed lease does not expire', async () => {
      const clock = new ManualClock();
      const quota = await quotaOf(
        { tokens: { limit: 100, windowMs: 3_600_000 }, jobs: { concurrent: 2 } },
        { clock, leaseMs: 10_000 },
      );
      const lost = await quota.reserve({ tokens: 50, jobs: 1 });
      const renewed = await quota.reserve({ tokens: 0, jobs: 1 });
      clock.advanceMs(4000);
      expect(await quota.reserve({ jobs: 1 })).toMatchObject({ retryAfter: 6, failed: ['jobs'] });
      expect(await renewed.renew({ leaseMs: 60_000 })).toBe(true);
      clock.advanceMs(6000);
      expect(await quota.openLeases).toBe(1);
      expect(await remaining(quota, 'jobs')).toBe(1);
      expect(await remaining(quota, 'tokens')).toBe(50);
      expect(await lost.settle({ tokens: 0 })).toBe(false);
    });

    test('one reservation spans keys: requests of a key, tokens of its organisation', async () => {
      const quota = await quotaOf({
        requests: { limit: 60, ...minute },
        'org-tokens': { limit: 1000, ...minute },
        jobs: { concurrent: 5 },
      });
      await quota.setLimit('org-tokens', { limit: 100_000 }, { key: 'acme' });
      const ask = (user, cost) => [
        { dimension: 'requests', key: user },
        { dimension: 'org-tokens', key: 'acme', cost },
        { dimension: 'jobs', key: user },
      ];
      const alice = await quota.reserve(ask('alice', 70_000));
      expect(alice.allowed).toBe(true);
      expect(alice.entries.map(({ key, limit }) => [key, limit])).toEqual([
        ['alice', 60],
        ['acme', 100_000],
        ['alice', 5],
      ]);
      const bob = await quota.reserve(ask('bob', 70_000));
      expect(bob).toMatchObject({ allowed: false, retryAfter: 24, failed: ['org-tokens'] });
      expect(await remaining(quota, 'requests', 'bob')).toBe(60);
      expect(await alice.settle([{ dimension: 'org-tokens', key: 'acme', cost: 10_000 }])).toBe(
        true,
      );
      expect((await quota.reserve(ask('bob', 70_000))).allowed).toBe(true);
    });

    test('two keys of one dimension: both are charged, the tighter one is shown', async () => {
      const quota = await quotaOf({ tokens: { limit: 100, ...minute } });
      await quota.reserve({ tokens: 60 }, { key: 'a' });
      const lease = await quota.reserve([
        { dimension: 'tokens', key: 'b', cost: 10 },
        { dimension: 'tokens', key: 'a', cost: 10 },
      ]);
      expect(lease.dimensions.tokens).toMatchObject({ key: 'a', remaining: 30 });
      expect(await lease.settle({ tokens: 0 })).toBe(true);
      expect([
        await remaining(quota, 'tokens', 'a'),
        await remaining(quota, 'tokens', 'b'),
      ]).toEqual([40, 100]);
    });

    test('limits change at run time, and usage stays counted', async () => {
      const quota = await quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
      await quota.reserve({ tokens: 70, jobs: 1 }, { key: 'k' });
      await quota.setLimit('tokens', { limit: 200 });
      expect(await remaining(quota, 'tokens', 'k')).toBe(130);
      await quota.setLimit('tokens', { limit: 300 }, { key: 'k' });
      expect(await remaining(quota, 'tokens', 'k')).toBe(230);
      await quota.setLimit('tokens', null, { key: 'k' });
      expect(await remaining(quota, 'tokens', 'k')).toBe(130);
      await quota.setLimit('tokens', { limit: 50, windowMs: 1000 });
      expect((await quota.reserve({ tokens: 5 }, { key: 'k' })).retryAfter).toBe(0.1);
      await quota.setLimit('jobs', { concurrent: 2 });
      expect(await remaining(quota, 'jobs', 'k')).toBe(1);
      await quota.setLimit('jobs', { concurrent: 0 }, { key: 'k' });
      expect((await quota.reserve({ jobs: 1 }, { key: 'k' })).retryAfter).toBe(Infinity);
    });

    test('too many leases are refused until one ends', async () => {
      const quota = await quotaOf(
        { tokens: { limit: 100, ...minute } },
        { maxLeases: 1, leaseMs: 5000 },
      );
      const lease = await quota.reserve({ tokens: 1 });
      expect(await quota.reserve({ tokens: 1 })).toMatchObject({
        allowed: false,
        failed: ['leases'],
        retryAfter: 5,
      });
      await lease.release();
      expect((await quota.reserve({ tokens: 1 })).allowed).toBe(true);
    });

    test('uses `now`, by default the monotonic clock', async () => {
      const quota = await make({ limits: { requests: { limit: 1, windowMs: 1000 } } });
      expect(await quota.reserve({ requests: 1 }, { now: 5 })).toMatchObject({ expiresAt: 605 });
      expect((await quota.reserve({ requests: 1 }, { now: 5.75 })).retryAfter).toBe(0.25);
      expect((await quota.reserve({ requests: 1 }, { now: 6 })).allowed).toBe(true);
      const real = await make({ limits: { requests: { limit: 1, windowMs: 1e9 } } });
      expect(await (await real.reserve({ requests: 1 })).release()).toBe(true);
      expect((await real.reserve({ requests: 1 })).allowed).toBe(true);
      expect((await real.reserve({ requests: 1 })).allowed).toBe(false);
    });

    test('a lowered limit refills at its own rate, and keeps the usage when it is raised again', async () => {
      const clock = new ManualClock();
      const quota = await quotaOf({ tokens: { limit: 100, ...minute } }, { clock });
      await quota.reserve({ tokens: 70 });
      // The smaller limit caps a deficit of 70 at 50: it is empty. The larger one has the same deficit of 50.
      await quota.setLimit('tokens', { limit: 50 });
      await quota.setLimit('tokens', { limit: 100 });
      expect(await remaining(quota, 'tokens')).toBe(50);
      clock.advanceMs(6000);
      expect(await remaining(quota, 'tokens')).toBe(60);
      await quota.setLimit('tokens', { limit: 200 });
      clock.advanceMs(6000);
      expect(await remaining(quota, 'tokens')).toBe(180);
    });

    test('a request for several places waits for as many leases as needed', async () => {
      const clock = new ManualClock();
      const quota = await quotaOf({ jobs: { concurrent: 5 } }, { clock });
      for (const [cost, leaseMs] of [
        [2, 3000],
        [1, 1000],
        [2, 2000],
      ]) {
        expect((await quota.reserve({ jobs: cost }, { leaseMs })).allowed).toBe(true);
      }
      const waits = [];
      for (const jobs of [1, 2, 3, 5, 6]) waits.push((await quota.reserve({ jobs })).retryAfter);
      expect(waits).toEqual([1, 2, 2, 3, Infinity]);
      clock.advanceMs(2000);
      expect(await remaining(quota, 'jobs')).toBe(3);
    });

    test.each([
      [{}, RangeError, /limits/],
      [{ limits: { tokens: 5 } }, TypeError, /limits\.tokens/],
      [{ limits: { tokens: undefined } }, TypeError, /limits\.tokens/],
      [{ limits: { tokens: {} } }, TypeError, /limits\.tokens\.limit/],
      [{ limits: { tokens: { limit: 5 } } }, TypeError, /limits\.tokens\.windowMs/],
      [{ limits: { tokens: { limit: -1, windowMs: 1 } } }, RangeError, /limits\.tokens\.limit/],
      [{ limits: { jobs: { concurrent: 1.5 } } }, RangeError, /limits\.jobs\.concurrent/],
      [{ limits: { jobs: { concurrent: 1, limit: 1 } } }, RangeError, /limits\.jobs/],
      [{ limits: { leases: { concurrent: 1 } } }, RangeError, /leases/],
      [{ limits: { jobs: { concurrent: 1 } }, leaseMs: 0 }, RangeError, /leaseMs/],
      [{ limits: { jobs: { concurrent: 1 } }, maxLeases: 0 }, RangeError, /maxLeases/],
      [{ limits: { jobs: { concurrent: 1 } }, maxKeys: 'x' }, TypeError, /maxKeys/],
      [{ limits: { jobs: { concurrent: 1 } }, clock: {} }, TypeError, /clock/],
    ])('refuses the options %j', async (options, kind, named) => {
      const error = await errorOf(() => make(options));
      expect(error).toBeInstanceOf(kind);
      expect(error.message).toMatch(named);
      expect(error).toBeInstanceOf(SluiceError);
    });

    test.each([
      [(quota) => quota.reserve({}), RangeError, /costs/],
      [(quota) => quota.reserve({ nothing: 1 }), RangeError, /"tokens", "jobs", not "nothing"/],
      [(quota) => quota.reserve({ tokens: -1 }), RangeError, /costs\.tokens/],
      [(quota) => quota.reserve({ tokens: '1' }), TypeError, /costs\.tokens/],
      [(quota) => quota.reserve({ tokens: 1 }, { key: 7 }), TypeError, /key/],
      [(quota) => quota.reserve({ tokens: 1 }, { now: NaN }), RangeError, /now/],
      [(quota) => quota.reserve({ tokens: 1 }, { leaseMs: -1 }), RangeError, /leaseMs/],
      [(quota) => quota.reserve([{ cost: 1 }]), TypeError, /costs\[0\]\.dimension/],
      [
        (quota) => quota.reserve([{ dimension: 'jobs', cost: 0.5 }]),
        RangeError,
        /costs\[0\]\.cost/,
      ],
      [
        (quota) => quota.reserve([{ dimension: 'jobs' }, { dimension: 'jobs' }]),
        RangeError,
        /costs\[1\]/,
      ],
      [
        (quota) =>
          quota.reserve(Array.from({ length: 17 }, (_, i) => ({ dimension: 'jobs', key: `${i}` }))),
        RangeError,
        /16/,
      ],
      [
        async (quota) => (await quota.reserve({ tokens: 1 })).settle({ tokens: -1 }),
        RangeError,
        /actual\.tokens/,
      ],
      [
        async (quota) => (await quota.reserve({ tokens: 1 })).settle({ jobs: 1 }),
        RangeError,
        /actual\.jobs/,
      ],
      [
        async (quota) => (await quota.reserve({ jobs: 1 })).settle({ jobs: -1 }),
        RangeError,
        /actual\.jobs/,
      ],
      [async (quota) => (await quota.reserve({ jobs: 1 })).settle(1), TypeError, /actual/],
      [
        async (quota) => (await quota.reserve({ tokens: 1 })).settle(NaN),
        RangeError,
        /actual\.tokens/,
      ],
      [async (quota) => (await quota.reserve({ tokens: 1 })).settle('1'), TypeError, /actual/],
      [
        async (quota) =>
          (await quota.reserve({ tokens: 1 })).settle([{ dimension: 'tokens', cost: 'x' }]),
        TypeError,
        /actual\[0\]\.cost/,
      ],
      [(quota) => quota.setLimit('nothing', { limit: 1 }), RangeError, /nothing/],
      [(quota) => quota.setLimit('tokens', { concurrent: 1 }), RangeError, /limit/],
      [(quota) => quota.setLimit('jobs', { limit: 1, windowMs: 1 }), RangeError, /limit/],
      [(quota) => quota.setLimit('tokens', null), TypeError, /key/],
      [
        (quota) => quota.setLimit('tokens', { limit: 1, windowMs: 1 }, { key: 'k' }),
        RangeError,
        /windowMs/,
      ],
    ])('refuses %s', async (call, kind, named) => {
      const quota = await quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
      const error = await errorOf(() => call(quota));
      expect(error).toBeInstanceOf(kind);
      expect(error.message).toMatch(named);
    });
  });
}
