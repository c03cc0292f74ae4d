/**
 * Waits for a promise, and no longer than a limit. The timer is ended with it.
 * @template T
 * @param {T | Promise<T>} promise
 * @param {number} limitMs
 * @param {() => Error} [late] makes the error with which it rejects after the limit; default: it resolves with
 *   undefined then
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
