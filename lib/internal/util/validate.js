/**
 * Option checks for public constructors: each throws a `TypeError` (wrong kind) or `RangeError`
 * (right kind, wrong value) that names the option and its valid values.
 */
import { AbortState } from './abort.js';
import { rangeError, typeError } from './errors.js';
import { SCHEDULE } from './symbols.js';

/** @param {unknown} value @returns {value is Record<string, any>} whether it is what JSON calls an object */
export const isObject = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

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
 * @param {string} name as written by the caller, for example `batching.maxBatchSize`
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
 * A duration in milliseconds (fractions allowed) within [min, max].
 * @param {string} name
 * @param {unknown} value
 * @param {{min?: number, max?: number, fallback?: number, infinite?: boolean}} [range] `infinite` allows Infinity
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
 * @param {any} value of an option that is a query parameter in HTTP
 * @returns {any} a number in the format of the query; any other value unchanged, for the error of the query's check
 */
export const asQueryNumber = (value) => (typeof value === 'number' ? String(value) : value);

/**
 * A number, fractions allowed, within [min, max].
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
 * A name chosen by a caller: not empty, and without lone surrogates.
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
 * A plain options object; undefined means no options.
 * @template {object} T
 * @param {string} name
 * @param {T | undefined} value
 * @param {readonly string[]} [known] its options; others are refused by name
 * @param {readonly string[]} [deprecated] further options, which the error does not list
 * @returns {T}
 */
export function checkOptions(name, value, known, deprecated = []) {
  if (value === undefined) return /** @type {T} */ ({});
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw typeError(`${name} takes an object, not ${show(value)}`);
  }
  if (known !== undefined) {
    // Object.keys would create an array, and some callers check a million times a second.
    for (const option in value) {
      // Ignore inherited properties: an AbortController may be passed as `{signal}`.
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
 * @returns {AbortSignal | undefined} `whenAborted` also accepts an AbortState, like all callers that use no
 *   other members of a signal
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
 * Injected time: a ManualClock. Its type is a parameter, so that this file need not import the clock.
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
