/** The access option: refusals, their messages, and the compiled form. */
import { createHash } from 'node:crypto';
import { compileAccess, findAccessProblem } from '../../../../lib/jobs/policy/config.js';
import { entry, sha256 } from '../../../support/gateway/keys.js';

const compile = (config) => compileAccess('access', config);
const digest = (key) => createHash('sha256').update(key).digest();
const key = (more) => ({ keys: [{ ...entry('ann', 'a'), ...more }] });

test.each([
  [7, TypeError, 'access must be an object'],
  [{ key: [] }, TypeError, 'access.key is not known here'],
  [new Map(), TypeError, 'access.keys must be an array'],
  [{ keys: {} }, TypeError, 'access.keys must be an array'],
  [{ keys: [{ sha256: sha256('a') }] }, TypeError, 'access.keys[0].id is required'],
  [{ keys: [{ id: 'ann' }] }, TypeError, 'access.keys[0].sha256 is required'],
  [
    key({ sha256: 'a' }),
    RangeError,
    'access.keys[0].sha256 must be the SHA-256 of the key as 64 hexadecimal digits',
  ],
  [key({ sha256: [] }), RangeError, 'access.keys[0].sha256 must not be empty'],
  [key({ sha256: [7] }), TypeError, 'access.keys[0].sha256[0] must be a string'],
  [key({ sha256: 7 }), TypeError, 'access.keys[0].sha256 must be a string or array'],
  [
    key({ id: '' }),
    RangeError,
    /^access\.keys\[0\]\.id must be 1 to 128 letters, digits or any of/,
  ],
  [key({ id: 'a b' }), RangeError, /^access\.keys\[0\]\.id must be 1 to 128 letters/],
  [key({ id: 'anonymous' }), RangeError, 'access.keys[0].id must not be anonymous'],
  [key({ admin: 1 }), TypeError, 'access.keys[0].admin must be a boolean'],
  [key({ role: 'x' }), TypeError, 'access.keys[0].role is not known here'],
  [key({ models: 'm' }), TypeError, 'access.keys[0].models must be an array'],
  [
    key({ limits: { requests_per_minute: 0 } }),
    RangeError,
    'access.keys[0].limits.requests_per_minute must be at least 1',
  ],
  [{ limits: { rpm: 1 } }, TypeError, 'access.limits.rpm is not known here'],
  [
    { limits: { tokens_per_minute: 1.5 } },
    TypeError,
    /limits\.tokens_per_minute must be an integer/,
  ],
  [
    { organisations: { acme: { limits: { concurrent_jobs: '5' } } } },
    TypeError,
    'access.organisations.acme.limits.concurrent_jobs must be an integer',
  ],
  [{ models: { 'a/b': { limits: [] } } }, TypeError, 'access.models.a/b.limits must be an object'],
  [
    { ...key({ organisation: 'acne' }), organisations: { acme: {} } },
    RangeError,
    'access.keys[0].organisation must be one of the organisations',
  ],
  [
    { keys: [entry('ann', 'a'), entry('ann', 'b')] },
    RangeError,
    'access.keys[1].id must not repeat /keys/0/id',
  ],
  [
    { keys: [entry('ann', 'a'), { id: 'bob', sha256: [sha256('b'), sha256('a').toUpperCase()] }] },
    RangeError,
    'access.keys[1].sha256[1] must not repeat /keys/0/sha256',
  ],
  [
    { cors_origins: ['https://a.example/'] },
    RangeError,
    /^access\.cors_origins\[0\] must be "\*" or/,
  ],
  [{ cors_origins: ['*', 'a.example'] }, RangeError, /^access\.cors_origins\[1\] must be/],
  [{ stream_url_ttl_s: 0 }, RangeError, 'access.stream_url_ttl_s must be at least 1'],
  [{ stream_url_secret: 'short' }, RangeError, /^access\.stream_url_secret must be a string of 16/],
])('%j is refused', (config, kind, message) => {
  let thrown;
  try {
    compile(config);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(kind);
  if (typeof message === 'string') expect(thrown.message).toBe(message);
  else expect(thrown.message).toMatch(message);
});

test('a problem has the path of the invalid value', () => {
  const config = { organisations: { 'a/b~c': { limits: { concurrent_jobs: 0 } } } };
  expect(findAccessProblem(config)).toEqual({
    path: ['organisations', 'a/b~c', 'limits', 'concurrent_jobs'],
    kind: 'value',
    says: 'must be at least 1',
  });
  expect(findAccessProblem({})).toBeUndefined();
});

test('a key is found by any of its hashes, in either case of their digits', () => {
  const { find } = compile({
    keys: [entry('ann', 'a'), { id: 'bob', sha256: [sha256('b').toUpperCase(), sha256('c')] }],
  });
  expect(find(digest('a'))?.principal).toBe('ann');
  expect(find(digest('b'))?.principal).toBe('bob');
  expect(find(digest('c'))?.principal).toBe('bob');
  expect(find(digest('d'))).toBeUndefined();
  // The configuration contains hashes, not keys.
  expect(find(digest(sha256('a')))).toBeUndefined();
});

test("a key's limits stand before the defaults, one by one", () => {
  const { principals } = compile({
    limits: { requests_per_minute: 60, concurrent_jobs: 4 },
    keys: [entry('ann', 'a', { limits: { requests_per_minute: 5, tokens_per_minute: 900 } })],
  });
  expect(principals.get('ann')).toEqual({
    principal: 'ann',
    admin: false,
    limits: { requests_per_minute: 5, tokens_per_minute: 900, concurrent_jobs: 4 },
  });
});

test('names that objects have by themselves are names like any other', () => {
  const config = JSON.parse(
    `{"keys": [{"id": "constructor", "sha256": "${sha256('a')}", "organisation": "__proto__"}],
      "organisations": {"__proto__": {"limits": {"concurrent_jobs": 2}}}}`,
  );
  const { principals, organisations } = compile(config);
  expect(principals.get('constructor')?.organisation).toBe('__proto__');
  expect(organisations.get('__proto__')?.limits).toEqual({ concurrent_jobs: 2 });
  expect(organisations.has('toString')).toBe(false);
  const unknown = structuredClone({ keys: config.keys, organisations: {} });
  expect(findAccessProblem(unknown)).toMatchObject({ path: ['keys', '0', 'organisation'] });
});

test('a compiled configuration is frozen and shares nothing with its source', () => {
  const config = {
    keys: [entry('ann', 'a', { models: ['m'] })],
    organisations: { acme: { limits: { concurrent_jobs: 2 } } },
  };
  const { principals, organisations } = compile(config);
  config.keys[0].models.push('n');
  config.organisations.acme.limits.concurrent_jobs = 9;
  const access = principals.get('ann');
  expect(access.models).toEqual(['m']);
  expect(organisations.get('acme')?.limits).toEqual({ concurrent_jobs: 2 });
  for (const part of [access, access.models, access.limits]) expect(part).toBeFrozen();
});

expect.extend({
  toBeFrozen: (value) => ({ pass: Object.isFrozen(value), message: () => 'is not frozen' }),
});
