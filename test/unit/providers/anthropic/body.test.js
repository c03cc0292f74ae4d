/** The bodies of calls to Anthropic's Messages API. */
import { messagesBody, refusedMemberOf } from '../../../../lib/providers/anthropic/body.js';

const request = (fields = {}) => ({ id: 'job_1', prompt: 'hi', model: 'claude-x', ...fields });
const bodyOf = (fields, refused) => messagesBody(request(fields), refused).body;
const passed = (body, fields = {}) => bodyOf({ ...fields, body });

test('the least of them', () => {
  expect(bodyOf()).toEqual({
    model: 'claude-x',
    max_tokens: 4096,
    messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
    stream: true,
  });
});

test('limits, sampling, stops', () => {
  expect(
    bodyOf({
      maxTokens: 7,
      temperature: 1.5,
      stop: ['END', '\n\n'],
      body: { top_p: 0.5, top_k: 3 },
    }),
  ).toMatchObject({
    max_tokens: 7,
    temperature: 1,
    stop_sequences: ['END'],
    top_p: 0.5,
    top_k: 3,
  });
  expect(bodyOf({ temperature: 0.2, stop: [' '] })).toMatchObject({ temperature: 0.2 });
  expect(bodyOf({ stop: [' '] })).not.toHaveProperty('stop_sequences');
});

test('the system: text, or blocks where one is to be cached', () => {
  const messages = [
    { role: 'system', content: 'one' },
    { role: 'system', content: 'two' },
    { role: 'user', content: 'a' },
  ];
  expect(bodyOf({ messages }).system).toBe('one\n\ntwo');
  const cached = { type: 'text', text: 'two', cache_control: { type: 'ephemeral' } };
  messages[1] = { role: 'system', content: [cached] };
  expect(bodyOf({ messages }).system).toEqual([{ type: 'text', text: 'one' }, cached]);
});

describe('tools', () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } } };
  const tool = { type: 'function', function: { name: 'f', description: 'd', parameters } };
  const converted = { name: 'f', description: 'd', input_schema: parameters };

  test.each([
    [undefined, undefined],
    ['auto', { type: 'auto' }],
    ['none', { type: 'none' }],
    ['required', { type: 'any' }],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'tool', name: 'f' },
    ],
    [{ type: 'any' }, { type: 'any' }],
  ])('tool_choice %j', (choice, expected) => {
    const body = passed({ tools: [tool], tool_choice: choice });
    expect([body.tools, body.tool_choice]).toEqual([[converted], expected]);
  });

  test('one call at a time', () => {
    const one = { parallel_tool_calls: false, tools: [tool] };
    expect(passed(one).tool_choice).toEqual({ type: 'auto', disable_parallel_tool_use: true });
    expect(passed({ ...one, tool_choice: 'none' }).tool_choice).toEqual({ type: 'none' });
  });

  test('without parameters, of the API itself, of the older kind', () => {
    const own = { type: 'web_search_20250305', name: 'web_search' };
    const bare = { type: 'function', function: { name: 'g' } };
    expect(passed({ tools: [bare, own], functions: [{ name: 'h', parameters }] }).tools).toEqual([
      { name: 'g', input_schema: { type: 'object', properties: {} } },
      own,
      { name: 'h', input_schema: parameters },
    ]);
    expect(
      passed({ functions: [{ name: 'h' }], function_call: { name: 'h' } }).tool_choice,
    ).toEqual({
      type: 'tool',
      name: 'h',
    });
    expect(passed({ tool_choice: 'auto' })).not.toHaveProperty('tool_choice');
  });
});

