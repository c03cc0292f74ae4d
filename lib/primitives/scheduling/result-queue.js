import { END, asyncIterator } from '../../internal/util/async-iterator.js';

/**
 * Queue of results from producers to readers. `push` always accepts a result: a producer waits for
 * `room()` before it continues. Main thread only; ends with `end()`.
 * @template T
 */
export class ResultQueue {
  #capacity;
  #ended = false;
  /** @type {(T | undefined)[]} */
  #results = [];
  #head = 0;
  /** @type {Set<(result: T | typeof END) => void>} */
  #readers = new Set();
  /** @type {(() => void)[]} */
  #producers = [];

  /** @param {number} capacity maximum unread results; Infinity: no bound */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** Results waiting to be read. */
  get size() {
    return this.#results.length - this.#head;
  }

  /** Producers waiting for room. */
  get blocked() {
    return this.#producers.length;
  }

  /** @param {T} result */
  push(result) {
    for (const reader of this.#readers) {
      this.#readers.delete(reader);
      reader(result);
      return;
    }
    this.#results.push(result);
  }

  /**
   * @returns {Promise<void> | undefined} undefined: there is room; else resolves when there is room
   */
  room() {
    if (this.size <= this.#capacity) return undefined;
    return new Promise((resolve) => this.#producers.push(resolve));
  }

  /** Removes the bound, because the number of further results is bounded. */
  unbound() {
    this.#capacity = Infinity;
    this.#wakeProducers();
  }

  /** Marks the end: readers receive the remaining results. */
  end() {
    this.#ended = true;
    for (const reader of this.#readers) reader(END);
    this.#readers.clear();
  }

  /**
   * Readers compete, in order of arrival. `return()` ends that reader only and loses no result,
   * since a result is assigned to a reader only when it is read.
   * @returns {AsyncIterableIterator<T, undefined, undefined>}
   */
  iterate() {
    return asyncIterator((onWait) => {
      if (this.size > 0) return this.#shift();
      if (this.#ended) return END;
      return new Promise((resolve) => {
        this.#readers.add(resolve);
        onWait(() => {
          this.#readers.delete(resolve);
          resolve(END);
        });
      });
    });
  }

  #shift() {
    const result = /** @type {T} */ (this.#results[this.#head]);
    this.#results[this.#head++] = undefined;
    // Remove read results once they are half of the array, so that each result is moved O(1) times.
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
