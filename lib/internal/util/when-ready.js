/**
 * Goes on with a value now, or with that of a promise later. A promise for what is there already costs more than most
 * steps that would wait for it.
 * @template T, R
 * @param {T | Promise<T>} value
 * @param {(value: T) => R | Promise<R>} next
 * @returns {R | Promise<R>} a promise if there is something to wait for
 */
export function whenReady(value, next) {
  return value instanceof Promise ? value.then(next) : next(value);
}