describe('thinking by effort', () => {
  const enabled = (budget) => ({ type: 'enabled', budget_tokens: budget });

  test.each([
    ['claude-3-7-sonnet-latest', 'low', { thinking: enabled(1024), max_tokens: 1024 + 4096 }],
    ['claude-sonnet-4-20250514', 'medium', { thinking: enabled(4096), max_tokens: 8192 }],
    ['claude-opus-4-5-20251101', 'high', { thinking: enabled(16_384), max_tokens: 20_480 }],
    ['other-model', 'minimal', { thinking: enabled(1024), max_tokens: 5120 }],
    [
      'claude-opus-4-6',
      'medium',
      { thinking: { type: 'adaptive' }, output_config: { effort: 'medium' }, max_tokens: 4096 },
    ],
    [
      'anthropic/claude-sonnet-5',
      'minimal',
      { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } },
    ],
  ])('%s, %s', (model, effort, expected) => {
    const body = passed({ reasoning_effort: effort, top_k: 5 }, { model, temperature: 0.5 });
    expect(body).toMatchObject(expected);
    // With thinking the API accepts neither.
    expect(body).not.toHaveProperty('temperature');
    expect(body).not.toHaveProperty('top_k');
    expect(body).not.toHaveProperty('reasoning_effort');
  });

  test('within the limit that the caller gave', () => {
    const effort = { reasoning_effort: 'high' };
    expect(passed(effort, { maxTokens: 3000 })).toMatchObject({
      max_tokens: 3000,
      thinking: enabled(2999),
    });
    expect(passed(effort, { maxTokens: 1024, temperature: 0.5 })).toMatchObject({
      max_tokens: 1024,
      temperature: 0.5,
    });
    expect(passed(effort, { maxTokens: 1024 })).not.toHaveProperty('thinking');
  });

  test.each([
    ['none', {}],
    ['high', { tool_choice: 'required', tools: [{ name: 'f' }] }],
  ])('%s, %j: none', (effort, members) => {
    expect(passed({ reasoning_effort: effort, ...members })).not.toHaveProperty('thinking');
  });

  test('thinking as the API has it is passed', () => {
    const thinking = { type: 'enabled', budget_tokens: 2000 };
    expect(passed({ thinking, reasoning_effort: 'low' }).thinking).toEqual(thinking);
  });
});

test('formats of the answer', () => {
  const schema = { type: 'object' };
  const format = { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } };
  expect(passed({ response_format: format }).output_config).toEqual({
    format: { type: 'json_schema', schema },
  });
  expect(passed({ response_format: { type: 'json_object' } }).system).toMatch(/JSON object/);
  expect(passed({ response_format: { type: 'text' } })).toEqual(bodyOf());
});

test('members specific to the chat API are not sent, others are', () => {
  const chat = {
    ...{ seed: 1, frequency_penalty: 1, logit_bias: {}, logprobs: true, verbosity: 'low' },
    ...{ stream_options: {}, store: true, service_tier: 'flex', prediction: {}, n: 1 },
    ...{ parallel_tool_calls: true, metadata: { a: 1 }, safety_identifier: 'x' },
  };
  expect(passed(chat)).toEqual(bodyOf());
  const own = { container: 'c', mcp_servers: [], something_new: { a: 1 } };
  expect(passed({ ...own, user: 'u', service_tier: 'standard_only' })).toEqual({
    ...bodyOf(),
    ...own,
    metadata: { user_id: 'u' },
    service_tier: 'standard_only',
  });
});

test('a request in the format of the API is passed on unchanged', () => {
  const anthropic = {
    model: 'alias',
    max_tokens: 9,
    messages: [{ role: 'user', content: 'x' }],
    a: 1,
  };
  expect(passed({ anthropic, reasoning_effort: 'low' }, { maxTokens: 5 })).toEqual({
    ...anthropic,
    model: 'claude-x',
    max_tokens: 5,
    stream: true,
  });
});

test('several answers are refused', () => {
  expect(() => bodyOf({ n: 2 })).toThrow(/one answer to a request \(n\)/);
});

describe('refused members', () => {
  test.each([
    ['temperature: Extra inputs are not permitted', { temperature: 0.5 }, 'temperature', true],
    [
      '`temperature` and `top_p` cannot both be specified',
      { temperature: 0.5 },
      'temperature',
      false,
    ],
    ['top_k is deprecated for this model.', { body: { top_k: 1 } }, 'top_k', true],
    [
      '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"',
      { body: { reasoning_effort: 'low' } },
      'budget',
      true,
    ],
    [
      'adaptive thinking is not supported',
      { model: 'claude-opus-5', body: { reasoning_effort: 'low' } },
      'adaptive',
      true,
    ],
    ['messages: at least one message is required', { temperature: 0.5 }, undefined, undefined],
    ['thinking: bad', { body: { thinking: { type: 'enabled' } } }, undefined, undefined],
    ['', { temperature: 0.5 }, undefined, undefined],
  ])('%s', (refusal, fields, member, lasts) => {
    const sent = messagesBody(request(fields));
    expect(refusedMemberOf(refusal, sent)).toEqual(member && { member, lasts });
  });

  test('are left out', () => {
    const fields = { temperature: 0.5, body: { top_p: 1, top_k: 1, reasoning_effort: 'low' } };
    expect(bodyOf(fields, new Set(['budget']))).toMatchObject({ thinking: { type: 'adaptive' } });
    const none = bodyOf(fields, new Set(['budget', 'adaptive', 'temperature', 'top_p', 'top_k']));
    expect(none).toEqual(bodyOf());
  });
});
