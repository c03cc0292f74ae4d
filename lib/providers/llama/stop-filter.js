/**
 * Ends a text before its first stop string, even if chunks divide that string. One per request;
 * main thread only.
 */

/** Holds back only text that may be the start of a stop string. */
export class StopFilter {
  #stops;
  #held = '';
  /** Whether a stop string has been met; everything after it is dropped. */
  stopped = false;

  /** @param {readonly string[] | undefined} stops empty strings are ignored */
  constructor(stops) {
    this.#stops = (stops ?? []).filter((stop) => stop !== '');
  }

  /**
   * @param {string} text
   * @returns {string} text that can be sent now
   */
  push(text) {
    if (this.stopped) return '';
    if (this.#stops.length === 0) return text;
    const all = this.#held + text;
    const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.stopped = true;
      this.#held = '';
      return all.slice(0, Math.min(...found));
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** The text held back when the text ends without a stop string. */
  flush() {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/**
 * The length of the longest suffix of `text` that is a proper prefix of `stop`.
 * @param {string} text
 * @param {string} stop
 */
function overlap(text, stop) {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
