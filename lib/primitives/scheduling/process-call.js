/**
 * One call of a user's `process`: whatever it returns, yields or throws becomes one outcome for
 * each request of the batch. Main thread only; ends with the call.
 */
import { types } from 'node:util';
import { SluiceError } from '../../internal/util/errors.js';

/**
 * What became of one request: the fields of its result, or why it failed.
 * @typedef {{result: {text: string} & Record<string, unknown>} | {error: unknown}} Outcome
 */

/**
 * @typedef {object} BatchCall
 * @property {(batch: any[], options: {signal: AbortSignal}) => any} process
 * @property {any[]} requests given away: `process` may do with the array what it likes
 * @property {unknown[]} ids of the requests, in the same order
 * @property {() => AbortSignal} signal asked for when `process` first looks at it, if ever: one
 *   costs a kilobyte for as long as the call lasts
 * @property {(index: number, outcome: Outcome) => void} settle called once for each request
 * @property {() => Promise<void> | undefined} room awaited before a next result is asked for
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
 * @param {any} value what `process` gave for one request
 * @returns {Outcome} with a result that is ours: reading it cannot throw later
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
      `process gave ${got} where a string, {text} or an Error belongs`,
    ),
  };
}

/** @param {any} value a result for another request than is its turn, or for none that is left */
function unexpected(value) {
  const id = String(value?.request_id).slice(0, 100);
  return new SluiceError(
    'ERR_RESULT_UNEXPECTED',
    `process gave a result for ${id}, which is not the request that is due or still open`,
  );
}

/** The requests of one call that have no outcome yet. */
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

  /** @param {unknown} error for every request that is left */
  fail(error) {
    this.#settled.forEach((settled, index) => {
      if (!settled) this.settle(index, { error });
    });
  }

  /** @returns {number} the first request that is left, or -1 */
  first() {
    return this.#settled.indexOf(false);
  }

  /**
   * @param {unknown} id
   * @returns {number} the first request of that id that is left, or -1
   */
  indexOf(id) {
    return this.#call.ids.findIndex((own, index) => own === id && !this.#settled[index]);
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
    const message = `process gave ${results.length} results for a batch of ${expected}`;
    left.fail(new SluiceError('ERR_RESULT_COUNT', message));
    return;
  }
  // Not forEach, which skips the holes of a sparse array: they are wrong results like others.
  for (let index = 0; index < expected; index++) {
    const value = results[index];
    const isOther = value?.request_id !== undefined && value.request_id !== call.ids[index];
    // Results in another order must not reach the wrong requester.
    left.settle(index, isOther ? { error: unexpected(value) } : toOutcome(value));
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
    // As in an array, what names no request is for the first that is due.
    const index = value?.request_id === undefined ? left.first() : left.indexOf(value.request_id);
    if (index < 0) throw unexpected(value);
    left.settle(index, toOutcome(value));
    await call.room();
  }
  left.fail(new SluiceError('ERR_RESULT_MISSING', 'process gave no result for this request'));
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
        `process gave ${kindOf(returned)} where an array or an async iterable belongs`,
      );
    }
  } catch (error) {
    left.fail(error);
  }
  await call.room();
}
