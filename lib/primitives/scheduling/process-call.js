/**
 * One call of a user's `process`. Converts its return value, yielded values or error to one outcome for each
 * request of the batch. Main thread only; ends with the call.
 */
import { types } from 'node:util';
import { SluiceError } from '../../internal/util/errors.js';

/**
 * The outcome of one request: the fields of its result, or its error.
 * @typedef {{result: {text: string} & Record<string, unknown>} | {error: unknown}} Outcome
 */

/**
 * @typedef {object} BatchCall
 * @property {(batch: any[], options: {signal: AbortSignal}) => any} process
 * @property {any[]} requests passed to `process`, which may change the array
 * @property {unknown[]} ids of the requests, in the same order
 * @property {() => AbortSignal} signal called when `process` first reads it: an AbortSignal costs a
 *   kilobyte for as long as the call lasts
 * @property {(index: number, outcome: Outcome) => void} settle called once for each request
 * @property {() => Promise<void> | undefined} room awaited before the next result is requested
 */

/** @param {unknown} value */
function isError(value) {
  return value instanceof Error || types.isNativeError(value);
}

/** @param {unknown} value */
function kindOf(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

/**
 * @param {any} value result of `process` for one request
 * @returns {Outcome} its result is a copy, so reading it later cannot throw
 */
function toOutcome(value) {
  if (typeof value === 'string') return { result: { text: value } };
  if (isError(value)) return { error: value };
  if (typeof value?.text === 'string') return { result: { ...value } };
  if (value?.error !== undefined && value.text === undefined) return { error: value.error };
  const got = value?.text === undefined ? kindOf(value) : `text of type ${kindOf(value.text)}`;
  return {
    error: new SluiceError(
      'ERR_RESULT_TYPE',
      `process returned ${got}, not a string, {text} or an Error`,
    ),
  };
}

/** @param {any} value a result whose request_id is not pending, or is not the next one */
function unexpected(value) {
  const id = String(value?.request_id).slice(0, 100);
  return new SluiceError(
    'ERR_RESULT_UNEXPECTED',
    `process returned a result for ${id}, which is not the next pending request`,
  );
}

/** The requests of one call without an outcome. */
class Unsettled {
  #call;
  #settled;

  /** @param {BatchCall} call */
  constructor(call) {
    this.#call = call;
    this.#settled = call.ids.map(() => false);
  }

  /**
   * @param {number} index
   * @param {Outcome} outcome
   */
  settle(index, outcome) {
    this.#settled[index] = true;
    this.#call.settle(index, outcome);
  }

  /** @param {unknown} error for every unsettled request */
  fail(error) {
    this.#settled.forEach((settled, index) => {
      if (!settled) this.settle(index, { error });
    });
  }

  /** @returns {number} the first unsettled request, or -1 */
  first() {
    return this.#settled.indexOf(false);
  }

  /**
   * @param {unknown} id
   * @returns {number} the first unsettled request with this id, or -1
   */
  indexOf(id) {
    return this.#call.ids.findIndex((own, index) => own === id && !this.#settled[index]);
  }
}

/**
 * @param {unknown} id of the request
 * @param {any} value its place in the array of results
 * @returns {Outcome}
 */
function outcomeFor(id, value) {
  try {
    const isOther = value?.request_id !== undefined && value.request_id !== id;
    // Results in the wrong order must not reach other callers.
    return isOther ? { error: unexpected(value) } : toOutcome(value);
  } catch (error) {
    // An error of a getter fails only this request.
    return { error };
  }
}

/**
 * @param {BatchCall} call
 * @param {Unsettled} left
 * @param {any[]} results
 */
function settleArray(call, left, results) {
  const expected = call.ids.length;
  if (results.length !== expected) {
    const message = `process returned ${results.length} results for a batch of ${expected}`;
    left.fail(new SluiceError('ERR_RESULT_COUNT', message));
    return;
  }
  // Not forEach, which skips the holes of a sparse array: holes are wrong results, too.
  for (let index = 0; index < expected; index++) {
    left.settle(index, outcomeFor(call.ids[index], results[index]));
  }
}

/**
 * @param {BatchCall} call
 * @param {Unsettled} left
 * @param {AsyncIterable<any>} results
 */
async function settleStream(call, left, results) {
  await call.room();
  for await (const value of results) {
    // As in an array, a result without request_id is for the first unsettled request.
    const index = value?.request_id === undefined ? left.first() : left.indexOf(value.request_id);
    if (index < 0) throw unexpected(value);
    left.settle(index, toOutcome(value));
    await call.room();
  }
  left.fail(new SluiceError('ERR_RESULT_MISSING', 'process returned no result for this request'));
}

/**
 * Calls `process`, synchronously, and settles each request exactly once.
 * @param {BatchCall} call
 * @returns {Promise<void>} resolves when the call is over; never rejects
 */
export async function callProcess(call) {
  const left = new Unsettled(call);
  try {
    const { process } = call;
    const options = {
      get signal() {
        return call.signal();
      },
    };
    const returned = await process(call.requests, options);
    if (Array.isArray(returned)) {
      settleArray(call, left, returned);
    } else if (typeof returned?.[Symbol.asyncIterator] === 'function') {
      await settleStream(call, left, returned);
    } else {
      throw new SluiceError(
        'ERR_RESULT_TYPE',
        `process returned ${kindOf(returned)}, not an array or an async iterable`,
      );
    }
  } catch (error) {
    left.fail(error);
  }
  await call.room();
}
