import { parse } from 'node:querystring';
import { parseQuery } from '../../../lib/http/query.js';

test.each([
  '',
  'job_id=job_a-B_9',
  'job_id=job_a&token=v1.a-b_c.d~',
  'a=&b=1',
  'a=1&a=2',
  'a=&a=',
  'a',
  'a&b=1',
  '=1',
  'a=1&',
  '&a=1',
  'a=1&&b=2',
  'a=b=c',
  'a=1+2',
  'a=%20b',
  'a%20=b',
  'a=%zz',
  'ä=1',
  'a=1;b=2',
  '__proto__=1',
  'constructor=1&toString=2',
  'hasOwnProperty=1',
  `a=${'1'.repeat(5000)}`,
  Array.from({ length: 1200 }, (_each, i) => `a${i}=1`).join('&'),
])('reads %j as querystring does', (text) => {
  const [own, expected] = [parseQuery(text), parse(text)];
  expect(Object.entries(own)).toEqual(Object.entries(expected));
  expect(own.toString).toBe(expected.toString);
});
