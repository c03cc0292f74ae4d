import { abortReason, rangeError } from './errors.js';
import { whenAborted } from './abort.js';

/**
 * @typedef {object} Waiter
 * @property {number} weight
 * @property {() => void} grant
 */

/** @typedef {{used: number, waiting: Waiter[]}} State state of one key */

/**
 * Limits the concurrent tasks of each key by their weights. Each key has the full capacity for
 * itself; its waiters are served in order of arrival. Main thread only; an idle key uses no memory.
 */
export class KeyedSemaphore {
  #capacity;
  /** @type {Map<string, State>} */
  #states = new Map();

  /** @param {number} capacity of each key */
  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** Number of keys that hold capacity or have waiters. */
  get size() {
    return this.#states.size;
  }

  /**
   * Resolves when `weight` of the key's capacity is free and taken.
   * @param {string} key
   * @param {number} weight 0 to the capacity
   * @param {AbortSignal} [signal] cancels the wait
   * @returns {Promise<() => void>} returns the weight; further calls do nothing
   * @throws {RangeError} for a weight that never fits
   * @throws the signal's reason
   */
  async acquire(key, weight, signal) {
    if (weight > this.#capacity) throw rangeError(`weight is at most ${this.#capacity}`);
    if (signal?.aborted) throw abortReason(signal);
    const state = this.#states.get(key) ?? { used: 0, waiting: [] };
    this.#states.set(key, state);
    if (state.waiting.length === 0 && state.used + weight <= this.#capacity) state.used += weight;
    else await this.#wait(key, state, weight, signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      state.used -= weight;
      this.#serve(key, state);
    };
  }

  /**
   * @param {string} key
   * @param {State} state
   * @param {number} weight
   * @param {AbortSignal} [signal]
   * @returns {Promise<void>}
   */
  #wait(key, state, weight, signal) {
    return new Promise((resolve, reject) => {
      /** @type {Waiter} */
      const waiter = {
        weight,
        grant: () => {
          release();
          resolve();
        },
      };
      const release = whenAborted(signal, () => {
        state.waiting.splice(state.waiting.indexOf(waiter), 1);
        reject(abortReason(/** @type {AbortSignal} */ (signal)));
        // Waiters after a large one may fit.
        this.#serve(key, state);
      });
      state.waiting.push(waiter);
    });
  }

  /**
   * @param {string} key
   * @param {State} state
   */
  #serve(key, state) {
    for (let next = state.waiting[0]; next !== undefined; next = state.waiting[0]) {
      if (state.used + next.weight > this.#capacity) break;
      state.waiting.shift();
      state.used += next.weight;
      next.grant();
    }
    if (state.used === 0 && state.waiting.length === 0 && this.#states.get(key) === state) {
      this.#states.delete(key);
    }
  }
}
