/** The options of `redis`: defaults, ranges, the URL, and what cannot be combined with it. */
import { checkGatewayOptions } from '../../../lib/gateway/options.js';
import { checkRedis } from '../../../lib/cluster/options.js';
import { parseRedisUrl } from '../../../lib/cluster/connection/address.js';

const provider = { models: [], takesBatches: false, generate() {} };
const check = (options) => checkGatewayOptions({ logger: false, provider, ...options });
const parse = (url) => parseRedisUrl('redis.url', url);
const DIGEST = 'a'.repeat(64);

test('the defaults, for a URL alone and for an object', () => {
  const defaults = {
    ...{ url: 'redis://h', prefix: 'sluice', leaseMs: 10_000, onProducerLost: 'fail' },
    ...{ commandTimeoutMs: 1000, flushMs: 10 },
  };
  expect(checkRedis('redis://h')).toMatchObject(defaults);
  expect(checkRedis({ url: 'redis://h' })).toMatchObject(defaults);
  expect(check({}).redis).toBeUndefined();
  expect(check({ redis: 'redis://h' }).redis).toMatchObject(defaults);
});

test.each([
  ['redis://h', { host: 'h', port: 6379, user: '', password: '', db: 0 }, 'redis://h'],
  ['redis://h:1234/15', { host: 'h', port: 1234, db: 15 }, 'redis://h:1234/15'],
  ['REDIS://h/', { host: 'h', port: 6379, db: 0 }, 'redis://h'],
  ['redis://:p%40%3A@h', { user: '', password: 'p@:' }, 'redis://h'],
  ['redis://a%20b:secret@h:1', { user: 'a b', password: 'secret' }, 'redis://a%20b@h:1'],
  ['redis://u@[::1]:7/3', { host: '::1', port: 7, user: 'u', db: 3 }, 'redis://u@[::1]:7/3'],
  ['redis://h', { isEncrypted: false, sentinels: [] }, 'redis://h'],
  ['rediss://u:secret@h/1', { host: 'h', db: 1, isEncrypted: true }, 'rediss://u@h/1'],
  [
    'redis-sentinel://u:p%2C@a:1,b/main',
    {
      ...{ user: 'u', password: 'p,', db: 0, service: 'main', isEncrypted: false },
      sentinels: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26_379 },
      ],
    },
    'redis-sentinel://u@a:1,b/main',
  ],
  [
    'rediss-sentinel://:secret@[::1]:7/my%20db/3',
    { db: 3, service: 'my db', isEncrypted: true, sentinels: [{ host: '::1', port: 7 }] },
    'rediss-sentinel://[::1]:7/my%20db/3',
  ],
])('%s', (url, fields, shown) => {
  expect(parse(url)).toMatchObject({ ...fields, shown });
});

test.each([
  ...['', 'h:6379', 'http://u:secret@h', 'redis:secret', 'redis://', 'redis://h:0'],
  ...['redis://u:secret@h:99999', 'redis://u:secret@h/name', 'redis://h/123456', 'redis://h/1/2'],
  ...['redis://u:secret@h?ssl=1', 'redis://u:secret@h#1', 'redis://u:%zzsecret@h'],
  ...['rediss://u:secret@h/a', 'redis-sentinel://u:secret@h', 'redis-sentinel://u:secret@h/'],
  ...['redis-sentinel://u:secret@h,/name', 'redis-sentinel://u:secret@h/name/db'],
  ...[
    'redis-sentinel://u:secret@h:0/name',
    'redis://u:secret@a,b:1',
    'redis-sentinel://h/%zzsecret',
  ],
])('%j is refused without being shown', (url) => {
  const refused = () => parse(url);
  expect(refused).toThrow(RangeError);
  expect(refused).toThrow('redis.url takes redis://[user[:password]@]host[:port][/db]');
  expect(refused).not.toThrow('secret');
});

test.each([
  [3, 'redis takes a URL or an object with a url'],
  [null, 'redis takes a URL or an object with a url'],
  [{}, 'redis.url is required'],
  [{ url: 'redis://h', prefix: 'a b' }, 'redis.prefix takes 1 to 64 of A-Z, a-z, 0-9, _, . and -'],
  [{ url: 'redis://h', prefix: '{a}' }, 'redis.prefix takes 1 to 64'],
  [{ url: 'redis://h', prefix: 'a'.repeat(65) }, 'redis.prefix takes 1 to 64'],
  [{ url: 'redis://h', leaseMs: 500 }, 'redis.leaseMs takes milliseconds from 1000 to 600000'],
  [{ url: 'redis://h', leaseMs: 600_001 }, 'redis.leaseMs takes milliseconds from 1000 to 600000'],
  [{ url: 'redis://h', onProducerLost: 'retry' }, 'redis.onProducerLost takes one of'],
  [{ url: 'redis://h', lease: 1 }, 'redis has no option lease'],
  [{ url: 'redis://h', waitReplicas: -1 }, 'redis.waitReplicas takes an integer from 0 to 16'],
  [{ url: 'redis://h', tls: {} }, 'redis.tls goes with rediss://'],
  [{ url: 'rediss://h', tls: 1 }, 'redis.tls takes an object'],
  [{ url: 'rediss://h', tls: { checkServerIdentity() {} } }, 'redis.tls has no option checkServ'],
  [{ url: 'rediss://h', tls: { host: 'x' } }, 'redis.tls has no option host'],
  [{ url: 'rediss://h', tls: { cert: 'x' } }, 'redis.tls is not usable: '],
  [{ url: 'rediss://h', tls: { servername: 1 } }, 'redis.tls.servername takes a string'],
])('%j: %s', (redis, message) => {
  expect(() => check({ redis })).toThrow(message);
});

test('has no file and no manual clock beside it', () => {
  expect(() => check({ redis: 'redis://h', data: 'f' })).toThrow('redis or data, not both');
});

test('the whole configuration of access is shared', () => {
  const access = {
    keys: [{ id: 'k', sha256: DIGEST, models: ['m'], limits: { concurrent_jobs: 1 } }],
    limits: { requests_per_minute: 1 },
    prices: { '*': { prompt: 1, completion: 1 } },
    accounts: { a: { overdraft: true } },
    models: { m: { limits: { concurrent_jobs: 1 } } },
    organisations: { acme: { limits: { tokens_per_minute: 1 } } },
  };
  expect(() => check({ access, redis: 'redis://h' })).not.toThrow();
});

test('an invalid configuration is refused for its own mistake', () => {
  expect(() => check({ access: { limits: { concurrent_jobs: 0 } }, redis: 'redis://h' })).toThrow(
    'access.limits.concurrent_jobs',
  );
});
