import { planOf } from '../../../../lib/jobs/execution/cache-policy.js';

const options = { mode: 'auto', scope: 'principal', ttlMs: 60_000 };
const ask = (request, { cacheControl, access = { principal: 'a' }, model = 'm', ...given } = {}) =>
  planOf(
    { prompt: 'hi', temperature: 0, ...request },
    { model, access, cacheControl },
    { ...options, ...given },
  );
const key = (request, settings) => ask(request, settings).key;

describe('when an answer may be shared', () => {
  test.each([
    ['temperature 0', {}, undefined, { refresh: false, ttlMs: 60_000 }],
    ['no temperature', { temperature: undefined }, undefined, undefined],
    ['another temperature', { temperature: 0.1 }, undefined, undefined],
    ['on', { temperature: 1, cache: { mode: 'on' } }, undefined, { refresh: false }],
    ['off', { cache: { mode: 'off' } }, undefined, undefined],
    ['refresh', { temperature: 1, cache: { mode: 'refresh' } }, undefined, { refresh: true }],
    ['a time of its own', { cache: { ttl_s: 1.5 } }, undefined, { refresh: false, ttlMs: 1500 }],
    ['a time alone is no mode', { temperature: 1, cache: { ttl_s: 9 } }, undefined, undefined],
    ['no-store', { cache: { mode: 'on' } }, 'no-store', undefined],
    ['no-store among others', {}, 'max-age=0, No-Store', undefined],
    ['no-cache', {}, 'no-cache', { refresh: true }],
    ['no-cache with a value', {}, 'no-cache="x-y"', { refresh: true }],
    ['no-cache asks for nothing more', { temperature: 1 }, 'no-cache', undefined],
    ['another directive', {}, 'max-age=0', { refresh: false }],
  ])('%s', (_, request, cacheControl, plan) => {
    const found = ask(request, { cacheControl });
    if (plan === undefined) expect(found).toBe(undefined);
    else expect(found).toMatchObject(plan);
  });

  test('a gateway that is off stays off', () => {
    expect(ask({ cache: { mode: 'on' } }, { mode: 'off' })).toBe(undefined);
  });
});

describe('which questions are the same', () => {
  test.each([
    ['metadata', { metadata: { a: 1 } }],
    ['limits of the job', { max_wall_ms: 5, disconnect_grace_ms: 1, on_disconnect: 'continue' }],
    ['what is said of the cache', { cache: { mode: 'refresh', ttl_s: 1 } }],
  ])('%s is not part of it', (_, request) => {
    expect(key(request)).toBe(key({}));
  });

  test.each([
    ['prompt', { prompt: 'ho' }],
    [
      'a message in place of a prompt',
      { prompt: undefined, messages: [{ role: 'user', content: 'hi' }] },
    ],
    ['max_tokens', { max_tokens: 5 }],
    ['temperature', { temperature: 1, cache: { mode: 'on' } }],
    ['stop', { stop: 'x' }],
  ])('%s is', (_, request) => {
    expect(key(request)).not.toBe(key({}));
  });

  test('the resolved model is part of it', () => {
    expect(key({}, { model: 'n' })).not.toBe(key({}));
    expect(key({ model: 'm' })).toBe(key({}));
  });

  test('spelling is not: order of fields, a stop that is a list of one', () => {
    const [one, two] = [
      { role: 'user', content: 'hi' },
      { content: 'hi', role: 'user' },
    ];
    const messages = (message) => ({ prompt: undefined, messages: [message] });
    expect(key(messages(one))).toBe(key(messages(two)));
    expect(key({ stop: 'x' })).toBe(key({ stop: ['x'] }));
    expect(key({ stop: ['x', 'y'] })).not.toBe(key({ stop: ['y', 'x'] }));
  });

  test('principals share by scope, and distinct names never collide', () => {
    const ofScope = (scope) => (principal, organisation) =>
      key({}, { scope, access: { principal, organisation } });
    const [principal, organisation, global] = ['principal', 'organisation', 'global'].map(ofScope);
    expect(principal('a', 'x')).toBe(principal('a', 'y'));
    expect(principal('a', 'x')).not.toBe(principal('b', 'x'));
    expect(organisation('a', 'x')).toBe(organisation('b', 'x'));
    expect(organisation('a', 'x')).not.toBe(organisation('a', 'y'));
    expect(organisation('a')).toBe(organisation('a'));
    expect(organisation('a')).not.toBe(organisation('b'));
    expect(organisation('x')).not.toBe(organisation('a', 'x'));
    expect(global('a', 'x')).toBe(global('b', 'y'));
  });
});
