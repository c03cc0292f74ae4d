/**
 * Continues with a value now, or with the value of a promise later. A promise for an available value costs more
 * than most steps that would await it.
 * @template T, R
 * @param {T | Promise<T>} value
 * @param {(value: T) => R | Promise<R>} next
 * @returns {R | Promise<R>} a promise only if `value` is one
 */
export function whenReady(value, next) {
  return value instanceof Promise ? value.then(next) : next(value);
}
