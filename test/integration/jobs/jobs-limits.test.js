/** Bounds of a job: tokens, wall time, a failing provider, a slow reader. */
import { ManualClock } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { handProvider } from '../../support/providers/providers.js';
import { until, untilStill } from '../../support/until.js';

afterEach(stopAll);

describe('limits and failures', () => {
  test('max_tokens ends the job with reason length and returns the iterator', async () => {
    let cleaned = false;
    async function* endless() {
      try {
        for (;;) yield 'x';
      } finally {
        cleaned = true;
      }
    }
    const { submit, ended } = await start({ provider: endless });
    const { body } = await submit({ prompt: 'a', max_tokens: 3 });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'completed',
      reason: 'length',
      text: 'xxx',
      usage: { completion_tokens: 3 },
    });
    await until(() => cleaned, 'the iterator to be returned');
  });

  test('max_wall_ms ends the job and reaches the provider', async () => {
    const { provider, call } = handProvider();
    const clock = new ManualClock();
    const { submit, ended } = await start({ provider, clock });
    const { body } = await submit({ prompt: 'a', max_wall_ms: 50 });
    const { aborted } = await call(0);
    clock.advanceMs(50);
    await aborted;
    expect(await ended(body.job_id)).toMatchObject({
      status: 'failed',
      error: { code: 'wall_time_exceeded', type: 'timeout_error' },
    });
  });

  test('max_wall_ms counts in the queue too', async () => {
    const { provider, calls, call } = handProvider();
    const { submit, ended } = await start({ provider, maxConcurrency: 1 });
    await submit({ prompt: 'a' });
    await call(0);
    const { body } = await submit({ prompt: 'b', max_wall_ms: 50 });
    expect((await ended(body.job_id)).error.code).toBe('wall_time_exceeded');
    calls[0].end();
    await submit({ prompt: 'c' });
    expect((await call(1)).request.prompt).toBe('c');
  });

  test.each([
    [
      'throws',
      async function* throws() {
        yield 'some';
        throw new Error('out of ink');
      },
      'out of ink',
      'some',
    ],
    [
      'throws at once',
      () => {
        throw new Error('no pen');
      },
      'no pen',
      '',
    ],
    [
      'yields no text',
      async function* odd() {
        yield 7;
      },
      'The provider yielded a value of type number; it must be a string, {text, logprobs}, {reasoning},' +
        ' {refusal}, {tool_call} or {extra}.',
      '',
    ],
  ])('a provider that %s fails its own job', async (_, provider, message, text) => {
    const { submit, ended } = await start({ provider, exposeErrors: true });
    const { body } = await submit({ prompt: 'a' });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'failed',
      text,
      error: { code: 'provider_error', message, type: 'provider_error' },
    });
  });

  test('a character that the provider divides is whole in every token', async () => {
    async function* halves() {
      yield 'a\ud83d';
      yield '\ude00';
      yield 'b\ud83d';
    }
    const { submit, stream } = await start({ provider: halves });
    const { body } = await submit({ prompt: 'a' });
    const events = await (await stream(body.stream_url)).done;
    const tokens = events.filter(({ type }) => type === 'token').map(({ data }) => data.token);
    // The last half of a character stays alone: U+FFFD replaces it.
    expect(tokens).toEqual(['a', '😀', 'b', '\ufffd']);
  });

  test('a slow reader makes the provider wait', async () => {
    let made = 0;
    async function* eager() {
      for (; made < 100_000; made += 1) yield 'x'.repeat(1000);
    }
    const { gateway } = await start({ provider: eager, streamCapacity: 16, logBytesMax: 1 << 29 });
    const { id } = await gateway.submit({ prompt: 'a' });
    const events = gateway.stream(id)[Symbol.asyncIterator]();
    await events.next();
    await untilStill(() => made, 'the provider to wait', { pauseMs: 50 });
    // The window, and one or two batches on the way to the reader.
    expect(made).toBeLessThan(1000);
    await gateway.cancel(id);
  });
});
