/**
 * Work whose calls return results directly or as promises: a generator that yields each call and
 * receives its result or error. The same code serves both.
 */

/**
 * @template T
 * @param {Generator<any, T, any>} steps whose calls return results or throw
 * @returns {T}
 */
export function finishNow(steps) {
  let step = steps.next();
  while (!step.done) step = steps.next(step.value);
  return step.value;
}

/**
 * @template T
 * @param {Generator<any, T, any>} steps whose calls return results or promises
 * @returns {Promise<T>}
 */
export async function finish(steps) {
  let step = steps.next();
  while (!step.done) step = await answered(steps, step.value);
  return step.value;
}

/**
 * @template T
 * @param {Generator<any, T, any>} steps
 * @param {unknown} call one yielded call
 * @returns {Promise<IteratorResult<any, T>>} the next step, after the call's result or error
 */
async function answered(steps, call) {
  let result;
  try {
    result = await call;
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next(result);
}
