/** Bodies of the faces that hold something else than their schema: each is a 400 that names the member. */
import {
  readCountRequest,
  readMessagesRequest,
} from '../../../../lib/http/faces/messages/request.js';
import { readEmbeddingRequest } from '../../../../lib/services/embeddings/request.js';
import { readUiRequest } from '../../../../lib/http/faces/ui/request.js';

const refusal = (param, message) =>
  expect.objectContaining({ status: 400, param, ...(message && { message }) });
const user = (...content) => ({ messages: [{ role: 'user', content }] });
const assistant = (...content) => ({ messages: [{ role: 'assistant', content }] });
const result = (content) => user({ type: 'tool_result', tool_use_id: 'c', content });

test.each([
  [user(null), 'messages[0].content[0]'],
  [user('x'), 'messages[0].content[0]'],
  [user({}), 'messages[0].content[0].type'],
  [user({ type: 5 }), 'messages[0].content[0].type'],
  [assistant(null), 'messages[0].content[0]'],
  [result(5), 'messages[0].content[0].content'],
  [result([null]), 'messages[0].content[0].content[0].type'],
  [{ system: [null] }, 'system[0]'],
  [{ metadata: { user_id: 5 } }, 'metadata.user_id'],
])('a Messages body with %j', (more, param) => {
  const body = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'a' }], ...more };
  for (const isStrict of [true, false]) {
    expect(() => readMessagesRequest(body, { isStrict })).toThrow(refusal(param));
  }
  expect(() => readCountRequest(body)).toThrow(refusal(param));
});

test('a result of a tool may have no content', () => {
  const body = { model: 'm', max_tokens: 9, ...result(undefined) };
  expect(readMessagesRequest(body, { isStrict: true }).request.messages).toEqual([
    { role: 'tool', tool_call_id: 'c', content: '' },
  ]);
});

test('members unknown to the Messages API are passed on, its own without a counterpart are not', () => {
  const unknown = { top_k: 5, top_p: 0.5, vendor: { deep: [null] } };
  const own = { thinking: { type: 'disabled' }, service_tier: 'auto', mcp_servers: [], n: 2 };
  const body = {
    model: 'm',
    max_tokens: 9,
    ...user({ type: 'text', text: 'a' }),
    ...unknown,
    ...own,
  };
  const { passed, request } = readMessagesRequest(body, { isStrict: true });
  const { anthropic, ...rest } = passed;
  expect(rest).toEqual(unknown);
  expect(anthropic).toEqual(body);
  expect(request.n).toBeUndefined();
});

test('a strict tool of the Messages API stays one', () => {
  const tools = [{ name: 'f', input_schema: { type: 'object' }, strict: true, cache_control: {} }];
  const body = { model: 'm', max_tokens: 9, ...user({ type: 'text', text: 'a' }), tools };
  expect(readMessagesRequest(body, { isStrict: true }).passed.tools).toEqual([
    { type: 'function', function: { name: 'f', parameters: { type: 'object' }, strict: true } },
  ]);
});

test.each([
  [[null], 'messages[0].parts[0]'],
  [[{}], 'messages[0].parts[0].type'],
  [[{ type: 5 }], 'messages[0].parts[0].type'],
])('a UI message of the parts %j', (parts, param) => {
  const messages = [{ id: 'a', role: 'assistant', parts }];
  expect(() => readUiRequest({ id: 'c', messages })).toThrow(refusal(param));
});

test('embeddings pass every member but the options of a job', () => {
  const body = { input: 'a', dimensions: 3, vendor: { a: [null] }, sluice: { max_wall_ms: 5 } };
  expect(readEmbeddingRequest(body).passed).toEqual({ dimensions: 3, vendor: { a: [null] } });
  expect(() => readEmbeddingRequest({ input: 'a', sluice: 5 })).toThrow(refusal('sluice'));
});

test('an unknown encoding of embeddings', () => {
  const message = 'encoding_format must be one of float, base64, null.';
  expect(() => readEmbeddingRequest({ input: 'a', encoding_format: 'hex' })).toThrow(
    refusal('encoding_format', message),
  );
});
