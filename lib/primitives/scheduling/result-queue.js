/**
 * A pipeline's results on their way to whoever reads them. Main thread only; ends with `end()`.
 *
 * Nothing is refused: who produces results asks for `room()` before it goes on producing.
 */

/**
 * @template T
 */
export class ResultQueue {
  #capacity;
  #ended = false;
  /** @type {T[]} */
  #results = [];
  #head = 0;
  /** @type {Set<(step: IteratorResult<T, undefined>) => void>} */
  #readers = new Set();
  /** @type {(() => void)[]} */
  #producers = [];

  /** @param {number} capacity results beyond which there is no room; Infinity for no bound */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  get size() {
    return this.#results.length - this.#head;
  }

  /** @param {T} result */
  push(result) {
    for (const reader of this.#readers) {
      this.#readers.delete(reader);
      reader({ done: false, value: result });
      return;
    }
    this.#results.push(result);
  }

  /**
   * @returns {Promise<void> | undefined} undefined: there is room; else resolves when there is
   */
  room() {
    if (this.size <= this.#capacity) return undefined;
    return new Promise((resolve) => this.#producers.push(resolve));
  }

  /** Lifts the bound: what is still to come is itself bounded. */
  unbound() {
    this.#capacity = Infinity;
    this.#wakeProducers();
  }

  /** No result comes after this; readers drain what is left. */
  end() {
    this.#ended = true;
    for (const reader of this.#readers) reader({ done: true, value: undefined });
    this.#readers.clear();
  }

  /**
   * Readers compete, first come first served. `return()` frees that reader only, and a result goes
   * to nobody before it is read, so none is lost with it.
   * @returns {AsyncIterableIterator<T>}
   */
  iterate() {
    let done = false;
    /** @type {Set<(step: IteratorResult<T, undefined>) => void>} */
    const pending = new Set();
    /** @type {IteratorResult<T, undefined>} */
    const over = { done: true, value: undefined };
    return {
      next: () => {
        if (done) return Promise.resolve(over);
        if (this.size > 0) return Promise.resolve({ done: false, value: this.#shift() });
        if (this.#ended) return Promise.resolve(over);
        return new Promise((resolve) => {
          const reader = (/** @type {IteratorResult<T, undefined>} */ step) => {
            pending.delete(reader);
            resolve(step);
          };
          pending.add(reader);
          this.#readers.add(reader);
        });
      },
      return: () => {
        done = true;
        for (const reader of pending) {
          this.#readers.delete(reader);
          reader(over);
        }
        return Promise.resolve(over);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #shift() {
    const result = this.#results[this.#head];
    this.#results[this.#head++] = /** @type {any} */ (undefined);
    // Cut off what was read once it is half of the array, so that each result is moved O(1) times.
    if (this.#head * 2 >= this.#results.length) {
      this.#results = this.#results.slice(this.#head);
      this.#head = 0;
    }
    if (this.size <= this.#capacity) this.#wakeProducers();
    return result;
  }

  #wakeProducers() {
    if (this.#producers.length === 0) return;
    const producers = this.#producers;
    this.#producers = [];
    for (const resume of producers) resume();
  }
}
