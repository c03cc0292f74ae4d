import { demo } from '../../../lib/providers/demo.js';
import { collect, request } from '../../support/providers/batch.js';

const never = new AbortController().signal;

/** How many timers keep this process busy. */
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('answers every request of a batch with its text, word by word', async () => {
  const provider = demo({ tokenIntervalMs: 0, text: ' one  two\nthree ' });
  const requests = [
    request(),
    request({ prompt: undefined, messages: [{ role: 'user', content: 'a b c' }] }),
  ];
  const [first, second] = await collect(provider.generateBatch(requests, { signal: never }), 2);
  expect(first.texts).toEqual([' one', '  two', '\nthree ']);
  expect(first.end).toEqual({ reason: 'stop', usage: { prompt_tokens: 2, completion_tokens: 3 } });
  expect(second.text).toBe(' one  two\nthree ');
  expect(second.end.usage.prompt_tokens).toBe(3);
});

test.each([
  [1, 'one', 'length'],
  [2, 'one two', 'length'],
  [3, 'one two three', 'stop'],
  [9, 'one two three', 'stop'],
])('obeys maxTokens %i', async (maxTokens, text, reason) => {
  const provider = demo({ tokenIntervalMs: 0, text: 'one two three' });
  const [result] = await collect(
    provider.generateBatch([request({ maxTokens })], { signal: never }),
    1,
  );
  expect(result.text).toBe(text);
  expect(result.end.reason).toBe(reason);
});

test.each([
  [['two'], 'one '],
  [['e two th'], 'on'],
  [['three!', 'two'], 'one '],
  [['three!'], 'one two three'],
  [[''], 'one two three'],
])('ends before the stop string %j', async (stop, text) => {
  const provider = demo({ tokenIntervalMs: 0, text: 'one two three' });
  const [result] = await collect(provider.generateBatch([request({ stop })], { signal: never }), 1);
  expect(result.text).toBe(text);
  expect(result.end.reason).toBe('stop');
});

test('an empty text is a whole answer', async () => {
  const provider = demo({ tokenIntervalMs: 0, text: '' });
  const [result] = await collect(provider.generateBatch([request()], { signal: never }), 1);
  expect(result).toMatchObject({
    texts: [],
    end: { reason: 'stop', usage: { completion_tokens: 0 } },
  });
});

test('spaces the words out: n words take at least n intervals', async () => {
  const provider = demo({ tokenIntervalMs: 20, text: 'a b c' });
  const startMs = performance.now();
  await collect(provider.generateBatch([request(), request()], { signal: never }), 2);
  // Timers may fire up to a millisecond early, never more.
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(3 * 20 - 3);
});

test('an aborted request ends in the middle of its wait; its neighbour continues', async () => {
  const provider = demo({ tokenIntervalMs: 1, text: 'one two three' });
  const gone = new AbortController();
  const events = provider.generateBatch([request({}, gone), request()], { signal: never });
  const pending = events.next();
  gone.abort();
  const seen = [(await pending).value];
  for await (const event of events) seen.push(event);
  expect(seen.map((event) => event.index)).toEqual([1, 1, 1, 1]);
  expect(seen.at(-1).end.reason).toBe('stop');
});

test.each(['the batch', 'its only request', 'return', 'close'])(
  'ends at once on the abort of %s, and leaves no timer',
  async (action) => {
    const provider = demo({ tokenIntervalMs: 3_600_000 });
    const batch = new AbortController();
    const own = new AbortController();
    const before = timers();
    const events = provider.generateBatch([request({}, own)], { signal: batch.signal });
    const pending = events.next();
    await Promise.resolve();
    expect(timers()).toBe(before + 1);
    if (action === 'the batch') batch.abort();
    if (action === 'its only request') own.abort();
    if (action === 'return') await events.return();
    if (action === 'close') await provider.close();
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(timers()).toBe(before);
  },
);

