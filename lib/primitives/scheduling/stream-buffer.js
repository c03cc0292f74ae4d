import native from '../../internal/native/addon.js';
import { END, asyncIterator } from '../../internal/util/async-iterator.js';
import { whenAborted } from '../../internal/util/abort.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import {
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';

/** Results of a native write that are not tickets. */
const { STORED, REFUSED } = native.StreamBuffer;

/** @typedef {{text: string, isFinal: boolean}} Read */

/**
 * A waiting write or read.
 * @typedef {object} Waiter
 * @property {() => boolean} claim settles it if it is its turn; false if not
 * @property {() => void} release removes its listener from the signal
 */

/**
 * @param {unknown} chunk
 * @returns {string}
 */
function textOf(chunk) {
  if (typeof chunk === 'object' && chunk !== null && 'text' in chunk) {
    return checkString('chunk.text', chunk.text);
  }
  return checkString('chunk', chunk);
}

/**
 * @param {{signal?: AbortSignal}} [options]
 * @returns {AbortSignal | undefined}
 */
function signalOf(options) {
  return checkSignal('signal', checkOptions('options', options, ['signal']).signal);
}

/**
 * A bounded buffer of text chunks between writers and readers. Text is unchanged, lone
 * surrogates included; `''` is a valid chunk.
 *
 * A call that can be served at once is served synchronously. Otherwise it waits in a queue, and when its
 * turn comes it takes its chunk or place in a microtask. An abort before that passes the turn to the next call: no
 * chunk is lost by an aborted reader or left by an aborted writer.
 */
export class StreamBuffer {
  #native;
  #capacity;
  /** @type {Map<number, Waiter>} */
  #waiters = new Map();
  /** @type {{error: unknown} | undefined} error for readers once the buffer is drained */
  #failure;

  /**
   * @param {{capacity: number}} options capacity in chunks, from 1
   */
  constructor(options) {
    const { capacity } = checkOptions('options', options, ['capacity']);
    this.#capacity = checkInteger('capacity', capacity);
    this.#native = new native.StreamBuffer(this.#capacity);
  }

  /**
   * Number of stored chunks, without those assigned to waiting readers.
   * @returns {number}
   */
  get size() {
    return this.#native.size();
  }

  get capacity() {
    return this.#capacity;
  }

  /** @returns {boolean} */
  get closed() {
    return this.#native.closed();
  }

