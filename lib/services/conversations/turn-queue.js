import { abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** Waiting turns of all conversations together; each keeps a request open. */
export const WAITING_MAX = 10_000;

/**
 * @template T
 * @typedef {object} Waiter
 * @property {() => T} claim takes the turn; if it throws, the wait rejects with that error
 * @property {(value: T) => void} resolve
 * @property {(reason: unknown) => void} reject
 */

/**
 * Queues of turns that wait for their conversation, one FIFO queue per conversation. Main thread.
 *
 * A wait ends when its turn comes, its signal aborts, it times out, or `close()` is called.
 */
export class TurnQueues {
  /** @type {Map<string, Set<Waiter<any>>>} none of them empty */
  #queues = new Map();
  #waiting = 0;
  #maxQueued;
  #waitMs;

  /** @param {{maxQueued: number, queueWaitMs: number}} limits */
  constructor({ maxQueued, queueWaitMs }) {
    this.#maxQueued = maxQueued;
    this.#waitMs = queueWaitMs;
  }

  /** @param {string} name of a queue @returns {boolean} whether a turn waits in it */
  has(name) {
    return this.#queues.has(name);
  }

  /** @param {string} name @returns {boolean} whether the queue is full */
  full(name) {
    const length = this.#queues.get(name)?.size ?? 0;
    return length >= this.#maxQueued || this.#waiting >= WAITING_MAX;
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => T} claim called when the turn comes
   * @param {object} options
   * @param {import('../../internal/util/abort.js').Abortable} [options.signal] not aborted yet
   * @param {() => unknown} options.late creates the rejection reason after a time-out
   * @returns {Promise<T>} the result of `claim`
   */
  wait(name, claim, { signal, late }) {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(name) ?? new Set();
      this.#queues.set(name, queue);
      const leave = () => {
        clearTimeout(timer);
        release();
        queue.delete(waiter);
        this.#waiting -= 1;
        if (queue.size === 0) this.#queues.delete(name);
      };
      /** @type {Waiter<T>} */
      const waiter = {
        claim,
        resolve: (value) => (leave(), resolve(value)),
        reject: (reason) => (leave(), reject(reason)),
      };
      const timer = setTimeout(() => waiter.reject(late()), this.#waitMs);
      const release = whenAborted(signal, () => {
        waiter.reject(abortReason(/** @type {{reason?: any}} */ (signal)));
      });
      queue.add(waiter);
      this.#waiting += 1;
    });
  }

  /**
   * Starts the next waiting turn after one has ended, synchronously, so no other turn can start in
   * between.
   * @param {string} name
   */
  advance(name) {
    for (const waiter of this.#queues.get(name) ?? []) {
      try {
        waiter.resolve(waiter.claim());
        return;
      } catch (error) {
        waiter.reject(error);
      }
    }
  }

  /** @param {() => unknown} reason creates the rejection reason of each waiting turn */
  close(reason) {
    for (const queue of [...this.#queues.values()]) {
      for (const waiter of [...queue]) waiter.reject(reason());
    }
  }
}
