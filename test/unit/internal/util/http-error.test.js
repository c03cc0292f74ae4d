/** The errors that hooks and providers throw refuse members that nothing reads. */
import { HttpError, ProviderError } from '../../../../lib/index.js';

test('an HttpError takes the documented fields', () => {
  const error = new HttpError(429, { code: 'slow_down', message: 'Slow down.', param: 'a' });
  expect(error).toMatchObject({ code: 'ERR_SLOW_DOWN', type: 'rate_limit_error', param: 'a' });
  expect(() => new HttpError(429, { code: 'x', message: 'y', header: {} })).toThrow(
    'HttpError has no option header; it takes message, code,',
  );
});

test('a ProviderError takes the documented details', () => {
  const error = new ProviderError('overloaded', 'Busy.', { retryable: true, retryAfterMs: 5 });
  expect(error).toMatchObject({ code: 'ERR_OVERLOADED', retryable: true, retryAfterMs: 5 });
  expect(new ProviderError('overloaded', 'Busy.').retryable).toBe(false);
  expect(() => new ProviderError('overloaded', 'Busy.', { retry: true })).toThrow(
    'ProviderError has no option retry; it takes retryable, elsewhere,',
  );
});
