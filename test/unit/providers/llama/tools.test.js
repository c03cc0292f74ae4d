/** Tools over models in the process: conversions, a scripted engine, and the tiny real one. */
import OpenAI from 'openai';
import { answerWithTools } from '../../../../lib/providers/llama/tool-chat.js';
import { createGateway } from '../../../../lib/index.js';
import { historyOf, toolsOf } from '../../../../lib/providers/llama/chat-history.js';
import { llama } from '../../../../lib/providers/llama/provider.js';
import { parameterSchema } from '../../../../lib/providers/llama/parameter-schema.js';
import { tinyLlama } from '../../../support/providers/tiny-llama.js';

const ANY = {
  oneOf: [
    { type: ['string', 'number', 'boolean', 'null'] },
    { type: 'object', additionalProperties: true },
    { type: 'array' },
  ],
};
const tool = (name, parameters) => ({ type: 'function', function: { name, parameters } });

describe('schemas of parameters', () => {
  const field = (schema, more) =>
    parameterSchema({ type: 'object', properties: { a: schema }, ...more });

  test.each([
    [
      { type: 'string', minLength: 2, maxLength: 9 },
      { type: 'string', minLength: 2, maxLength: 9 },
    ],
    [
      { type: 'string', format: 'date' },
      { type: 'string', format: 'date' },
    ],
    [{ type: 'string', format: 'email', pattern: '@' }, { type: 'string' }],
    [{ type: 'integer', minimum: 1 }, { type: 'integer' }],
    [{ type: ['string', 'null'] }, { oneOf: [{ type: 'string' }, { type: 'null' }] }],
    [
      { anyOf: [{ type: 'number' }, { const: 'x' }] },
      { oneOf: [{ type: 'number' }, { const: 'x' }] },
    ],
    [{ enum: ['a', 1, null] }, { enum: ['a', 1, null] }],
    [{ enum: [{ deep: 1 }] }, ANY],
    [{}, ANY],
    [true, ANY],
    [{ type: 'odd' }, ANY],
    [{ type: 'object' }, { type: 'object', additionalProperties: true }],
    [
      { type: 'array', items: {}, maxItems: 1e9 },
      { type: 'array', items: ANY },
    ],
    [
      {
        allOf: [{ type: 'object', properties: { b: { type: 'null' } } }, { properties: { c: {} } }],
      },
      {
        type: 'object',
        properties: { b: { type: 'null' }, c: ANY },
        additionalProperties: false,
      },
    ],
    [{ $ref: 'https://elsewhere/' }, ANY],
  ])('%j', (given, expected) => {
    expect(field(given).properties).toEqual({ a: expected });
  });

  test('definitions under both names are found', () => {
    const definitions = { city: { enum: ['Rome'] } };
    expect(field({ $ref: '#/definitions/city' }, { definitions })).toEqual({
      type: 'object',
      properties: { a: { $ref: '#/$defs/city' } },
      additionalProperties: false,
      $defs: definitions,
    });
  });

  test.each([
    [undefined],
    [null],
    [{}],
    [{ type: 'object' }],
    [{ type: 'object', properties: {} }],
  ])('%j has no parameters', (given) => expect(parameterSchema(given)).toBeUndefined());
});

test('messages, calls and results become the history of the engine', () => {
  const call = (id, name, args) => ({ id, type: 'function', function: { name, arguments: args } });
  const made = (name, params, result, more) => ({
    type: 'functionCall',
    name,
    params,
    result,
    ...more,
  });
  expect(
    historyOf([
      { role: 'developer', content: 'be kind' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'weather' },
          { type: 'text', text: '?' },
        ],
      },
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [call('c1', 'f', '{"a":1}'), call('c2', 'g', '')],
      },
      { role: 'tool', tool_call_id: 'c2', content: 'plain' },
      { role: 'tool', tool_call_id: 'c1', content: '{"t":20}' },
      { role: 'assistant', content: 'It is 20.' },
      { role: 'user', content: 'and now' },
      { role: 'assistant', content: null, function_call: { name: 'old', arguments: 'no json' } },
      { role: 'function', name: 'old', content: 'x' },
      { role: 'tool', tool_call_id: 'lost', content: 'y' },
    ]),
  ).toEqual([
    { type: 'system', text: 'be kind' },
    { type: 'user', text: 'weather?' },
    {
      type: 'model',
      response: [
        'I look.',
        made('f', { a: 1 }, { t: 20 }, { startsNewChunk: true }),
        made('g', {}, 'plain'),
        'It is 20.',
      ],
    },
    { type: 'user', text: 'and now' },
    { type: 'model', response: [made('old', 'no json', 'x', { startsNewChunk: true })] },
    { type: 'user', text: 'y' },
    { type: 'model', response: [] },
  ]);
});

