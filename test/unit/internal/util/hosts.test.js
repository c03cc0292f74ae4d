import { isLoopback, isOwnHost } from '../../../../lib/internal/util/hosts.js';

// RFC 1122, 3.2.1.3 (127/8); RFC 4291, 2.5.3 (::1) and 2.5.5.2 (IPv4-mapped); RFC 6761, 6.3.
test.each([
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['LocalHost', true],
  ['128.0.0.1', false],
  ['126.255.255.255', false],
  ['0.0.0.0', false],
  ['::', false],
  ['::2', false],
  ['::ffff:0.0.0.0', false],
  ['', false],
  ['10.0.0.1', false],
  ['localhost.example', false],
  ['127.0.0.1.example', false],
  ['127.1', false],
  ['2130706433', false],
])('%j is this machine alone: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

// RFC 9110, 7.2: a name or an address, and perhaps a port. RFC 6761, 6.3: localhost and below it.
test.each([
  [undefined, true],
  ['localhost', true],
  ['LocalHost:8080', true],
  ['localhost.', true],
  ['app.localhost:80', true],
  ['127.0.0.1', true],
  ['127.0.0.1:8080', true],
  ['192.168.1.2:8080', true],
  ['[::1]', true],
  ['[::1]:8080', true],
  ['upstream', true],
  ['allowed.example:1', true],
  ['Allowed.Example.', true],
  ['evil.example', false],
  ['evil.example:8080', false],
  ['evil.example.', false],
  ['localhost.evil.example', false],
  ['127.0.0.1.evil.example', false],
  ['evillocalhost.example', false],
  ['not.allowed.example', false],
  ['1.2.3', false],
  ['evil.example@localhost', false],
  ['localhost/.evil.example', false],
  ['localhost:80:80', false],
  ['[evil.example]', false],
  ['', false],
])('the host %j may be meant for this machine: %s', (header, expected) => {
  expect(isOwnHost(header, ['allowed.example'])).toBe(expected);
});
