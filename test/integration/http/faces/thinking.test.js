/**
 * Thinking of an Anthropic upstream over several turns: the API takes the results of calls only with the
 * thinking before these calls, and its signature.
 */
import { providers } from '../../../../lib/index.js';
import { start as serve, stopAll } from '../../../support/gateway/gateway.js';
import { startMockUpstream } from '../../../support/upstream/mock-upstream.js';
import {
  block,
  start,
  startAnthropic,
  stop,
  streamEvents,
  text,
  thinking,
  toolUse,
} from '../../../support/upstream/anthropic-upstream.js';
import { openaiOf } from '../../../support/client/openai.js';

const calling = streamEvents(
  start(),
  ...thinking(0, 'sig-1', 'Let me ', 'see.'),
  ...block(1, { type: 'redacted_thinking', data: 'xyz' }),
  ...toolUse(2, { id: 'toolu_1', name: 'f' }, '{"a":1}'),
  ...stop('tool_use'),
);
const single = streamEvents(
  start(),
  ...thinking(0, 'sig-1', 'Let me ', 'see.'),
  ...text(1, 'I look.'),
  ...toolUse(2, { id: 'toolu_1', name: 'f' }, '{"a":1}'),
  ...stop('tool_use'),
);
const done = streamEvents(start(), ...text(0, 'Five.'), ...stop());

const THOUGHT = { type: 'thinking', thinking: 'Let me see.', signature: 'sig-1' };
const REDACTED = { type: 'redacted_thinking', data: 'xyz' };
const USE = { type: 'tool_use', id: 'toolu_1', name: 'f', input: { a: 1 } };
const RESULT = { type: 'tool_result', tool_use_id: 'toolu_1', content: '5' };
const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];

let upstream;
let served;
/** A gateway over an upstream that calls a tool first, and answers then. */
async function begin(first) {
  upstream = await startAnthropic(first, done);
  served = await serve({ provider: providers.anthropic({ baseUrl: upstream.url }) });
  return served;
}
afterEach(async () => {
  await stopAll();
  await upstream.close();
});

/** The last two messages of the upstream's second call, and whether it thinks. */
const second = () => {
  const { messages, thinking: settings } = upstream.exchanges[1].body;
  return { messages: messages.slice(-2), thinks: settings?.type === 'enabled' };
};

test.each([
  ['several blocks', calling, [THOUGHT, REDACTED, USE]],
  ['one block', single, [THOUGHT, { type: 'text', text: 'I look.' }, USE]],
])('a conversation: %s', async (_name, first, content) => {
  const { post, get, ended } = await begin(first);
  const id = (await post('/v1/conversations', {})).body.conversation_id;
  const request = { model: 'claude-x', conversation_id: id, tools, reasoning_effort: 'low' };
  const turn = async (messages) => {
    const { body } = await post('/v1/jobs', { ...request, messages });
    return ended(body.job_id);
  };
  await turn([{ role: 'user', content: 'how many?' }]);
  await turn([{ role: 'tool', tool_call_id: 'toolu_1', content: '5' }]);
  expect(second()).toEqual({
    messages: [
      { role: 'assistant', content },
      { role: 'user', content: [RESULT] },
    ],
    thinks: true,
  });
  const { messages } = (await get(`/v1/conversations/${id}`)).body;
  expect(messages[1]).toMatchObject({ reasoning: 'Let me see.', finish_reason: 'tool_calls' });
  expect(messages[1]).not.toHaveProperty('sluice');
});

test('a chain of responses', async () => {
  const { url } = await begin(calling);
  const openai = openaiOf({ url });
  const [{ function: f }] = tools;
  const request = {
    model: 'claude-x',
    tools: [{ type: 'function', ...f }],
    reasoning: { effort: 'low' },
  };
  const first = await openai.responses.create({ ...request, input: 'how many?' });
  const output = [{ type: 'function_call_output', call_id: 'toolu_1', output: '5' }];
  const next = await openai.responses.create({
    ...request,
    previous_response_id: first.id,
    input: output,
  });
  expect(next.output_text).toBe('Five.');
  expect(second()).toEqual({
    messages: [
      { role: 'assistant', content: [THOUGHT, REDACTED, USE] },
      { role: 'user', content: [RESULT] },
    ],
    thinks: true,
  });
});

test('another upstream that continues the conversation does not receive it', async () => {
  upstream = await startAnthropic(calling);
  const other = await startMockUpstream((exchange) =>
    exchange.stream([
      { choices: [{ index: 0, delta: { content: 'Five.' } }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    ]),
  );
  const upstreams = [
    { name: 'a', base_url: upstream.url, dialect: 'anthropic', models: ['claude-x'] },
    { name: 'b', base_url: other.url, models: ['gpt-x'] },
  ];
  const { post, ended } = await serve({ provider: providers.route({ upstreams }) });
  const id = (await post('/v1/conversations', {})).body.conversation_id;
  const turn = async (model, messages) => {
    const request = { model, conversation_id: id, tools, messages };
    return ended((await post('/v1/jobs', request)).body.job_id);
  };
  await turn('claude-x', [{ role: 'user', content: 'how many?' }]);
  await turn('gpt-x', [{ role: 'tool', tool_call_id: 'toolu_1', content: '5' }]);
  expect(Object.keys(other.exchanges[0].body.messages[1]).sort()).toEqual([
    'content',
    'role',
    'tool_calls',
  ]);
  await other.close();
});
