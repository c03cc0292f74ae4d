/** @typedef {import('./errors.js').SluiceClientError} SluiceClientError */

/**
 * One `for await` over a job. It buffers the unread pieces, at most the stored text of one job.
 * @implements {AsyncIterableIterator<string>}
 */
export class TokenReader {
  #onClose;
  /** @type {string[]} */
  #pieces = [];
  #next = 0;
  #ended = false;
  /** @type {SluiceClientError | null} */
  #error = null;
  /** @type {{resolve: (r: IteratorResult<string>) => void, reject: (e: unknown) => void}[]} */
  #waiting = [];

  /** @param {(reader: TokenReader) => void} onClose */
  constructor(onClose) {
    this.#onClose = onClose;
  }

  /** @param {string} piece */
  push(piece) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter.resolve({ value: piece, done: false });
    else this.#pieces.push(piece);
  }

  drop() {
    this.#pieces = [];
    this.#next = 0;
  }

  /** @param {SluiceClientError | null} error */
  end(error) {
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiting.splice(0)) this.next().then(waiter.resolve, waiter.reject);
  }

  /** @returns {Promise<IteratorResult<string>>} */
  next() {
    if (this.#next < this.#pieces.length) {
      const value = this.#pieces[this.#next];
      this.#next += 1;
      if (this.#next === this.#pieces.length) this.drop();
      return Promise.resolve({ value, done: false });
    }
    if (!this.#ended) {
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    const error = this.#error;
    this.#error = null;
    return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true });
  }

  /** @returns {Promise<IteratorResult<string>>} */
  return() {
    this.#onClose(this);
    this.drop();
    this.end(null);
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
