/** Retries per success. */
const SHARE = 0.2;
const PER_SECOND = 10;
/** Maximum burst of retries. */
const SAVED_MAX = 100;

/**
 * Limits the retries to one upstream to a share of its successful calls plus a few per second, so
 * that retries do not add load to a failing upstream. Main thread only.
 *
 * A token bucket filled by time and successes, like the retry budgets of Finagle and Envoy.
 */
export class RetryBudget {
  #nowMs;
  #left = SAVED_MAX;
  #filledMs;
  /** Number of refused retries. */
  refused = 0;

  /** @param {() => number} nowMs monotonic milliseconds */
  constructor(nowMs) {
    this.#nowMs = nowMs;
    this.#filledMs = nowMs();
  }

  /** Records a successful call. */
  onSuccess() {
    this.#left = Math.min(SAVED_MAX, this.#left + SHARE);
  }

  /** @returns {boolean} whether a retry is allowed; if so it is counted */
  take() {
    const nowMs = this.#nowMs();
    const gained = ((nowMs - this.#filledMs) / 1000) * PER_SECOND;
    this.#left = Math.min(SAVED_MAX, this.#left + gained);
    this.#filledMs = nowMs;
    // Multiples of 0.2 may add up to slightly less than 1.
    if (this.#left < 1 - 1e-9) {
      this.refused += 1;
      return false;
    }
    this.#left -= 1;
    return true;
  }
}

/** The budgets of several upstreams, created on first use. Main thread only. */
export class RetryBudgets {
  #nowMs;
  /** @type {Map<string, RetryBudget>} */
  #budgets = new Map();

  /** @param {() => number} nowMs monotonic milliseconds */
  constructor(nowMs) {
    this.#nowMs = nowMs;
  }

  /**
   * @param {string} [upstream] its name; default: the provider's only upstream
   * @returns {RetryBudget}
   */
  of(upstream = '') {
    let budget = this.#budgets.get(upstream);
    if (budget === undefined) {
      budget = new RetryBudget(this.#nowMs);
      this.#budgets.set(upstream, budget);
    }
    return budget;
  }

  /** Number of refused retries. */
  get refused() {
    return [...this.#budgets.values()].reduce((sum, { refused }) => sum + refused, 0);
  }
}
