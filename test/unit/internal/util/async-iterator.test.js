import { END, asyncIterator } from '../../../../lib/internal/util/async-iterator.js';

const OVER = { done: true, value: undefined };

/** A source of numbers: each `take` waits until `give` is called. */
function source() {
  const waiting = [];
  let left = 0;
  const iterator = asyncIterator(
    (onWait) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        onWait(() => resolve(END));
      }),
    () => (left += 1),
  );
  return { iterator, waiting, left: () => left };
}

describe('asyncIterator', () => {
  test('yields values until END, and then stays done', async () => {
    const values = [1, undefined, 2, END, 3];
    const iterator = asyncIterator(() => values.shift());
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(await iterator.next()).toEqual({ done: false, value: undefined });
    expect(await iterator.next()).toEqual({ done: false, value: 2 });
    expect(await iterator.next()).toEqual(OVER);
    expect(await iterator.next()).toEqual(OVER);
    expect(values).toEqual([3]);
  });

  test('serves several pending calls, each with its own value', async () => {
    const { iterator, waiting } = source();
    const steps = [iterator.next(), iterator.next()];
    expect(waiting).toHaveLength(2);
    waiting[1].resolve('b');
    waiting[0].resolve('a');
    expect(await Promise.all(steps)).toEqual([
      { done: false, value: 'a' },
      { done: false, value: 'b' },
    ]);
  });

  test('throws an error once', async () => {
    const iterator = asyncIterator(() => {
      throw new Error('broken');
    });
    await expect(iterator.next()).rejects.toThrow('broken');
    expect(await iterator.next()).toEqual(OVER);
  });

  test('return() settles pending calls at once, and requests nothing further', async () => {
    const { iterator, waiting, left } = source();
    const steps = [iterator.next(), iterator.next()];
    expect(await iterator.return()).toEqual(OVER);
    expect(await Promise.all(steps)).toEqual([OVER, OVER]);
    expect(await iterator.next()).toEqual(OVER);
    expect(waiting).toHaveLength(2);
    expect(left()).toBe(1);
  });

  test('a value from before return() still reaches its caller', async () => {
    const { iterator, waiting } = source();
    const step = iterator.next();
    waiting[0].resolve('a');
    await iterator.return();
    expect(await step).toEqual({ done: false, value: 'a' });
  });

  test('leaving a loop returns it', async () => {
    let left = 0;
    const iterator = asyncIterator(
      () => 1,
      () => (left += 1),
    );
    for await (const value of iterator) {
      expect(value).toBe(1);
      break;
    }
    expect(left).toBe(1);
  });
});
