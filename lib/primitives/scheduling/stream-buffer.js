/**
 * A bounded buffer of text chunks between writers and readers, over the native one.
 *
 * What can be had at once is had synchronously. Who has to wait gets a ticket; when its turn comes
 * it is claimed in a microtask, and an abort before that passes the turn on, so that no chunk is
 * lost with an aborted reader and none is left behind by an aborted writer.
 */
import native from '../../internal/native/addon.js';
import { whenAborted } from '../../internal/util/abort.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import {
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';

/** The native write's answers that are no ticket. */
const STORED = 0;
const REFUSED = -1;

/** @typedef {{text: string, isFinal: boolean}} Read */

/**
 * One write or read in line.
 * @typedef {object} Waiter
 * @property {() => boolean} claim settles it if its turn has come; false if not
 * @property {() => void} release takes its listener off the signal
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
  return checkSignal('signal', checkOptions('options', options).signal);
}

function closedError() {
  return new SluiceError('ERR_BUFFER_CLOSED', 'The buffer is closed; the chunk was not stored');
}

export class StreamBuffer {
  #native;
  #capacity;
  /** @type {Map<number, Waiter>} */
  #waiters = new Map();

  /**
   * @param {{capacity: number}} options capacity in chunks, from 1
   */
  constructor(options) {
    this.#capacity = checkInteger('capacity', checkOptions('options', options).capacity);
    this.#native = new native.StreamBuffer(this.#capacity);
  }

  /** Chunks stored that no waiting reader is about to take. */
  get size() {
    return /** @type {number} */ (this.#native.size());
  }

  get capacity() {
    return this.#capacity;
  }

  get closed() {
    return /** @type {boolean} */ (this.#native.closed());
  }

  /**
   * Stores a chunk, waiting while the buffer is full. `''` is a chunk like any other, and text may
   * hold lone surrogates.
   * @param {string | {text: string}} chunk
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<void>} resolves once the chunk is stored
   * @throws {SluiceError} ERR_BUFFER_CLOSED: the buffer is or was closed, the chunk is not stored
   * @throws the signal's reason: the chunk is not stored
   */
  async write(chunk, options) {
    const text = textOf(chunk);
    const signal = signalOf(options);
    if (signal?.aborted) throw abortReason(signal);
    const answer = /** @type {number} */ (this.#native.write(text));
    if (answer === STORED) {
      this.#collectTurns();
      return;
    }
    if (answer === REFUSED) throw closedError();
    await this.#wait(answer, signal, (resolve, reject) => {
      const outcome = this.#native.claimWrite(answer);
      if (outcome === STORED) resolve(undefined);
      if (outcome === REFUSED) reject(closedError());
      return outcome !== undefined;
    });
  }

  /**
   * Takes the oldest chunk, waiting while there is none. Readers compete: each chunk goes to
   * exactly one of them, first come, first served.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Read>} `{text: '', isFinal: true}`, for ever, once the buffer is closed and
   *   drained
   * @throws the signal's reason: no chunk was taken
   */
  async read(options) {
    const signal = signalOf(options);
    if (signal?.aborted) throw abortReason(signal);
    return toRead(await this.#take(signal));
  }

  /**
   * Ends writing: later and waiting writes reject, readers drain what is stored and then learn that
   * it is over. A second close does nothing.
   */
  close() {
    this.#native.close();
    this.#collectTurns();
  }

  /**
   * The chunks as text, up to the end. Leaving the loop frees this reader only; what it has not
   * taken stays for others. An aborted signal makes the loop throw its reason.
   * @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncIterableIterator<string>}
   */
  stream(options) {
    return this.#iterate(signalOf(options));
  }

  /** @returns {AsyncIterableIterator<string>} */
  [Symbol.asyncIterator]() {
    return this.#iterate(undefined);
  }

  /**
   * @param {AbortSignal | undefined} signal
   * @returns {AsyncIterableIterator<string>}
   */
  #iterate(signal) {
    let done = false;
    /** @type {Set<() => void>} gives up one pending next() */
    const pending = new Set();
    const over = () => ({ done: /** @type {const} */ (true), value: undefined });
    return {
      next: async () => {
        if (done) return over();
        if (signal?.aborted) {
          done = true;
          throw abortReason(signal);
        }
        /** @type {(() => void) | undefined} */
        let giveUp;
        try {
          const text = await this.#take(signal, (abandon) => pending.add((giveUp = abandon)));
          if (text !== null) return { done: false, value: text };
        } catch (error) {
          done = true;
          throw error;
        } finally {
          if (giveUp !== undefined) pending.delete(giveUp);
        }
        done = true;
        return over();
      },
      return: async () => {
        done = true;
        for (const giveUp of [...pending]) giveUp();
        return over();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * @param {AbortSignal | undefined} signal not aborted yet
   * @param {(abandon: () => void) => void} [onWait] given, when there is a wait, what ends it as if
   *   the buffer were at its end
   * @returns {Promise<string | null>} null: closed and drained
   */
  #take(signal, onWait) {
    const taken = /** @type {string | null | number} */ (this.#native.read());
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
      (resolve) => onWait?.(() => this.#leave(taken, () => resolve(null))),
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
      // Its own turn may have come at once, behind others that have yet to claim theirs.
      this.#collectTurns();
      onWait?.(resolve);
    });
  }

  /**
   * Takes a waiter out of its line, unless it is too late for that: then its claim is under way.
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

  /** Has whoever's turn has just come claim it, in order. */
  #collectTurns() {
    if (this.#waiters.size === 0) return;
    const turns = /** @type {number[] | undefined} */ (this.#native.takeTurns());
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

/**
 * @param {string | null} text
 * @returns {Read}
 */
function toRead(text) {
  return text === null ? { text: '', isFinal: true } : { text, isFinal: false };
}
