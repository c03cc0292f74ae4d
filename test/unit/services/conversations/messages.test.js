/** Messages of conversations, and the answers that become messages. */
import {
  answerOf,
  sent,
  shown,
  stored,
  wholeRequest,
} from '../../../../lib/services/conversations/messages.js';

const call = (id, args) => ({ id, type: 'function', function: { name: 'f', arguments: args } });

test.each([
  [{ role: 'user', content: 'hi' }],
  [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }], name: 'bob' }],
  [{ role: 'assistant', content: null, tool_calls: [call('c', '{}')] }],
  [{ role: 'assistant', tool_calls: [call('c', '{}')] }],
  [{ role: 'tool', tool_call_id: 'c', content: '1', createdAt: 'theirs', jobId: 7 }],
])('the message %j is stored and sent unchanged', (message) => {
  const kept = JSON.parse(JSON.stringify(stored(message, { createdAt: 5, jobId: 'job_1' })));
  expect(sent(kept)).toEqual(message);
  expect(shown(kept)).toEqual({ ...message, createdAt: 5, jobId: 'job_1' });
});

test('members kept for an upstream are sent to it, and not shown', () => {
  const sluice = { thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }] };
  const message = { role: 'assistant', content: null, tool_calls: [call('c', '{}')], sluice };
  const kept = stored(message, { createdAt: 5 });
  expect(sent(kept)).toEqual(message);
  expect(shown(kept)).not.toHaveProperty('sluice');
});

test('a message of earlier versions is read unchanged', () => {
  const old = { role: 'assistant', content: 'a', createdAt: 1, jobId: 'j', finishReason: 'stop' };
  expect(sent(old)).toEqual({ role: 'assistant', content: 'a' });
  expect(shown(old)).toEqual(old);
});

describe('the request of a turn', () => {
  const user = (content) => ({ role: 'user', content });
  const result = (id) => ({ role: 'tool', tool_call_id: id, content: id });
  const asks = (content, ...ids) => ({
    role: 'assistant',
    content,
    tool_calls: ids.map((id) => call(id, '{}')),
  });
  const whole = (history, added, request = {}) =>
    wholeRequest(
      request,
      history.map((message) => stored(message, { createdAt: 5 })),
      added,
    );

  test('begins with instructions, and marks the earlier messages', () => {
    const { messages, history } = whole([user('a')], [user('b')], { instructions: 'short' });
    expect(messages).toEqual([{ role: 'system', content: 'short' }, user('a'), user('b')]);
    expect(history).toEqual([1, 2]);
  });

  test.each([
    ['answered by the turn', [user('a'), asks(null, 'c')], [result('c')], undefined],
    ['answered before', [asks(null, 'c', 'd'), result('d'), result('c')], [user('b')], undefined],
    ['beside text', [asks('text', 'c')], [user('b')], [{ role: 'assistant', content: 'text' }]],
    ['alone', [user('a'), asks(null, 'c')], [user('b')], [user('a')]],
    ['in part', [asks(null, 'c', 'd'), result('d')], [user('b')], [asks(null, 'd'), result('d')]],
    [
      'whose id a later call has',
      [asks(null, 'c'), user('b'), asks(null, 'c'), result('c')],
      [user('d')],
      [user('b'), asks(null, 'c'), result('c')],
    ],
  ])('has no open calls: %s', (_which, earlier, added, kept = earlier) => {
    const { messages, history } = whole(earlier, added);
    expect(messages).toEqual([...kept, ...added]);
    expect(history).toEqual([0, kept.length]);
  });

  test('data stored with a call is sent with it', () => {
    const sluice = { thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }] };
    const { messages } = whole([{ ...asks('text', 'c'), sluice }], [user('b')]);
    expect(messages).toEqual([{ role: 'assistant', content: 'text' }, user('b')]);
  });
});

const done = (fields) => answerOf({ status: 'completed', reason: 'stop', ...fields });

test.each([
  ['text', { text: 'a' }, { content: 'a', finishReason: 'stop' }],
  ['cut text', { text: 'a', reason: 'length' }, { content: 'a', finishReason: 'length' }],
  [
    'text whose beginning is gone',
    { text: 'a', text_truncated: true },
    { content: 'a', finishReason: 'stop', textTruncated: true },
  ],
  [
    'reasoning beside text',
    { text: 'a', reasoning: 'hm' },
    { content: 'a', finishReason: 'stop', reasoning: 'hm' },
  ],
  [
    'calls',
    { text: '', reason: 'tool_calls', tool_calls: [call('c', '{}')] },
    { content: null, members: { tool_calls: [call('c', '{}')] }, finishReason: 'tool_calls' },
  ],
  [
    'calls after thinking that was signed',
    {
      text: '',
      reason: 'tool_calls',
      reasoning: 'hm',
      tool_calls: [call('c', '{}')],
      items: [
        { kind: 'reasoning', text: 'hm' },
        { kind: 'extra', delta: { signature: 'si' } },
        { kind: 'extra', delta: { signature: 'g' } },
      ],
    },
    {
      content: null,
      members: {
        tool_calls: [call('c', '{}')],
        sluice: { thinking_blocks: [{ type: 'thinking', thinking: 'hm', signature: 'sig' }] },
      },
      finishReason: 'tool_calls',
      reasoning: 'hm',
    },
  ],
  [
    'calls after pieces of thinking, as some proxies give them',
    {
      text: '',
      reason: 'tool_calls',
      tool_calls: [call('c', '{}')],
      items: [{ kind: 'extra', delta: { thinking_blocks: [{ type: 'thinking', thinking: 'h' }] } }],
    },
    { content: null, members: { tool_calls: [call('c', '{}')] }, finishReason: 'tool_calls' },
  ],
  [
    'calls of which the last is cut',
    { text: 'a', reason: 'length', tool_calls: [call('c', '{}'), call('d', '{"x')] },
    { content: 'a', members: { tool_calls: [call('c', '{}')] }, finishReason: 'length' },
  ],
  [
    'a refusal',
    { text: '', refusal: 'no' },
    { content: null, members: { refusal: 'no' }, finishReason: 'stop' },
  ],
  ['nothing', { text: '' }, undefined],
  ['reasoning alone', { text: '', reasoning: 'hm' }, undefined],
  ['a cut call alone', { text: '', reason: 'length', tool_calls: [call('d', '{"x')] }, undefined],
  ['a filtered answer', { text: 'a', reason: 'content_filter' }, undefined],
  ['a failure', { status: 'failed', text: 'a' }, undefined],
  ['a cancelled job without text', { status: 'cancelled', text: '' }, undefined],
  [
    'a cancelled job',
    { status: 'cancelled', text: 'a', tool_calls: [call('c', '{}')] },
    { content: 'a', finishReason: 'cancelled' },
  ],
])('%s', (_, state, answer) => {
  expect(done(state)).toEqual(answer);
});
