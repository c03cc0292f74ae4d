/**
 * Native objects that are used again. What Node-API keeps of one is freed in a turn of the event
 * loop, so a loop without turns must not make a new one each time.
 */

/** Objects that are kept for later; more than these are in use at once only where turns come. */
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

  /** @param {T} object that nobody uses any more */
  give(object) {
    if (this.#idle.length < KEPT_MAX) this.#idle.push(object);
  }
}
