import { quoteUpstream } from '../../../../lib/providers/shared/errors.js';

test('quoteUpstream makes one short line without secrets', () => {
  expect(quoteUpstream(undefined, [])).toBe('');
  expect(quoteUpstream('a\r\n\tb\u0007c', [])).toBe('a b c');
  expect(quoteUpstream('key sk-proj-abc123*** and Bearer abc.def', [])).toBe(
    'key [redacted] and [redacted]',
  );
  const long = quoteUpstream(`${'x'.repeat(199)}\u{1f600}y`, []);
  expect(long).toBe(`${'x'.repeat(199)}...`);
});
