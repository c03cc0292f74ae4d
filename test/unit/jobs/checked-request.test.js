/** Requests in the form in which the gateway works with them. */
import { checkJobRequest } from '../../../lib/jobs/request.js';
import {
  fromInterpreted,
  fromJobRequest,
  tokenLimitOf,
} from '../../../lib/jobs/checked-request.js';

const user = { role: 'user', content: 'hi' };
const refusal = (code, param) => expect.objectContaining({ status: 400, wireCode: code, param });

describe('of POST /v1/jobs', () => {
  const check = (body) => fromJobRequest(checkJobRequest(body));

  test('members of the upstream are set apart, extra_body merged into them', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const request = {
      messages: [user],
      temperature: 0,
      max_completion_tokens: 9,
      tools,
      seed: 7,
      user: 'u1',
      extra_body: { seed: 8, top_k: 40, provider: { order: ['a'] } },
      metadata: { mine: true },
      on_disconnect: 'continue',
    };
    expect(check(request)).toEqual({
      messages: [user],
      temperature: 0,
      max_completion_tokens: 9,
      metadata: { mine: true },
      on_disconnect: 'continue',
      passed: { tools, seed: 8, user: 'u1', top_k: 40, provider: { order: ['a'] } },
    });
    expect(request.seed).toBe(7);
    expect(check({ prompt: 'p' })).toEqual({ prompt: 'p' });
  });

  test('messages keep parts, calls and results', () => {
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: {} },
        ],
      },
      { role: 'assistant', content: null, tool_calls: [{ id: 'c1' }] },
      { role: 'assistant', tool_calls: [{ id: 'c2' }] },
      { role: 'tool', tool_call_id: 'c1', content: '' },
      { role: 'function', name: 'f', content: 'x' },
    ];
    expect(check({ messages }).messages).toEqual(messages);
  });

  test.each([
    [{ role: 'user' }, 'missing_field', 'messages[0].content'],
    [{ role: 'tool', tool_call_id: 'c' }, 'missing_field', 'messages[0].content'],
    [{ role: 'user', content: null }, 'invalid_type', 'messages[0].content'],
    [{ role: 'user', content: [] }, 'invalid_type', 'messages[0].content'],
    [{ role: 'user', content: 5 }, 'invalid_type', 'messages[0].content'],
    [{ role: 'user', content: ['a'] }, 'invalid_type', 'messages[0].content[0]'],
    [{ role: 'user', content: [{}] }, 'missing_field', 'messages[0].content[0].type'],
    [{ role: 'user', content: [{ type: 'text' }] }, 'missing_field', 'messages[0].content[0].text'],
    [
      { role: 'user', content: [{ type: 'text', text: 1 }] },
      'invalid_type',
      'messages[0].content[0].text',
    ],
    [{ role: 'assistant', tool_calls: {} }, 'invalid_type', 'messages[0].tool_calls'],
    [{ role: 'nurse', content: 'a' }, 'invalid_value', 'messages[0].role'],
    [{ role: 'user', content: 'a', tool_cals: [] }, 'unknown_field', 'messages[0].tool_cals'],
  ])('the message %j is refused', (message, code, param) => {
    expect(() => check({ messages: [message] })).toThrow(refusal(code, param));
  });

  test.each([
    [{ tools: {} }, 'invalid_type', 'tools'],
    [{ tools: ['f'] }, 'invalid_type', 'tools[0]'],
    [{ tool_choice: 1 }, 'invalid_type', 'tool_choice'],
    [{ parallel_tool_calls: 'yes' }, 'invalid_type', 'parallel_tool_calls'],
    [{ response_format: 'json' }, 'invalid_type', 'response_format'],
    [{ seed: 1.5 }, 'invalid_type', 'seed'],
    [{ logit_bias: 1 }, 'invalid_type', 'logit_bias'],
    [{ reasoning_effort: 1 }, 'invalid_type', 'reasoning_effort'],
    [{ max_completion_tokens: 0 }, 'invalid_value', 'max_completion_tokens'],
    [{ extra_body: [] }, 'invalid_type', 'extra_body'],
    [{ extra_body: { model: 'm' } }, 'invalid_value', 'extra_body.model'],
    [{ extra_body: { stream: false } }, 'invalid_value', 'extra_body.stream'],
    [{ extra_body: { n: 2 } }, 'invalid_value', 'extra_body.n'],
    [{ n: 2 }, 'unknown_field', 'n'],
    [{ top_k: 2 }, 'unknown_field', 'top_k'],
  ])('%j is refused', (fields, code, param) => {
    expect(() => check({ prompt: 'p', ...fields })).toThrow(refusal(code, param));
  });
});

