/** Async iterators over a source that returns its values one by one. */

/** Returned by `take` when there are no more values. */
export const END = Symbol('sluice.end');

/** @returns {{done: true, value: undefined}} */
const over = () => ({ done: true, value: undefined });

/**
 * Makes an async iterator whose `return()` settles all pending calls of `next()` at once; `return()` of an async
 * generator would wait for their values. It ends with END, with an error, which it throws once, or with
 * `return()`.
 * @template T
 * @param {(onWait: (giveUp: () => void) => void) => T | typeof END | Promise<T | typeof END>} take
 *   returns the next value; called by each `next()`, also while earlier calls are pending. A waiting call may
 *   pass `onWait` a function that makes it return END
 * @param {() => unknown} [leave] called and awaited by `return()`
 * @returns {AsyncIterableIterator<T, undefined, undefined>}
 */
export function asyncIterator(take, leave = () => {}) {
  let ended = false;
  /** @type {Set<() => void>} */
  const pending = new Set();
  return {
    async next() {
      if (ended) return over();
      /** @type {(() => void) | undefined} */
      let giveUp;
      try {
        const value = await take((end) => pending.add((giveUp = end)));
        if (value !== END) return { done: false, value };
      } catch (error) {
        ended = true;
        throw error;
      } finally {
        if (giveUp !== undefined) pending.delete(giveUp);
      }
      ended = true;
      return over();
    },
    async return() {
      ended = true;
      for (const giveUp of [...pending]) giveUp();
      await leave();
      return over();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
