/** The options `upstreams` and `fallbacks`. */
import { findRouteProblem } from '../../../../lib/providers/route/options.js';
import { providers } from '../../../../lib/index.js';

const a = { name: 'a', base_url: 'http://127.0.0.1:1' };

test.each([
  [undefined, TypeError, /upstreams is required/],
  [{}, TypeError, /upstreams is required/],
  [5, TypeError, /providers\.route: options takes an object/],
  [{ upstreams: {} }, TypeError, /^upstreams must be an array/],
  [{ upstreams: [] }, RangeError, /^upstreams must not be empty/],
  [{ upstreams: [5] }, TypeError, /^upstreams\[0\] must be an object/],
  [{ upstreams: [{ ...a, name: undefined }] }, TypeError, /^upstreams\[0\]\.name/],
  [{ upstreams: [{ base_url: a.base_url }] }, TypeError, /^upstreams\[0\]\.name is required/],
  [{ upstreams: [{ name: 'a' }] }, TypeError, /^upstreams\[0\]\.base_url is required/],
  [{ upstreams: [a, { ...a, name: 'b\n' }] }, RangeError, /^upstreams\[1\]\.name must be 1 to 64/],
  [{ upstreams: [a, a] }, RangeError, /^upstreams\[1\]\.name must not repeat upstreams\[0\]/],
  [{ upstreams: [{ ...a, base_url: 'ftp://x' }] }, RangeError, /^upstreams\[0\]\.base_url takes/],
  [{ upstreams: [{ ...a, base_url: 'http://u:p@x' }] }, RangeError, /^upstreams\[0\]\.base_url/],
  [{ upstreams: [{ ...a, base_url: 5 }] }, TypeError, /^upstreams\[0\]\.base_url must be a string/],
  [{ upstreams: [{ ...a, dialect: 'x' }] }, RangeError, /^upstreams\[0\]\.dialect must be one of/],
  [{ upstreams: [{ ...a, api_key: 'a b' }] }, RangeError, /^upstreams\[0\]\.api_key takes visible/],
  [{ upstreams: [{ ...a, api_key_env: '1' }] }, RangeError, /^upstreams\[0\]\.api_key_env must be/],
  [
    { upstreams: [{ ...a, api_key: 'k', api_key_env: 'K' }] },
    TypeError,
    /^upstreams\[0\] takes api_key or api_key_env, not both/,
  ],
  [{ upstreams: [{ ...a, headers: { x: 1 } }] }, TypeError, /^upstreams\[0\]\.headers\.x must be/],
  [{ upstreams: [{ ...a, headers: { 'x y': '' } }] }, RangeError, /^upstreams\[0\]\.headers takes/],
  [{ upstreams: [{ ...a, query: { v: 1 } }] }, TypeError, /^upstreams\[0\]\.query\.v must be/],
  [
    { upstreams: [{ ...a, models: 'x' }] },
    TypeError,
    /^upstreams\[0\]\.models must be an array or/,
  ],
  [{ upstreams: [{ ...a, models: [] }] }, RangeError, /^upstreams\[0\]\.models must not be empty/],
  [{ upstreams: [{ ...a, models: [''] }] }, RangeError, /^upstreams\[0\]\.models\[0\] must not be/],
  [{ upstreams: [{ ...a, models: { x: 1 } }] }, TypeError, /^upstreams\[0\]\.models\.x must be a/],
  [{ upstreams: [{ ...a, models: { '': 'x' } }] }, RangeError, /^upstreams\[0\]\.models takes/],
  [{ upstreams: [{ ...a, weight: 0 }] }, RangeError, /^upstreams\[0\]\.weight must be at least/],
  [{ upstreams: [{ ...a, max_concurrency: 1.5 }] }, TypeError, /^upstreams\[0\]\.max_concurrency/],
  [
    { upstreams: [{ ...a, timeouts: { ms: 1 } }] },
    TypeError,
    /^upstreams\[0\]\.timeouts\.ms is not/,
  ],
  [
    { upstreams: [{ ...a, baseUrl: 'x' }] },
    TypeError,
    /^upstreams\[0\]\.baseUrl is not known here/,
  ],
  [{ upstreams: [a], fallbacks: [] }, TypeError, /^fallbacks must be an object/],
  [{ upstreams: [a], fallbacks: { m: 'x' } }, TypeError, /^fallbacks\.m must be an array/],
  [
    { upstreams: [a], fallbacks: { m: ['x', 'm'] } },
    RangeError,
    /^fallbacks\.m\[1\] must be another/,
  ],
  [
    { upstreams: [{ ...a, models: ['m'] }], fallbacks: { m: ['x'] } },
    RangeError,
    /^fallbacks\.m\[0\] must be a model that an upstream serves/,
  ],
  [
    { upstreams: [{ ...a, models: ['m'] }], fallbacks: { x: ['m'] } },
    RangeError,
    /^fallbacks\.x must name a model that an upstream serves/,
  ],
  [{ upstreams: [a], model: 'm' }, TypeError, /has no option model/],
  [{ upstreams: [a], client: 'curl' }, RangeError, /client takes one of/],
  [{ upstreams: [a], clock: {} }, TypeError, /clock takes a ManualClock/],
])('%j', (options, kind, message) => {
  const route = () => providers.route(options);
  expect(route).toThrow(kind);
  expect(route).toThrow(message);
});

test('of a configuration file', () => {
  expect(findRouteProblem({})).toBeUndefined();
  expect(findRouteProblem({ upstreams: [a], fallbacks: { m: ['x'] } })).toBeUndefined();
  expect(findRouteProblem({ fallbacks: {} })).toBe('fallbacks needs upstreams');
  expect(findRouteProblem({ upstreams: [{ ...a, base_url: 'x' }] })).toMatch(
    /^upstreams\[0\]\.base_url takes an http or https URL/,
  );
});

test('a key is not shown in an error', () => {
  const options = { upstreams: [{ ...a, api_key: 'secret key' }] };
  expect(() => providers.route(options)).not.toThrow(/secret/);
});

test('the given object may change afterwards', () => {
  const upstreams = [{ ...a, models: ['m'] }];
  const provider = providers.route({ upstreams });
  upstreams[0].models.push('n');
  expect(provider.models).toEqual([{ id: 'm' }]);
});
