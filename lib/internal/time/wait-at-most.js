/**
 * Waits for a promise up to a time limit. The timer ends with the wait.
 * @template T
 * @param {T | Promise<T>} promise
 * @param {number} limitMs
 * @param {() => Error} [late] creates the error of a rejection after the limit; default: resolves with
 *   undefined after the limit
 * @returns {Promise<T | undefined>}
 */
export async function waitAtMost(promise, limitMs, late) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {Promise<undefined>} */
  const limit = new Promise((resolve, reject) => {
    const end = () => (late === undefined ? resolve(undefined) : reject(late()));
    timer = setTimeout(end, limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
