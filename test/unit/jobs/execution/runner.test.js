/** From a provider's iterator into the log, with a hub that only records its calls. */
import { JobRecord } from '../../../../lib/jobs/job.js';
import { JobRunner } from '../../../../lib/jobs/execution/runner.js';

/** A hub whose window closes after every `window` tokens until `open(handle)` is called. */
function fakeHub({ window = Infinity } = {}) {
  const jobs = new Map();
  const job = (handle) => {
    if (!jobs.has(handle)) jobs.set(handle, { tokens: [], terminal: undefined, room: window });
    return jobs.get(handle);
  };
  return {
    jobs,
    job,
    append(handle, text) {
      job(handle).tokens.push(text);
      return job(handle).tokens.length < job(handle).room;
    },
    appendEntry(handle, entry) {
      job(handle).tokens.push(entry);
      return job(handle).tokens.length < job(handle).room;
    },
    writable(handle) {
      return new Promise((resolve) => {
        job(handle).wake = resolve;
      });
    },
    finish(handle, terminal) {
      job(handle).terminal ??= terminal;
      job(handle).wake?.();
    },
    open(handle) {
      job(handle).room += window;
      job(handle).wake();
    },
  };
}

let handles = 0;
function record(request = {}) {
  const made = new JobRecord({
    principal: 'ann',
    model: 'm',
    request: { prompt: 'p', ...request },
    createdAtMs: 0,
  });
  made.handle = handles += 1;
  return made;
}

function single(
  generate,
  { hub = fakeHub(), mayRetry = () => false, exposeErrors = true, ...fields } = {},
) {
  const provider = { name: 'p', models: [], takesBatches: false, generate, ...fields };
  const attempts = [];
  const failedAttempts = [];
  const lifecycle = {
    beginAttempt(attempted) {
      if (attempted.abort.signal.aborted) return false;
      attempts.push(attempted);
      return true;
    },
    mayRetry,
    failAttempt: (attempted, failure) => failedAttempts.push([attempted, failure]),
  };
  return {
    hub,
    attempts,
    failedAttempts,
    runner: new JobRunner({ provider, hub, lifecycle, exposeErrors }),
  };
}

/** What one job has written: its `tokens` and `terminal`. */
async function logOf(generate, request, options) {
  const { hub, runner } = single(generate, options);
  const job = record(request);
  await runner.run([job]);
  return hub.job(job.handle);
}