  /**
   * Stores a chunk, waiting while the buffer is full.
   * @param {string | {text: string}} chunk
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<void>} resolves once the chunk is stored
   * @throws {SluiceError} ERR_BUFFER_CLOSED: the buffer is or was closed, the chunk is not stored;
   *   `cause` is the error passed to `close`
   * @throws the signal's reason: the chunk is not stored
   */
  async write(chunk, options) {
    const text = textOf(chunk);
    const signal = signalOf(options);
    if (signal?.aborted) throw abortReason(signal);
    /** @type {number} */
    const answer = this.#native.write(text);
    if (answer === STORED) {
      this.#collectTurns();
      return;
    }
    if (answer === REFUSED) throw this.#closedError();
    await this.#wait(answer, signal, (resolve, reject) => {
      const outcome = this.#native.claimWrite(answer);
      if (outcome === STORED) resolve(undefined);
      if (outcome === REFUSED) reject(this.#closedError());
      return outcome !== undefined;
    });
  }

  /**
   * Stores a chunk if there is room for it now.
   * @param {string | {text: string}} chunk
   * @returns {boolean} false: the buffer is full, the chunk is not stored
   * @throws {SluiceError} ERR_BUFFER_CLOSED
   */
  tryWrite(chunk) {
    const outcome = this.#native.tryWrite(textOf(chunk));
    if (outcome === REFUSED) throw this.#closedError();
    this.#collectTurns();
    return outcome === STORED;
  }

  /**
   * Takes the oldest chunk, waiting while there is none. Readers compete: each chunk goes to exactly
   * one of them, in order of arrival.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Read>} `{text: '', isFinal: true}`, every time, once the buffer is closed and
   *   drained
   * @throws the error passed to `close`, every time, once the buffer is drained
   * @throws the signal's reason: no chunk was taken
   */
  async read(options) {
    const signal = signalOf(options);
    if (signal?.aborted) throw abortReason(signal);
    return this.#toRead(/** @type {string | null} */ (await this.#take(signal)));
  }

  /**
   * Takes the oldest chunk if there is one.
   * @returns {Read | undefined} undefined: a read would wait; else see `read`
   * @throws the error passed to `close`, every time, once the buffer is drained
   */
  tryRead() {
    /** @type {string | null | undefined} */
    const text = this.#native.tryRead();
    this.#collectTurns();
    return text === undefined ? undefined : this.#toRead(text);
  }

  /**
   * Ends writing: waiting and later writes reject, and readers drain the stored chunks. After that they
   * get the end, or `error` if given. A second close does nothing.
   * @param {unknown} [error] any value but undefined
   */
  close(error) {
    if (this.closed) return;
    if (error !== undefined) this.#failure = { error };
    this.#native.close();
    this.#collectTurns();
  }

  /**
   * The chunks as text, up to the end. Leaving the loop ends only this reader; chunks that it has not
   * taken stay for others. It throws the signal's reason on abort, and the error passed to
   * `close` after the last chunk.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncIterableIterator<string>}
   */
  stream(options) {
    const signal = signalOf(options);
    return asyncIterator(async (onWait) => {
      if (signal?.aborted) throw abortReason(signal);
      const text = await this.#take(signal, onWait);
      if (text === null) this.#throwFailure();
      return text ?? END;
    });
  }

  /** @returns {AsyncIterableIterator<string>} */
  [Symbol.asyncIterator]() {
    return this.stream();
  }

  #closedError() {
    const message = 'The buffer is closed; the chunk was not stored';
    return new SluiceError('ERR_BUFFER_CLOSED', message, { cause: this.#failure?.error });
  }

  #throwFailure() {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * @param {string | null} text null: closed and drained
   * @returns {Read}
   */
  #toRead(text) {
    if (text !== null) return { text, isFinal: false };
    this.#throwFailure();
    return { text: '', isFinal: true };
  }

  /**
   * @param {AbortSignal | undefined} signal not aborted yet
   * @param {(giveUp: () => void) => void} [onWait] if the call waits, receives a function that ends
   *   the wait with `undefined`
   * @returns {Promise<string | null | undefined>} null: closed and drained
   */
  #take(signal, onWait) {
    /** @type {string | null | number} */
    const taken = this.#native.read();
    if (typeof taken !== 'number') {
      this.#collectTurns();
      return Promise.resolve(taken);
    }
    return this.#wait(
      taken,
      signal,
      (resolve) => {
        const text = this.#native.claimRead(taken);
        if (text !== undefined) resolve(text);
        return text !== undefined;
      },
      (resolve) => onWait?.(() => this.#leave(taken, () => resolve(undefined))),
    );
  }

  /**
   * @template T
   * @param {number} ticket
   * @param {AbortSignal | undefined} signal
   * @param {(resolve: (value: T) => void, reject: (error: unknown) => void) => boolean} claim
   * @param {(resolve: (value: T) => void) => void} [onWait]
   * @returns {Promise<T>}
   */
  #wait(ticket, signal, claim, onWait) {
    return new Promise((resolve, reject) => {
      const reason = () => abortReason(/** @type {AbortSignal} */ (signal));
      const release = whenAborted(signal, () => this.#leave(ticket, () => reject(reason())));
      this.#waiters.set(ticket, { claim: () => claim(resolve, reject), release });
      // It may be its turn at once, after other turns that are not claimed yet.
      this.#collectTurns();
      onWait?.(resolve);
    });
  }

  /**
   * Removes a waiter from its queue, unless its claim has begun.
   * @param {number} ticket
   * @param {() => void} settle
   */
  #leave(ticket, settle) {
    const waiter = this.#waiters.get(ticket);
    if (waiter === undefined || !this.#native.abort(ticket)) return;
    this.#waiters.delete(ticket);
    waiter.release();
    settle();
    this.#collectTurns();
  }

  /** Makes the waiters claim their turns, in order. */
  #collectTurns() {
    if (this.#waiters.size === 0) return;
    /** @type {number[] | undefined} */
    const turns = this.#native.takeTurns();
    if (turns === undefined) return;
    queueMicrotask(() => {
      for (const ticket of turns) {
        const waiter = this.#waiters.get(ticket);
        if (waiter === undefined || !waiter.claim()) continue;
        this.#waiters.delete(ticket);
        waiter.release();
      }
      this.#collectTurns();
    });
  }
}
