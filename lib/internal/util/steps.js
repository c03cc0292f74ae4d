/**
 * Work that waits for results, of some places at once and of others by promises: a generator that yields each call and
 * gets its result, or its error. One text serves both.
 */

/**
 * @template T
 * @param {Generator<any, T, any>} steps whose calls give results, or throw
 * @returns {T}
 */
export function finishNow(steps) {
  let step = steps.next();
  while (!step.done) step = steps.next(step.value);
  return step.value;
}

/**
 * @template T
 * @param {Generator<any, T, any>} steps whose calls give results or promises
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
 * @param {unknown} call of one of them
 * @returns {Promise<IteratorResult<any, T>>} the next step, which has its result or its error
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
