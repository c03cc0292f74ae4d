import { abortReason, SluiceError } from '../../internal/util/errors.js';

/** @typedef {{dispose: () => Promise<void>}} Disposable */

const closedError = () => new SluiceError('ERR_PROVIDER_CLOSED', 'The provider is closed.');

/**
 * @template T
 * @typedef {{resolve: (sequence: T) => void, reject: (reason: unknown) => void}} Waiter
 */

/**
 * Lends the sequences of one context, in order of arrival. Main thread only; close() ends it.
 * @template {Disposable} T
 */
export class SequencePool {
  #make;
  #free;
  #size;
  #closed = false;
  /** @type {Waiter<T>[]} */
  #waiters = [];
  /** @type {(() => void) | undefined} */
  #onIdle;

  /**
   * @param {() => T} make creates a sequence; called only while fewer than `size` are lent
   * @param {number} size
   */
  constructor(make, size) {
    this.#make = make;
    this.#size = size;
    this.#free = size;
  }

  /**
   * @param {AbortSignal} signal cancels the wait
   * @returns {Promise<T>}
   */
  acquire(signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(abortReason(signal));
      if (this.#closed) return reject(closedError());
      const settle = () => signal.removeEventListener('abort', onAbort);
      /** @type {Waiter<T>} */
      const waiter = {
        resolve: (sequence) => (settle(), resolve(sequence)),
        reject: (reason) => (settle(), reject(reason)),
      };
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        waiter.reject(abortReason(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
      this.#serve();
    });
  }

  /**
   * Takes back a sequence. Its text is freed before the next one starts.
   * @param {T} sequence
   */
  async release(sequence) {
    try {
      await sequence.dispose();
    } finally {
      this.#free += 1;
      this.#serve();
      if (this.#free === this.#size) this.#onIdle?.();
    }
  }

  /** Rejects waiting and later callers; resolves when every sequence has been returned. */
  async close() {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closedError());
    if (this.#free === this.#size) return;
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      this.#onIdle = resolve;
    });
  }

  #serve() {
    while (this.#free > 0 && this.#waiters.length > 0) {
      const waiter = this.#waiters.shift();
      this.#free -= 1;
      try {
        waiter?.resolve(this.#make());
      } catch (error) {
        this.#free += 1;
        waiter?.reject(error);
      }
    }
  }
}
