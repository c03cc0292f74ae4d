/**
 * Option checks for public constructors: each throws a `TypeError` (wrong kind) or `RangeError`
 * (right kind, wrong value) that names the option and says what it takes.
 */
import { AbortState } from './abort.js';
import { rangeError, typeError } from './errors.js';
import { SCHEDULE } from './symbols.js';

/** @param {unknown} value */
function show(value) {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object';
  }
  if (typeof value === 'function') return 'a function';
  return String(value);
}

/**
 * An integer option within [min, max].
 * @param {string} name as the caller wrote it, for example `batching.maxBatchSize`
 * @param {unknown} value
 * @param {{min?: number, max?: number, fallback?: number}} [range] `fallback` is used for undefined
 * @returns {number}
 */
export function checkInteger(
  name,
  value,
  { min = 1, max = Number.MAX_SAFE_INTEGER, fallback } = {},
) {
  if (value === undefined && fallback !== undefined) return fallback;
  const takes = `${name} takes an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw typeError(`${takes}, not ${show(value)}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw rangeError(`${takes}, not ${show(value)}`);
  }
  return value;
}

/**
 * A span in milliseconds (fractions allowed) within [min, max].
 * @param {string} name
 * @param {unknown} value
 * @param {{min?: number, max?: number, fallback?: number, infinite?: boolean}} [range] `infinite` admits Infinity
 * @returns {number}
 */
export function checkMs(
  name,
  value,
  { min = 0, max = 2 ** 31 - 1, fallback, infinite = false } = {},
) {
  if (value === undefined && fallback !== undefined) return fallback;
  const takes = `${name} takes milliseconds from ${min} to ${max}${infinite ? ' or Infinity' : ''}`;
  if (typeof value !== 'number') throw typeError(`${takes}, not ${show(value)}`);
  if (infinite && value === Infinity) return value;
  if (!(value >= min && value <= max)) throw rangeError(`${takes}, not ${show(value)}`);
  return value;
}

/**
 * @param {any} value of an option that HTTP has in its query
 * @returns {any} a number as the query has it; any other value, for the check of the query to name
 */
export const asQueryNumber = (value) => (typeof value === 'number' ? String(value) : value);

/**
 * A number of something, fractions allowed, within [min, max].
 * @param {string} name
 * @param {unknown} value
 * @param {{min: number, max: number, unit: string}} range
 * @returns {number}
 */
export function checkNumber(name, value, { min, max, unit }) {
  const takes = `${name} takes ${unit} from ${min} to ${max}`;
  if (typeof value !== 'number') throw typeError(`${takes}, not ${show(value)}`);
  if (!(value >= min && value <= max)) throw rangeError(`${takes}, not ${show(value)}`);
  return value;
}

/**
 * A BigInt within [min, max].
 * @param {string} name
 * @param {unknown} value
 * @param {{min: bigint, max: bigint}} range
 * @returns {bigint}
 */
export function checkBigInt(name, value, { min, max }) {
  const takes = `${name} takes a BigInt from ${min}n to ${max}n`;
  if (typeof value !== 'bigint') throw typeError(`${takes}, not ${show(value)}`);
  if (value < min || value > max) throw rangeError(`${takes}, not ${value}n`);
  return value;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
export function checkString(name, value) {
  if (typeof value !== 'string') throw typeError(`${name} takes a string, not ${show(value)}`);
  return value;
}

/**
 * A name that somebody chose: not empty, and the same in UTF-8.
 * @param {string} name of the argument
 * @param {unknown} id
 * @param {{max?: number}} [range] `max`: of its length
 * @returns {string}
 */
export function checkId(name, id, { max = Infinity } = {}) {
  const checked = checkString(name, id);
  if (checked === '') throw rangeError(`${name} takes a string that is not empty`);
  if (checked.length > max) {
    throw rangeError(`${name} takes a string of up to ${max} characters, not ${checked.length}`);
  }
  if (!checked.isWellFormed()) throw rangeError(`${name} holds half of a surrogate pair`);
  return checked;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {boolean} fallback used for undefined
 * @returns {boolean}
 */
export function checkBoolean(name, value, fallback) {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') {
    throw typeError(`${name} takes true or false, not ${show(value)}`);
  }
  return value;
}

/**
 * @template {Function} T
 * @param {string} name
 * @param {unknown} value
 * @returns {T}
 */
export function checkFunction(name, value) {
  if (typeof value !== 'function') {
    throw typeError(`${name} takes a function, not ${show(value)}`);
  }
  return /** @type {T} */ (/** @type {unknown} */ (value));
}

/**
 * A plain options object; undefined is the empty one.
 * @template {object} T
 * @param {string} name
 * @param {T | undefined} value
 * @param {readonly string[]} [known] its options; any other one is refused by name
 * @param {readonly string[]} [deprecated] further options, which the error does not list
 * @returns {T}
 */
export function checkOptions(name, value, known, deprecated = []) {
  if (value === undefined) return /** @type {T} */ ({});
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw typeError(`${name} takes an object, not ${show(value)}`);
  }
  if (known !== undefined) {
    // Not Object.keys, which makes an array: some callers check a million times a second.
    for (const option in value) {
      // Inherited ones do not count: an AbortController may be passed as `{signal}`.
      if (known.includes(option) || !Object.hasOwn(value, option)) continue;
      if (deprecated.includes(option)) continue;
      throw typeError(`${name} has no option ${option}; it takes ${known.join(', ')}`);
    }
  }
  return value;
}

/**
 * One of a fixed set of strings.
 * @template {string} T
 * @param {string} name
 * @param {unknown} value
 * @param {readonly T[]} choices
 * @param {T} [fallback]
 * @returns {T}
 */
export function checkChoice(name, value, choices, fallback) {
  if (value === undefined && fallback !== undefined) return fallback;
  const takes = `${name} takes one of ${choices.map((c) => `"${c}"`).join(', ')}`;
  if (typeof value !== 'string') throw typeError(`${takes}, not ${show(value)}`);
  if (!choices.includes(/** @type {T} */ (value))) {
    throw rangeError(`${takes}, not ${show(value)}`);
  }
  return /** @type {T} */ (value);
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {AbortSignal | undefined} `whenAborted` takes an AbortState, too, and so do callers that use no
 *   more of a signal than that has
 */
export function checkSignal(name, value) {
  if (value === undefined) return undefined;
  if (value instanceof AbortState) return /** @type {any} */ (value);
  const signal = /** @type {AbortSignal} */ (value);
  if (
    typeof value !== 'object' ||
    value === null ||
    typeof signal.aborted !== 'boolean' ||
    typeof signal.addEventListener !== 'function'
  ) {
    throw typeError(`${name} takes an AbortSignal, not ${show(value)}`);
  }
  return signal;
}

/**
 * Injected time: a ManualClock. The type of the clock is the caller's, so that this file needs no clock.
 * @template {{nowMs(): number}} Clock
 * @param {string} name
 * @param {Clock | undefined} value
 * @returns {Clock | undefined}
 */
export function checkClock(name, value) {
  if (value === undefined) return undefined;
  if (typeof (/** @type {any} */ (value)?.[SCHEDULE]) !== 'function') {
    throw typeError(`${name} takes a ManualClock, not ${show(value)}`);
  }
  return value;
}
