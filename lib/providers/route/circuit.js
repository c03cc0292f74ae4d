/** Failures in a row after which a circuit opens. */
const FAILURES_MAX = 3;
const OPEN_MS = 30_000;
const OPEN_MS_MAX = 5 * 60_000;
/** Wait for the outcome of a running trial call: its length is not known. */
const TRIAL_MS = 1000;

/**
 * The circuit breaker of one upstream. Three failures in a row open it for 30 s; then it admits one
 * trial call, whose failure opens it for twice as long, up to 5 min, and whose answer closes it. The
 * `Retry-After` of a failure opens it for that long, without a trial call. Main thread.
 */
export class Circuit {
  #nowMs;
  #failures = 0;
  #openMs = OPEN_MS;
  /** A trial call decides when this is over; undefined: the circuit has not opened by failures. */
  /** @type {number | undefined} */
  #trialAtMs;
  #trialRuns = false;
  #pausedUntilMs = -Infinity;

  /** @param {() => number} nowMs monotonic milliseconds */
  constructor(nowMs) {
    this.#nowMs = nowMs;
  }

  /** Whether it admits no ordinary calls. */
  get isOpen() {
    return this.#trialAtMs !== undefined || this.#nowMs() < this.#pausedUntilMs;
  }

  /** Whether the next call that it admits is a trial call. */
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

  /** Counts a call, which it admits: `waitMs` is 0. */
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

  /** @param {boolean} isTrial @returns {void} a call that ended for a reason of its own */
  onAbandoned(isTrial) {
    if (isTrial) this.#trialRuns = false;
  }

  /**
   * @param {boolean} isTrial
   * @param {{counts: boolean, retryAfterMs?: number}} failure `counts`: among those in a row
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
    // Calls that were under way when it opened say nothing new.
    if (this.needsTrial || !counts) return;
    this.#failures += 1;
    if (this.#failures >= FAILURES_MAX) this.#trialAtMs = this.#nowMs() + this.#openMs;
  }
}
