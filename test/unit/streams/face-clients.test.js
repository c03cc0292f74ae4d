/** The frames of the native faces, read by the unmodified clients of their protocols. */
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  jsonSchema,
  parseJsonEventStream,
  readUIMessageStream,
  streamText,
  tool,
  uiMessageChunkSchema,
} from 'ai';
import OpenAI from 'openai';
import { complete, faceFrames, fetchOf } from '../../support/streams/face-stream.js';

const LOGPROBS = {
  content: [{ token: 'Hel', logprob: -0.5, bytes: [72, 101, 108], top_logprobs: [] }],
};

/** An answer with every kind of entry, `extra` excepted: the openai SDK keeps only known members. */
const ANSWER = [
  { kind: 'reasoning', text: 'h' },
  { kind: 'reasoning', text: 'm\n' },
  { kind: 'text', text: 'Hel', aux: JSON.stringify(LOGPROBS) },
  { kind: 'text', text: 'lo \u{1f600}\r\n' },
  { kind: 'tool_call', text: 'call_1', aux: 'weather' },
  { kind: 'tool_arguments', text: '{"city":' },
  { kind: 'tool_arguments', text: '"Rome"}' },
  { kind: 'tool_call', text: 'call_2', aux: 'time' },
  { kind: 'tool_arguments', text: '{}' },
];
const TEXT = 'Hello \u{1f600}\r\n';
const FAILED = {
  type: 'error',
  error: { code: 'upstream_stalled', message: 'The upstream is silent.', type: 'upstream_error' },
};
const CANCELLED = { type: 'cancelled', reason: 'client_request' };
const PARTIAL = [{ kind: 'text', text: 'Hel' }];

const baseURL = 'http://127.0.0.1/v1';
const openai = (frames) =>
  new OpenAI({ apiKey: 'k', baseURL, maxRetries: 0, fetch: fetchOf(frames) });

/** The parts of `streamText` of the AI SDK, in order. */
async function streamed(model) {
  const any = tool({ inputSchema: jsonSchema({ type: 'object' }) });
  const tools = { weather: any, time: any };
  const result = streamText({ model, prompt: 'x', tools, maxRetries: 0, onError: () => {} });
  const seen = { text: '', reasoning: '', calls: [], errors: [], finish: '' };
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta') seen.text += part.text;
    if (part.type === 'reasoning-delta') seen.reasoning += part.text;
    if (part.type === 'tool-call') seen.calls.push([part.toolCallId, part.toolName, part.input]);
    if (part.type === 'error') seen.errors.push(part.error);
    if (part.type === 'finish') seen.finish = part.finishReason;
  }
  return seen;
}

const STREAMED = {
  text: TEXT,
  reasoning: 'hm\n',
  calls: [
    ['call_1', 'weather', { city: 'Rome' }],
    ['call_2', 'time', {}],
  ],
  errors: [],
  finish: 'tool-calls',
};