describe('choices of tools', () => {
  const tools = [tool('a'), tool('b')];
  const named = { type: 'function', function: { name: 'b' } };
  const allowed = {
    type: 'allowed_tools',
    allowed_tools: { mode: 'required', tools: [tool('a')] },
  };

  test.each([
    [{ tools }, ['a', 'b'], false, undefined],
    [{ tools, tool_choice: 'auto', parallel_tool_calls: false }, ['a', 'b'], false, 1],
    [{ tools, tool_choice: 'required' }, ['a', 'b'], true, undefined],
    [{ tools, tool_choice: named }, ['b'], true, undefined],
    [{ tools, tool_choice: allowed }, ['a'], true, undefined],
    [{ functions: [{ name: 'c' }], function_call: { name: 'c' } }, ['c'], true, 1],
  ])('%j', (body, names, isForced, callsMax) => {
    const { functions, ...rest } = toolsOf(body);
    expect(Object.keys(functions)).toEqual(names);
    expect(rest).toEqual({ isForced, ...(callsMax && { callsMax }) });
  });

  test.each([[{}], [{ tools: [] }], [{ tools: null }], [{ tools, tool_choice: 'none' }]])(
    'none in %j',
    (body) => expect(toolsOf(body)).toBeUndefined(),
  );

  test.each([
    [{ tools: 'x' }, 'tools'],
    [{ functions: {} }, 'functions'],
    [{ tools: [{ type: 'web_search' }] }, 'tools[0].type'],
    [{ tools: [null] }, 'tools[0].function.name'],
    [{ tools: [tool('a'), tool('a "b"')] }, 'tools[1].function.name'],
    [{ tools, tool_choice: { type: 'function', function: { name: 'c' } } }, 'tool_choice'],
    [{ tools, tool_choice: 5 }, 'tool_choice'],
  ])('%j is refused', (body, param) => {
    expect(() => toolsOf(body)).toThrow(
      expect.objectContaining({ upstream: expect.objectContaining({ status: 400, param }) }),
    );
  });
});

/** An engine whose answer is a script: functions of its options. */
function scripted(steps, stopReason) {
  const seen = {};
  class LlamaChat {
    constructor(options) {
      seen.chat = options;
    }
    async generateResponse(history, options) {
      Object.assign(seen, { history, options });
      for (const step of steps) {
        await null;
        if (options.signal.aborted) return { metadata: { stopReason: 'abort' } };
        step(options);
      }
      return { metadata: { stopReason } };
    }
    dispose() {
      seen.isDisposed = true;
    }
  }
  const tokenMeter = { getState: () => ({}), diff: () => ({ usedOutputTokens: 7 }) };
  return { module: { LlamaChat, LlamaText: (text) => text }, sequence: { tokenMeter }, seen };
}

/** @returns the pieces of an answer, and its end */
async function answerOf({ module, sequence }, work, signal = new AbortController().signal) {
  const generation = {
    history: [],
    stops: [],
    sampling: {},
    promptTokens: 3,
    tokensMax: 20,
    signal,
  };
  const tools = { functions: { f: {}, g: {} }, isForced: false };
  const answer = answerWithTools(module, {}, sequence, { ...generation, tools, ...work });
  const pieces = [];
  for (;;) {
    const { done, value } = await answer.next();
    if (done) return { pieces, end: value };
    pieces.push(value);
  }
}

const say = (text, segmentType) => (options) =>
  options.onResponseChunk({ type: segmentType && 'segment', segmentType, text, tokens: [1] });
const params = (callIndex, functionName, paramsChunk) => (options) =>
  options.onFunctionCallParamsChunk({ callIndex, functionName, paramsChunk, done: false });
const called = (functionName) => (options) => options.onFunctionCall({ functionName });

