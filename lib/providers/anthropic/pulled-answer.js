/** @typedef {import('../../internal/native/relay-types.js').AnswerFeed} AnswerFeed */
/** @typedef {import('../../internal/native/relay-types.js').AnswerHead} AnswerHead */
/** @typedef {import('../../internal/native/relay-types.js').TransferEnd} TransferEnd */

/**
 * One step of a call: its head, a piece of its body, or its end. `closed`: the answer is no longer
 * needed.
 * @typedef {{head: AnswerHead, bytes?: undefined, end?: undefined}
 *   | {bytes: Uint8Array, head?: undefined, end?: undefined}
 *   | {end: TransferEnd | 'closed', name: string, head?: undefined, bytes?: undefined}} Step
 */

/** Time limit for the rest of a complete answer. */
const REST_MS = 1000;

/**
 * The answer of an HTTP call, step by step: the call reads the next piece when the reader requests it.
 * One reader. `close()` ends the call at once, in any phase.
 * @implements {AnswerFeed}
 */
export class PulledAnswer {
  over = false;
  /** Whether `finish` was called: no more steps are needed, and the call ends by itself. */
  isFinished = false;
  /** @type {Step[]} */
  #steps = [];
  /** @type {((step: Step) => void) | undefined} */
  #reader;
  /** @type {Step | undefined} the last step */
  #ended;
  #onOver = () => {};
  #onTaken = () => {};

  /** @param {() => void} onOver */
  whenOver(onOver) {
    this.#onOver = onOver;
    if (this.over) onOver();
  }

  /** @param {AnswerHead} head */
  head(head) {
    this.#push({ head });
  }

  /** @param {Uint8Array} bytes @returns {Promise<void> | undefined} */
  bytes(bytes) {
    if (this.over) return undefined;
    this.#push({ bytes });
    return new Promise((resolve) => {
      this.#onTaken = resolve;
    });
  }

  /** @param {TransferEnd} end @param {string} [name] */
  end(end, name = '') {
    if (this.over || this.#ended !== undefined) return;
    this.#ended = { end, name };
    this.#push(this.#ended);
  }

  /** @returns {Promise<Step>} the next step; after the end always the end */
  async next() {
    this.#onTaken();
    if (this.over) return { end: 'closed', name: '' };
    const step = this.#steps.shift();
    if (step !== undefined) return step;
    if (this.#ended !== undefined) return this.#ended;
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  /**
   * Ends the reading after a complete answer. The rest of the body is read, for up to a second, so
   * that the connection can be used again.
   */
  finish() {
    this.isFinished = true;
    const timer = setTimeout(() => this.close(), REST_MS);
    timer.unref();
    const drop = async () => {
      while ((await this.next()).end === undefined);
      clearTimeout(timer);
      this.close();
    };
    void drop();
  }

  close() {
    if (this.over) return;
    this.over = true;
    this.#steps = [];
    this.#onTaken();
    this.#reader?.({ end: 'closed', name: '' });
    this.#onOver();
  }

  /** @param {Step} step */
  #push(step) {
    if (this.over) return;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#steps.push(step);
    else reader(step);
  }
}
