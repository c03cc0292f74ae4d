/** Bodies of upstream calls. */
import { callBody, groupRequests } from '../../../../lib/providers/openai/body.js';

const request = (fields) => ({ id: 'job_1', model: 'm', prompt: 'hi', ...fields });
const chat = (fields, refused = []) => callBody('chat', [request(fields)], new Set(refused));

test('uninterpreted members are passed on unchanged, and a stream is requested', () => {
  const body = {
    tools: [{ type: 'function' }],
    stop: 'END',
    stream: false,
    stream_options: { include_usage: false, include_obfuscation: true },
    metadata: { a: '1' },
  };
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'x' }], vendor: 1 }];
  expect(chat({ prompt: undefined, messages, body, stop: ['END'], temperature: 0, n: 3 })).toEqual({
    model: 'm',
    messages,
    tools: body.tools,
    stop: 'END',
    temperature: 0,
    n: 3,
    metadata: { a: '1' },
    stream: true,
    stream_options: { include_usage: true, include_obfuscation: true },
  });
});

test.each([
  [{ maxTokens: 5 }, [], { max_tokens: 5 }],
  [{ maxTokens: 5, limitName: 'max_completion_tokens' }, [], { max_completion_tokens: 5 }],
  [{ maxTokens: 5 }, ['max_tokens'], { max_completion_tokens: 5 }],
  [
    { maxTokens: 5, limitName: 'max_completion_tokens' },
    ['max_completion_tokens'],
    { max_tokens: 5 },
  ],
  [{ maxTokens: 5 }, ['max_tokens', 'max_completion_tokens'], {}],
  [
    { maxTokens: 5, limitName: 'max_completion_tokens', body: { max_tokens: 7 } },
    [],
    { max_tokens: 7, max_completion_tokens: 5 },
  ],
  [
    { maxTokens: 5, limitName: 'max_completion_tokens', body: { max_tokens: 7 } },
    ['max_tokens'],
    { max_completion_tokens: 5 },
  ],
  [
    { maxTokens: 5, limitName: 'max_completion_tokens', body: { max_tokens: 7 } },
    ['max_completion_tokens'],
    { max_tokens: 7 },
  ],
])('the limit of %j, with %j refused, is %j', (fields, refused, limits) => {
  const { max_tokens, max_completion_tokens } = chat(fields, refused);
  expect(JSON.parse(JSON.stringify({ max_tokens, max_completion_tokens }))).toEqual(limits);
});

test('refused stream options are omitted, the caller’s too', () => {
  const body = { stream_options: { a: 1 } };
  expect(chat({ body }, ['stream_options'])).not.toHaveProperty('stream_options');
});

test('prompts of one call agree in the whole body', () => {
  const group = (...requests) => groupRequests(requests.map(request), () => 0);
  expect(group({ prompt: 'a' }, { prompt: 'b' })).toEqual([[0, 1]]);
  expect(group({ body: { seed: 1 } }, { body: { seed: 2 } }, { body: { seed: 1 } })).toEqual([
    [0, 2],
    [1],
  ]);
  expect(group({ prompt: 'a' }, { prompt: undefined, promptIds: [1] })).toEqual([[0], [1]]);
});

test('a completion model receives the text of messages, or token ids', () => {
  const messages = [
    { role: 'system', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    },
  ];
  const members = [request({ prompt: undefined, messages })];
  expect(callBody('completions', members, new Set()).prompt).toEqual([
    'system: be brief\n\nuser: ab\n\nassistant:',
  ]);
  const ids = [request({ prompt: undefined, promptIds: [1, 2] })];
  expect(callBody('completions', ids, new Set()).prompt).toEqual([[1, 2]]);
});
