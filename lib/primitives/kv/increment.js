import { SluiceError, rangeError } from '../../internal/util/errors.js';

/**
 * The number that an increment stores.
 * @param {string} key
 * @param {{value: unknown} | undefined} entry of the key; undefined: it is not there
 * @param {number} by
 * @returns {number}
 * @throws {SluiceError} ERR_NOT_A_NUMBER; ERR_INVALID_VALUE where the sum would not be exact, or not
 *   finite
 */
export function nextNumber(key, entry, by) {
  const value = entry === undefined ? 0 : entry.value;
  if (typeof value !== 'number') {
    throw new SluiceError('ERR_NOT_A_NUMBER', 'the key has a value that is no number', { key });
  }
  const sum = value + by;
  const whole = Number.isInteger(value) && Number.isInteger(by);
  if (!Number.isFinite(sum) || (whole && !Number.isSafeInteger(sum))) {
    throw rangeError(`by takes a number with an exact sum: ${value} + ${by} has none`);
  }
  return sum;
}
