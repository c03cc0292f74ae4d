/**
 * Ends a text before the first of its stop strings, wherever the chunks divide it. One per request;
 * main thread only.
 */

/** Holds back only what may still become a stop string. */
export class StopFilter {
  #stops;
  #held = '';
  /** Whether a stop string has been met; everything after it is dropped. */
  stopped = false;

  /** @param {readonly string[] | undefined} stops empty strings are ignored: they end nothing */
  constructor(stops) {
    this.#stops = (stops ?? []).filter((stop) => stop !== '');
  }

  /**
   * @param {string} text
   * @returns {string} what may go out now
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

  /** What was held back when the text ended without a stop string. */
  flush() {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/**
 * The length of the longest end of `text` that is a proper beginning of `stop`.
 * @param {string} text
 * @param {string} stop
 */
function overlap(text, stop) {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
