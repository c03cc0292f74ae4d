import { getEventListeners } from 'node:events';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { StreamBuffer } from '../../../../lib/primitives/scheduling/stream-buffer.js';

/** 'pending', or how the promise was settled, once everything that is ready has run. */
async function stateOf(promise) {
  let state = 'pending';
  promise.then(
    () => (state = 'fulfilled'),
    () => (state = 'rejected'),
  );
  await turn();
  return state;
}

async function drain(buffer) {
  const texts = [];
  for (;;) {
    const { text, isFinal } = await buffer.read();
    if (isFinal) return texts;
    texts.push(text);
  }
}

describe('StreamBuffer', () => {
  test('returns the chunks in the order of writing, and then always the end', async () => {
    const buffer = new StreamBuffer({ capacity: 4 });
    await buffer.write('a');
    await buffer.write({ text: 'b' });
    await buffer.write('');
    expect([buffer.size, buffer.capacity, buffer.closed]).toEqual([3, 4, false]);
    buffer.close();
    buffer.close();
    expect(buffer.closed).toBe(true);
    expect(await buffer.read()).toEqual({ text: 'a', isFinal: false });
    expect(await buffer.read()).toEqual({ text: 'b', isFinal: false });
    expect(await buffer.read()).toEqual({ text: '', isFinal: false });
    for (let again = 0; again < 3; again++) {
      expect(await buffer.read()).toEqual({ text: '', isFinal: true });
    }
  });

  test('text is unchanged: lone surrogates, NUL, characters of any plane', async () => {
    const buffer = new StreamBuffer({ capacity: 4 });
    for (const text of ['\ud800x', '\udfff', 'a\0b', 'é漢😀']) {
      await buffer.write(text);
      expect((await buffer.read()).text).toBe(text);
    }
  });

  test('a buffer of three and a slow reader: all six tokens, in order', async () => {
    const buffer = new StreamBuffer({ capacity: 3 });
    const tokens = ['one', 'two', 'three', 'four', 'five', 'six'];
    const sizes = [];
    const writing = (async () => {
      for (const token of tokens) {
        await buffer.write(token);
        sizes.push(buffer.size);
      }
      buffer.close();
    })();
    const got = [];
    for await (const text of buffer) {
      got.push(text);
      await sleep(5);
    }
    await writing;
    expect(got).toEqual(tokens);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(3);
  });

  test('write waits while the buffer is full, writers in their order', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    await buffer.write('a');
    const b = buffer.write('b');
    const c = buffer.write('c');
    expect(await stateOf(b)).toBe('pending');
    expect(buffer.size).toBe(1);
    expect((await buffer.read()).text).toBe('a');
    expect(await stateOf(b)).toBe('fulfilled');
    expect(await stateOf(c)).toBe('pending');
    expect((await buffer.read()).text).toBe('b');
    await c;
  });

  test('readers compete: each chunk goes to one, first come first served', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const reads = Array.from({ length: 20 }, () => buffer.read());
    for (let i = 0; i < 20; i++) await buffer.write(String(i));
    const texts = (await Promise.all(reads)).map((read) => read.text);
    expect(texts).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
  });

  test('one close releases fifty readers', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const reads = Array.from({ length: 50 }, () => buffer.read());
    buffer.close();
    for (const read of await Promise.all(reads)) expect(read).toEqual({ text: '', isFinal: true });
  });

  test('close rejects waiting writers and stores none of their chunks', async () => {
    const buffer = new StreamBuffer({ capacity: 2 });
    await buffer.write('a');
    await buffer.write('b');
    const waiting = [buffer.write('c'), buffer.write('d')];
    buffer.close();
    for (const write of waiting) {
      await expect(write).rejects.toMatchObject({ code: 'ERR_BUFFER_CLOSED' });
    }
    await expect(buffer.write('e')).rejects.toMatchObject({ code: 'ERR_BUFFER_CLOSED' });
    expect(await drain(buffer)).toEqual(['a', 'b']);
  });

  test('bad arguments are named', async () => {
    expect(() => new StreamBuffer()).toThrow(/capacity/);
    expect(() => new StreamBuffer({ capacity: 0 })).toThrow(RangeError);
    expect(() => new StreamBuffer({ capacity: '3' })).toThrow(TypeError);
    const buffer = new StreamBuffer({ capacity: 1 });
    await expect(buffer.write(7)).rejects.toThrow(TypeError);
    await expect(buffer.write({ text: 7 })).rejects.toThrow(/chunk\.text/);
    await expect(buffer.write('a', { signal: {} })).rejects.toThrow(/signal/);
    await expect(buffer.read({ signal: 1 })).rejects.toThrow(TypeError);
    expect(buffer.size).toBe(0);
  });
});

