/**
 * Runs a transaction, and again after a conflict, in the steps of `internal/util/steps.js`.
 * @template Tx, T
 * @param {object} how
 * @param {number} how.retries how often it is tried again
 * @param {() => Tx} how.begin
 * @param {{isConflict: (tx: Tx, error: unknown) => boolean, end: (tx: Tx) => void}} how.control
 * @param {(failed: number) => unknown} [how.pause] after so many conflicts; default: none
 * @param {(tx: Tx) => T | Promise<T>} run with the commit
 * @returns {Generator<any, T, any>}
 */
export function* attempts({ retries, begin, control, pause = () => {} }, run) {
  for (let left = retries; ; left -= 1) {
    const tx = begin();
    try {
      return yield run(tx);
    } catch (error) {
      if (left === 0 || !control.isConflict(tx, error)) throw error;
    } finally {
      control.end(tx);
    }
    yield pause(retries - left);
  }
}
