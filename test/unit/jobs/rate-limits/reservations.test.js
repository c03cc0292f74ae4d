/** Reservations of jobs, their limits, and changes of limits. */
import { AccessControl } from '../../../../lib/jobs/policy/access-control.js';
import { ManualClock } from '../../../../lib/index.js';
import { Reservations } from '../../../../lib/jobs/rate-limits/reservations.js';
import { compileAccess } from '../../../../lib/jobs/policy/config.js';
import { entry } from '../../../support/gateway/keys.js';

function setUp(config) {
  const clock = new ManualClock();
  const access = new AccessControl(compileAccess('access', config));
  const options = { clock, admissionWaitMs: 1000, maxWallMs: 300_000 };
  const reservations = new Reservations({ access, options });
  const subject = (principal, { model = 'm', endpoint = '/v1/jobs' } = {}) => ({
    access: typeof principal === 'string' ? access.of(principal) : principal,
    model,
    endpoint,
  });
  const take = (principal, { request = { prompt: '' }, shared = false, ...rest } = {}) =>
    reservations.forJob(request, subject(principal, rest), { shared });
  /** The remainders, by `dimension key`. */
  const left = (principal, where) =>
    Object.fromEntries(
      reservations
        .peek(subject(principal, where))
        .map(({ dimension, key, remaining }) => [`${dimension} ${key}`, remaining]),
    );
  const reload = (next) => {
    access.reload(next);
    reservations.reload();
  };
  return { clock, access, reservations, take, left, reload, subject };
}

const tokensAsked = (reservation) =>
  reservation.entries.find(({ dimension }) => dimension === 'tokens').cost;

describe('reserved amounts', () => {
  test('nothing where nothing is limited', () => {
    const { take, reservations } = setUp({});
    expect(take('ann')).toBeUndefined();
    expect(reservations.open).toBe(0);
  });

  test.each([
    // A quarter of the prompt's bytes, and max_tokens: the estimate that the job's usage has, too.
    ['prompt and max_tokens', { prompt: 'x'.repeat(40), max_tokens: 50 }, {}, 60],
    ['all messages', { messages: [{ content: 'abcd' }, { content: 'é' }], max_tokens: 5 }, {}, 7],
    ['the default without max_tokens', { prompt: '' }, {}, 1024],
    ['the default that is configured', { prompt: 'abcd' }, { default_max_tokens: 7 }, 8],
  ])('%s', (_name, request, more, cost) => {
    const { take } = setUp({ limits: { tokens_per_minute: 100_000 }, ...more });
    expect(tokensAsked(take('ann', { request }))).toBe(cost);
  });

  test('a job of unlimited length reserves at most a quarter of a small limit', () => {
    const { take } = setUp({ limits: { tokens_per_minute: 100 } });
    expect(tokensAsked(take('ann'))).toBe(25);
    // Its prompt counts on top, up to the whole limit, which it is not impossible for.
    expect(tokensAsked(take('bob', { request: { prompt: 'x'.repeat(4 * 90) } }))).toBe(100);
  });

  test('of the key, its organisation, the model and the endpoint, or of none', () => {
    const limits = (n) => ({ limits: { requests_per_minute: n } });
    const { take, left } = setUp({
      keys: [entry('ann', 'a', { organisation: 'acme', ...limits(10) })],
      organisations: { acme: limits(20) },
      models: { large: limits(30) },
      endpoints: { '/v1/jobs': limits(2) },
    });
    take('ann', { model: 'large' });
    expect(left('ann', { model: 'large' })).toEqual({
      'requests principal:ann': 9,
      'requests organisation:acme': 19,
      'requests model:large': 29,
      'requests endpoint:/v1/jobs': 1,
    });
    take('ann');
    expect(() => take('ann')).toThrow('this endpoint may make 2 requests per minute');
    expect(left('ann', { model: 'large', endpoint: '/v1/workflows' })).toEqual({
      'requests principal:ann': 8,
      'requests organisation:acme': 18,
      'requests model:large': 29,
    });
  });

  test('a job that shares an answer reserves no tokens; the answer reserves them', () => {
    const { take, left, reservations, subject } = setUp({
      limits: { tokens_per_minute: 100, concurrent_jobs: 3 },
    });
    const request = { prompt: '', max_tokens: 60 };
    const job = take('ann', { request, shared: true });
    const answer = reservations.forAnswer(request, subject('ann'), job);
    take('ann', { request, shared: true });
    expect(left('ann')).toEqual({
      'tokens principal:ann': 40,
      'concurrent_jobs principal:ann': 1,
    });
    // A refusal of the answer also returns the reservations of its job.
    const third = take('ann', { request, shared: true });
    expect(() => reservations.forAnswer(request, subject('ann'), third)).toThrow('40 are left');
    expect(left('ann')['concurrent_jobs principal:ann']).toBe(1);
    job.settle(0);
    answer.settle(10);
    expect(left('ann')).toEqual({
      'tokens principal:ann': 90,
      'concurrent_jobs principal:ann': 2,
    });
  });
});

