/** JSON with integers beyond 2^53. */
import fc from 'fast-check';
import {
  ExactNumber,
  comparing,
  parseExact,
  rounded,
  stringifyExact,
} from '../../../../lib/internal/util/exact-json.js';

test.each([
  ['9007199254740993', true],
  ['-9007199254740993', true],
  ['12345678901234567890123', true],
  // Numbers hold these.
  ['9007199254740992', false],
  ['9007199254740991', false],
  ['9007199254740994', false],
  ['1000000000000000000000', false],
  ['0', false],
  ['123456789012345.5', false],
])('%s is an exact number: %s', (text, isExact) => {
  const { id } = parseExact(`{"id":${text}}`);
  expect(id instanceof ExactNumber).toBe(isExact);
  expect(Number(id)).toBe(Number(text));
  if (isExact) expect(String(id)).toBe(text);
  if (isExact) expect(stringifyExact({ id })).toBe(`{"id":${text}}`);
});

test('digits in strings and in keys are text', () => {
  const text = '{"9007199254740993":"9007199254740993","a\\\\":"\\\\\\"9007199254740993,","b":[1]}';
  expect(parseExact(text)).toEqual(JSON.parse(text));
  expect(stringifyExact(parseExact(text))).toBe(text);
});

test.each([
  '[09007199254740993]',
  '[--9007199254740993]',
  '[9007199254740993.]',
  '[9007199254740993',
  '"9007199254740993',
  '{9007199254740993:1}',
  '[9007199254740993 9007199254740993]',
])('%s is no JSON', (text) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
  expect(() => parseExact(text)).toThrow(SyntaxError);
});

test('an integer that is infinite as a number stays so', () => {
  expect(parseExact(`[${'9'.repeat(400)}]`)).toEqual([Infinity]);
});

test('members named __proto__ are members', () => {
  const parsed = parseExact('{"__proto__":{"a":9007199254740993}}');
  expect(Object.keys(parsed)).toEqual(['__proto__']);
  expect(stringifyExact(parsed)).toBe('{"__proto__":{"a":9007199254740993}}');
});

test('any JSON is parsed as by JSON.parse except for these integers, and is written with all digits', () => {
  const integers = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n });
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(integers), (value, ids) => {
      const text = JSON.stringify({ value, ids: 'IDS' }).replace('"IDS"', `[${ids.join()}]`);
      const parsed = parseExact(text);
      expect(rounded(parsed)).toEqual(JSON.parse(text));
      expect(JSON.stringify(parsed)).toBe(JSON.stringify(JSON.parse(text)));
      const [, written] = /"ids":\[(.*)\]\}$/.exec(stringifyExact(parsed));
      const back = written === '' ? [] : written.split(',').map((each) => BigInt(exactly(each)));
      expect(back).toEqual(ids);
    }),
  );
});

/** Numbers are written as 1e+21 by JavaScript. */
const exactly = (text) => (text.includes('e') ? String(BigInt(Number(text))) : text);

test('values that differ in the last digit compare as different', () => {
  const [a, b] = ['9007199254740993', '9007199254740992'].map((id) => parseExact(`{"id":${id}}`));
  expect(JSON.stringify(a)).toBe(JSON.stringify(b));
  expect(comparing(() => JSON.stringify(a))).not.toBe(comparing(() => JSON.stringify(b)));
});

test('a value without such numbers is not copied', () => {
  const value = { a: [1] };
  expect(rounded(value)).toBe(value);
});
