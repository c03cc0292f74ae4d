/** Values that a provider yields, returns or throws: entries of other kinds than text, and unreadable ones. */
import {
  fakeHub,
  record,
  single,
  batched,
  logOf,
  turn,
} from '../../../support/providers/job-runs.js';

describe('entries of other kinds than text', () => {
  const call = (index, fields) => ({ tool_call: { index, ...fields } });

  test('go to the log as entries, and calls make the reason tool_calls', async () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2, cost: 0.5 };
    const log = await logOf(async function* agent() {
      yield { reasoning: 'hm' };
      yield 'a';
      yield { text: 'b', logprobs: [1] };
      yield call(0, { id: 'c', name: 'f' });
      return { usage };
    });
    expect(log).toMatchObject({
      tokens: [
        { kind: 'reasoning', text: 'hm' },
        'a',
        { kind: 'text', text: 'b', aux: '[1]' },
        { kind: 'tool_call', text: 'c', aux: 'f' },
        { kind: 'tool_arguments', text: '{}' },
      ],
      terminal: { type: 'complete', reason: 'tool_calls', usage },
    });
  });

  test.each([
    [[], 'stop', 'stop'],
    [[], undefined, 'stop'],
    [[], 'tool_calls', 'stop'],
    [[], 'content_filter', 'content_filter'],
    [[call(0, { name: 'f' })], 'stop', 'tool_calls'],
    [[call(0, { name: 'f' })], 'length', 'length'],
  ])('%j, ended with %s, complete as %s', async (pieces, reason, outcome) => {
    const log = await logOf(async function* ends() {
      yield* pieces;
      return { reason };
    });
    expect(log.terminal).toMatchObject({ type: 'complete', reason: outcome });
  });

  test('count for max_tokens; a cut call still has arguments', async () => {
    const log = await logOf(
      async function* long() {
        yield { reasoning: 'hm' };
        yield call(0, { id: 'c', name: 'f' });
        yield call(0, { arguments: '{"a":1}' });
      },
      { max_completion_tokens: 2 },
    );
    expect(log).toMatchObject({
      tokens: [
        { kind: 'reasoning' },
        { kind: 'tool_call' },
        { kind: 'tool_arguments', text: '{}' },
      ],
      terminal: { type: 'complete', reason: 'length' },
    });
  });

  test('forbid a retry', async () => {
    const { hub, runner } = single(
      async function* fails() {
        yield { reasoning: 'hm' };
        throw new Error('busy');
      },
      { mayRetry: () => true },
    );
    const job = record();
    expect(await runner.run([job])).toEqual([undefined]);
    expect(hub.job(job.handle).terminal).toMatchObject({ type: 'error' });
  });

  test('close the window as text does', async () => {
    let reads = 0;
    const { hub, runner } = single(
      async function* thinks() {
        while ((reads += 1) < 4) yield { reasoning: 'hm' };
      },
      { hub: fakeHub({ window: 2 }) },
    );
    const job = record();
    const run = runner.run([job]);
    await turn();
    expect(reads).toBe(2);
    hub.open(job.handle);
    await run;
    expect(hub.job(job.handle).tokens).toHaveLength(3);
  });

  test.each([
    [
      'an unknown reason',
      async function* () {
        yield 'a';
        return { reason: 'error' };
      },
      /the reason "error"; it must be one of stop, length, tool_calls, content_filter/,
    ],
    [
      'a call without a name',
      async function* () {
        yield call(0, { id: 'c' });
      },
      /without a name/,
    ],
    [
      'an unknown piece',
      async function* () {
        yield { tool_calls: [] };
      },
      /the members "tool_calls"/,
    ],
  ])('%s fails the job with a message that names it', async (_, generate, message) => {
    const log = await logOf(generate, {}, { exposeErrors: false });
    expect(log.terminal).toEqual({
      type: 'error',
      error: {
        code: 'provider_error',
        type: 'provider_error',
        message: expect.stringMatching(message),
      },
    });
  });

  test('of a batch go to the request of their index', async () => {
    const { hub, runner } = batched(async function* mixed() {
      yield { index: 1, reasoning: 'hm' };
      yield { index: 0, ...call(3, { id: 'c', name: 'f', arguments: '{}' }) };
      yield { index: 1, text: 'x' };
      yield { index: 0, end: {} };
      yield { index: 1, end: {} };
    });
    const jobs = [record(), record()];
    await runner.run(jobs);
    expect(hub.job(jobs[0].handle)).toMatchObject({
      tokens: [
        { kind: 'tool_call', text: 'c' },
        { kind: 'tool_arguments', text: '{}' },
      ],
      terminal: { reason: 'tool_calls' },
    });
    expect(hub.job(jobs[1].handle)).toMatchObject({
      tokens: [{ kind: 'reasoning', text: 'hm' }, 'x'],
      terminal: { reason: 'stop' },
    });
  });
});

