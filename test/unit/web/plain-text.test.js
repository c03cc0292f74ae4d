/** Titles of conversations: prompts without their Markdown. */
import { plainText, titleOf } from '../../../web/app/plain-text.js';

test.each([
  ['What is a sluice?', 'What is a sluice?'],
  ['# Head\n\ntext', 'Head text'],
  ['**bold**, __bold__, *em*, _em_ and ~~gone~~', 'bold, bold, em, em and gone'],
  ['`code` and [a link](https://example.com/a_b_c) ![img](x.png)', 'code and a link img'],
  ['```js\nlet a = 1;\n```', 'let a = 1;'],
  ['- one\n- two\n1. three\n> four', 'one two three four'],
  ['| a | b |', 'a b'],
  // Text that is not Markdown stays.
  ['2 * 3 * 4 = 24', '2 * 3 * 4 = 24'],
  ['snake_case_name and a*b*c', 'snake_case_name and a*b*c'],
  ['#hashtag, C# and -1', '#hashtag, C# and -1'],
  ['', ''],
])('%j becomes %j', (text, plain) => {
  expect(plainText(text)).toBe(plain);
});

test('a title is one line of at most 60 characters, and never empty', () => {
  expect(titleOf(`**${'word '.repeat(40)}**`)).toMatch(/^.{59}…$/);
  expect(titleOf('```\n```')).toBe('``` ```');
});
