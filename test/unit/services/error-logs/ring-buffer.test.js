/** The ring of errors: bounds, numbers, and reports of dropped errors. */
import { ErrorRing } from '../../../../lib/services/error-logs/ring-buffer.js';

const event = (message) => ({ timestamp: null, level: 'error', source: '', message, lines: [] });

function filled(count, options) {
  const ring = new ErrorRing({ epoch: 7, ...options });
  for (let i = 1; i <= count; i += 1) ring.add(event(`m${i}`));
  return ring;
}

test('keeps the newest, by number', () => {
  const ring = filled(5, { entriesMax: 3 });
  expect(ring.bounds).toEqual({ earliest: '7-3', latest: '7-5' });
  expect(ring.at(2)).toBeUndefined();
  expect(JSON.parse(ring.at(3).json)).toEqual(event('m3'));
  expect(ring.at(6)).toBeUndefined();
});

test('keeps the newest, by bytes, and always the very newest', () => {
  const size = JSON.stringify(event('m1')).length;
  const ring = filled(5, { bytesMax: 2 * size });
  expect(ring.bounds).toEqual({ earliest: '7-4', latest: '7-5' });
  ring.add(event('x'.repeat(1000)));
  expect(ring.bounds).toEqual({ earliest: '7-6', latest: '7-6' });
});

test.each([
  ['', { next: 3, gap: false }],
  ['7-5', { next: 6, gap: false }],
  ['7-2', { next: 3, gap: false }],
  ['7-1', { next: 3, gap: true }], // the second is gone
  ['7-6', { next: 3, gap: true }], // not there yet: of another life of the server
  ['8-4', { next: 3, gap: true }],
  ['4', { next: 3, gap: true }],
])('a reader at %p continues with %p', (cursor, expected) => {
  expect(filled(5, { entriesMax: 3 }).resume(cursor)).toEqual(expected);
});

test('an empty one has no bounds', () => {
  const ring = filled(0);
  expect(ring.bounds).toEqual({ earliest: null, latest: null });
  expect(ring.resume('')).toEqual({ next: 1, gap: false });
  expect(ring.resume('7-0')).toEqual({ next: 1, gap: false });
});