describe('chat completions', () => {
  const chat = (entries, terminal) =>
    faceFrames({ dialect: 'chat', includeUsage: true }, entries, terminal);

  test('openai accumulates the whole answer', async () => {
    const client = openai(await chat(ANSWER, complete('tool_calls')));
    const tools = ['weather', 'time'].map((name) => ({
      type: 'function',
      function: { name, strict: true, parameters: {} },
    }));
    const stream = client.chat.completions.stream({ model: 'small', messages: [], tools });
    const answer = await stream.finalChatCompletion();
    expect(answer).toMatchObject({
      id: 'id-T',
      created: 1_700_000_000,
      model: 'small',
      usage: { total_tokens: 50, prompt_tokens_details: { cached_tokens: 10 } },
    });
    expect(answer.choices).toHaveLength(1);
    const [{ message, finish_reason, logprobs }] = answer.choices;
    expect(finish_reason).toBe('tool_calls');
    expect(logprobs).toEqual(LOGPROBS);
    expect(message).toMatchObject({ role: 'assistant', content: TEXT, refusal: null });
    expect(message.tool_calls).toMatchObject([
      { id: 'call_1', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
      { id: 'call_2', function: { name: 'time', arguments: '{}' } },
    ]);
  });

  test('openai throws the error of a failed and of a cancelled job', async () => {
    for (const [terminal, code] of [
      [FAILED, 'upstream_stalled'],
      [CANCELLED, 'cancelled'],
    ]) {
      const client = openai(await chat(PARTIAL, terminal));
      const stream = client.chat.completions.stream({ model: 'small', messages: [] });
      await expect(stream.finalChatCompletion()).rejects.toMatchObject({ code, param: null });
    }
  });

  test('the AI SDK reads it as of an OpenAI-compatible server, and as of OpenAI', async () => {
    const fetch = fetchOf(await chat(ANSWER, complete('tool_calls')));
    const compatible = createOpenAICompatible({ name: 'x', apiKey: 'k', baseURL, fetch });
    expect(await streamed(compatible('small'))).toEqual(STREAMED);
    const provider = createOpenAI({ apiKey: 'k', baseURL, fetch });
    // This client shows no reasoning of chat completions.
    expect(await streamed(provider.chat('small'))).toEqual({ ...STREAMED, reasoning: '' });
  });
});

test('completions: openai reads the text', async () => {
  const client = openai(await faceFrames({ dialect: 'completions' }, PARTIAL, complete('length')));
  const stream = await client.completions.create({ model: 'small', prompt: 'x', stream: true });
  const choices = [];
  for await (const chunk of stream) choices.push(...chunk.choices);
  expect(choices).toEqual([
    { index: 0, text: 'Hel', logprobs: null, finish_reason: null },
    { index: 0, text: '', logprobs: null, finish_reason: 'length' },
  ]);
});

describe('responses', () => {
  const responses = (entries, terminal, options = {}) =>
    faceFrames({ dialect: 'responses', ...options }, entries, terminal);
  const finalOf = (frames) =>
    openai(frames).responses.stream({ model: 'small', input: 'x' }).finalResponse();

  /** Reads every event and accumulates the items, without the ending. */
  async function itemsBeforeTheEnding(frames) {
    const stream = openai(frames).responses.stream({ model: 'small', input: 'x' });
    const items = [];
    let number = 0;
    for await (const event of stream) {
      expect(event.sequence_number).toBe(number++);
      if (event.type === 'response.output_item.done') items[event.output_index] = event.item;
    }
    return items;
  }

  test('openai accumulates the whole answer', async () => {
    const frames = await responses(ANSWER, complete('tool_calls'));
    const answer = await finalOf(frames);
    expect(answer).toMatchObject({
      status: 'completed',
      output_text: TEXT,
      usage: { input_tokens: 30, input_tokens_details: { cached_tokens: 10 }, total_tokens: 50 },
    });
    expect(answer.output.map(({ type, id }) => `${type} ${id}`)).toEqual([
      'reasoning rs_T_0',
      'message msg_T_1',
      'function_call fc_T_2',
      'function_call fc_T_3',
    ]);
    expect(answer.output[0].content).toEqual([{ type: 'reasoning_text', text: 'hm\n' }]);
    expect(answer.output[1].content[0].logprobs).toEqual(LOGPROBS.content);
    expect(answer.output[2]).toMatchObject({ call_id: 'call_1', arguments: '{"city":"Rome"}' });
    // The accumulated items equal those of the ending.
    expect(await itemsBeforeTheEnding(frames)).toMatchObject(
      JSON.parse(frames.trim().split('\ndata: ').pop()).response.output,
    );
  });

  test('openai accepts every ending', async () => {
    const statusOf = async (terminal) => (await finalOf(await responses(PARTIAL, terminal))).status;
    expect(await statusOf(complete('length'))).toBe('incomplete');
    expect(await statusOf(FAILED)).toBe('failed');
    expect(await statusOf(CANCELLED)).toBe('cancelled');
  });

  test('openai accepts a background response, refusals and keep-alives', async () => {
    const entries = [...PARTIAL, { kind: 'refusal', text: 'no' }];
    const frames = await responses(entries, complete('stop'), { background: true });
    const lines = frames.indexOf('id: 3\n');
    const keepAlive = 'event: keepalive\ndata: {"type":"keepalive","sequence_number":2}\n\n';
    const answer = await finalOf(frames.slice(0, lines) + keepAlive + frames.slice(lines));
    expect(answer.output[0].content).toMatchObject([
      { type: 'output_text', text: 'Hel' },
      { type: 'refusal', refusal: 'no' },
    ]);
  });

  test('the AI SDK reads text, calls, and reasoning as a summary', async () => {
    for (const reasoningSummary of [true, false]) {
      const frames = await responses(ANSWER, complete('tool_calls'), { reasoningSummary });
      const provider = createOpenAI({ apiKey: 'k', baseURL, fetch: fetchOf(frames) });
      const reasoning = reasoningSummary ? STREAMED.reasoning : '';
      expect(await streamed(provider.responses('small'))).toEqual({ ...STREAMED, reasoning });
    }
  });
});

describe('the UI message stream', () => {
  /** The last state of the message, with the schema of the SDK checked for each chunk. */
  async function messageOf(entries, terminal) {
    const frames = await faceFrames({ dialect: 'ui' }, entries, terminal);
    const { body } = await fetchOf(frames)();
    const errors = [];
    const stream = parseJsonEventStream({ stream: body, schema: uiMessageChunkSchema }).pipeThrough(
      new TransformStream({
        transform(chunk, controller) {
          if (!chunk.success) throw chunk.error;
          controller.enqueue(chunk.value);
        },
      }),
    );
    let message;
    const onError = (error) => errors.push(error.message);
    for await (const state of readUIMessageStream({ stream, onError })) message = state;
    return { ...message, errors };
  }

  test('the AI SDK builds the message', async () => {
    const extra = { kind: 'extra', text: '{"annotations":[]}' };
    const { parts, ...message } = await messageOf([...ANSWER, extra], complete('tool_calls'));
    expect(message).toEqual({ id: 'id-T', role: 'assistant', metadata: undefined, errors: [] });
    expect(parts).toMatchObject([
      { type: 'step-start' },
      { type: 'reasoning', text: 'hm\n', state: 'done' },
      { type: 'text', text: TEXT, state: 'done' },
      { type: 'tool-weather', toolCallId: 'call_1', input: { city: 'Rome' } },
      { type: 'tool-time', toolCallId: 'call_2', state: 'input-available', input: {} },
    ]);
  });

  test('a failure, a cancel and a broken call are reported as such', async () => {
    const text = { type: 'text', text: 'Hel', state: 'done' };
    expect(await messageOf(PARTIAL, FAILED)).toMatchObject({
      parts: [{ type: 'step-start' }, text],
      errors: ['The upstream is silent.'],
    });
    expect(await messageOf(PARTIAL, CANCELLED)).toMatchObject({
      parts: [{ type: 'step-start' }, text],
      errors: [],
    });
    const broken = [
      { kind: 'tool_call', text: 'call_1', aux: 'weather' },
      { kind: 'tool_arguments', text: '{"city":' },
    ];
    const [, call] = (await messageOf(broken, complete('length'))).parts;
    expect(call).toMatchObject({ type: 'tool-weather', state: 'output-error' });
    // ai 6 keeps text that is not JSON as `rawInput`, ai 7 as `input`.
    expect(call.rawInput ?? call.input).toBe('{"city":');
  });
});

describe('messages', () => {
  async function messageOf(entries, terminal) {
    const fetch = fetchOf(await faceFrames({ dialect: 'messages' }, entries, terminal));
    const client = new Anthropic({ apiKey: 'k', baseURL, maxRetries: 0, fetch });
    const messages = [{ role: 'user', content: 'x' }];
    return client.messages.stream({ model: 'small', max_tokens: 5, messages }).finalMessage();
  }

  test('the Anthropic SDK accumulates the whole message', async () => {
    const signed = [
      ...ANSWER.slice(0, 2),
      { kind: 'extra', text: '{"signature":"c2ln"}' },
      ...ANSWER.slice(2),
    ];
    const message = await messageOf(signed, complete('tool_calls'));
    expect(message).toMatchObject({
      id: 'id-T',
      role: 'assistant',
      model: 'small',
      stop_reason: 'tool_use',
      usage: { input_tokens: 20, cache_read_input_tokens: 10, output_tokens: 20 },
    });
    expect(message.content).toEqual([
      { type: 'thinking', thinking: 'hm\n', signature: 'c2ln' },
      { type: 'text', text: TEXT },
      { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Rome' } },
      { type: 'tool_use', id: 'call_2', name: 'time', input: {} },
    ]);
  });

  test('the Anthropic SDK throws the error of a failed job', async () => {
    await expect(messageOf(PARTIAL, FAILED)).rejects.toMatchObject({ type: 'timeout_error' });
  });
});
