/** Values of providers as entries of a log. */
import { AnswerEntries } from '../../../../lib/jobs/execution/answer-entries.js';

/** The entries of these values, in short: `reasoning:hm`, `call:id=name`, `args:{}`, `text`. */
function entriesOf(values, { end = true } = {}) {
  const written = [];
  const entries = new AnswerEntries(({ kind, text, aux }) => {
    if (kind === 'tool_call') written.push(`call:${text}=${aux}`);
    else if (kind === 'tool_arguments') written.push(`args:${text}`);
    else written.push(kind === 'text' ? text + (aux ?? '') : `${kind}:${text}`);
  });
  for (const value of values) entries.push(value);
  if (end) entries.end();
  return written;
}
const call = (index, fields) => ({ tool_call: { index, ...fields } });

describe('entries of each kind', () => {
  test.each([
    ['text', ['a', '', { text: 'b' }], ['a', 'b']],
    [
      'text with logprobs',
      [
        { text: 'a', logprobs: { content: [] } },
        { text: 'b', logprobs: null },
      ],
      ['a{"content":[]}', 'b'],
    ],
    [
      'reasoning and refusal',
      [{ reasoning: 'hm' }, { refusal: 'no' }],
      ['reasoning:hm', 'refusal:no'],
    ],
    ['extra members', [{ extra: { images: [1] } }], ['extra:{"images":[1]}']],
    ['undefined members do not count', [{ text: 'a', reasoning: undefined }], ['a']],
  ])('%s', (_, values, entries) => {
    expect(entriesOf(values)).toEqual(entries);
  });
});

describe('calls', () => {
  test.each([
    [
      'in pieces, its id and name said once',
      [
        call(0, { id: 'c', name: 'f', arguments: '' }),
        call(0, { id: 'c', name: 'f', arguments: '{"a"' }),
        call(0, { id: '', name: '', arguments: ':1}' }),
      ],
      ['call:c=f', 'args:{"a"', 'args::1}'],
    ],
    ['without arguments', [call(0, { id: 'c', name: 'f' })], ['call:c=f', 'args:{}']],
    [
      'with arguments as an object',
      [call(0, { id: 'c', name: 'f', arguments: { a: 1 } })],
      ['call:c=f', 'args:{"a":1}'],
    ],
    [
      'whose name comes late',
      [call(0, { id: 'c', arguments: '{' }), call(0, { name: 'f', arguments: '}' })],
      ['call:c=f', 'args:{}'],
    ],
    [
      'with one index and different ids',
      [
        call(0, { id: 'c', name: 'f', arguments: '{}' }),
        call(0, { id: 'd', name: 'g', arguments: '[]' }),
      ],
      ['call:c=f', 'args:{}', 'call:d=g', 'args:[]'],
    ],
    [
      'without an index, by name',
      [
        { tool_call: { id: 'c', name: 'f', arguments: '{' } },
        { tool_call: { arguments: '}' } },
        { tool_call: { id: 'd', name: 'f' } },
      ],
      ['call:c=f', 'args:{', 'args:}', 'call:d=f', 'args:{}'],
    ],
    [
      'that alternate are written one after the other',
      [
        call(5, { id: 'c', name: 'f' }),
        call(7, { id: 'd', name: 'g' }),
        call(7, { arguments: '{"x":"}' }),
        call(5, { arguments: '{"a":"\\"}' }),
        call(7, { arguments: '"}' }),
        call(5, { arguments: '"}' }),
        'text',
      ],
      ['call:c=f', 'args:{"a":"\\"}', 'args:"}', 'call:d=g', 'args:{"x":"}"}', 'text'],
    ],
    [
      'hold back what comes within them',
      [
        call(0, { id: 'c', name: 'f', arguments: '{' }),
        'a',
        { reasoning: 'hm' },
        call(0, { arguments: '}' }),
      ],
      ['call:c=f', 'args:{', 'args:}', 'a', 'reasoning:hm'],
    ],
    [
      'that stay cut end with the answer',
      [call(0, { id: 'c', name: 'f', arguments: '{"a' }), call(1, { id: 'd', name: 'g' })],
      ['call:c=f', 'args:{"a', 'call:d=g', 'args:{}'],
    ],
    [
      'may be followed by white space',
      [call(0, { id: 'c', name: 'f', arguments: '{}' }), 'a', call(0, { arguments: ' \n' })],
      ['call:c=f', 'args:{}', 'a'],
    ],
    [
      'of a name that has a half of a character in its arguments',
      [
        call(0, { id: 'c', name: 'f', arguments: '{"a":"\ud83d' }),
        'x\ud83d',
        call(0, { arguments: '\ude00"}' }),
        '\ude00',
      ],
      ['call:c=f', 'args:{"a":"', 'args:😀"}', 'x', '😀'],
    ],
  ])('%s', (_, values, entries) => {
    expect(entriesOf(values)).toEqual(entries);
  });

  test('without an id get a generated one', () => {
    const written = entriesOf([call(0, { name: 'f' }), call(1, { name: 'g', arguments: '{}' })]);
    expect(written).toEqual([
      expect.stringMatching(/^call:call_[A-Za-z0-9]{24}=f$/),
      'args:{}',
      expect.stringMatching(/^call:call_[A-Za-z0-9]{24}=g$/),
      'args:{}',
    ]);
    expect(written[0].slice(5, 34)).not.toBe(written[2].slice(5, 34));
  });

  test('with the id of an earlier call get another one', () => {
    const written = entriesOf([
      call(0, { id: 'c', name: 'f', arguments: '{}' }),
      call(1, { id: 'c', name: 'g', arguments: '{}' }),
    ]);
    expect(written).toEqual([
      ...['call:c=f', 'args:{}'],
      ...[expect.stringMatching(/^call:call_[A-Za-z0-9]{24}=g$/), 'args:{}'],
    ]);
  });

  test('are written on arrival', () => {
    const values = [call(0, { id: 'c', name: 'f', arguments: '{"a' })];
    expect(entriesOf(values, { end: false })).toEqual(['call:c=f', 'args:{"a']);
  });
});

