/**
 * The AI SDK over HTTP: its chat, the logic of `useChat`, with its own transport and with that of
 * `sluice/ai`, and `streamText` with its providers.
 */
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  AbstractChat,
  DefaultChatTransport,
  jsonSchema,
  lastAssistantMessageIsCompleteWithToolCalls,
  streamText,
  tool,
} from 'ai';
import { SluiceChatTransport } from '../../../../web/ai.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

/** The state of a chat, without a framework. */
class ChatState {
  messages = [];
  status = 'ready';
  error = undefined;

  constructor(messages) {
    this.messages = messages;
  }

  pushMessage(message) {
    this.messages = [...this.messages, message];
  }

  popMessage() {
    this.messages = this.messages.slice(0, -1);
  }

  replaceMessage(index, message) {
    this.messages = this.messages.with(index, this.snapshot(message));
  }

  snapshot(value) {
    return structuredClone(value);
  }
}

class Chat extends AbstractChat {
  constructor({ messages = [], ...init }) {
    super({ ...init, state: new ChatState(messages) });
  }
}

const partsOf = (chat) => chat.messages.at(-1).parts.filter(({ type }) => type !== 'step-start');
const textOf = (chat) =>
  partsOf(chat)
    .map(({ text = '' }) => text)
    .join('');

/** A gateway whose model yields a piece per call of `say()`, and ends with `end()`. */
async function serve() {
  const pieces = [];
  const requests = [];
  let wake = () => {};
  async function* provider(request, { signal }) {
    requests.push(request);
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      const piece = pieces.shift();
      if (piece === END) return;
      if (piece !== undefined) yield piece;
      else await new Promise((resolve) => (wake = resolve));
    }
  }
  const say = (piece) => {
    pieces.push(piece);
    wake();
  };
  const served = await start({ provider });
  return { ...served, requests, say, end: () => say(END), api: `${served.url}/v1/ui/chat` };
}

const END = Symbol('the end of an answer');
const callTime = { tool_call: { index: 0, id: 'c1', name: 'time', arguments: '{"zone":"UTC"}' } };

