/** Chat messages as turns of Anthropic's Messages API. */
import {
  resumesWithoutThinking,
  toAnthropicMessages,
} from '../../../../lib/providers/anthropic/messages.js';

const turns = (...messages) => toAnthropicMessages(messages).messages;
const textBlock = (text) => ({ type: 'text', text });
const user = (...content) => ({ role: 'user', content });
const assistant = (...content) => ({ role: 'assistant', content });
const dot = textBlock('.');

test.each([
  ['a question', [{ role: 'user', content: 'hi' }], [user(textBlock('hi'))]],
  [
    'turns of one role are one',
    [
      { role: 'user', content: 'a' },
      { role: 'user', content: [{ type: 'text', text: 'b' }] },
      { role: 'assistant', content: 'c' },
      { role: 'assistant', content: 'd' },
      { role: 'user', content: 'e' },
    ],
    [
      user(textBlock('a'), textBlock('b')),
      assistant(textBlock('c'), textBlock('d')),
      user(textBlock('e')),
    ],
  ],
  [
    'the first turn is of the user',
    [
      { role: 'assistant', content: 'a' },
      { role: 'user', content: 'b' },
    ],
    [user(dot), assistant(textBlock('a')), user(textBlock('b'))],
  ],
  ['no message', [], [user(dot)]],
  [
    'empty texts are left out',
    [
      { role: 'user', content: '' },
      { role: 'user', content: [{ type: 'text', text: '' }, textBlock('a')] },
      { role: 'assistant', content: null },
      { role: 'user', content: 'b' },
    ],
    [user(textBlock('a'), textBlock('b'))],
  ],
  [
    'a beginning of the answer ends without white space',
    [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'The answer is \n' },
    ],
    [user(textBlock('a')), assistant(textBlock('The answer is'))],
  ],
  [
    'a beginning of white space is none',
    [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: ' ' },
    ],
    [user(textBlock('a'))],
  ],
  [
    'a refusal is text',
    [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: null, refusal: 'no' },
      { role: 'user', content: [{ type: 'refusal', refusal: 'x' }] },
    ],
    [user(textBlock('a')), assistant(textBlock('no')), user(textBlock('x'))],
  ],
])('%s', (_name, messages, expected) => {
  expect(turns(...messages)).toEqual(expected);
});

test('system and developer messages are moved out of the list, from any position', () => {
  const { system, messages } = toAnthropicMessages([
    { role: 'system', content: 'one' },
    { role: 'user', content: 'a' },
    {
      role: 'developer',
      content: [{ type: 'text', text: 'two', cache_control: { type: 'ephemeral' } }],
    },
    { role: 'user', content: 'b' },
  ]);
  expect(system).toEqual([
    textBlock('one'),
    { type: 'text', text: 'two', cache_control: { type: 'ephemeral' } },
  ]);
  expect(messages).toEqual([user(textBlock('a'), textBlock('b'))]);
});

describe('tools', () => {
  const call = (id, name, args) => ({ id, type: 'function', function: { name, arguments: args } });

  test('calls and results', () => {
    const messages = turns(
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [call('call_1', 'weather', '{"city":"Bonn"}'), call('a.b', 'time', '')],
      },
      { role: 'tool', tool_call_id: 'call_1', content: '15 degrees' },
      { role: 'tool', tool_call_id: 'a.b', content: [textBlock('noon')], is_error: true },
      { role: 'user', content: 'and tomorrow?' },
    );
    expect(messages).toEqual([
      user(textBlock('weather?')),
      assistant(
        textBlock('I look.'),
        { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Bonn' } },
        { type: 'tool_use', id: 'a_b', name: 'time', input: {} },
      ),
      user(
        { type: 'tool_result', tool_use_id: 'call_1', content: '15 degrees' },
        { type: 'tool_result', tool_use_id: 'a_b', content: [textBlock('noon')], is_error: true },
        textBlock('and tomorrow?'),
      ),
    ]);
  });

  test('results stand first in their turn', () => {
    const messages = turns(
      { role: 'assistant', content: null, tool_calls: [call('c', 'f', '{}')] },
      { role: 'user', content: 'wait' },
      { role: 'tool', tool_call_id: 'c', content: '' },
    );
    expect(messages.at(-1)).toEqual(
      user({ type: 'tool_result', tool_use_id: 'c' }, textBlock('wait')),
    );
  });

  test.each(['no JSON', '[1]', '"x"', '{"a":'])('arguments that are no object: %s', (args) => {
    const [, { content }] = turns(
      { role: 'user', content: 'a' },
      { role: 'assistant', tool_calls: [call('c', 'f', args)] },
    );
    expect(content[0].input).toEqual({ input: args });
  });

  test('functions of the older kind', () => {
    const messages = turns(
      { role: 'user', content: 'a' },
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"x":1}' } },
      { role: 'function', name: 'f', content: 'done' },
    );
    expect(messages.slice(1)).toEqual([
      assistant({ type: 'tool_use', id: 'call_f', name: 'f', input: { x: 1 } }),
      user({ type: 'tool_result', tool_use_id: 'call_f', content: 'done' }),
    ]);
  });
});

