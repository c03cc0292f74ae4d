import { isLoopback } from '../../lib/hosts.js';

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
