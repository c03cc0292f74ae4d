/** From a provider's iterator into the log. */
import { fakeHub, record, single, logOf, turn } from '../../../support/providers/job-runs.js';

test('text goes to the log and the end to the terminal', async () => {
  const usage = { prompt_tokens: 1, completion_tokens: 2 };
  const { hub, runner, attempts } = single(async function* two() {
    yield 'a';
    yield '';
    yield 'b';
    return { usage };
  });
  const job = record();
  expect(await runner.run([job])).toEqual([undefined]);
  expect(hub.job(job.handle)).toMatchObject({
    tokens: ['a', 'b'],
    terminal: { type: 'complete', reason: 'stop', usage },
  });
  expect(attempts).toEqual([job]);
  expect(job.abort.signal.aborted).toBe(false);
});

test.each([
  [{ usage: { completion_tokens: 3 } }],
  [{ usage: { prompt_tokens: '1', completion_tokens: 2 } }],
  [{ usage: { prompt_tokens: -1, completion_tokens: 2 } }],
  [{ usage: 'many' }],
  ['done'],
  [null],
])('a malformed return value %j is ignored', async (value) => {
  // oxlint-disable-next-line require-yield -- only its return value matters
  const log = await logOf(async function* odd() {
    return value;
  });
  expect(log.terminal).toEqual({
    type: 'complete',
    reason: 'stop',
    usage: undefined,
  });
});

test('the provider is not read while the window is closed', async () => {
  let reads = 0;
  const { hub, runner } = single(
    async function* count() {
      while (reads < 4) {
        reads += 1;
        yield 'x';
      }
    },
    { hub: fakeHub({ window: 2 }) },
  );
  const job = record();
  const run = runner.run([job]);
  await turn();
  expect(reads).toBe(2);
  hub.open(job.handle);
  await turn();
  expect(reads).toBe(4);
  hub.open(job.handle);
  await run;
  expect(hub.job(job.handle).tokens).toHaveLength(4);
});

test('an ended job is not begun', async () => {
  const { hub, runner, attempts } = single(async function* never() {
    yield 'x';
  });
  const job = record();
  job.abort.abort();
  expect(await runner.run([job])).toEqual([undefined]);
  expect(attempts).toEqual([]);
  expect(hub.jobs.size).toBe(0);
});

test('an abort during a read returns the iterator; its late failure has no effect', async () => {
  let returned = false;
  let failLate;
  const iterator = {
    [Symbol.asyncIterator]: () => iterator,
    next: () => new Promise((_, reject) => (failLate = reject)),
    async return() {
      returned = true;
      return { done: true, value: undefined };
    },
  };
  const { hub, runner } = single(() => iterator);
  const job = record();
  const run = runner.run([job]);
  await turn();
  job.abort.abort();
  await run;
  expect(returned).toBe(true);
  failLate(new Error('too late'));
  await turn();
  expect(hub.jobs.size).toBe(0);
});

test('halves of a surrogate pair are joined across chunks', async () => {
  const log = await logOf(async function* halves() {
    yield '\ud83d';
    yield '';
    yield '\ude00a\ud83d';
    yield 'b';
    yield '\ud83d';
  });
  expect(log.tokens).toEqual(['😀a', '\ud83db', '\ud83d']);
});

test('max_tokens is counted here unless the provider enforces it', async () => {
  async function* three() {
    yield '1';
    yield '2';
    yield '3';
  }
  const ours = single(three);
  const job = record({ max_tokens: 2 });
  await ours.runner.run([job]);
  expect(ours.hub.job(job.handle)).toMatchObject({
    tokens: ['1', '2'],
    terminal: { type: 'complete', reason: 'length' },
  });
  const theirs = single(three, { enforcesMaxTokens: true });
  const other = record({ max_tokens: 2 });
  await theirs.runner.run([other]);
  expect(theirs.hub.job(other.handle)).toMatchObject({
    tokens: ['1', '2', '3'],
    terminal: { reason: 'stop' },
  });
});

test('a failure may be retried only before the first token', async () => {
  const error = new Error('busy');
  const retryChecks = [];
  const mayRetry = (...args) => retryChecks.push(args);
  const early = single(
    // oxlint-disable-next-line require-yield -- it fails before its first token
    async function* fails() {
      throw error;
    },
    { mayRetry },
  );
  const job = record();
  const failure = { wire: { code: 'provider_error', message: 'busy' } };
  expect(await early.runner.run([job])).toMatchObject([failure]);
  expect(retryChecks).toEqual([[job, expect.objectContaining({ logged: error })]]);
  expect(early.failedAttempts).toEqual(retryChecks);
  expect(early.hub.job(job.handle).terminal).toBeUndefined();
  const late = single(
    async function* fails() {
      yield 'x';
      throw error;
    },
    { mayRetry },
  );
  const other = record();
  expect(await late.runner.run([other])).toEqual([undefined]);
  expect(retryChecks).toHaveLength(1);
  expect(late.failedAttempts).toEqual([]);
  expect(late.hub.job(other.handle).terminal).toEqual({
    type: 'error',
    error: { code: 'provider_error', type: 'provider_error', message: 'busy' },
  });
});

test.each([
  ['nothing', () => undefined],
  ['a plain object', () => ({})],
])('a provider that returns %s fails its job', async (_, generate) => {
  const log = await logOf(generate);
  expect(log.terminal).toMatchObject({
    type: 'error',
    error: { code: 'provider_error' },
  });
});
