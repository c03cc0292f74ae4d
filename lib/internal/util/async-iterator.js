/**
 * Async iterators over a source of values that come one by one.
 */

/** What `take` gives when there is no further value. */
export const END = Symbol('sluice.end');

/** @returns {{done: true, value: undefined}} */
const over = () => ({ done: true, value: undefined });

/**
 * An iterator whose `return()` settles every pending `next()` at once, where an async generator
 * would first wait for the value that `next()` waits for. It is over for good after END, after an
 * error, which it throws once, and after `return()`.
 * @template T
 * @param {(onWait: (giveUp: () => void) => void) => T | typeof END | Promise<T | typeof END>} take
 *   called by each `next()`, also while earlier calls are pending. When it has to wait it may pass
 *   `onWait` a function that makes this call give END
 * @param {() => unknown} [leave] called, and awaited, by `return()`
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
        const value = await take((how) => pending.add((giveUp = how)));
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
