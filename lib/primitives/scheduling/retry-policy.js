/**
 * Retries: decides whether a failed request is retried, and after which delay.
 */
import native from '../../internal/native/addon.js';
import { SluiceError } from '../../internal/util/errors.js';
import {
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
} from '../../internal/util/validate.js';

const OPTIONS = Object.freeze(['attempts', 'baseMs', 'capMs', 'isRetryable', 'onRetry', 'random']);

/**
 * @template [Request=unknown]
 * @typedef {object} RetryOptions
 * @property {number} [attempts] total, including the first; default 1: no retry
 * @property {number} [baseMs] default 500
 * @property {number} [capMs] default 30000
 * @property {(error: unknown) => boolean} [isRetryable] default: `error.retryable` if this is a
 *   boolean; else true for all errors except Sluice's own. An error whose `retryAfterMs` is Infinity is never
 *   retried
 * @property {(request: Request, next: {attempt: number, delayMs: number, error: unknown}) => void}
 *   [onRetry] called before each retry; `attempt` is the number of the next attempt, 2 for the first retry
 * @property {() => number} [random] uniform in [0, 1); default Math.random
 */

/** @param {unknown} error */
function retryableByDefault(error) {
  const { retryable } = /** @type {{retryable?: unknown}} */ (error ?? {});
  return typeof retryable === 'boolean' ? retryable : !(error instanceof SluiceError);
}

/**
 * @param {unknown} error
 * @returns {number} the minimum delay by its `retryAfterMs`; Infinity: no further attempt
 */
export function retryAfterMs(error) {
  const { retryAfterMs: asked } = /** @type {{retryAfterMs?: unknown}} */ (error ?? {});
  return typeof asked === 'number' && asked > 0 ? asked : 0;
}

/**
 * Full-jitter exponential backoff.
 * @template [Request=unknown]
 */
export class RetryPolicy {
  #isRetryable;
  #onRetry;
  #random;

  /** @param {RetryOptions<Request>} [options] */
  constructor(options) {
    const given = checkOptions('retry', options, OPTIONS);
    this.attempts = checkInteger('retry.attempts', given.attempts, { fallback: 1 });
    this.baseMs = checkMs('retry.baseMs', given.baseMs, { fallback: 500 });
    this.capMs = checkMs('retry.capMs', given.capMs, { fallback: 30000 });
    /** @type {(error: unknown) => boolean} */
    this.#isRetryable = checkFunction('retry.isRetryable', given.isRetryable ?? retryableByDefault);
    /** @type {NonNullable<RetryOptions<Request>['onRetry']>} */
    this.#onRetry = checkFunction('retry.onRetry', given.onRetry ?? (() => {}));
    /** @type {() => number} */
    this.#random = checkFunction('retry.random', given.random ?? Math.random);
  }

  /**
   * @param {number} attempt number of the failed attempt, from 1
   * @param {unknown} error
   * @returns {boolean}
   */
  allows(attempt, error) {
    return attempt < this.attempts && this.isRetryable(error);
  }

  /**
   * @param {unknown} error
   * @returns {boolean} whether another attempt may help, regardless of their number
   */
  isRetryable(error) {
    return retryAfterMs(error) !== Infinity && Boolean(this.#isRetryable(error));
  }

  /** @returns {number} uniform in [0, 1) */
  random() {
    return this.#random();
  }

  /**
   * One delay for requests that failed together: uniform in [0, min(cap, base * 2^n)) for the n-th
   * retry from 0, but never less than any error's `retryAfterMs`.
   * @param {number} attempt number of the failed attempt, from 1
   * @param {unknown[]} errors
   * @returns {number} milliseconds
   */
  delayMs(attempt, errors) {
    const jitterMs = native.fullJitterMs(this.baseMs, this.capMs, attempt - 1, this.random());
    return Math.max(jitterMs, ...errors.map(retryAfterMs));
  }

  /**
   * @param {Request} request
   * @param {{attempt: number, delayMs: number, error: unknown}} next
   */
  announce(request, next) {
    this.#onRetry(request, next);
  }
}