function batched(generateBatch, options) {
  return single(undefined, { takesBatches: true, generateBatch, ...options });
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

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
])('of an odd return value %j nothing is taken over', async (value) => {
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

test('nothing is asked of the provider while the window is closed', async () => {
  let asked = 0;
  const { hub, runner } = single(
    async function* count() {
      while (asked < 4) {
        asked += 1;
        yield 'x';
      }
    },
    { hub: fakeHub({ window: 2 }) },
  );
  const job = record();
  const run = runner.run([job]);
  await turn();
  expect(asked).toBe(2);
  hub.open(job.handle);
  await turn();
  expect(asked).toBe(4);
  hub.open(job.handle);
  await run;
  expect(hub.job(job.handle).tokens).toHaveLength(4);
});

test('a job that has ended already is not begun', async () => {
  const { hub, runner, attempts } = single(async function* never() {
    yield 'x';
  });
  const job = record();
  job.abort.abort();
  expect(await runner.run([job])).toEqual([undefined]);
  expect(attempts).toEqual([]);
  expect(hub.jobs.size).toBe(0);
});

test('an abort while the provider is asked stops it, and its late failure harms nobody', async () => {
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

test('halves of a character wait for each other across chunks', async () => {
  const log = await logOf(async function* halves() {
    yield '\ud83d';
    yield '';
    yield '\ude00a\ud83d';
    yield 'b';
    yield '\ud83d';
  });
  expect(log.tokens).toEqual(['😀a', '\ud83db', '\ud83d']);
});

test("the limit counts tokens, and is the provider's own if it says so", async () => {
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

describe('pieces of other kinds than text', () => {
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
  ])('%j that end with %s complete as %s', async (pieces, reason, outcome) => {
    const log = await logOf(async function* ends() {
      yield* pieces;
      return { reason };
    });
    expect(log.terminal).toMatchObject({ type: 'complete', reason: outcome });
  });

  test('count for the limit, which leaves no call without arguments', async () => {
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
    let asked = 0;
    const { hub, runner } = single(
      async function* thinks() {
        while ((asked += 1) < 4) yield { reasoning: 'hm' };
      },
      { hub: fakeHub({ window: 2 }) },
    );
    const job = record();
    const run = runner.run([job]);
    await turn();
    expect(asked).toBe(2);
    hub.open(job.handle);
    await run;
    expect(hub.job(job.handle).tokens).toHaveLength(3);
  });

  test.each([
    [
      'a reason that is none',
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

test('a failure may be retried only before the first token', async () => {
  const error = new Error('busy');
  const asked = [];
  const mayRetry = (...args) => asked.push(args);
  const early = single(
    // oxlint-disable-next-line require-yield -- it fails before it says anything
    async function* fails() {
      throw error;
    },
    { mayRetry },
  );
  const job = record();
  const failure = { wire: { code: 'provider_error', message: 'busy' } };
  expect(await early.runner.run([job])).toMatchObject([failure]);
  expect(asked).toEqual([[job, expect.objectContaining({ logged: error })]]);
  expect(early.failedAttempts).toEqual(asked);
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
  expect(asked).toHaveLength(1);
  expect(late.failedAttempts).toEqual([]);
  expect(late.hub.job(other.handle).terminal).toEqual({
    type: 'error',
    error: { code: 'provider_error', type: 'provider_error', message: 'busy' },
  });
});

test.each([
  ['nothing', () => undefined],
  ['a plain object', () => ({})],
])('a provider that gives %s fails its job', async (_, generate) => {
  const log = await logOf(generate);
  expect(log.terminal).toMatchObject({
    type: 'error',
    error: { code: 'provider_error' },
  });
});

describe('a provider that ignores stop:', () => {
  const words = (chunks, ending) =>
    async function* deaf() {
      yield* chunks;
      return ending?.();
    };
  const length = () => ({ reason: 'length' });
  const fails = () => {
    throw new Error('late');
  };

  test.each([
    ['within a chunk', ['one END two'], 'END', ['one '], 'stop'],
    ['across chunks', ['one E', 'N', 'D two'], ['END'], ['one '], 'stop'],
    ['at the start', ['END two'], 'END', [], 'stop'],
    ['the first of several', ['a b', 'c d'], ['d', 'bc'], ['a '], 'stop'],
    ['the first of two in a chunk', ['a d bc'], ['bc', 'd'], ['a '], 'stop'],
    ['a prefix that goes on otherwise', ['a E', 'Nx', 'b'], 'END', ['a ', 'ENx', 'b'], 'stop'],
    ['a prefix within a prefix', ['aa', 'ab', 'c'], 'aab', ['a'], 'stop'],
    ['a prefix at the end', ['a E', 'N'], 'END', ['a ', 'EN'], 'stop'],
    ['a prefix at the end, of a length', ['a E'], 'END', ['a ', 'E'], 'length', length],
    ['a prefix before a failure', ['a E'], 'END', ['a ', 'E'], undefined, fails],
    ['halves of a character', ['a\ud83d', '\ude00b'], '\u{1f600}', ['a'], 'stop'],
    ['no stop string', ['a', 'b'], 'END', ['a', 'b'], 'stop'],
    ['an empty one', ['a', 'b'], '', ['a', 'b'], 'stop'],
  ])('%s', async (_, chunks, stop, tokens, reason, ending = undefined) => {
    const log = await logOf(words(chunks, ending), { stop });
    const { tokens: written, terminal } = log;
    expect(written).toEqual(tokens);
    expect(terminal.reason).toBe(reason);
  });

  test('its signal aborts', async () => {
    let returned = false;
    const log = await logOf(
      async function* endless() {
        try {
          for (;;) yield 'x';
        } finally {
          returned = true;
        }
      },
      { stop: 'xxx' },
    );
    expect(returned).toBe(true);
    expect(log).toMatchObject({ tokens: [], terminal: { reason: 'stop' } });
  });

  test('the token limit counts what is held back, and loses none of it', async () => {
    const { hub, runner } = single(words(['a', 'E', 'N', 'D']));
    const job = record({ stop: 'END', max_tokens: 3 });
    await runner.run([job]);
    expect(hub.job(job.handle)).toMatchObject({
      tokens: ['a', 'EN'],
      terminal: { reason: 'length' },
    });
    const last = record({ stop: 'END', max_tokens: 4 });
    await runner.run([last]);
    expect(hub.job(last.handle)).toMatchObject({ tokens: ['a'], terminal: { reason: 'stop' } });
  });

  test('a request of a batch ends by itself', async () => {
    const { hub, runner } = batched(async function* deaf(requests) {
      yield { index: 0, text: 'a.' };
      expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
      yield { index: 1, text: 'a.' };
      yield { index: 1, end: {} };
    });
    const jobs = [record({ stop: '.' }), record()];
    await runner.run(jobs);
    expect(jobs.map(({ handle }) => hub.job(handle).tokens)).toEqual([['a'], ['a.']]);
    expect(hub.job(jobs[1].handle).terminal.type).toBe('complete');
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

describe('a value that cannot be read ends the job at once:', () => {
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
    ['a result that is none', iterable(async () => null)],
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

describe('a batch', () => {
  test('is divided by index, each request with its own ending', async () => {
    const busy = Object.assign(new Error('busy'), { wireCode: 'upstream_error', type: 't' });
    const seen = [];
    const { hub, runner } = batched(async function* mixed(requests) {
      seen.push(...requests.map(({ prompt }) => prompt));
      yield { index: 1, text: 'b1' };
      yield { index: 0, text: 'a1' };
      yield { index: 2, error: busy };
      yield { index: 1, end: { reason: 'length' } };
      yield { index: 1, text: 'after its end' };
      yield { index: 0, end: {} };
    });
    const jobs = ['a', 'b', 'c'].map((prompt) => record({ prompt }));
    await runner.run(jobs);
    expect(seen).toEqual(['a', 'b', 'c']);
    const [a, b, c] = jobs.map(({ handle }) => hub.job(handle));
    expect(a).toMatchObject({ tokens: ['a1'], terminal: { type: 'complete', reason: 'stop' } });
    expect(b).toMatchObject({ tokens: ['b1'], terminal: { type: 'complete', reason: 'length' } });
    expect(c.terminal).toEqual({
      type: 'error',
      error: { code: 'upstream_error', type: 't', message: 'busy' },
    });
  });

  test('whose requests have all ended may return by itself, unaborted', async () => {
    let returned = false;
    let batchSignal;
    const { runner } = batched(async function* tidy(_, { signal }) {
      batchSignal = signal;
      yield { index: 0, end: {} };
      returned = true;
    });
    await runner.run([record()]);
    expect(returned).toBe(true);
    expect(batchSignal.aborted).toBe(false);
  });

  test('continues for the others when one is cancelled or at its limit', async () => {
    const signals = [];
    let batchSignal;
    let step;
    const { hub, runner } = batched(async function* endless(requests, { signal }) {
      batchSignal = signal;
      signals.push(...requests.map((request) => request.signal));
      for (;;) {
        for (const index of requests.keys()) yield { index, text: 'x' };
        await new Promise((resolve) => {
          step = resolve;
          signal.addEventListener('abort', resolve);
        });
      }
    });
    const [limited, cancelled, last] = [record({ max_tokens: 1 }), record(), record()];
    const run = runner.run([limited, cancelled, last]);
    await turn();
    expect(hub.job(limited.handle).terminal).toMatchObject({ reason: 'length' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
    cancelled.abort.abort();
    step();
    await turn();
    expect(hub.job(cancelled.handle).tokens).toEqual(['x']);
    expect(hub.job(last.handle).tokens).toEqual(['x', 'x']);
    expect(batchSignal.aborted).toBe(false);
    last.abort.abort();
    await run;
    expect(batchSignal.aborted).toBe(true);
  });

  test('that stops early fails those it has not ended', async () => {
    const { hub, runner } = batched(async function* short() {
      yield { index: 0, end: {} };
    });
    const jobs = [record(), record()];
    await runner.run(jobs);
    expect(hub.job(jobs[0].handle).terminal.type).toBe('complete');
    expect(hub.job(jobs[1].handle).terminal).toMatchObject({
      type: 'error',
      error: { code: 'upstream_incomplete', type: 'upstream_error' },
    });
  });

  test('that throws fails those it has not ended, retried where nothing was said', async () => {
    const error = new Error('gone');
    const { hub, runner } = batched(
      async function* breaks() {
        yield { index: 0, text: 'x' };
        yield { index: 1, end: {} };
        throw error;
      },
      { mayRetry: () => true },
    );
    const jobs = [record(), record(), record()];
    expect(await runner.run(jobs)).toEqual([
      undefined,
      undefined,
      expect.objectContaining({ logged: error }),
    ]);
    expect(hub.job(jobs[0].handle).terminal).toMatchObject({ type: 'error' });
    expect(hub.job(jobs[1].handle).terminal).toMatchObject({ type: 'complete' });
    expect(hub.job(jobs[2].handle).terminal).toBeUndefined();
  });

  test('with a bad chunk fails the request it belongs to; with a bad index all', async () => {
    const chunk = batched(async function* odd() {
      yield { index: 0, text: 7 };
      yield { index: 1, text: 'fine' };
      yield { index: 1, end: {} };
    });
    const jobs = [record(), record()];
    await chunk.runner.run(jobs);
    expect(chunk.hub.job(jobs[0].handle).terminal).toMatchObject({
      error: { code: 'provider_error' },
    });
    expect(chunk.hub.job(jobs[1].handle).terminal.type).toBe('complete');

    const index = batched(async function* lost() {
      yield { index: 2, text: 'whose?' };
    });
    await index.runner.run(jobs.map(() => record()).map((job, i) => (jobs[i] = job)));
    for (const { handle } of jobs) {
      expect(index.hub.job(handle).terminal).toMatchObject({ error: { code: 'provider_error' } });
    }
  });
});
