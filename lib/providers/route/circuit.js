/** Consecutive failures after which a circuit opens. */
const FAILURES_MAX = 3;
const OPEN_MS = 30_000;
const OPEN_MS_MAX = 5 * 60_000;
/** Wait for the outcome of a running trial call: its duration is unknown. */
const TRIAL_MS = 1000;

/**
 * The circuit breaker of one upstream. Three consecutive failures open it for 30 s; then it admits one
 * trial call, whose failure opens it again for twice the time, up to 5 min, and whose answer closes it. The
 * `Retry-After` of a failure opens it for that time, without a trial call. Main thread.
 */
export class Circuit {
  #nowMs;
  #failures = 0;
  #openMs = OPEN_MS;
  /** End of the wait before a trial call; undefined: no failures have opened the circuit. */
  /** @type {number | undefined} */
  #trialAtMs;
  #trialRuns = false;
  #pausedUntilMs = -Infinity;

  /** @param {() => number} nowMs monotonic milliseconds */
  constructor(nowMs) {
    this.#nowMs = nowMs;
  }

  /** Whether it refuses ordinary calls. */
  get isOpen() {
    return this.#trialAtMs !== undefined || this.#nowMs() < this.#pausedUntilMs;
  }

  /** Whether the next admitted call is a trial call. */
  get needsTrial() {
    return this.#trialAtMs !== undefined;
  }

  /** Milliseconds until it admits a call; 0: now. */
  get waitMs() {
    const nowMs = this.#nowMs();
    const untilMs = Math.max(this.#pausedUntilMs, this.#trialAtMs ?? -Infinity);
    if (untilMs > nowMs) return untilMs - nowMs;
    return this.#trialRuns ? TRIAL_MS : 0;
  }

  /** Counts an admitted call; requires that `waitMs` is 0. */
  enter() {
    if (this.needsTrial) this.#trialRuns = true;
  }

  /** @param {boolean} isTrial whether the call was a trial call */
  onSuccess(isTrial) {
    if (this.needsTrial && !isTrial) return;
    this.#failures = 0;
    this.#openMs = OPEN_MS;
    this.#trialAtMs = undefined;
    if (isTrial) this.#trialRuns = false;
  }

  /** @param {boolean} isTrial @returns {void} Call it for a call that ended for another reason */
  onAbandoned(isTrial) {
    if (isTrial) this.#trialRuns = false;
  }

  /**
   * @param {boolean} isTrial
   * @param {{counts: boolean, retryAfterMs?: number}} failure `counts`: whether it counts as a consecutive failure
   */
  onFailure(isTrial, { counts, retryAfterMs = 0 }) {
    if (retryAfterMs > 0) {
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#nowMs() + retryAfterMs);
    }
    if (isTrial) {
      this.#trialRuns = false;
      this.#openMs = Math.min(2 * this.#openMs, OPEN_MS_MAX);
      this.#trialAtMs = this.#nowMs() + this.#openMs;
      return;
    }
    // Ignore results of calls that started before it opened.
    if (this.needsTrial || !counts) return;
    this.#failures += 1;
    if (this.#failures >= FAILURES_MAX) this.#trialAtMs = this.#nowMs() + this.#openMs;
  }
}
