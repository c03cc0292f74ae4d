/** The prefix of URLs in answers: from the proxy, the app, and the URL itself. */
import { mountPrefix } from '../../../lib/http/mount-prefix.js';

const request = (fields, remoteAddress = '127.0.0.1') => ({
  headers: {},
  url: '/v1/jobs',
  socket: { remoteAddress },
  ...fields,
});
const proxied = (prefix, address) =>
  request({ headers: { 'x-forwarded-prefix': prefix } }, address);

test.each([
  ['nothing', request({}), '', ''],
  ['the URL', request({}), '/ai', '/ai'],
  ['Express', request({ baseUrl: '/ai', originalUrl: '/ai/v1/jobs' }), '', '/ai'],
  ['Express at the root', request({ baseUrl: '', originalUrl: '/v1/jobs' }), '', ''],
  ['Connect', request({ originalUrl: '/ai/v1/jobs' }), '', '/ai'],
  ['Connect, with a rewritten URL', request({ originalUrl: '/somewhere/else' }), '', ''],
  ['a proxy and an app', { ...proxied('/outer/'), baseUrl: '/ai' }, '', '/outer/ai'],
  ['two proxies', proxied('/a, /b/c'), '/d', '/a/b/c/d'],
  ['a proxy at the root', proxied('/'), '/d', '/d'],
])('is that of %s', (_name, req, found, expected) => {
  expect(mountPrefix(req, found, 'local')).toBe(expected);
});

test.each([
  ['another host', '//evil.example'],
  ['a scheme', 'https://evil.example'],
  ['a relative path', 'a/b'],
  ['a query', '/a?b'],
  ['a backslash', '/\\evil.example'],
  ['an empty list item', '/a,,/b'],
  ['a line end', '/a\r\nb'],
])('a forwarded prefix with %s is ignored', (_name, prefix) => {
  expect(mountPrefix(proxied(prefix), '', 'all')).toBe('');
});

test.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['::ffff:10.0.0.7', true],
  ['192.168.1.1', true],
  ['172.16.0.1', true],
  ['169.254.0.1', true],
  ['fd00::1', true],
  ['fe80::1%eth0', true],
  [undefined, true],
  ['203.0.113.9', false],
  ['172.32.0.1', false],
  ['2001:db8::1', false],
])('a proxy at %s is trusted by default: %s', (address, trusted) => {
  const req = { ...proxied('/a'), socket: { remoteAddress: address } };
  expect(mountPrefix(req, '', 'local')).toBe(trusted ? '/a' : '');
  expect(mountPrefix(req, '', 'all')).toBe('/a');
  expect(mountPrefix(req, '', 'none')).toBe('');
});

test('a long malicious prefix is refused in linear time', () => {
  const before = process.cpuUsage();
  expect(mountPrefix(proxied(`${'/a'.repeat(8000)}?`), '', 'all')).toBe('');
  expect(mountPrefix(proxied(`${'/a,'.repeat(8000)}?`), '', 'all')).toBe('');
  expect(mountPrefix(proxied(`/a${' '.repeat(16000)}?`), '', 'all')).toBe('');
  const { user } = process.cpuUsage(before);
  expect(user).toBeLessThan(2_000_000);
});