describe('an answer of the engine', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 7 };

  test('thoughts, text and several calls become pieces in their order', async () => {
    const engine = scripted(
      [
        say('hm', 'thought'),
        say('note', 'comment'),
        say('I look.'),
        params(0, 'f', '{"a":'),
        params(0, 'f', ' 1\n}'),
        params(0, 'f', '\n\n'),
        called('f'),
        called('g'),
      ],
      'functionCalls',
    );
    expect(await answerOf(engine)).toEqual({
      pieces: [
        { reasoning: 'hm' },
        'I look.',
        { tool_call: { index: 0, name: 'f' } },
        { tool_call: { index: 0, arguments: '{"a":' } },
        { tool_call: { index: 0, arguments: ' 1\n}' } },
        { tool_call: { index: 1, name: 'g' } },
      ],
      end: { reason: 'stop', usage },
    });
    expect(engine.seen).toMatchObject({ isDisposed: true, options: { maxTokens: 20 } });
  });

  test('ends before a stop string; an incomplete stop string precedes a call', async () => {
    const met = scripted([say('one S'), say('TOP two'), say('three')], 'eogToken');
    expect(await answerOf(met, { stops: ['STOP'] })).toEqual({
      pieces: ['one '],
      end: { reason: 'stop', stopSequence: 'STOP', usage },
    });
    const begun = scripted([say('one S'), called('f')], 'functionCalls');
    expect((await answerOf(begun, { stops: ['STOP'] })).pieces).toEqual([
      'one ',
      'S',
      { tool_call: { index: 0, name: 'f' } },
    ]);
  });

  test('a limit and a full context are a length', async () => {
    const limit = scripted([say('one')], 'maxTokens');
    expect((await answerOf(limit)).end.reason).toBe('length');
    const full = scripted([say('one'), ({ contextShift }) => contextShift.strategy()], '');
    expect(await answerOf(full)).toEqual({ pieces: ['one'], end: { reason: 'length', usage } });
  });

  test('an abort ends it, and a failure is thrown', async () => {
    const controller = new AbortController();
    const aborted = scripted([say('one'), () => controller.abort(), say('two')], 'eogToken');
    expect(await answerOf(aborted, {}, controller.signal)).toEqual({ pieces: ['one'] });
    const failing = scripted(
      [
        () => {
          throw new Error('broken');
        },
      ],
      '',
    );
    await expect(answerOf(failing)).rejects.toThrow('broken');
    expect(failing.seen.isDisposed).toBe(true);
  });
});

describe('the tiny model behind the chat endpoint', () => {
  const modelPath = tinyLlama();
  const city = { type: 'object', properties: { city: { enum: ['Venice', 'Rome'] } } };
  const tools = [tool('get_weather', city), tool('now')];
  const messages = [{ role: 'user', content: 'the weather' }];
  let gateway;
  let openai;
  beforeAll(async () => {
    const provider = llama({ modelPath, sequences: 2, contextSize: 2048, threads: 1 });
    gateway = createGateway({ provider, logger: false });
    const { url } = await gateway.listen();
    openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => gateway.close({ drainMs: 0 }));

  test('a requested call, streamed, then its result in the next turn', async () => {
    const weather = { type: 'function', function: { name: 'get_weather' } };
    const request = { model: 'tiny-llama', messages, tools, tool_choice: weather, temperature: 0 };
    const stream = openai.chat.completions.stream({
      ...request,
      stream_options: { include_usage: true },
    });
    const { choices, usage } = await stream.finalChatCompletion();
    const [{ message, finish_reason: reason }] = choices;
    expect(reason).toBe('tool_calls');
    const [{ id, function: made }] = message.tool_calls;
    expect(id).toMatch(/^call_\w{24}$/);
    expect(made.name).toBe('get_weather');
    expect(['Venice', 'Rome']).toContain(JSON.parse(made.arguments).city);
    expect(usage.completion_tokens).toBeGreaterThan(0);

    const result = { role: 'tool', tool_call_id: id, content: '{"celsius":20}' };
    const next = await openai.chat.completions.create({
      model: 'tiny-llama',
      messages: [...messages, message, result],
      tools,
      tool_choice: 'none',
      max_tokens: 8,
      temperature: 0,
    });
    // The call and its result are in the prompt.
    expect(next.usage.prompt_tokens).toBeGreaterThan(40);
    expect(['stop', 'length']).toContain(next.choices[0].finish_reason);
    expect(next.choices[0].message.tool_calls).toBeUndefined();
  });

  test('a tool without parameters has empty arguments', async () => {
    const answer = await openai.chat.completions.create({
      model: 'tiny-llama',
      messages,
      tools: [tool('now', { type: 'object', properties: {} })],
      tool_choice: 'required',
    });
    const [{ message, finish_reason: reason }] = answer.choices;
    expect(reason).toBe('tool_calls');
    expect(message).toMatchObject({
      content: null,
      tool_calls: [{ function: { name: 'now', arguments: '{}' } }],
    });
  });

  test.each([
    [{ tools: [{ type: 'web_search' }] }, 'unsupported_tool', 'tools[0].type'],
    [
      { tools, tool_choice: { type: 'function', function: { name: 'x' } } },
      'invalid_value',
      'tool_choice',
    ],
    [
      { messages: [{ role: 'user', content: 'the '.repeat(3000) }] },
      'context_length_exceeded',
      'messages',
    ],
    [
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] },
        ],
      },
      'unsupported_feature',
      'messages[0].content[0]',
    ],
  ])('%# is refused with 400', async (body, code, param) => {
    const request = openai.chat.completions.create({ model: 'tiny-llama', messages, ...body });
    await expect(request).rejects.toMatchObject({ status: 400, code, param });
  });
});
