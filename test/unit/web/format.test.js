/** Numbers as the demo page shows them. */
import { duration, excerpt, plural, rate } from '../../../web/app/format.js';

test.each([
  [undefined, '–'],
  [null, '–'],
  [NaN, '–'],
  [0, '<1 ms'],
  [0.99, '<1 ms'],
  [1, '1 ms'],
  [203.6, '204 ms'],
  [1000, '1.00 s'],
  [9999, '10.00 s'],
  [12_345, '12.3 s'],
])('a duration of %p ms is %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [null, '–'],
  [Infinity, '–'],
  [0, '0.0'],
  [14.04, '14.0'],
  [100, '100'],
  [12_345.6, '12,346'],
])('a rate of %p is %s', (perSecond, text) => expect(rate(perSecond)).toBe(text));

test('numbers agree with their nouns, and long prompts are cut', () => {
  expect([plural(0, 'job'), plural(1, 'job'), plural(1000, 'job')]).toEqual([
    '0 jobs',
    '1 job',
    '1,000 jobs',
  ]);
  expect(excerpt(' a\n b ')).toBe('a b');
  expect(excerpt('abcdef', 4)).toBe('abc…');
});
