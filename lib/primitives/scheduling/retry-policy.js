/**
 * When a failed request is tried again, and after how long: full-jitter exponential backoff.
 */
import native from '../../internal/native/addon.js';
import { SluiceError } from '../../internal/util/errors.js';
import {
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';

/**
 * @typedef {object} RetryOptions
 * @property {number} [attempts] in all, the first included; default 1: no retry
 * @property {number} [baseMs] default 500
 * @property {number} [capMs] default 30000
 * @property {(error: any) => boolean} [isRetryable] default: `error.retryable` where that is a
 *   boolean; else any error but Sluice's own
 * @property {(request: any, next: {attempt: number, delayMs: number, error: unknown}) => void}
 *   [onRetry] called when a retry is decided; `attempt` is the one to come, 2 for the first retry
 * @property {() => number} [random] uniform in [0, 1); default Math.random
 */

/** @param {any} error */
function retryableByDefault(error) {
  if (typeof error?.retryable === 'boolean') return error.retryable;
  return !(error instanceof SluiceError);
}

/**
 * @param {any} error
 * @returns {number} how long it asks to wait before another attempt; 0 when it does not
 */
export function retryAfterMs(error) {
  const asked = error?.retryAfterMs;
  return Number.isFinite(asked) ? asked : 0;
}

export class RetryPolicy {
  #isRetryable;
  #onRetry;
  #random;

  /** @param {RetryOptions} [options] */
  constructor(options) {
    const given = checkOptions('retry', options);
    this.attempts = checkInteger('retry.attempts', given.attempts, { fallback: 1 });
    this.baseMs = checkMs('retry.baseMs', given.baseMs, { fallback: 500 });
    this.capMs = checkMs('retry.capMs', given.capMs, { fallback: 30000 });
    this.#isRetryable = checkFunction('retry.isRetryable', given.isRetryable ?? retryableByDefault);
    this.#onRetry = checkFunction('retry.onRetry', given.onRetry ?? (() => {}));
    this.#random = checkFunction('retry.random', given.random ?? Math.random);
  }

  /**
   * @param {number} attempt the one that failed, from 1
   * @param {unknown} error
   * @returns {boolean}
   */
  allows(attempt, error) {
    return attempt < this.attempts && this.isRetryable(error);
  }

  /**
   * @param {unknown} error
   * @returns {boolean} whether another attempt may help, however many there were
   */
  isRetryable(error) {
    return Boolean(this.#isRetryable(error));
  }

  /** @returns {number} uniform in [0, 1) */
  random() {
    return this.#random();
  }

  /**
   * One delay for all that failed together: uniform in [0, min(cap, base * 2^n)) for the n-th
   * retry from 0, but never less than any error's `retryAfterMs`.
   * @param {number} attempt the one that failed, from 1
   * @param {any[]} errors
   * @returns {number} milliseconds
   */
  delayMs(attempt, errors) {
    const jitterMs = native.fullJitterMs(this.baseMs, this.capMs, attempt - 1, this.random());
    return Math.max(jitterMs, ...errors.map(retryAfterMs));
  }

  /**
   * @param {any} request
   * @param {{attempt: number, delayMs: number, error: unknown}} next
   */
  announce(request, next) {
    this.#onRetry(request, next);
  }
}
