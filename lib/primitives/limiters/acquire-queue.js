/**
 * Callers that wait for a limiter to grant their request, one queue per key. Main thread only.
 */
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/**
 * @typedef {object} LimitResult
 * @property {boolean} allowed whether the cost was taken; if not, nothing was taken
 * @property {number} remaining amount available now, after this request
 * @property {number} limit maximum that can be taken at once
 * @property {number} retryAfter seconds after which the same request is granted if no
 *   other request comes before it; 0: granted; Infinity: can never be granted
 * @property {number} resetAfter seconds after which all usage has expired
 */

/**
 * @typedef {object} Waiter
 * @property {number} cost
 * @property {(result: LimitResult) => void} resolve
 * @property {() => void} release removes its listener from the signal
 */
/**
 * @typedef {object} KeyQueue the waiters of one key; only the first one's request is tried
 * @property {Set<Waiter>} waiters in order of arrival
 * @property {() => void} stopTimer
 */
/**
 * @typedef {object} AcquireQueueOptions
 * @property {(key: string, cost: number) => {result: LimitResult, waitMs: number}} attempt takes the
 *   cost, or returns the wait before the next attempt
 * @property {import('../../internal/time/timers.js').Deadlines} timers
 * @property {number} maxWaiting waiters of all keys
 */

/**
 * Grants requests in order of arrival, one queue per key. A pending wait keeps the
 * process alive.
 */
export class AcquireQueue {
  #options;
  /** @type {Map<string, KeyQueue>} */
  #queues = new Map();
  #waiting = 0;

  /** @param {AcquireQueueOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Waiters of all keys. */
  get size() {
    return this.#waiting;
  }

  /**
   * @param {string} key
   * @param {number} cost at most what the limiter grants at once
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<LimitResult>}
   * @throws {SluiceError} ERR_LIMITER_FULL
   * @throws the signal's reason
   */
  async acquire(key, cost, signal) {
    if (signal?.aborted) throw abortReason(signal);
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      const { result } = this.#options.attempt(key, cost);
      if (result.allowed) return result;
    }
    const { maxWaiting } = this.#options;
    if (this.#waiting >= maxWaiting) {
      const message = `${maxWaiting} callers wait for this limiter; no more are taken`;
      throw new SluiceError('ERR_LIMITER_FULL', message);
    }
    if (queue === undefined) {
      queue = { waiters: new Set(), stopTimer: () => {} };
      this.#queues.set(key, queue);
    }
    return this.#wait(key, queue, cost, signal);
  }

  /**
   * Tries the first waiter's request now, for a key whose limit may have room again.
   * @param {string} key
   */
  wake(key) {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.stopTimer();
    for (const waiter of queue.waiters) {
      const { result, waitMs } = this.#options.attempt(key, waiter.cost);
      if (!result.allowed) {
        queue.stopTimer = this.#options.timers.start(waitMs, () => this.wake(key));
        return;
      }
      this.#remove(queue, waiter);
      waiter.resolve(result);
    }
    this.#queues.delete(key);
  }

  /**
   * @param {string} key
   * @param {KeyQueue} queue
   * @param {number} cost
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<LimitResult>}
   */
  #wait(key, queue, cost, signal) {
    return new Promise((resolve, reject) => {
      /** @type {Waiter} */
      const waiter = {
        cost,
        resolve,
        release: whenAborted(signal, () => {
          const [first] = queue.waiters;
          this.#remove(queue, waiter);
          reject(abortReason(/** @type {AbortSignal} */ (signal)));
          if (first === waiter) this.wake(key);
        }),
      };
      queue.waiters.add(waiter);
      this.#waiting += 1;
      if (queue.waiters.size === 1) this.wake(key);
    });
  }

  /** @param {KeyQueue} queue @param {Waiter} waiter */
  #remove(queue, waiter) {
    queue.waiters.delete(waiter);
    this.#waiting -= 1;
    waiter.release();
  }
}
