/**
 * Client-side figures of a running job, replaced by the server's figures at its end. Only live tokens
 * count towards the rate, because a replay does not show the model's speed.
 */

const WINDOW = 32;
/** A replay arrives in one burst; after a pause of this length tokens are live. */
const REPLAY_PAUSE_MS = 40;
const REPLAY_MAX_MS = 1000;

/** The figures of one job. */
export class Meter {
  /** @type {number[]} arrival times of the newest live tokens */
  #arrivals = [];
  #sentAtMs;
  #replayingSinceMs = -Infinity;
  #lastMs = -Infinity;
  /** @type {number | null} */
  firstTokenMs = null;

  /** @param {number | null} sentAtMs the time of submission; null if before this page was loaded */
  constructor(sentAtMs) {
    this.#sentAtMs = sentAtMs;
  }

  /** Reports an opened connection, which may replay tokens. @param {number} nowMs */
  opened(nowMs) {
    this.#replayingSinceMs = nowMs;
    this.#lastMs = nowMs;
    this.#arrivals = [];
  }

  /** @param {number} nowMs @returns {boolean} whether the token was replayed */
  token(nowMs) {
    const replayed =
      nowMs - this.#lastMs < REPLAY_PAUSE_MS && nowMs - this.#replayingSinceMs < REPLAY_MAX_MS;
    this.#lastMs = nowMs;
    if (replayed) {
      this.#sentAtMs = null; // the first token may have arrived without a connection
      return true;
    }
    this.#replayingSinceMs = -Infinity;
    if (this.firstTokenMs === null && this.#sentAtMs !== null) {
      this.firstTokenMs = nowMs - this.#sentAtMs;
    }
    this.#arrivals.push(nowMs);
    if (this.#arrivals.length > WINDOW) this.#arrivals.shift();
    return false;
  }

  get tokensPerSecond() {
    const count = this.#arrivals.length;
    if (count < 2) return null;
    const spanMs = this.#arrivals[count - 1] - this.#arrivals[0];
    return spanMs > 0 ? ((count - 1) * 1000) / spanMs : null;
  }
}
