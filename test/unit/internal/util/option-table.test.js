import { checkTable } from '../../../../lib/internal/util/option-table.js';

const rows = [
  { path: 'size', type: 'integer', max: 10, default: 4, formerly: 'length' },
  { path: 'waitMs', type: 'milliseconds', infinite: true },
  { path: 'mode', type: 'choice', choices: ['a', 'b'], default: 'a' },
  { path: 'on', type: 'boolean', default: false },
  { path: 'file', type: 'string', takes: 'the path of a file' },
  { path: 'files', type: 'strings', takes: 'paths' },
  { path: 'any', type: 'other', default: null },
  { path: 'retry.attempts', type: 'integer', default: 3 },
  { path: 'retry.baseMs', type: 'milliseconds', default: 250 },
];
const check = (given, defaults) => checkTable('make', rows, given, defaults);

afterEach(() => jest.restoreAllMocks());

test('fills defaults in, also of objects that are not there', () => {
  const defaults = {
    ...{ size: 4, waitMs: undefined, mode: 'a', on: false, file: undefined, files: undefined },
    ...{ any: null, retry: { attempts: 3, baseMs: 250 } },
  };
  expect(check(undefined)).toEqual(defaults);
  expect(check({})).toEqual(defaults);
  expect(check({ retry: { baseMs: 0 } }).retry).toEqual({ attempts: 3, baseMs: 0 });
  expect(check({ retry: undefined, size: undefined, length: undefined })).toEqual(defaults);
});

test('uses defaults of its caller', () => {
  expect(check({}, { size: 9 }).size).toBe(9);
  expect(check({ size: 1 }, { size: 9 }).size).toBe(1);
});

test('accepts values within their ranges', () => {
  const given = { size: 10, waitMs: Infinity, mode: 'b', on: true, file: 'f', files: ['f', 'g'] };
  expect(check({ ...given, any: given })).toMatchObject({ ...given, any: given });
});

test.each([
  [5, 'TypeError', /^make: options takes an object, not 5/],
  [[], 'TypeError', /^make: options takes an object, not an array/],
  [{ sizes: 1 }, 'TypeError', /^make has no option sizes; it takes size, waitMs, .*any, retry$/],
  [{ retry: 3 }, 'TypeError', /^retry takes an object, not 3/],
  [
    { retry: { attempt: 3 } },
    'TypeError',
    /^retry has no option attempt; it takes attempts, baseMs$/,
  ],
  [{ 'retry.attempts': 3 }, 'TypeError', /^make has no option retry\.attempts/],
  [{ retry: { attempts: 0 } }, 'RangeError', /^retry\.attempts takes an integer from 1 to/],
  [{ size: 11 }, 'RangeError', /^size takes an integer from 1 to 10, not 11/],
  [{ size: '1' }, 'TypeError', /^size takes/],
  [{ length: 11 }, 'RangeError', /^length takes an integer from 1 to 10, not 11/],
  [{ waitMs: -1 }, 'RangeError', /^waitMs takes milliseconds from 0 to 2147483647 or Infinity/],
  [{ mode: 'c' }, 'RangeError', /^mode takes one of "a", "b"/],
  [{ on: 1 }, 'TypeError', /^on takes true or false/],
  [{ file: 1 }, 'TypeError', /^file takes a string/],
  [{ file: '' }, 'RangeError', /^file takes the path of a file/],
  [{ files: 'f' }, 'TypeError', /^files takes an array of paths/],
  [{ files: ['f', 1] }, 'TypeError', /^files takes an array of paths/],
  [{ size: 1, length: 1 }, 'TypeError', /^make takes size or its old name length, not both/],
])('%j is refused', (given, name, message) => {
  expect(() => check(given)).toThrow(expect.objectContaining({ name }));
  expect(() => check(given)).toThrow(message);
});

test('an old name works, and is warned of once per process', () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const own = [{ path: 'width', type: 'integer', formerly: 'breadth' }];
  expect(checkTable('make', own, { breadth: 3 })).toEqual({ width: 3 });
  expect(checkTable('make', own, { breadth: 4 })).toEqual({ width: 4 });
  expect(warn.mock.calls).toEqual([
    [
      'The option breadth is now width; the next version drops the old name.',
      { type: 'DeprecationWarning', code: 'SLUICE_DEPRECATED_OPTION' },
    ],
  ]);
});
