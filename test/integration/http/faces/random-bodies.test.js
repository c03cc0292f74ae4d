/** Bodies with anything in any place: each is answered, or refused with the member at fault. */
import { createGateway } from '../../../../lib/index.js';
import { randomFrom } from '../../../support/random.js';

const ROUNDS = 30;

/** Values of wrong types, for any member. */
const VALUES = [
  ...[null, true, 0, -1, 1.5, 1e300, '', 'x', '\ud800', '__proto__', [], [null], [[]], {}, [{}]],
  ...[{ type: 'text' }, { type: 5 }, { toString: 1 }, { function: null }, { source: null }],
  ...[[{ type: 'odd' }], 'data:,', { $ref: 'x' }],
];

const tool = { name: 'f', description: 'd', parameters: { type: 'object' } };
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
const part = (type, more) => ({ type, ...more });

/** A whole body for each endpoint. */
const BODIES = {
  '/v1/chat/completions': {
    model: 'm',
    messages: [
      {
        role: 'user',
        content: [part('text', { text: 'a' }), part('image_url', { image_url: { url: 'data:,' } })],
      },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c', content: 'r' },
    ],
    tools: [{ type: 'function', function: tool }],
    stop: ['x'],
    n: 1,
    max_tokens: 5,
    stream: true,
    stream_options: { include_usage: true },
    metadata: { a: 'b' },
    sluice: { max_wall_ms: 5000, cache: { mode: 'off' } },
  },
  '/v1/completions': { model: 'm', prompt: ['a', 'b'], stop: 'x', max_tokens: 3, sluice: {} },
  '/v1/messages': {
    model: 'm',
    max_tokens: 5,
    system: [part('text', { text: 's' })],
    messages: [
      {
        role: 'user',
        content: [
          part('text', { text: 'a' }),
          part('image', { source: { type: 'base64', media_type: 'image/png', data: 'AA' } }),
          part('document', { source: { type: 'text', data: 'x' }, title: 't' }),
        ],
      },
      { role: 'assistant', content: [part('tool_use', { id: 'c', name: 'f', input: {} })] },
      {
        role: 'user',
        content: [
          part('tool_result', { tool_use_id: 'c', content: [part('text', { text: 'r' })] }),
        ],
      },
    ],
    tools: [{ name: 'f', description: 'd', input_schema: { type: 'object' } }],
    tool_choice: { type: 'tool', name: 'f' },
    thinking: { type: 'enabled', budget_tokens: 1024 },
    output_config: { effort: 'low', format: { type: 'json_schema', schema: {} } },
    metadata: { user_id: 'u' },
    stream: true,
  },
  '/v1/messages/count_tokens': {
    model: 'm',
    system: 's',
    messages: [{ role: 'user', content: [part('text', { text: 'a' })] }],
  },
  '/v1/responses': {
    model: 'm',
    input: [
      {
        type: 'message',
        role: 'user',
        content: [part('input_text', { text: 'a' }), part('input_file', { file_data: 'x' })],
      },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: [part('input_text', { text: 'r' })] },
      { type: 'reasoning', summary: [] },
      {
        role: 'assistant',
        content: [part('output_text', { text: 'x' }), part('refusal', { refusal: 'n' })],
      },
    ],
    instructions: 'i',
    tools: [{ type: 'function', ...tool }],
    tool_choice: { type: 'function', name: 'f' },
    text: { format: { type: 'json_schema', name: 'n', schema: {} }, verbosity: 'low' },
    reasoning: { effort: 'low', summary: 'auto' },
    include: ['message.output_text.logprobs'],
    stream: true,
  },
  '/v1/ui/chat': {
    id: 'c',
    trigger: 'submit-message',
    messages: [
      {
        id: 'u',
        role: 'user',
        parts: [
          part('text', { text: 'a' }),
          part('file', { mediaType: 'image/png', url: 'data:,' }),
        ],
      },
      {
        id: 'a',
        role: 'assistant',
        parts: [
          part('step-start'),
          part('tool-f', { toolCallId: 'c', state: 'output-available', input: {}, output: 1 }),
          part('dynamic-tool', {
            toolName: 'g',
            toolCallId: 'd',
            state: 'output-error',
            rawInput: 'x',
            errorText: 'e',
          }),
        ],
      },
    ],
  },
};

/** @returns {string[][]} the paths of all values inside */
function pathsOf(value, at = []) {
  const inside = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const deeper = inside.flatMap((key) => pathsOf(value[key], [...at, key]));
  return at.length === 0 ? deeper : [at, ...deeper];
}

/** A copy of a body in which one or two places have something else, or nothing. */
function changed(body, random) {
  const oneOf = (values) => values[Math.floor(random() * values.length)];
  const copy = structuredClone(body);
  for (let count = 1 + Math.floor(random() * 2); count > 0; count -= 1) {
    const path = oneOf(pathsOf(copy));
    if (path === undefined) break;
    const key = path.pop();
    const holder = path.reduce((value, step) => value[step], copy);
    if (random() < 0.25) delete holder[key];
    else holder[key] = structuredClone(oneOf(VALUES));
  }
  return copy;
}

let gateway;
const faults = [];
beforeAll(() => {
  const ignore = () => {};
  const note = ({ err }, message) => faults.push(err?.stack ?? message);
  const logger = { debug: ignore, info: ignore, warn: ignore, error: note };
  const provider = async function* answer() {
    yield { reasoning: 'r' };
    yield 'a';
    yield { tool_call: { name: 'f', arguments: '{"a":1}' } };
  };
  gateway = createGateway({ provider, logger });
});
afterAll(() => gateway.close({ drainMs: 0 }));

test.each(Object.entries(BODIES))('%s', async (path, whole) => {
  const random = randomFrom(1);
  const bodies = [whole, ...Array.from({ length: ROUNDS }, () => changed(whole, random))];
  const statuses = [];
  for (const [i, body] of bodies.entries()) {
    // Each request has a separate chat.
    if (body.id === 'c') body.id = `c${i}`;
    const response = await gateway.fetch(
      new Request(`http://localhost${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    );
    const text = await response.text();
    statuses.push(response.status);
    if (response.status === 200) continue;
    expect([JSON.stringify(body), response.status]).toEqual([JSON.stringify(body), 400]);
    expect(JSON.parse(text).error).toEqual(
      expect.objectContaining({ type: 'invalid_request_error', message: expect.any(String) }),
    );
  }
  expect(statuses[0]).toBe(200);
  expect(statuses).toContain(400);
  expect(faults).toEqual([]);
});