const throwing = (...names) =>
  Object.defineProperties(
    {},
    Object.fromEntries(
      names.map((name) => [
        name,
        {
          enumerable: true,
          get() {
            throw new Error(`no ${name}`);
          },
        },
      ]),
    ),
  );
const trap = () => {
  throw new Error('trapped');
};
const trapped = (target) =>
  new Proxy(target, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap });
const iterable = (next) => () => ({ [Symbol.asyncIterator]: () => ({ next }) });
async function* raise(value) {
  yield 'x';
  throw value;
}
async function* hand(value) {
  yield value;
}
// oxlint-disable-next-line require-yield -- its return value matters
async function* finish(value) {
  return value;
}

describe('an unreadable value ends the job at once:', () => {
  test.each([
    ['yielded, with a getter', () => hand(throwing('then', 'toString'))],
    ['yielded, a Proxy', () => hand(trapped({}))],
    ['returned as the end', () => finish(throwing('reason', 'usage'))],
    ['returned as usage', () => finish({ usage: throwing('prompt_tokens') })],
    ['returned, a Proxy', () => finish(trapped({}))],
    ['thrown, without a string form', () => raise(Object.create(null))],
    ['thrown, with getters', () => raise(throwing('message', 'wireCode', 'retryable'))],
    ['thrown, a Proxy', () => raise(trapped(new Error('x')))],
    ['thrown, a Proxy of a function', () => raise(trapped(() => {}))],
    [
      'thrown at once',
      () => {
        throw throwing('message', 'stack', 'toString');
      },
    ],
    ['a message without a string form', () => raise({ message: Object.create(null) })],
    ['a result whose `done` throws', iterable(async () => throwing('done'))],
    ['a result whose `value` throws', iterable(async () => throwing('value'))],
    ['a result that is a Proxy', iterable(() => trapped({}))],
    ['a null result', iterable(async () => null)],
    ['an iterator without `next`', iterable(undefined)],
    ['an iterable whose iterator throws', () => throwing(Symbol.asyncIterator)],
  ])('%s', async (_, generate) => {
    for (const exposeErrors of [true, false]) {
      const mayRetry = (_record, { retryable }) => retryable === true;
      const log = await logOf(generate, {}, { mayRetry, exposeErrors });
      expect(log.terminal).toEqual({
        type: 'error',
        error: { code: 'provider_error', type: 'provider_error', message: expect.any(String) },
      });
    }
  });

  test.each([
    ['text', throwing('text')],
    ['error', throwing('error')],
    ['end', { end: throwing('reason') }],
    ['usage', { end: { usage: throwing('completion_tokens') } }],
    ['an error with getters', { error: throwing('message', 'retryable', 'wireCode') }],
  ])('%s of a batch fails its own request', async (_, event) => {
    const { hub, runner } = batched(async function* odd() {
      yield Object.defineProperty(event, 'index', { value: 0 });
      yield { index: 1, text: 'fine' };
      yield { index: 1, end: {} };
    });
    const jobs = [record(), record()];
    await runner.run(jobs);
    expect(hub.job(jobs[0].handle).terminal).toMatchObject({
      type: 'error',
      error: { code: 'provider_error' },
    });
    expect(hub.job(jobs[1].handle)).toMatchObject({
      tokens: ['fine'],
      terminal: { type: 'complete' },
    });
  });
});
