import { ManualClock, Quota, QuotaLease, SluiceError } from '../../../../lib/index.js';

const minute = { windowMs: 60_000 };

function quotaOf(limits, options) {
  return new Quota({ limits, clock: new ManualClock(), ...options });
}

/** What could be taken of a dimension. */
function left(quota, dimension, key) {
  const peek = quota.reserve({ [dimension]: 0 }, { key });
  peek.release();
  return peek.dimensions[dimension].remaining;
}

describe('Quota', () => {
  test('of five asks for 50 of 100 tokens a minute two are admitted; settling one gives 40 back', () => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute } });
    const leases = Array.from({ length: 5 }, () => quota.reserve({ tokens: 50 }));
    expect(leases.map(({ allowed }) => allowed)).toEqual([true, true, false, false, false]);
    expect(leases[4]).toMatchObject({ retryAfter: 30, failed: ['tokens'], id: null });
    expect(left(quota, 'tokens')).toBe(0);
    expect(leases[0].settle({ tokens: 10 })).toBe(true);
    expect(left(quota, 'tokens')).toBe(40);
  });

  test('says of each dimension what headers need', () => {
    const clock = new ManualClock();
    const quota = quotaOf(
      {
        requests: { limit: 60, ...minute },
        tokens: { limit: 1000, ...minute },
        jobs: { concurrent: 5 },
      },
      { clock, leaseMs: 30_000 },
    );
    const lease = quota.reserve({ requests: 1, tokens: 100, jobs: 1 }, { key: 'alice' });
    expect(lease).toBeInstanceOf(QuotaLease);
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

  test('takes all or nothing, and waits for the slowest of those that failed', () => {
    const quota = quotaOf({
      requests: { limit: 10, ...minute },
      tokens: { limit: 100, ...minute },
    });
    expect(quota.reserve({ requests: 10, tokens: 90 }).allowed).toBe(true);
    const denied = quota.reserve({ requests: 1, tokens: 40 });
    expect(denied).toMatchObject({
      allowed: false,
      retryAfter: 18,
      failed: ['requests', 'tokens'],
    });
    expect(denied.dimensions.requests.retryAfter).toBe(6);
    expect(quota.reserve({ requests: 1, tokens: 5 }).failed).toEqual(['requests']);
    expect(left(quota, 'tokens')).toBe(10);
    expect(quota.reserve({ tokens: 101 }).retryAfter).toBe(Infinity);
  });

  test('a number settles the one dimension per time; jobs at a time are freed whole', () => {
    const quota = quotaOf({
      tokens: { limit: 100, ...minute },
      requests: { limit: 5, ...minute },
      jobs: { concurrent: 2 },
    });
    expect(quota.reserve({ tokens: 50, jobs: 1 }).settle(10)).toBe(true);
    expect(left(quota, 'tokens')).toBe(90);
    const all = quota.reserve({ tokens: 50, requests: 1, jobs: 2 });
    expect(() => all.settle(10)).toThrow(/actual takes an object/);
    expect(all.settle({ tokens: 10, requests: 1, jobs: 1 })).toBe(true);
    expect([left(quota, 'tokens'), left(quota, 'requests'), left(quota, 'jobs')]).toEqual([
      80, 4, 2,
    ]);
  });

  test('a lease ends once, whatever ends it', () => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
    for (const end of ['settle', 'release']) {
      const lease = quota.reserve({ tokens: 50, jobs: 1 });
      expect(quota.openLeases).toBe(1);
      expect(lease[end]()).toBe(true);
      expect([lease.settle({ tokens: 0 }), lease.release(), lease.renew()]).toEqual([
        false,
        false,
        false,
      ]);
      expect(quota.openLeases).toBe(0);
    }
    expect(left(quota, 'tokens')).toBe(50);
    const denied = quota.reserve({ tokens: 51 });
    expect([denied.settle(), denied.release(), denied.renew()]).toEqual([false, false, false]);
  });

  test('what was used beyond the reservation is a debt that time pays off', () => {
    const clock = new ManualClock();
    const quota = quotaOf({ tokens: { limit: 100, ...minute } }, { clock });
    expect(quota.reserve({ tokens: 50 }).settle({ tokens: 160 })).toBe(true);
    const { retryAfter } = quota.reserve({ tokens: 10 });
    expect(retryAfter).toBe(42);
    clock.advanceMs(retryAfter * 1000 - 1e-6);
    expect(quota.reserve({ tokens: 10 }).allowed).toBe(false);
    clock.advanceMs(1e-6);
    expect(quota.reserve({ tokens: 10 }).allowed).toBe(true);
  });

  test('a lost lease expires: jobs are freed, tokens stay charged; a renewed one lives on', () => {
    const clock = new ManualClock();
    const quota = quotaOf(
      { tokens: { limit: 100, windowMs: 3_600_000 }, jobs: { concurrent: 2 } },
      { clock, leaseMs: 10_000 },
    );
    const lost = quota.reserve({ tokens: 50, jobs: 1 });
    const renewed = quota.reserve({ tokens: 0, jobs: 1 });
    clock.advanceMs(4000);
    expect(quota.reserve({ jobs: 1 })).toMatchObject({ retryAfter: 6, failed: ['jobs'] });
    expect(renewed.renew({ leaseMs: 60_000 })).toBe(true);
    clock.advanceMs(6000);
    expect(quota.openLeases).toBe(1);
    expect(left(quota, 'jobs')).toBe(1);
    expect(left(quota, 'tokens')).toBe(50);
    expect(lost.settle({ tokens: 0 })).toBe(false);
  });

  test('one reservation spans keys: requests of a key, tokens of its organisation', () => {
    const quota = quotaOf({
      requests: { limit: 60, ...minute },
      'org-tokens': { limit: 1000, ...minute },
      jobs: { concurrent: 5 },
    });
    quota.setLimit('org-tokens', { limit: 100_000 }, { key: 'acme' });
    const ask = (user, cost) => [
      { dimension: 'requests', key: user },
      { dimension: 'org-tokens', key: 'acme', cost },
      { dimension: 'jobs', key: user },
    ];
    const alice = quota.reserve(ask('alice', 70_000));
    expect(alice.allowed).toBe(true);
    expect(alice.entries.map(({ key, limit }) => [key, limit])).toEqual([
      ['alice', 60],
      ['acme', 100_000],
      ['alice', 5],
    ]);
    const bob = quota.reserve(ask('bob', 70_000));
    expect(bob).toMatchObject({ allowed: false, retryAfter: 24, failed: ['org-tokens'] });
    expect(left(quota, 'requests', 'bob')).toBe(60);
    expect(alice.settle([{ dimension: 'org-tokens', key: 'acme', cost: 10_000 }])).toBe(true);
    expect(quota.reserve(ask('bob', 70_000)).allowed).toBe(true);
  });

  test('two keys of one dimension: both are taken, the tighter one is shown', () => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute } });
    quota.reserve({ tokens: 60 }, { key: 'a' });
    const lease = quota.reserve([
      { dimension: 'tokens', key: 'b', cost: 10 },
      { dimension: 'tokens', key: 'a', cost: 10 },
    ]);
    expect(lease.dimensions.tokens).toMatchObject({ key: 'a', remaining: 30 });
    expect(lease.settle({ tokens: 0 })).toBe(true);
    expect([left(quota, 'tokens', 'a'), left(quota, 'tokens', 'b')]).toEqual([40, 100]);
  });

  test('limits change at run time, and what was taken stays taken', () => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
    quota.reserve({ tokens: 70, jobs: 1 }, { key: 'k' });
    quota.setLimit('tokens', { limit: 200 });
    expect(left(quota, 'tokens', 'k')).toBe(130);
    quota.setLimit('tokens', { limit: 300 }, { key: 'k' });
    expect(left(quota, 'tokens', 'k')).toBe(230);
    quota.setLimit('tokens', null, { key: 'k' });
    expect(left(quota, 'tokens', 'k')).toBe(130);
    quota.setLimit('tokens', { limit: 50, windowMs: 1000 });
    expect(quota.reserve({ tokens: 5 }, { key: 'k' }).retryAfter).toBe(0.1);
    quota.setLimit('jobs', { concurrent: 2 });
    expect(left(quota, 'jobs', 'k')).toBe(1);
    quota.setLimit('jobs', { concurrent: 0 }, { key: 'k' });
    expect(quota.reserve({ jobs: 1 }, { key: 'k' }).retryAfter).toBe(Infinity);
  });

  test('too many leases are refused until one ends', () => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute } }, { maxLeases: 1, leaseMs: 5000 });
    const lease = quota.reserve({ tokens: 1 });
    expect(quota.reserve({ tokens: 1 })).toMatchObject({
      allowed: false,
      failed: ['leases'],
      retryAfter: 5,
    });
    lease.release();
    expect(quota.reserve({ tokens: 1 }).allowed).toBe(true);
  });

  test('takes its time from `now`, and without a clock from the monotonic one', () => {
    const quota = new Quota({ limits: { requests: { limit: 1, windowMs: 1000 } } });
    expect(quota.reserve({ requests: 1 }, { now: 5 })).toMatchObject({ expiresAt: 605 });
    expect(quota.reserve({ requests: 1 }, { now: 5.75 }).retryAfter).toBe(0.25);
    expect(quota.reserve({ requests: 1 }, { now: 6 }).allowed).toBe(true);
    const real = new Quota({ limits: { requests: { limit: 1, windowMs: 1e9 } } });
    expect(real.reserve({ requests: 1 }).release()).toBe(true);
    expect(real.reserve({ requests: 1 }).allowed).toBe(true);
    expect(real.reserve({ requests: 1 }).allowed).toBe(false);
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
  ])('refuses the options %j', (options, kind, named) => {
    const make = () => new Quota(options);
    expect(make).toThrow(kind);
    expect(make).toThrow(named);
    expect(make).toThrow(SluiceError);
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
    [(quota) => quota.reserve([{ dimension: 'jobs', cost: 0.5 }]), RangeError, /costs\[0\]\.cost/],
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
    [(quota) => quota.reserve({ tokens: 1 }).settle({ tokens: -1 }), RangeError, /actual\.tokens/],
    [(quota) => quota.reserve({ tokens: 1 }).settle({ jobs: 1 }), RangeError, /actual\.jobs/],
    [(quota) => quota.reserve({ jobs: 1 }).settle({ jobs: -1 }), RangeError, /actual\.jobs/],
    [(quota) => quota.reserve({ jobs: 1 }).settle(1), TypeError, /actual/],
    [(quota) => quota.reserve({ tokens: 1 }).settle(NaN), RangeError, /actual\.tokens/],
    [(quota) => quota.reserve({ tokens: 1 }).settle('1'), TypeError, /actual/],
    [
      (quota) => quota.reserve({ tokens: 1 }).settle([{ dimension: 'tokens', cost: 'x' }]),
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
  ])('refuses %s', (call, kind, named) => {
    const quota = quotaOf({ tokens: { limit: 100, ...minute }, jobs: { concurrent: 1 } });
    expect(() => call(quota)).toThrow(kind);
    expect(() => call(quota)).toThrow(named);
  });
});