describe('StreamBuffer, aborted', () => {
  test('the chosen reader passes the chunk on to the next', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const leaving = new AbortController();
    const first = buffer.read({ signal: leaving.signal });
    const second = buffer.read();
    const written = buffer.write('a'); // chooses the first reader
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect(await second).toEqual({ text: 'a', isFinal: false });
    await written;
  });

  test('after an abort of the only chosen reader the chunk is first in the buffer', async () => {
    const buffer = new StreamBuffer({ capacity: 2 });
    const leaving = new AbortController();
    const reading = buffer.read({ signal: leaving.signal });
    buffer.write('a');
    buffer.write('b');
    leaving.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    buffer.close();
    expect(await drain(buffer)).toEqual(['a', 'b']);
  });

  test('two writers wait on one slot and the first is aborted', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    await buffer.write('a');
    const leaving = new AbortController();
    const first = buffer.write('b', { signal: leaving.signal });
    const second = buffer.write('c');
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect((await buffer.read()).text).toBe('a');
    await second;
    buffer.close();
    expect(await drain(buffer)).toEqual(['c']);
  });

  test('an aborted chosen writer stores no chunk and passes its place on', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    await buffer.write('a');
    const leaving = new AbortController();
    const first = buffer.write('b', { signal: leaving.signal });
    const second = buffer.write('c');
    const reading = buffer.read(); // chooses the first writer
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect((await reading).text).toBe('a');
    await second;
    buffer.close();
    expect(await drain(buffer)).toEqual(['c']);
  });

  test('a write whose chunk has been read succeeds, also when its signal aborts', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    await buffer.write('a');
    const leaving = new AbortController();
    const writing = buffer.write('b', { signal: leaving.signal });
    const reads = [buffer.read(), buffer.read()];
    leaving.abort();
    expect((await Promise.all(reads)).map((read) => read.text)).toEqual(['a', 'b']);
    await writing;
  });

  test('an aborted signal does nothing but reject', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(buffer.write('a', { signal })).rejects.toThrow('gone');
    expect(buffer.size).toBe(0);
    await buffer.write('b');
    await expect(buffer.read({ signal })).rejects.toThrow('gone');
    expect(buffer.size).toBe(1);
  });

  test('a long-lived signal collects no listeners', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const { signal } = new AbortController();
    for (let i = 0; i < 50; i++) {
      const reading = buffer.read({ signal });
      await buffer.write('a', { signal });
      await reading;
      await buffer.write('b', { signal });
      const writing = buffer.write('c', { signal });
      await buffer.read({ signal });
      await writing;
      await buffer.read({ signal });
    }
    const last = buffer.read({ signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    buffer.close();
    await last;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('StreamBuffer, iterated', () => {
  test('break leaves the rest to other readers', async () => {
    const buffer = new StreamBuffer({ capacity: 4 });
    for (const text of ['a', 'b', 'c']) await buffer.write(text);
    for await (const text of buffer) {
      expect(text).toBe('a');
      break;
    }
    buffer.close();
    const rest = [];
    for await (const text of buffer.stream()) rest.push(text);
    expect(rest).toEqual(['b', 'c']);
  });

  test('return() with a pending next() loses nothing', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const iterator = buffer.stream();
    const next = iterator.next();
    expect(await iterator.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    await buffer.write('a');
    expect((await buffer.read()).text).toBe('a');
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('return() of a pending next() that was chosen passes the chunk on', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const iterator = buffer[Symbol.asyncIterator]();
    const next = iterator.next();
    const other = buffer.read();
    buffer.write('a');
    iterator.return();
    expect(await next).toEqual({ done: true, value: undefined });
    expect((await other).text).toBe('a');
  });

  test('many loops share the chunks', async () => {
    const buffer = new StreamBuffer({ capacity: 2 });
    const loop = async () => {
      const got = [];
      for await (const text of buffer) got.push(Number(text));
      return got;
    };
    const loops = [loop(), loop(), loop()];
    for (let i = 0; i < 30; i++) await buffer.write(String(i));
    buffer.close();
    const got = await Promise.all(loops);
    for (const each of got) expect(each).toEqual([...each].sort((a, b) => a - b));
    expect(got.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  test('an aborted signal ends the loop with its reason', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const stop = new AbortController();
    const iterator = buffer.stream({ signal: stop.signal });
    const next = iterator.next();
    stop.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });
});

describe('StreamBuffer without waiting', () => {
  test('tryWrite stores while there is room, tryRead takes while there are chunks', () => {
    const buffer = new StreamBuffer({ capacity: 2 });
    expect(buffer.tryRead()).toBeUndefined();
    expect(['a', { text: '' }, 'c'].map((chunk) => buffer.tryWrite(chunk))).toEqual([
      true,
      true,
      false,
    ]);
    expect(buffer.tryRead()).toEqual({ text: 'a', isFinal: false });
    expect(buffer.tryWrite('d')).toBe(true);
    expect(buffer.tryRead()).toEqual({ text: '', isFinal: false });
    expect(buffer.tryRead()).toEqual({ text: 'd', isFinal: false });
    expect(buffer.tryRead()).toBeUndefined();
    buffer.close();
    expect(buffer.tryRead()).toEqual({ text: '', isFinal: true });
    expect(() => buffer.tryWrite('e')).toThrow(
      expect.objectContaining({ code: 'ERR_BUFFER_CLOSED' }),
    );
  });

  test('neither overtakes waiting callers', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const reader = buffer.read();
    expect(buffer.tryRead()).toBeUndefined();
    expect(buffer.tryWrite('a')).toBe(true);
    // `a` is the waiting reader's.
    expect(buffer.tryRead()).toBeUndefined();
    expect(await reader).toEqual({ text: 'a', isFinal: false });

    await buffer.write('b');
    const writer = buffer.write('c');
    expect(buffer.tryWrite('d')).toBe(false);
    expect(buffer.tryRead()).toEqual({ text: 'b', isFinal: false });
    // The waiting writer's chunk has the place.
    expect(buffer.tryWrite('d')).toBe(false);
    await writer;
    expect(buffer.tryRead()).toEqual({ text: 'c', isFinal: false });
  });

  test('wake waiting callers', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    const reads = [buffer.read(), buffer.read()];
    buffer.tryWrite('a');
    expect(await reads[0]).toEqual({ text: 'a', isFinal: false });
    buffer.tryWrite('b');
    expect(await reads[1]).toEqual({ text: 'b', isFinal: false });
    buffer.tryWrite('c');
    const write = buffer.write('d');
    buffer.tryRead();
    await write;
    expect(buffer.size).toBe(1);
  });
});

describe('StreamBuffer closed with an error', () => {
  const broken = new Error('upstream broke');

  test('readers drain what is stored and then get the error, every time', async () => {
    const buffer = new StreamBuffer({ capacity: 4 });
    await buffer.write('a');
    await buffer.write('b');
    buffer.close(broken);
    buffer.close(new Error('too late'));
    expect(buffer.closed).toBe(true);
    expect(await buffer.read()).toEqual({ text: 'a', isFinal: false });
    expect(buffer.tryRead()).toEqual({ text: 'b', isFinal: false });
    for (let again = 0; again < 2; again++) {
      await expect(buffer.read()).rejects.toBe(broken);
      expect(() => buffer.tryRead()).toThrow(broken);
    }
    const refused = { code: 'ERR_BUFFER_CLOSED', cause: broken };
    await expect(buffer.write('c')).rejects.toMatchObject(refused);
    expect(() => buffer.tryWrite('c')).toThrow(expect.objectContaining(refused));
  });

  test('wakes waiting readers and writers with it', async () => {
    const empty = new StreamBuffer({ capacity: 1 });
    const reads = [empty.read(), empty.read()];
    const settledReads = Promise.allSettled(reads);
    empty.close(broken);
    expect((await settledReads).map(({ reason }) => reason)).toEqual([broken, broken]);

    const full = new StreamBuffer({ capacity: 1 });
    await full.write('a');
    const write = full.write('b');
    full.close(broken);
    await expect(write).rejects.toMatchObject({ code: 'ERR_BUFFER_CLOSED', cause: broken });
  });

  test('a loop throws it once, after the last chunk', async () => {
    const buffer = new StreamBuffer({ capacity: 4 });
    await buffer.write('a');
    const iterator = buffer.stream();
    buffer.close(broken);
    expect(await iterator.next()).toEqual({ done: false, value: 'a' });
    await expect(iterator.next()).rejects.toBe(broken);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('a close() without one before it stands', async () => {
    const buffer = new StreamBuffer({ capacity: 1 });
    buffer.close();
    buffer.close(broken);
    expect(await buffer.read()).toEqual({ text: '', isFinal: true });
  });
});

test('unknown options of a StreamBuffer are refused by name', async () => {
  expect(() => new StreamBuffer({ capacity: 1, highWaterMark: 2 })).toThrow(
    /no option highWaterMark;/,
  );
  const buffer = new StreamBuffer({ capacity: 1 });
  await expect(buffer.read({ timeout: 1 })).rejects.toThrow(/no option timeout;/);
  expect(() => buffer.stream({ timeout: 1 })).toThrow(/no option timeout;/);
});
