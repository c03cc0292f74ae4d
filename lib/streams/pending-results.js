/**
 * Pending results of a reactor, one promise per request. A pending promise keeps the process alive.
 * @template T
 */
export class PendingResults {
  #reactor;
  /** @type {Map<number, (result: T | null) => void>} */
  #pending = new Map();

  /** @param {import('../internal/native/reactor.js').Reactor} reactor */
  constructor(reactor) {
    this.#reactor = reactor;
  }

  /**
   * @param {number} id new
   * @returns {Promise<T | null>} null: no result
   */
  add(id) {
    this.#reactor.ref();
    return new Promise((resolve) => {
      this.#pending.set(id, resolve);
    });
  }

  /**
   * Ignored for an unknown id.
   * @param {number} id
   * @param {T | null} result
   */
  settle(id, result) {
    const resolve = this.#pending.get(id);
    if (!this.#pending.delete(id)) return;
    this.#reactor.unref();
    resolve?.(result);
  }

  /** Settles all pending results with null. */
  close() {
    for (const id of [...this.#pending.keys()]) this.settle(id, null);
  }
}
