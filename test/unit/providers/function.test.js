import { SluiceError } from '../../../lib/internal/util/errors.js';
import { fromFunction } from '../../../lib/providers/function.js';
import { request } from '../../support/providers/batch.js';

const never = new AbortController().signal;

/** Reads a generation: its texts and what it returned. */
async function read(generation) {
  const texts = [];
  for (;;) {
    const { done, value } = await generation.next();
    if (done) return { texts, end: value };
    texts.push(value);
  }
}

test('passes the request on, and text and end back', async () => {
  const seen = [];
  const provider = fromFunction(async function* echo(given, { signal }) {
    seen.push(given, signal);
    yield 'a';
    yield given.prompt;
    return { reason: 'length' };
  });
  expect(provider).toMatchObject({
    name: 'function',
    models: [{ id: 'echo' }],
    takesBatches: false,
  });
  const given = request();
  expect(await read(provider.generate(given, { signal: never }))).toEqual({
    texts: ['a', 'a prompt'],
    end: { reason: 'length' },
  });
  expect(seen[0]).toBe(given);
  expect(seen[1]).toBeInstanceOf(AbortSignal);
});

test('an error of the function is the error of its next()', async () => {
  const failure = new Error('out of words');
  const provider = fromFunction(async function* () {
    yield 'a';
    throw failure;
  });
  const generation = provider.generate(request(), { signal: never });
  await generation.next();
  await expect(generation.next()).rejects.toBe(failure);
});

test.each([() => 'text', () => undefined, async () => 'text'])(
  'a function that gives no iterable says how to write it',
  (wrong) => {
    const provider = fromFunction(wrong);
    let error;
    try {
      provider.generate(request(), { signal: never });
    } catch (reason) {
      error = reason;
    }
    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ code: 'ERR_PROVIDER_ERROR', wireCode: 'provider_error' });
    expect(error.message).toContain('async function*');
  },
);

test('return ends the function where it stands', async () => {
  let cleaned = false;
  const provider = fromFunction(async function* () {
    try {
      for (;;) yield 'x';
    } finally {
      cleaned = true;
    }
  });
  const generation = provider.generate(request(), { signal: never });
  await generation.next();
  await generation.return();
  expect(cleaned).toBe(true);
  expect(await generation.next().catch(() => ({ done: true }))).toMatchObject({ done: true });
});

test('given names are used; anything but a function is refused', () => {
  const provider = fromFunction(async function* () {}, { name: 'mine', model: 'mine-1' });
  expect(provider).toMatchObject({ name: 'mine', models: [{ id: 'mine-1' }] });
  expect(fromFunction(async function* () {}).models).toEqual([{ id: 'function' }]);
  expect(() => fromFunction('text')).toThrow(TypeError);
});
