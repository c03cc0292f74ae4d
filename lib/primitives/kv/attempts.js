/**
 * Runs a transaction, with retries after conflicts, as steps of `internal/util/steps.js`.
 * @template Tx, T
 * @param {object} options
 * @param {number} options.retries number of retries
 * @param {() => Tx} options.begin
 * @param {{isConflict: (tx: Tx, error: unknown) => boolean, end: (tx: Tx) => void}} options.control
 * @param {(failed: number) => unknown} [options.pause] wait after this many conflicts; default: none
 * @param {(tx: Tx) => T | Promise<T>} run runs the transaction, commit included
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
