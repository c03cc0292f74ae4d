/** Prices and accounts of a configuration, and the resulting costs. */
import { compileAccess, findAccessProblem } from '../../../../lib/jobs/policy/config.js';
import { AccessControl } from '../../../../lib/jobs/policy/access-control.js';
import { accountOf, costOf } from '../../../../lib/jobs/policy/prices.js';
import { entry } from '../../../support/gateway/keys.js';

const control = (config) => new AccessControl(compileAccess('access', config));
const price = { prompt: 1, completion: 2 };
const usage = (prompt_tokens, completion_tokens) => ({ prompt_tokens, completion_tokens });

test.each([
  [{ prices: { m: { prompt: 1 } } }, TypeError, 'access.prices.m.completion is required'],
  [{ prices: { m: { ...price, input: 1 } } }, TypeError, 'access.prices.m.input is not known here'],
  [
    { prices: { m: { ...price, prompt: -1 } } },
    RangeError,
    'access.prices.m.prompt must be at least 0',
  ],
  [
    { prices: { m: { ...price, prompt: 1e10 } } },
    RangeError,
    'access.prices.m.prompt must be at most 1000000000',
  ],
  [
    { prices: { m: { ...price, prompt: '1,5' } } },
    RangeError,
    /^access\.prices\.m\.prompt must be micro-credits per token/,
  ],
  [
    { prices: { m: { ...price, prompt: 1e-10 } } },
    RangeError,
    /^access\.prices\.m\.prompt must be micro-credits per token.*9 decimals/,
  ],
  [
    { prices: { m: { ...price, prompt: null } } },
    TypeError,
    'access.prices.m.prompt must be a number or string',
  ],
  [
    { accounts: { acme: { overdraft: 1.5 } } },
    TypeError,
    /^access\.accounts\.acme\.overdraft must be an integer/,
  ],
  [
    { accounts: { '@usage': {} } },
    RangeError,
    'access.accounts.@usage must have the name of an account',
  ],
  [
    { keys: [entry('ann', 'a', { account: '@x' })] },
    RangeError,
    /^access\.keys\[0\]\.account must be 1 to 128 letters/,
  ],
  [
    {
      prices: { '*': price },
      keys: [entry('ann', 'a', { organisation: 'bob' }), entry('bob', 'b')],
    },
    TypeError,
    'access.keys[1].account is required: an organisation has the same name',
  ],
])('%j is refused', (config, kind, message) => {
  expect(() => compileAccess('access', config)).toThrow(kind);
  expect(() => compileAccess('access', config)).toThrow(message);
  expect(findAccessProblem(config)).toBeDefined();
});

test('a model has its own price, the default price, or none', () => {
  const access = control({
    prices: { m: { prompt: 3, completion: 4, cached_completion: '0.5' }, '*': price },
  });
  const cost = ({ full, cached }) => [costOf(full, usage(1, 1)), costOf(cached, usage(2, 2))];
  expect(cost(access.priceOf('m'))).toEqual([7n, 1n]);
  expect(cost(access.priceOf('other'))).toEqual([3n, 0n]);
  expect(control({ prices: { m: price } }).priceOf('other')).toBeUndefined();
  expect(control({}).priceOf('m')).toBeUndefined();
});

test.each([
  // [prompt, completion, tokens of each, expected]: by hand
  [0.15, 0.6, [1, 0], 1n],
  [0.15, 0.6, [20, 0], 3n],
  [0.15, 0.6, [7, 11], 8n],
  ['0.000000001', 0, [1, 5], 1n],
  ['0.000000001', 0, [1e9, 0], 1n],
  [0, 0, [5, 5], 0n],
  ['2.5', '10', [0, 0], 0n],
  [1e9, 1e9, [2 ** 31, 2 ** 31], 4_294_967_296_000_000_000n],
])('%s and %s a token: %j cost %s', (prompt, completion, [a, b], expected) => {
  const { full } = control({ prices: { m: { prompt, completion } } }).priceOf('m');
  expect(costOf(full, usage(a, b))).toBe(expected);
});

test('a key pays from its account, its organisation’s, or its own', () => {
  const access = control({
    keys: [
      entry('ann', 'a', { organisation: 'acme' }),
      entry('bob', 'b', { organisation: 'acme', account: 'bobs' }),
      entry('eve', 'e'),
    ],
    accounts: { spare: { overdraft: '500' }, '*': { overdraft: 7 }, free: { overdraft: true } },
  });
  expect(['ann', 'bob', 'eve'].map((id) => accountOf(access.of(id)))).toEqual([
    'acme',
    'bobs',
    'eve',
  ]);
  expect(accountOf(access.from({ principal: 'p', account: 'q' }))).toBe('q');
  for (const name of ['acme', 'bobs', 'eve', 'spare', 'free']) {
    expect(access.namesAccount(name)).toBe(true);
  }
  for (const name of ['ann', 'bob', '*', 'anonymous']) {
    expect(access.namesAccount(name)).toBe(false);
  }
  expect(['spare', 'acme', 'free'].map((name) => access.overdraftOf(name))).toEqual([
    500n,
    7n,
    true,
  ]);
  expect(control({}).namesAccount('anonymous')).toBe(true);
});

test('a name that the ledger has no account for stands for its hash', () => {
  const hashed = ['@usage', 'x'.repeat(257), '\ud800'].map((principal) => accountOf({ principal }));
  for (const name of hashed) expect(name).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(new Set(hashed).size).toBe(3);
  expect(accountOf({ principal: 'x'.repeat(256) })).toBe('x'.repeat(256));
});
