/** Stored content of streams: messages keep their text, and a cut lies between two of them. */
import fc from 'fast-check';
import {
  bodyOf,
  bytesOfMessages,
  contentOf,
  isContentType,
  isText,
} from '../../../../lib/services/durable/content.js';

const JSON_TYPE = 'application/json; charset=utf-8';
const stored = (text, options) => contentOf(JSON_TYPE, Buffer.from(text), options).toString();

test.each([
  ['{"a":1}', '{"a":1}'],
  [' [1, 2] ', '1, 2'],
  ['[[1,2],[3]]', '[1,2],[3]'],
  ['[[[1]]]', '[[1]]'],
  // A double would lose these digits and one of the members.
  ['[12345678901234567890, {"a":1,"a":2}, 1.0]', '12345678901234567890, {"a":1,"a":2}, 1.0'],
  ['\ufeff"x"', '"x"'],
  ['"]"', '"]"'],
])('%s is stored as %s', (body, expected) => {
  expect(stored(body)).toBe(expected);
});

test.each(['{', '', ' ', '1 2', '[1,]', 'NaN'])('%p is no JSON, or nothing', (body) => {
  const refused = () => contentOf(JSON_TYPE, Buffer.from(body));
  if (body === '') expect(refused()).toHaveLength(0);
  else expect(refused).toThrow(expect.objectContaining({ status: 400, wireCode: 'invalid_json' }));
});

test('a body that is not UTF-8 is no JSON', () => {
  expect(() => contentOf(JSON_TYPE, Buffer.from([0x22, 0xff, 0x22]))).toThrow('not JSON');
});

test('an empty array begins a stream and appends nothing', () => {
  expect(stored('[ ]', { empty: true })).toBe('');
  expect(() => stored('[]')).toThrow(expect.objectContaining({ status: 400 }));
});

test('messages are returned in one array, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.jsonValue(), { minLength: 1 })), (appends) => {
      const chunks = appends.map((messages) =>
        contentOf(JSON_TYPE, Buffer.from(JSON.stringify(messages))),
      );
      const read = JSON.parse(bodyOf(JSON_TYPE, chunks).toString());
      expect(JSON.stringify(read)).toBe(JSON.stringify(appends.flat()));
    }),
  );
});

test('the first messages of an append are cut off where they end', () => {
  const array = fc.array(fc.jsonValue(), { minLength: 1 });
  fc.assert(
    fc.property(array, fc.nat({ max: 12 }), fc.nat({ max: 3 }), (messages, extra, indent) => {
      const chunk = contentOf(JSON_TYPE, Buffer.from(JSON.stringify(messages, null, indent)));
      const count = 1 + (extra % messages.length);
      const bytes = bytesOfMessages(chunk, count);
      const cut = JSON.parse(`[${chunk.toString('utf8', 0, bytes)}]`);
      expect(JSON.stringify(cut)).toBe(JSON.stringify(messages.slice(0, count)));
      expect(bytesOfMessages(chunk, messages.length)).toBe(chunk.length);
      expect(bytesOfMessages(chunk, messages.length + 1)).toBeUndefined();
    }),
  );
});

test.each([
  ['text/plain', true],
  ['TEXT/CSV; charset="UTF-8"', true],
  ['text/plain; charset=iso-8859-1', false],
  ['application/json', true],
  ['application/ndjson', false],
  ['application/octet-stream', false],
])('%s as text in events: %s', (type, expected) => {
  expect(isText(type)).toBe(expected);
  expect(isContentType(type)).toBe(true);
});

test.each(['', 'text', 'text/', '/plain', 'a b/c'])('%p is no media type', (type) => {
  expect(isContentType(type)).toBe(false);
});