test('requests that were aborted before the start are not answered', async () => {
  const provider = demo({ tokenIntervalMs: 3_600_000 });
  const gone = AbortSignal.abort();
  const events = provider.generateBatch([{ ...request(), signal: gone }], { signal: never });
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('without a read nothing is produced', async () => {
  const provider = demo({ tokenIntervalMs: 0, text: 'one two three' });
  const before = timers();
  const events = provider.generateBatch([request()], { signal: never });
  await events.next();
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  expect(timers()).toBe(before);
  expect((await events.next()).value.text).toBe(' two');
  await events.return();
});

test.each([
  [{ tokenIntervalMs: -1 }, RangeError, 'tokenIntervalMs'],
  [{ tokenIntervalMs: '1' }, TypeError, 'tokenIntervalMs'],
  [{ text: 1 }, TypeError, 'text'],
  [1, TypeError, 'options'],
])('refuses the options %j', (options, type, name) => {
  expect(() => demo(options)).toThrow(type);
  expect(() => demo(options)).toThrow(name);
});

describe('without the option text', () => {
  const ask = async (overrides) => {
    const provider = demo({ tokenIntervalMs: 0 });
    const pieces = [];
    const events = provider.generateBatch([request(overrides)], { signal: never });
    for await (const { index: _index, ...event } of events) pieces.push(event);
    const { end } = pieces.pop();
    const joined = (name) => pieces.map((piece) => piece[name] ?? '').join('');
    return { pieces, end, joined };
  };
  const message = (role, content) => ({ role, content });

  test.each([
    [{ prompt: 'What is the weather in New York today?' }, 'New York'],
    [{ prompt: 'Weather, please' }, 'Venice'],
    [{ prompt: undefined, messages: [message('user', 'weather in Oslo')] }, 'Oslo'],
    [
      {
        prompt: undefined,
        messages: [message('user', 'hi'), message('user', [{ type: 'text', text: 'the weather' }])],
      },
      'Venice',
    ],
  ])('%j gets reasoning, a text and a call', async (overrides, city) => {
    const { pieces, end, joined } = await ask(overrides);
    const calls = pieces.flatMap(({ tool_call: call }) => (call ? [call] : []));
    expect(joined('reasoning')).toContain(`the weather in ${city}. `);
    expect(joined('text')).toBe(`I am looking up the weather in ${city}.`);
    expect(calls[0]).toMatchObject({ index: 0, id: 'call_demo_weather', name: 'get_weather' });
    const json = calls.map((call) => call.arguments).join('');
    expect(JSON.parse(json)).toEqual({ city, unit: 'celsius' });
    expect(calls.length).toBeGreaterThan(2);
    expect(end.reason).toBe('tool_calls');
    expect(end.usage.completion_tokens).toBe(pieces.length);
  });

  test('a refusal on request', async () => {
    const { pieces, end, joined } = await ask({ prompt: 'Please refuse.' });
    expect(joined('refusal')).toMatch(/^I was asked to refuse/);
    expect(joined('text')).toBe('');
    expect(end).toMatchObject({ reason: 'stop', usage: { completion_tokens: pieces.length } });
  });

  test('maxTokens and stop end these, too', async () => {
    const short = await ask({ prompt: 'weather', maxTokens: 3 });
    expect(short.pieces).toEqual([
      { reasoning: 'The' },
      { reasoning: ' question' },
      { reasoning: ' is' },
    ]);
    expect(short.end.reason).toBe('length');
    const stopped = await ask({ prompt: 'weather', stop: [' up the'] });
    expect(stopped.joined('text')).toBe('I am looking');
    expect(stopped.pieces.some((piece) => 'tool_call' in piece)).toBe(false);
    expect(stopped.end.reason).toBe('stop');
    // Text held back for a stop string precedes the call.
    const held = await ask({ prompt: 'weather', stop: ['Venice.!'] });
    expect(held.joined('text')).toBe('I am looking up the weather in Venice.');
    expect('tool_call' in held.pieces.at(-1)).toBe(true);
  });

  test('words that only contain these are answered with the canned text', async () => {
    const { joined, end } = await ask({ prompt: 'weathered refuses' });
    expect(joined('text')).toMatch(/^A sluice is a gate/);
    expect(end.reason).toBe('stop');
  });
});

test('the option text is the answer to a prompt about the weather, too', async () => {
  const provider = demo({ tokenIntervalMs: 0, text: 'one two' });
  const requests = [request({ prompt: 'the weather' })];
  const [result] = await collect(provider.generateBatch(requests, { signal: never }), 1);
  expect(result).toMatchObject({ text: 'one two', end: { reason: 'stop' } });
});
