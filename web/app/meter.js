/**
 * The figures of a running job, as seen from here, until the server's own arrive with its end. Only
 * tokens that came live count towards the rate: a replay says nothing of the model's speed.
 */

const kWindow = 32;
/** A replay comes in one go; a pause this long after it means that what follows is live. */
const kReplayPauseMs = 40;
const kReplayMaxMs = 1000;

export class Meter {
  /** @type {number[]} arrival times of the newest live tokens */
  #arrivals = [];
  #sentAtMs;
  #replayingSinceMs = -Infinity;
  #lastMs = -Infinity;
  /** @type {number | null} */
  firstTokenMs = null;

  /** @param {number | null} sentAtMs when it was submitted; null if that was before this page */
  constructor(sentAtMs) {
    this.#sentAtMs = sentAtMs;
  }

  /** A connection has opened that may replay. @param {number} nowMs */
  opened(nowMs) {
    this.#replayingSinceMs = nowMs;
    this.#lastMs = nowMs;
    this.#arrivals = [];
  }

  /** @param {number} nowMs @returns {boolean} whether the token was replayed */
  token(nowMs) {
    const replayed =
      nowMs - this.#lastMs < kReplayPauseMs && nowMs - this.#replayingSinceMs < kReplayMaxMs;
    this.#lastMs = nowMs;
    if (replayed) {
      this.#sentAtMs = null; // the first token may have come while nobody was connected
      return true;
    }
    this.#replayingSinceMs = -Infinity;
    if (this.firstTokenMs === null && this.#sentAtMs !== null) {
      this.firstTokenMs = nowMs - this.#sentAtMs;
    }
    this.#arrivals.push(nowMs);
    if (this.#arrivals.length > kWindow) this.#arrivals.shift();
    return false;
  }

  get tokensPerSecond() {
    const count = this.#arrivals.length;
    if (count < 2) return null;
    const spanMs = this.#arrivals[count - 1] - this.#arrivals[0];
    return spanMs > 0 ? ((count - 1) * 1000) / spanMs : null;
  }
}
