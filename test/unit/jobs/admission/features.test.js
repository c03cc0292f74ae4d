/** Requests for features that a provider lacks. */
import { checkFeatures } from '../../../../lib/jobs/admission/features.js';

const tools = [{ type: 'function', function: { name: 'f' } }];
const parts = (...types) => [{ role: 'user', content: types.map((type) => ({ type })) }];
const plain = { name: 'demo', features: [] };

test.each([
  [{ passed: { tools } }, 'tools'],
  [{ passed: { functions: [{ name: 'f' }] } }, 'functions'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 'assistant', tool_calls: [{}] }] }, 'messages[0].tool_calls'],
  [{ messages: parts('text', 'image_url') }, 'messages[0].content[1]'],
  [{ messages: parts('input_audio') }, 'messages[0].content[0]'],
  [{ messages: parts('file') }, 'messages[0].content[0]'],
  [{ prompt_ids: [1] }, 'prompt'],
])('%j is refused by a provider without features', (request, param) => {
  const refusal = { status: 400, wireCode: 'unsupported_feature', param };
  expect(() => checkFeatures(plain, request)).toThrow(expect.objectContaining(refusal));
});

test.each([
  [{ prompt: 'a' }],
  [{ messages: parts('text') }],
  [{ passed: { tools: [], seed: 1, tool_choice: 'none' } }],
  [{ messages: [{ role: 'assistant', content: 'a', tool_calls: null }] }],
])('%j needs no feature', (request) => {
  expect(() => checkFeatures(plain, request)).not.toThrow();
});

test('a provider without declarations supports all except token ids', () => {
  const messages = [...parts('image_url', 'input_audio', 'file'), { role: 'tool', content: '' }];
  expect(() => checkFeatures({ name: 'f' }, { messages, passed: { tools } })).not.toThrow();
  expect(() => checkFeatures({ name: 'f' }, { prompt_ids: [1] })).toThrow();
  expect(() =>
    checkFeatures({ name: 'f', features: ['tools'] }, { passed: { tools } }),
  ).not.toThrow();
  expect(() => checkFeatures({ name: 'f', features: ['tools'] }, { messages })).toThrow(/images/);
});
