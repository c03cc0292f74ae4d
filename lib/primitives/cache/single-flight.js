import { whenAborted } from '../../internal/util/abort.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';

/**
 * @template T
 * @typedef {object} FlightOptions
 * @property {(signal: AbortSignal) => T | PromiseLike<T>} load
 * @property {(value: T) => void} onLoaded called before the callers get the value; an error that it
 *   throws fails them instead
 * @property {() => void} onEnd called first at any end
 * @property {number} timeoutMs Infinity for none
 * @property {import('../../internal/time/timers.js').Deadlines} deadlines
 */

/**
 * One load shared by any number of callers (single flight). `join` the first caller, then `begin`.
 *
 * An abort removes only its own caller; when the last one has left, the load is aborted. A time-out fails
 * the load for all callers. It ends once, as loaded, failed, timed out or left; what the loader does
 * later is ignored.
 * @template T
 */
export class Flight {
  #options;
  #controller = new AbortController();
  /** @type {Set<{resolve: (value: T) => void, reject: (error: unknown) => void, release: () => void}>} */
  #callers = new Set();
  #ended = false;
  #stopTimer = () => {};

  /** @param {FlightOptions<T>} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Adds a caller.
   * @param {AbortSignal} [signal] not aborted yet
   * @returns {Promise<T>} rejects with the signal's reason, or with the load's error
   */
  join(signal) {
    return new Promise((resolve, reject) => {
      const caller = { resolve, reject, release: whenAborted(signal, () => leave()) };
      this.#callers.add(caller);
      const leave = () => {
        const reason = abortReason(/** @type {AbortSignal} */ (signal));
        this.#callers.delete(caller);
        reject(reason);
        if (this.#callers.size === 0) this.#abandon(reason);
      };
    });
  }

  /** Calls the loader. The first caller must have joined: the loader itself may abort it. */
  begin() {
    const { load, timeoutMs, deadlines } = this.#options;
    this.#stopTimer = deadlines.start(timeoutMs, () => this.#timeOut());
    /** @type {Promise<T>} */
    const loaded = new Promise((resolve) => resolve(load(this.#controller.signal)));
    loaded.then(
      (value) => this.#land(value),
      (error) => {
        if (this.#end()) this.#settle(({ reject }) => reject(error));
      },
    );
  }

  /** @param {T} value */
  #land(value) {
    const { onLoaded } = this.#options;
    if (!this.#end()) return;
    try {
      onLoaded(value);
    } catch (error) {
      this.#settle(({ reject }) => reject(error));
      return;
    }
    this.#settle(({ resolve }) => resolve(value));
  }

  #timeOut() {
    const { timeoutMs } = this.#options;
    const message = `The loader did not finish within ${timeoutMs} ms`;
    const error = new SluiceError('ERR_LOAD_TIMEOUT', message);
    if (!this.#end()) return;
    this.#settle(({ reject }) => reject(error));
    this.#controller.abort(error);
  }

  /** @param {unknown} reason of the last caller */
  #abandon(reason) {
    if (this.#end()) this.#controller.abort(reason);
  }

  /** @returns {boolean} false: the load had already ended */
  #end() {
    if (this.#ended) return false;
    this.#ended = true;
    this.#stopTimer();
    this.#options.onEnd();
    return true;
  }

  /** @param {(caller: {resolve: (value: T) => void, reject: (error: unknown) => void}) => void} settleCaller */
  #settle(settleCaller) {
    for (const caller of this.#callers) {
      caller.release();
      settleCaller(caller);
    }
    this.#callers.clear();
  }
}