describe('a value that is no piece of an answer is named:', () => {
  test.each([
    [7, /a value of type number; it must be a string, \{text, logprobs\}/],
    [null, /a value of type null/],
    [['a'], /a value of type array/],
    [{}, /the members ""/],
    [{ tool_calls: [] }, /the members "tool_calls"/],
    [{ text: 'a', reasoning: 'b' }, /the members "text, reasoning"/],
    [{ reasoning: 'a', logprobs: {} }, /the members "reasoning, logprobs"/],
    [{ text: 7 }, /a text of type number/],
    [{ reasoning: null }, /a reasoning of type null/],
    [{ extra: [] }, /an extra of type array; it must be an object/],
    [{ extra: { n: 1n } }, /an extra that cannot be written as JSON/],
    [{ text: 'a', logprobs: () => {} }, /logprobs that cannot be written as JSON/],
    [{ tool_call: 'f' }, /a tool_call of type string/],
    [
      { tool_call: { index: -1 } },
      /a tool_call.index of type number; it must be an integer from 0/,
    ],
    [{ tool_call: { index: 0, name: 1 } }, /a tool_call.name of type number/],
    [{ tool_call: { index: 0, arguments: [] } }, /a tool_call.arguments of type array/],
  ])('%p', (value, message) => {
    const error = { wireCode: 'provider_error', message: expect.stringMatching(message) };
    expect(() => entriesOf([value])).toThrow(expect.objectContaining(error));
  });

  test('a call without a name, and one that continues after its end', () => {
    expect(() => entriesOf([call(0, { id: 'c' })])).toThrow(/without a name/);
    const whole = call(0, { name: 'f', arguments: '{}' });
    expect(() => entriesOf([whole, 'a', call(0, { arguments: 'x' })])).toThrow(/call of f after/);
  });

  test('pieces that wait for a call are bounded', () => {
    const open = call(0, { name: 'f', arguments: '{' });
    const half = 'x'.repeat(2 ** 19);
    expect(() => entriesOf([open, half, half])).not.toThrow();
    expect(() => entriesOf([open, half, half, 'x'])).toThrow(/over 1048576 characters/);
    expect(() => entriesOf([call(0, { arguments: `"${half}${half}` })])).toThrow(/over 1048576/);
    const closed = [open, half, call(0, { arguments: '}' })];
    const again = [call(1, { name: 'g', arguments: '{' }), half, half];
    expect(() => entriesOf([...closed, ...again])).not.toThrow();
  });
});
