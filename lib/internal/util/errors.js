/**
 * All errors thrown by Sluice: stable codes, one class.
 *
 * Errors are made in JavaScript, never in the addon: a native `TypeError` is not
 * `instanceof TypeError` in another realm (jest, vm, worker). Identity is carried by a registered
 * symbol, so `err instanceof SluiceError` holds across realms and duplicate installs.
 */

const SLUICE_ERROR = Symbol.for('sluice.error');

/**
 * Base of every error with a stable `code`. Match on `code`, never on `message`.
 */
export class SluiceError extends Error {
  /**
   * @param {string} code stable, `ERR_...`
   * @param {string} message for people; may change between versions
   * @param {{cause?: unknown} & Record<string, unknown>} [details] `cause`, and fields to copy onto the error
   */
  constructor(code, message, details = {}) {
    const { cause, ...rest } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SluiceError';
    /** @type {string} */
    this.code = code;
    Object.assign(this, rest);
  }

  get [SLUICE_ERROR]() {
    return true;
  }

  /** @param {unknown} value */
  static [Symbol.hasInstance](value) {
    if (typeof value !== 'object' || value === null || !(SLUICE_ERROR in value)) return false;
    // A subclass keeps the ordinary test: only the base class is recognized across realms.
    return this === SluiceError || Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * Adds a code to a built-in error, and makes it `instanceof SluiceError`.
 * @template {Error} T
 * @param {T} error
 * @param {string} code
 * @returns {T & {code: string}}
 */
function coded(error, code) {
  Object.defineProperty(error, SLUICE_ERROR, { value: true });
  return Object.assign(error, { code });
}

/**
 * For an argument or option of the wrong kind.
 * @param {string} message names it and its valid values
 * @returns {TypeError & {code: string}} with the code ERR_INVALID_TYPE
 */
export function typeError(message) {
  return coded(new TypeError(message), 'ERR_INVALID_TYPE');
}

/**
 * For an argument or option of the right kind and the wrong value.
 * @param {string} message names it and its valid values
 * @returns {RangeError & {code: string}} with the code ERR_INVALID_VALUE
 */
export function rangeError(message) {
  return coded(new RangeError(message), 'ERR_INVALID_VALUE');
}

/**
 * The rejection reason for an aborted signal: the caller's own reason, if given (like the
 * platform's own APIs), else an `AbortError`.
 * @param {{reason?: any}} signal an aborted signal
 * @returns {unknown}
 */
export function abortReason(signal) {
  return signal.reason ?? new DOMException('This operation was aborted', 'AbortError');
}