describe.each([
  ['its own transport', DefaultChatTransport],
  ['the transport of sluice/ai', SluiceChatTransport],
])('a chat over %s', (_name, Transport) => {
  test('an answer, and the next one with the history', async () => {
    const { say, end, api, requests } = await serve();
    const chat = new Chat({ id: 'c', transport: new Transport({ api }) });
    say({ reasoning: 'hm' });
    say('Hello');
    end();
    await chat.sendMessage({ text: 'hi' });
    expect([chat.status, chat.error]).toEqual(['ready', undefined]);
    expect(partsOf(chat)).toMatchObject([
      { type: 'reasoning', text: 'hm', state: 'done' },
      { type: 'text', text: 'Hello', state: 'done' },
    ]);
    say('Bye');
    end();
    await chat.sendMessage({ text: 'ho' });
    expect(textOf(chat)).toBe('Bye');
    expect(requests[1].messages).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'ho' },
    ]);
  });

  test('a page that is loaded again resumes the answer, and then has nothing to resume', async () => {
    const { say, end, api } = await serve();
    const chat = new Chat({ id: 'c', transport: new Transport({ api }) });
    say('one ');
    void chat.sendMessage({ text: 'hi' });
    await until(() => chat.messages.length === 2 && textOf(chat) === 'one ', 'the first word');
    const [question] = chat.messages;
    const again = new Chat({
      id: 'c',
      messages: [question],
      transport: new Transport({ api }),
    });
    const resumed = again.resumeStream();
    await until(() => again.messages.length === 2 && textOf(again) === 'one ', 'the replay');
    say('two');
    end();
    await resumed;
    expect(textOf(again)).toBe('one two');
    expect(again.messages).toHaveLength(2);
    await again.resumeStream();
    expect([again.status, again.messages.length]).toEqual(['ready', 2]);
  });

  test('the output of a tool is sent by itself, and the answer continues the message', async () => {
    const { say, end, api, requests } = await serve();
    const chat = new Chat({
      id: 'c',
      transport: new Transport({ api }),
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall({ toolCall }) {
        void chat.addToolOutput({
          tool: toolCall.toolName,
          toolCallId: toolCall.toolCallId,
          output: '12:00',
        });
      },
    });
    say(callTime);
    end();
    say('It is noon.');
    end();
    await chat.sendMessage({ text: 'What time is it?' });
    await until(() => chat.status === 'ready' && textOf(chat) === 'It is noon.', 'the answer');
    expect(chat.messages).toHaveLength(2);
    expect(partsOf(chat)).toMatchObject([
      { type: 'tool-time', state: 'output-available', input: { zone: 'UTC' }, output: '12:00' },
      { type: 'text', text: 'It is noon.' },
    ]);
    expect(requests[1].messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'c1',
            type: 'function',
            function: { name: 'time', arguments: '{"zone":"UTC"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: '12:00' },
    ]);
  });

  test('a page that is loaded again amid the second step resumes the whole message', async () => {
    const { say, end, api } = await serve();
    const ran = [];
    const options = (messages) => ({
      ...{ id: 'c', messages, transport: new Transport({ api }) },
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
    });
    const chat = new Chat({
      ...options([]),
      onToolCall({ toolCall: { toolName, toolCallId } }) {
        void chat.addToolOutput({ tool: toolName, toolCallId, output: '12:00' });
      },
    });
    say({ reasoning: 'hm' });
    say('Let me look. ');
    say(callTime);
    end();
    say('It is ');
    void chat.sendMessage({ text: 'What time is it?' });
    await until(() => chat.messages.length === 2 && textOf(chat).endsWith('It is '), 'the answer');
    // A page that kept the question alone, and one that kept all of it.
    const shown = chat.messages;
    for (const kept of [shown.slice(0, 1), shown]) {
      const again = new Chat({
        ...options(kept),
        onToolCall: ({ toolCall }) => ran.push(toolCall.toolName),
      });
      const resumed = again.resumeStream();
      const isReplayed = () => again.status === 'streaming' && textOf(again).endsWith('It is ');
      await until(isReplayed, 'a replay');
      if (kept === shown) {
        say('noon.');
        end();
      }
      const isOver = kept === shown ? resumed : undefined;
      await isOver;
      expect(partsOf(again)).toMatchObject([
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'Let me look. ' },
        { type: 'tool-time', state: 'output-available', input: { zone: 'UTC' }, output: '12:00' },
        { type: 'text', text: isOver ? 'It is noon.' : 'It is ' },
      ]);
      expect(again.messages.at(-1).id).toBe(chat.messages.at(-1).id);
    }
    expect(ran).toEqual([]);
  });

  test('a failure is the error of the chat', async () => {
    const { url } = await start({
      // oxlint-disable-next-line require-yield -- it fails before its first word
      async *provider() {
        throw new Error('no model');
      },
    });
    const chat = new Chat({ id: 'c', transport: new Transport({ api: `${url}/v1/ui/chat` }) });
    await chat.sendMessage({ text: 'hi' });
    expect(chat.status).toBe('error');
    expect(chat.error.message).not.toContain('no model');
  });
});

test('stop of a chat over sluice/ai ends the job', async () => {
  const { say, api, get } = await serve();
  const chat = new Chat({ id: 'c', transport: new SluiceChatTransport({ api }) });
  say('one ');
  void chat.sendMessage({ text: 'hi' });
  await until(() => chat.messages.length === 2 && textOf(chat) === 'one ', 'the first word');
  await chat.stop();
  await until(
    async () => (await get('/v1/jobs?status=cancelled')).body.data.length === 1,
    'the end of the job',
  );
  expect(chat.status).toBe('ready');
  await chat.resumeStream();
  expect([chat.status, textOf(chat)]).toEqual(['ready', 'one ']);
});

test('streamText reads chat completions and responses, calls and reasoning included', async () => {
  const { say, end, url } = await serve();
  const time = tool({ inputSchema: jsonSchema({ type: 'object' }) });
  const baseURL = `${url}/v1`;
  const compatible = createOpenAICompatible({ name: 'sluice', apiKey: 'k', baseURL });
  const openai = createOpenAI({ apiKey: 'k', baseURL });
  for (const model of [compatible('m'), openai.chat('m'), openai.responses('m')]) {
    for (const piece of [{ reasoning: 'hm' }, 'Hello', callTime]) say(piece);
    end();
    const result = streamText({ model, prompt: 'x', tools: { time }, maxRetries: 0 });
    expect(await result.text).toBe('Hello');
    expect(await result.toolCalls).toMatchObject([
      { toolCallId: 'c1', toolName: 'time', input: { zone: 'UTC' } },
    ]);
    expect(await result.finishReason).toBe('tool-calls');
    if (model.provider.startsWith('sluice')) expect(await result.reasoningText).toBe('hm');
  }
});
