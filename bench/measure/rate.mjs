/** How often something can be done in a second. */

/** Between two readings of the clock. */
const OPERATIONS_PER_TURN = 10_000;

/**
 * Works for a while unmeasured, for the compiler, and then for `forMs`.
 * @param {(from: number, count: number) => void | Promise<void>} work performs `count` operations
 *   from the `from`th on
 * @param {number} forMs
 * @returns {Promise<{perSecond: number, done: number}>} `done`: the unmeasured ones too
 */
export async function measureRate(work, forMs) {
  let done = 0;
  const runFor = async (/** @type {number} */ span) => {
    const [start, before] = [performance.now(), done];
    for (;;) {
      const pending = work(done, OPERATIONS_PER_TURN);
      if (pending !== undefined) await pending;
      done += OPERATIONS_PER_TURN;
      const elapsed = performance.now() - start;
      if (elapsed >= span) return ((done - before) / elapsed) * 1000;
    }
  };
  await runFor(forMs / 2);
  return { perSecond: await runFor(forMs), done };
}
