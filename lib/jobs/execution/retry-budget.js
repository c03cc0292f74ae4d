/**
 * How many calls may be made again to one upstream: a share of those that succeed, and a few a second
 * besides, so that one that fails altogether is not called the more for it. Main thread only.
 *
 * A token bucket that time and successes fill, as the retry budgets of Finagle and Envoy.
 */

/** Retries per success. */
const SHARE = 0.2;
const PER_SECOND = 10;
/** Retries that may come at once. */
const SAVED_MAX = 100;

/** See the head of this file. */
export class RetryBudget {
  #nowMs;
  #left = SAVED_MAX;
  #filledMs;
  /** Retries that were refused. */
  refused = 0;

  /** @param {() => number} nowMs monotonic milliseconds */
  constructor(nowMs) {
    this.#nowMs = nowMs;
    this.#filledMs = nowMs();
  }

  /** A call has succeeded. */
  onSuccess() {
    this.#left = Math.min(SAVED_MAX, this.#left + SHARE);
  }

  /** @returns {boolean} whether one more call may be made again; it counts then */
  take() {
    const nowMs = this.#nowMs();
    const gained = ((nowMs - this.#filledMs) / 1000) * PER_SECOND;
    this.#left = Math.min(SAVED_MAX, this.#left + gained);
    this.#filledMs = nowMs;
    // Fifths add up to a little less than a whole.
    if (this.#left < 1 - 1e-9) {
      this.refused += 1;
      return false;
    }
    this.#left -= 1;
    return true;
  }
}
