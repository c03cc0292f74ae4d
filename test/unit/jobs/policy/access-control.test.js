/** The rights and limits of a caller. */
import { AccessControl } from '../../../../lib/jobs/policy/access-control.js';
import { compileAccess } from '../../../../lib/jobs/policy/config.js';
import { entry } from '../../../support/gateway/keys.js';

const control = (config) => new AccessControl(compileAccess('access', config));

const config = {
  limits: { requests_per_minute: 60 },
  keys: [
    entry('ann', 'a', { organisation: 'acme', limits: { concurrent_jobs: 3 } }),
    entry('bob', 'b', { organisation: 'idle' }),
  ],
  organisations: { acme: { limits: { tokens_per_minute: 1000 } }, idle: {} },
  models: { large: { limits: { concurrent_jobs: 1 } }, small: {} },
};

test('a job counts against its principal, its organisation and its model', () => {
  const access = control(config);
  expect(access.budgets(access.of('ann'), 'large')).toEqual([
    { scope: 'principal', name: 'ann', limits: { requests_per_minute: 60, concurrent_jobs: 3 } },
    { scope: 'organisation', name: 'acme', limits: { tokens_per_minute: 1000 } },
    { scope: 'model', name: 'large', limits: { concurrent_jobs: 1 } },
  ]);
});

test('without a limit nothing is counted', () => {
  const access = control(config);
  expect(access.budgets(access.of('bob'), 'small')).toEqual([
    { scope: 'principal', name: 'bob', limits: { requests_per_minute: 60 } },
  ]);
  const open = control({});
  expect(open.budgets(open.of('anonymous'), 'small')).toEqual([]);
});

test('a principal without a key of that id gets the defaults', () => {
  const access = control(config);
  expect(access.configured('eve')).toBeUndefined();
  expect(access.of('eve')).toEqual({
    principal: 'eve',
    admin: false,
    limits: { requests_per_minute: 60 },
  });
});

test('limits of a hook are completed by the configured ones', () => {
  const access = control({
    limits: config.limits,
    organisations: { acme: { models: ['m', 'n'] } },
  });
  const given = { principal: 'eve', organisation: 'acme', models: ['n', 'o'], admin: true };
  expect(access.from({ ...given, limits: { concurrent_jobs: 7 } })).toEqual({
    principal: 'eve',
    organisation: 'acme',
    admin: true,
    models: ['n'],
    limits: { requests_per_minute: 60, concurrent_jobs: 7 },
  });
});

test('a reload applies to later requests', () => {
  const access = control(config);
  const before = access.of('ann');
  access.reload({ keys: [entry('ann', 'a')] });
  expect(before.limits).toEqual({ requests_per_minute: 60, concurrent_jobs: 3 });
  expect(access.of('ann').limits).toEqual({});
  expect(access.configured('bob')).toBeUndefined();
});
