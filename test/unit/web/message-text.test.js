/** The texts that the page shows for a conversation's messages. */
import { textOfMessage } from '../../../web/app/chat/message-text.js';

test.each([
  [{ content: 'hi' }, 'hi'],
  [{ content: '' }, ''],
  [{ content: null }, ''],
  [{}, ''],
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