test('of two limits the smaller one counts', () => {
  expect(tokenLimitOf({})).toBe(undefined);
  expect(tokenLimitOf({ max_tokens: 5 })).toBe(5);
  expect(tokenLimitOf({ max_completion_tokens: 6 })).toBe(6);
  expect(tokenLimitOf({ max_tokens: 5, max_completion_tokens: 4 })).toBe(4);
});

describe('interpreted by a route', () => {
  test('nothing is lost: uninterpreted members are passed on, null included', () => {
    const messages = [{ ...user, vendor: { a: 1 } }];
    const checked = fromInterpreted({
      request: {
        model: 'm',
        messages,
        stop: null,
        temperature: 0.5,
        max_tokens: 9,
        n: 2,
        user: 'u',
        metadata: { k: 'v' },
      },
      passed: { tools: [], top_k: 3, stream_options: { include_obfuscation: false } },
      options: { on_disconnect: 'cancel', disconnect_grace_ms: 2000 },
    });
    expect(checked).toEqual({
      model: 'm',
      messages,
      temperature: 0.5,
      max_tokens: 9,
      n: 2,
      metadata: { k: 'v' },
      on_disconnect: 'cancel',
      disconnect_grace_ms: 2000,
      passed: {
        tools: [],
        top_k: 3,
        stream_options: { include_obfuscation: false },
        stop: null,
        user: 'u',
        metadata: { k: 'v' },
      },
    });
  });

  test('a prompt may be token ids', () => {
    expect(fromInterpreted({ request: { prompt: [1, 2] } })).toEqual({
      prompt_ids: [1, 2],
      passed: {},
    });
  });

  test.each([
    [{ messages: [] }, 'invalid_value', 'messages'],
    [{ messages: 'hi' }, 'invalid_type', 'messages'],
    [{ messages: [{ role: 'bot' }] }, 'invalid_value', 'messages[0].role'],
    [{ messages: [{ role: 'user', content: 5 }] }, 'invalid_type', 'messages[0].content'],
    [{ messages: [user], stop: 1 }, 'invalid_type', 'stop'],
    [{ messages: [user], temperature: '1' }, 'invalid_type', 'temperature'],
    [{ messages: [user], max_tokens: 1.5 }, 'invalid_type', 'max_tokens'],
    [{ messages: [user], n: 17 }, 'invalid_value', 'n'],
    [{ messages: [user], user: 1 }, 'invalid_type', 'user'],
    [{ messages: [user], metadata: [] }, 'invalid_type', 'metadata'],
    [{ model: 'm' }, 'missing_field', 'prompt'],
    [{ messages: [{ ...user, x: '\ud800' }] }, 'invalid_value', 'messages'],
  ])('%j is refused', (request, code, param) => {
    expect(() => fromInterpreted({ request })).toThrow(refusal(code, param));
  });

  test.each([
    [{ grace: 1 }, 'unknown_field', 'sluice.grace'],
    [{ max_wall_ms: 0 }, 'invalid_value', 'sluice.max_wall_ms'],
    [{ cache: { mode: 'yes' } }, 'invalid_value', 'sluice.cache.mode'],
    [{ on_busy: 'queue' }, 'invalid_value', 'sluice.on_busy'],
    ['cancel', 'invalid_type', 'sluice'],
  ])('the options %j are refused', (options, code, param) => {
    const given = { request: { messages: [user] }, options };
    expect(() => fromInterpreted(given)).toThrow(refusal(code, param));
  });
});
