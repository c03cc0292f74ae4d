/**
 * One HTTP call to a model's server: posts JSON, checks what comes back, hands out the body piece
 * by piece, and turns every way it can fail into a ProviderError.
 *
 * Ends with `finish()` or `destroy()`; a call that is neither keeps its connection.
 */
import { ProviderError } from '../shared/errors.js';
import {
  disconnectedError,
  protocolError,
  stalledError,
  statusError,
  unreachableError,
} from './errors.js';

/** @typedef {import('./connections.js').UpstreamConnections} UpstreamConnections */

const kErrorBodyBytesMax = 64 * 1024;

// The rest of a body whose content is complete already: read so that the connection can be kept.
const kRestBytesMax = 64 * 1024;
const kRestMs = 1000;

/** @param {unknown} error */
function codeOf(error) {
  const code = /** @type {{code?: unknown}} */ (error)?.code;
  return typeof code === 'string' && /^\w{1,60}$/.test(code) ? code : '';
}

/** @param {unknown} error whether it says that the peer talks something else than HTTP */
function isProtocolError(error) {
  const { name, message } = /** @type {Error} */ (error);
  if (codeOf(error) === 'UND_ERR_HEADERS_OVERFLOW') return true;
  // The parser complains of a body that stops too early as well: that is a cut.
  return name === 'HTTPParserError' && !/\bEOF\b/.test(message);
}

/**
 * @param {unknown} cause
 * @param {boolean} hasHeaders
 */
function connectionError(cause, hasHeaders) {
  if (isProtocolError(cause)) return protocolError(cause);
  return hasHeaders ? disconnectedError(cause) : unreachableError(codeOf(cause), cause);
}

export class UpstreamCall {
  #connection;
  #idleMs;
  #secrets;
  /** @type {unknown} why it was destroyed */
  #reason;
  /** The connection has been given back or destroyed. */
  over = false;
  /** The body of an answer with status 400 or 422, for whoever wants to know what was wrong. */
  refusal = '';
  #bodyEnded = false;
  /** @type {import('undici').Dispatcher.ResponseData['body'] | undefined} */
  #body;
  /** @type {AsyncIterator<Buffer> | undefined} */
  #pieces;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #timerMs = 0;
  #waits = 0; // Counts waits begun and ended: odd while waiting.

  /**
   * @param {UpstreamConnections} connections
   * @param {object} options
   * @param {number} options.idleMs longest wait for the next byte, from the start on; time in
   *   which nobody asks for more does not count
   * @param {readonly string[]} options.secrets never quoted
   */
  constructor(connections, { idleMs, secrets }) {
    this.#connection = connections.borrow();
    this.#idleMs = idleMs;
    this.#secrets = secrets;
  }

  /**
   * Sends the request and waits for a 200. After a ProviderError with a `refusal` it may be called
   * again: the connection is still there.
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {string} body JSON
   * @returns {Promise<{contentType: string}>} of the answer, lower case, without parameters; may be empty
   */
  async open(path, headers, body) {
    this.#body = undefined;
    this.#bodyEnded = false;
    this.refusal = '';
    const response = await this.#wait(
      () => this.#connection.post(path, headers, body),
      this.#idleMs,
    );
    this.#body = response.body;
    this.#body.on('error', () => {}); // Whoever reads hears of it.
    this.#pieces = this.#body[Symbol.asyncIterator]();
    if (response.statusCode !== 200) {
      const { statusCode } = response;
      const text = await this.#readErrorBody();
      if (this.#bodyEnded && (statusCode === 400 || statusCode === 422)) this.refusal = text;
      throw statusError(statusCode, response.headers, text, this.#secrets);
    }
    const contentType = String(response.headers['content-type'] ?? '');
    return { contentType: contentType.split(';', 1)[0].trim().toLowerCase() };
  }

  /**
   * The next piece of the body, or null at its end in good order.
   * @param {number} [idleMsMax] a limit on this wait, if the call's own is longer
   * @returns {Promise<Buffer | null>}
   */
  async read(idleMsMax = Infinity) {
    const pieces = /** @type {AsyncIterator<Buffer>} */ (this.#pieces);
    const { done, value } = await this.#wait(
      () => pieces.next(),
      Math.min(this.#idleMs, idleMsMax),
    );
    if (!done) return value;
    this.#bodyEnded = true;
    return null;
  }

  /**
   * Closes the socket now, in every phase. What is waiting rejects with `reason`. Idempotent.
   * @param {unknown} reason
   */
  destroy(reason) {
    this.#stopWatch();
    if (this.over) return;
    this.over = true;
    this.#reason = reason;
    if (this.#bodyEnded) this.#connection.release();
    else this.#connection.destroy(reason instanceof Error ? reason : new Error('destroyed'));
  }

  /** Throws the reason that `destroy` was given, if it was called. */
  throwIfDestroyed() {
    if (this.over) throw this.#reason;
  }

  /**
   * The answer is complete: keeps the connection if the rest of the body is short and comes soon.
   * Never waits and never fails.
   */
  finish() {
    this.#stopWatch();
    const end = () => this.destroy(new Error('the answer is complete'));
    if (this.over || this.#bodyEnded) end();
    else this.#readRest().then(end, end);
  }

  async #readRest() {
    const timer = setTimeout(() => this.destroy(new Error('no end of the body')), kRestMs);
    try {
      let bytes = 0;
      for (let piece; bytes < kRestBytesMax && (piece = await this.read()) !== null;) {
        bytes += piece.length;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #readErrorBody() {
    /** @type {Buffer[]} */
    const pieces = [];
    let bytes = 0;
    try {
      for (let piece; (piece = await this.read()) !== null;) {
        bytes += piece.length;
        if (bytes > kErrorBodyBytesMax) break;
        pieces.push(piece);
      }
    } catch (error) {
      if (this.#reason !== undefined && !(this.#reason instanceof ProviderError)) throw error;
      // The status says enough; the message is a courtesy.
    }
    return Buffer.concat(pieces).toString();
  }

  /**
   * Waits for the upstream: for `idleMs` at most, and no longer than until `destroy`.
   * @template T
   * @param {() => Promise<T>} start
   * @param {number} idleMs
   * @returns {Promise<T>}
   */
  async #wait(start, idleMs) {
    this.throwIfDestroyed();
    this.#watch(idleMs);
    try {
      return await start();
    } catch (error) {
      throw this.over ? this.#reason : connectionError(error, this.#body !== undefined);
    } finally {
      this.#waits += 1;
    }
  }

  #stopWatch() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {number} idleMs */
  #watch(idleMs) {
    this.#waits += 1;
    // One timer, pushed on with every wait, costs less than one for each.
    if (this.#timer !== undefined && idleMs === this.#timerMs) {
      this.#timer.refresh();
      return;
    }
    this.#stopWatch();
    this.#timerMs = idleMs;
    this.#timer = setTimeout(() => {
      if (this.#waits % 2 === 0) return;
      const waits = this.#waits;
      // A busy event loop runs its timers before it reads its sockets: look once more after that.
      setImmediate(() => {
        if (this.#waits !== waits) return;
        this.destroy(stalledError(idleMs));
      });
    }, idleMs);
  }
}