describe('media', () => {
  const one = (part) => turns({ role: 'user', content: [part] })[0].content[0];

  test.each([
    [
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBO', detail: 'high' } },
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
    ],
    [
      { type: 'image_url', image_url: 'https://a.example/b.jpg', cache_control: { type: 'x' } },
      {
        type: 'image',
        source: { type: 'url', url: 'https://a.example/b.jpg' },
        cache_control: { type: 'x' },
      },
    ],
    [
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' } },
      {
        type: 'document',
        source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' },
        title: 'a.pdf',
      },
    ],
    [
      { type: 'file', file: { file_data: 'JVBE' } },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' } },
    ],
    [
      { type: 'file', file: { file_data: 'data:text/csv;charset=utf-8;base64,YSxi' } },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a,b' } },
    ],
    [
      { type: 'file', file: { file_data: 'data:,a%20b' } },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a b' } },
    ],
    [
      { type: 'file', file: { file_id: 'file_1' } },
      { type: 'document', source: { type: 'file', file_id: 'file_1' } },
    ],
    [
      { type: 'document', source: { type: 'url', url: 'u' }, citations: { enabled: true } },
      { type: 'document', source: { type: 'url', url: 'u' }, citations: { enabled: true } },
    ],
  ])('%j', (part, expected) => {
    expect(one(part)).toEqual(expected);
  });

  test.each([
    [{ type: 'input_audio', input_audio: {} }, /input_audio \(messages\[0\]\.content\[0\]\)/],
    [{ type: 'image_url' }, /an image without a URL \(messages\[0\]\.content\[0\]\)/],
    [{ type: 'file', file: {} }, /a file without data/],
    [{ text: 'no type' }, /this part/],
    [null, /this part/],
  ])('%j is refused by name', (part, message) => {
    expect(() => one(part)).toThrow(message);
    expect(() => one(part)).toThrow(expect.objectContaining({ wireCode: 'upstream_bad_request' }));
  });
});

describe('thinking', () => {
  const thought = { type: 'thinking', thinking: 'hm', signature: 'sig' };
  const result = { role: 'tool', tool_call_id: 'c', content: 'r' };
  const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }];
  const question = { role: 'user', content: 'a' };

  test.each([
    [{ reasoning_content: 'hm', signature: 'sig' }, [thought]],
    [{ reasoning: 'hm', signature: 'sig' }, [thought]],
    [{ thinking_blocks: [thought] }, [thought]],
    [{ content: [thought] }, [thought]],
    [
      { reasoning_content: 'hm', signature: 'x', thinking_blocks: [{ type: 'redacted_thinking' }] },
      [{ type: 'redacted_thinking' }],
    ],
    // The API refuses thinking without its signature.
    [{ reasoning_content: 'hm' }, []],
    [{ signature: 'sig' }, []],
  ])('%j', (members, expected) => {
    const [, { content }] = turns(
      question,
      { role: 'assistant', tool_calls: calls, ...members },
      result,
    );
    expect(content.slice(0, -1)).toEqual(expected);
    expect(content.at(-1).type).toBe('tool_use');
  });

  test('calls made without thinking are not gone on with by thinking', () => {
    const call = { role: 'assistant', content: 'x', tool_calls: calls };
    expect(resumesWithoutThinking(turns(question, call, result))).toBe(true);
    const thoughtful = { ...call, reasoning_content: 'hm', signature: 'sig' };
    expect(resumesWithoutThinking(turns(question, thoughtful, result))).toBe(false);
    expect(resumesWithoutThinking(turns(question, { ...call, tool_calls: [] }, question))).toBe(
      false,
    );
    expect(resumesWithoutThinking(turns(question))).toBe(false);
  });
});
