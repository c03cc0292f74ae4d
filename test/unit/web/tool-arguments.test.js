/** How the demo page shows the arguments of a tool call. */
import { argumentsText, isUnfinishedJson } from '../../../web/app/tool-arguments.js';

test.each([
  ['', ''],
  ['{}', '{}'],
  ['{"city":"Os', '{"city":"Os'],
  ['{"city":"Oslo","days":2}', '{\n  "city": "Oslo",\n  "days": 2\n}'],
  ['{ "a" : [1] }', '{\n  "a": [\n    1\n  ]\n}'],
  // JSON.parse would show another number.
  ['{"id":12345678901234567890}', '{"id":12345678901234567890}'],
  ['{"a":1,"a":2}', '{"a":1,"a":2}'],
  ['"text"', '"text"'],
  ['null', 'null'],
])('%s', (json, text) => {
  expect(argumentsText(json)).toBe(text);
});

test.each([
  ['', false],
  ['{}', false],
  ['{"a', true],
  ['oops', true],
])('whether %s is not valid', (json, expected) => {
  expect(isUnfinishedJson(json)).toBe(expected);
});
