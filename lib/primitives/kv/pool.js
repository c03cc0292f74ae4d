/**
 * Reuses native objects. Node-API frees the memory of one only in a turn of the event loop, so
 * synchronous loops must not create one per iteration.
 */

/** Idle objects kept. More are in use at once only in asynchronous code, where memory is freed. */
const KEPT_MAX = 64;

/** @template T */
export class Pool {
  #make;
  /** @type {T[]} */
  #idle = [];

  /** @param {() => T} make */
  constructor(make) {
    this.#make = make;
  }

  /** @returns {T} */
  take() {
    return this.#idle.pop() ?? this.#make();
  }

  /** @param {T} object no longer in use */
  give(object) {
    if (this.#idle.length < KEPT_MAX) this.#idle.push(object);
  }
}
