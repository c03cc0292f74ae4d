/**
 * Turns that wait for their conversation: a line for each, first come, first served. Main thread.
 *
 * A wait ends by its turn, by its signal, by its time, or by `close()`.
 */
import { abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** Of all conversations together; each is a request that is held open. */
const WAITING_MAX = 10_000;

/**
 * @template T
 * @typedef {object} Waiter
 * @property {() => T} claim takes the turn; what it throws is what the waiter gets
 * @property {(value: T) => void} resolve
 * @property {(reason: unknown) => void} reject
 */

/** See the head of this file. */
export class TurnQueues {
  /** @type {Map<string, Set<Waiter<any>>>} none of them empty */
  #lines = new Map();
  #waiting = 0;
  #maxQueued;
  #waitMs;

  /** @param {{maxQueued: number, queueWaitMs: number}} limits */
  constructor({ maxQueued, queueWaitMs }) {
    this.#maxQueued = maxQueued;
    this.#waitMs = queueWaitMs;
  }

  /** @param {string} name of a line @returns {boolean} whether somebody is in it */
  has(name) {
    return this.#lines.has(name);
  }

  /** @param {string} name @returns {boolean} whether nobody else may wait */
  full(name) {
    const length = this.#lines.get(name)?.size ?? 0;
    return length >= this.#maxQueued || this.#waiting >= WAITING_MAX;
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => T} claim called when it is this one's turn
   * @param {object} how
   * @param {AbortSignal} [how.signal] not aborted yet
   * @param {() => unknown} how.late what to reject with when it took too long
   * @returns {Promise<T>} what `claim` gave
   */
  wait(name, claim, { signal, late }) {
    return new Promise((resolve, reject) => {
      const line = this.#lines.get(name) ?? new Set();
      this.#lines.set(name, line);
      const leave = () => {
        clearTimeout(timer);
        release();
        line.delete(waiter);
        this.#waiting -= 1;
        if (line.size === 0) this.#lines.delete(name);
      };
      /** @type {Waiter<T>} */
      const waiter = {
        claim,
        resolve: (value) => (leave(), resolve(value)),
        reject: (reason) => (leave(), reject(reason)),
      };
      const timer = setTimeout(() => waiter.reject(late()), this.#waitMs);
      const release = whenAborted(signal, () => {
        waiter.reject(abortReason(/** @type {AbortSignal} */ (signal)));
      });
      line.add(waiter);
      this.#waiting += 1;
    });
  }

  /**
   * The turn before has ended: the next one begins, in this moment, and nobody comes in between.
   * @param {string} name
   */
  advance(name) {
    for (const waiter of this.#lines.get(name) ?? []) {
      try {
        waiter.resolve(waiter.claim());
        return;
      } catch (error) {
        waiter.reject(error);
      }
    }
  }

  /** @param {() => unknown} reason that all who wait get */
  close(reason) {
    for (const line of [...this.#lines.values()]) {
      for (const waiter of [...line]) waiter.reject(reason());
    }
  }
}
