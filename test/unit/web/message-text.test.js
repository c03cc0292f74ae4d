/** What the page shows of a conversation's messages. */
import { textOfMessage } from '../../../web/app/message-text.js';

const call = (name, args) => ({ id: 'c', type: 'function', function: { name, arguments: args } });

test.each([
  [{ content: 'hi' }, 'hi'],
  [{ content: '' }, ''],
  [{ content: null, tool_calls: [call('f', '{"a":1}'), call('g', '{}')] }, 'f({"a":1})\ng({})'],
  [{ content: 'so:', tool_calls: [call('f', '{}')] }, 'so:\nf({})'],
  [{ tool_calls: null, refusal: 'no' }, 'no'],
  [
    {
      content: [
        { type: 'text', text: 'what is this?' },
        { type: 'image_url', image_url: { url: 'data:,' } },
        { type: 'input_audio', input_audio: {} },
        { type: 'file', file: {} },
      ],
    },
    'what is this?\n[image]\n[audio]\n[file]',
  ],
  [{ content: [null] }, '[part]'],
])('of %j', (message, text) => {
  expect(textOfMessage(message)).toBe(text);
});