describe('how it ends', () => {
  const config = {
    limits: { requests_per_minute: 10, tokens_per_minute: 100, concurrent_jobs: 2 },
  };
  const request = { prompt: '', max_tokens: 50 };
  const rest = (requests, tokens, jobs) => ({
    'requests principal:ann': requests,
    'tokens principal:ann': tokens,
    'concurrent_jobs principal:ann': jobs,
  });

  test('settled at the usage, once', () => {
    const { take, left, reservations } = setUp(config);
    const reservation = take('ann', { request });
    expect(left('ann')).toEqual(rest(9, 50, 1));
    reservation.settle(10);
    reservation.settle(10);
    reservation.release();
    expect(left('ann')).toEqual(rest(9, 90, 2));
    expect(reservations.open).toBe(0);
  });

  test('each answer to a request reserves its limit, by either name', () => {
    const { take, left } = setUp(config);
    take('ann', { request: { prompt: 'x'.repeat(8), max_completion_tokens: 20, n: 3 } });
    expect(left('ann')).toEqual(rest(9, 38, 1));
  });

  test('more than was reserved is a debt', () => {
    const { take, left, clock } = setUp(config);
    take('ann', { request }).settle(150);
    expect(() => take('ann', { request: { prompt: '', max_tokens: 1 } })).toThrow('0 are left');
    clock.advanceMs(60_000);
    expect(left('ann')['tokens principal:ann']).toBe(50);
  });

  test('released as if it had never been', () => {
    const { take, left, reservations } = setUp(config);
    const reservation = take('ann', { request });
    reservation.release();
    reservation.settle(10);
    expect(left('ann')).toEqual(rest(10, 100, 2));
    expect(reservations.open).toBe(0);
  });

  test('a lease outlives the maximum duration of its job', () => {
    const { take, reservations, clock } = setUp(config);
    take('ann', { request: { ...request, max_wall_ms: 7_200_000 } });
    clock.advanceMs(7_200_000 + 1000);
    expect(reservations.open).toBe(1);
    clock.advanceMs(3_600_000);
    expect(reservations.open).toBe(0);
  });
});

