/**
 * Callers that wait for a limiter to grant their request, in line by key. Main thread only.
 */
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/**
 * @typedef {object} LimitResult
 * @property {boolean} allowed whether the cost was taken; if not, nothing was
 * @property {number} remaining what could be taken now, after this request
 * @property {number} limit the most that can be taken at once
 * @property {number} retryAfter seconds after which the same request is granted, provided that no
 *   other request comes before it; 0 when it was granted, Infinity when it can never be
 * @property {number} resetAfter seconds after which nothing of what was taken counts any more
 */

/**
 * @typedef {object} Waiter
 * @property {number} cost
 * @property {(result: LimitResult) => void} resolve
 * @property {() => void} release takes its listener off the signal
 */
/**
 * @typedef {object} Line the waiters of one key; only the first one's request is tried
 * @property {Set<Waiter>} waiters first come, first served
 * @property {() => void} stopTimer
 */
/**
 * @typedef {object} AcquireQueueOptions
 * @property {(key: string, cost: number) => {result: LimitResult, waitMs: number}} attempt takes the
 *   cost, or says how long to wait before the next attempt
 * @property {import('../../internal/time/timers.js').Deadlines} timers
 * @property {number} maxWaiting waiters of all keys
 */

/**
 * Grants requests in the order in which they came, one line for each key. A pending wait keeps the
 * process alive.
 */
export class AcquireQueue {
  #options;
  /** @type {Map<string, Line>} */
  #lines = new Map();
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
    let line = this.#lines.get(key);
    if (line === undefined) {
      const { result } = this.#options.attempt(key, cost);
      if (result.allowed) return result;
    }
    const { maxWaiting } = this.#options;
    if (this.#waiting >= maxWaiting) {
      const message = `${maxWaiting} callers wait for this limiter; no more are taken`;
      throw new SluiceError('ERR_LIMITER_FULL', message);
    }
    if (line === undefined) {
      line = { waiters: new Set(), stopTimer: () => {} };
      this.#lines.set(key, line);
    }
    return this.#wait(key, line, cost, signal);
  }

  /**
   * Tries the first waiter's request now, for a key whose limit may have room again.
   * @param {string} key
   */
  wake(key) {
    const line = this.#lines.get(key);
    if (line === undefined) return;
    line.stopTimer();
    for (const waiter of line.waiters) {
      const { result, waitMs } = this.#options.attempt(key, waiter.cost);
      if (!result.allowed) {
        line.stopTimer = this.#options.timers.start(waitMs, () => this.wake(key));
        return;
      }
      this.#remove(line, waiter);
      waiter.resolve(result);
    }
    this.#lines.delete(key);
  }

  /**
   * @param {string} key
   * @param {Line} line
   * @param {number} cost
   * @param {AbortSignal | undefined} signal
   * @returns {Promise<LimitResult>}
   */
  #wait(key, line, cost, signal) {
    return new Promise((resolve, reject) => {
      /** @type {Waiter} */
      const waiter = {
        cost,
        resolve,
        release: whenAborted(signal, () => {
          const [first] = line.waiters;
          this.#remove(line, waiter);
          reject(abortReason(/** @type {AbortSignal} */ (signal)));
          if (first === waiter) this.wake(key);
        }),
      };
      line.waiters.add(waiter);
      this.#waiting += 1;
      if (line.waiters.size === 1) this.wake(key);
    });
  }

  /** @param {Line} line @param {Waiter} waiter */
  #remove(line, waiter) {
    line.waiters.delete(waiter);
    this.#waiting -= 1;
    waiter.release();
  }
}
