/** Offsets and cursors of durable streams. */
import fc from 'fast-check';
import { formatOffset, nextCursor, parseOffset } from '../../../../lib/services/durable/offsets.js';

const number = fc.maxSafeNat();

test('offsets are parsed back, and sort as text in the order of their positions', () => {
  fc.assert(
    fc.property(number, number, number, (space, first, second) => {
      expect(parseOffset(formatOffset(space, first))).toEqual({ space, position: first });
      const sorted = [first, second].sort((a, b) => a - b).map((each) => formatOffset(space, each));
      expect([...sorted].sort()).toEqual(sorted);
    }),
  );
});

test.each(['', '-1', 'now', '0_0', '0000000000000001', '9999999999999999_0000000000000000'])(
  '%p is no offset',
  (text) => expect(parseOffset(text)).toBeUndefined(),
);

test('a cursor is the number of the interval, and always above the one that the client has', () => {
  const unixMs = Date.UTC(2024, 9, 9) + 7 * 20_000 + 19_999;
  for (const old of [undefined, '6', 'x', '-8', '7.5', '9'.repeat(16)]) {
    expect(nextCursor(old, unixMs)).toBe('7');
  }
  fc.assert(
    fc.property(fc.integer({ min: 7, max: 1e9 }), (known) => {
      const next = Number(nextCursor(String(known), unixMs));
      expect(next).toBeGreaterThan(known);
      // An hour of intervals.
      expect(next).toBeLessThanOrEqual(known + 180);
    }),
  );
});
