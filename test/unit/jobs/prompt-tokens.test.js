/** Estimates of prompts; the expected numbers are bytes by hand. */
import { estimatePromptTokens, requestBytes } from '../../../lib/jobs/prompt-tokens.js';

const image = (length) => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${'A'.repeat(length)}` },
});

test.each([
  ['a prompt: a quarter of its bytes, rounded up', { prompt: 'é'.repeat(5) }, 3],
  [
    'texts of messages and parts',
    {
      messages: [
        { role: 'user', content: 'x'.repeat(6) },
        { role: 'user', content: [{ type: 'text', text: 'x'.repeat(6) }] },
      ],
    },
    3,
  ],
  ['an image, however large', { messages: [{ role: 'user', content: [image(1e6)] }] }, 1000],
  [
    'each image, audio and file',
    {
      messages: [
        {
          role: 'user',
          content: [image(1), { type: 'input_audio', input_audio: { data: 'AAAA' } }],
        },
        {
          role: 'user',
          content: [
            { type: 'file', file: {} },
            { type: 'text', text: 'abcd' },
          ],
        },
      ],
    },
    3001,
  ],
  [
    'calls and results',
    {
      messages: [
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'call_1', type: 'function', function: { name: 'name', arguments: '{"a":12}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: '1234' },
      ],
    },
    4,
  ],
  ['tools, as JSON', { prompt: '', passed: { tools: [{ type: 'function' }], seed: 1 } }, 6],
  ['token ids', { prompt_ids: [5, 6, 7] }, 3],
  ['nothing', {}, 0],
  ['content of an unknown form', { messages: [{ role: 'user', content: [null, 7, {}] }] }, 0],
])('%s', (_, request, tokens) => {
  expect(estimatePromptTokens(request)).toBe(tokens);
});

test('the bytes of a request count every string in it, twice a character', () => {
  expect(requestBytes()).toBe(0);
  expect(requestBytes({ prompt: 'ab' })).toBe(4);
  const messages = [{ role: 'user', content: [image(1e6)] }];
  expect(requestBytes({ messages })).toBeGreaterThan(2e6);
  expect(requestBytes({ messages })).toBeLessThan(2e6 + 1000);
  const passed = { tools: [{ description: 'x'.repeat(5000) }] };
  expect(requestBytes({ prompt: 'a', passed })).toBeGreaterThan(10_000);
});