describe('the fields of a refusal', () => {
  test('of requests: the time of the next one', () => {
    const { take } = setUp({ limits: { requests_per_minute: 2 } });
    take('ann');
    take('ann');
    let error;
    try {
      take('ann');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      status: 429,
      code: 'ERR_RATE_LIMIT_EXCEEDED',
      wireCode: 'rate_limit_exceeded',
      type: 'rate_limit_error',
      param: null,
      retryAfterMs: 30_000,
      refusedBy: [{ scope: 'principal', limit: 'requests' }],
    });
    expect(error.headers).toMatchObject({
      'Retry-After': '30',
      RateLimit: '"requests";r=0;t=30',
    });
    expect(error.message).toContain('this key may make 2 requests per minute');
    expect(error.message).toContain('30 s');
  });

  test('the longest wait of the refusing limits, and all of them', () => {
    const { take } = setUp({
      keys: [entry('ann', 'a', { organisation: 'acme' })],
      limits: { requests_per_minute: 60 },
      organisations: { acme: { limits: { requests_per_minute: 1, concurrent_jobs: 1 } } },
    });
    take('ann');
    expect(() => take('ann')).toThrow(
      expect.objectContaining({
        retryAfterMs: 60_000,
        refusedBy: [
          { scope: 'organisation', limit: 'requests' },
          { scope: 'organisation', limit: 'concurrent_jobs' },
        ],
      }),
    );
  });

  test('of concurrent jobs: a second, since the time is unknown', () => {
    const { take } = setUp({ models: { m: { limits: { concurrent_jobs: 1 } } } });
    take('ann');
    expect(() => take('bob')).toThrow(expect.objectContaining({ retryAfterMs: 1000 }));
  });

  test('a request that can never be granted has no time', () => {
    const { take } = setUp({ limits: { tokens_per_minute: 100 } });
    let error;
    try {
      take('ann', { request: { prompt: '', max_tokens: 101 } });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      status: 429,
      wireCode: 'request_exceeds_limit',
      param: 'max_tokens',
      retryAfterMs: Infinity,
    });
    expect(error.headers).toMatchObject({ 'x-should-retry': 'false' });
    expect(error.headers).not.toHaveProperty('Retry-After');
  });
});

describe('limits that change', () => {
  test('usage stays counted', () => {
    const own = (n) => ({ keys: [entry('ann', 'a', { limits: { requests_per_minute: n } })] });
    const { take, left, reload } = setUp(own(100));
    for (let i = 0; i < 70; i += 1) take('ann');
    reload(own(200));
    expect(left('ann')).toEqual({ 'requests principal:ann': 130 });
    reload(own(10));
    expect(left('ann')).toEqual({ 'requests principal:ann': 0 });
  });

  test('the defaults, for keys without their own limits', () => {
    const { take, left, reload } = setUp({ limits: { requests_per_minute: 10 } });
    take('ann');
    reload({ limits: { requests_per_minute: 20 } });
    expect(left('ann')).toEqual({ 'requests principal:ann': 19 });
    expect(left('bob')).toEqual({ 'requests principal:bob': 20 });
    reload({});
    expect(left('ann')).toEqual({});
    reload({ limits: { requests_per_minute: 5 } });
    expect(left('bob')).toEqual({ 'requests principal:bob': 5 });
  });

  test('a limit of a key is added and removed', () => {
    const of = (limits) => ({
      keys: [entry('ann', 'a', { limits })],
      limits: { concurrent_jobs: 3 },
    });
    const { take, left, reload } = setUp(of({}));
    const held = take('ann');
    reload(of({ concurrent_jobs: 1 }));
    expect(left('ann')).toEqual({ 'concurrent_jobs principal:ann': 0 });
    reload(of({}));
    expect(left('ann')).toEqual({ 'concurrent_jobs principal:ann': 2 });
    held.settle(0);
    expect(left('ann')).toEqual({ 'concurrent_jobs principal:ann': 3 });
  });

  test('a request admitted before counts against the current limits', () => {
    const own = (n) => ({ keys: [entry('ann', 'a', { limits: { requests_per_minute: n } })] });
    const { take, left, reload, access } = setUp(own(100));
    const before = access.of('ann');
    reload(own(3));
    take(before);
    take('ann');
    take(before);
    expect(() => take(before)).toThrow('may make 3 requests');
    expect(left('ann')).toEqual({ 'requests principal:ann': 0 });
  });

  test('limits of a hook apply unchanged', () => {
    const { take, left, access } = setUp({ limits: { requests_per_minute: 10 } });
    const given = (n) => access.from({ principal: 'ann', limits: { requests_per_minute: n } });
    take(given(5));
    expect(left(given(5))).toEqual({ 'requests principal:ann': 4 });
    expect(left(given(50))).toEqual({ 'requests principal:ann': 49 });
    expect(left(access.from({ principal: 'bob' }))).toEqual({ 'requests principal:bob': 10 });
  });
});
