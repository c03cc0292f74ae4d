import { quoteUpstream } from '../../../../lib/providers/shared/errors.js';

test('quoteUpstream makes one short line without secrets', () => {
  expect(quoteUpstream(undefined, [])).toBe('');
  expect(quoteUpstream('a\r\n\tb\u0007c', [])).toBe('a b c');
  expect(quoteUpstream('see token: abc for more', [])).toBe('see [redacted] for more');
  const long = quoteUpstream(`${'x'.repeat(199)}\u{1f600}y`, []);
  expect(long).toBe(`${'x'.repeat(199)}...`);
});

test.each([
  'key sk-proj-abc123*** is wrong',
  'Incorrect API key provided: sk-...wxyz.',
  'sk-ant-api03-x_y',
  'gsk_abc, pk-1, AIzaSyA1234567890',
  'Authorization was Bearer abc.def',
  'no entry for key-1 here',
])('quoteUpstream quotes nothing of a message with a key in it: %s', (message) => {
  expect(quoteUpstream(message, ['key-1'])).toBe('');
});
