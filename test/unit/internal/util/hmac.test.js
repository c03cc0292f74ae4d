import { createHmac } from 'node:crypto';
import { HmacSha256 } from '../../../../lib/internal/util/hmac.js';

const bytes = (byte, count) => Buffer.alloc(count, byte);

// RFC 4231, section 4.
test.each([
  [bytes(0x0b, 20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    'Jefe',
    'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    bytes(0xaa, 20),
    bytes(0xdd, 50),
    '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
  ],
  [
    bytes(0xaa, 131),
    'Test Using Larger Than Block-Size Key - Hash Key First',
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
])('test vector %#', (key, message, digest) => {
  expect(new HmacSha256(key).of(message, 'hex')).toBe(digest);
});

test.each([0, 1, 63, 64, 65, 200])('a key of %i bytes, as node:crypto', (length) => {
  const key = bytes(7, length);
  const hmac = new HmacSha256(key);
  for (const message of ['', 'ä', 'x'.repeat(1000)]) {
    const expected = createHmac('sha256', key).update(message).digest('base64url');
    expect(hmac.of(message, 'base64url')).toBe(expected);
  }
});
