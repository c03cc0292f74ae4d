/**
 * Tracks the longest prefix of one stop string at the end of a growing text
 * (Knuth-Morris-Pratt: linear in the text). The table of borders grows with the longest match, so a
 * long stop string costs nothing until the text follows it.
 */
class Prefix {
  /** Number of matched characters of the stop string. */
  length = 0;
  #stop;
  /** `#borders[n - 1]`: length of the longest proper prefix of `stop[0, n)` that is its suffix, too. */
  #borders = [0];

  /** @param {string} stop not empty */
  constructor(stop) {
    this.#stop = stop;
  }

  /** @param {number} unit the next UTF-16 code unit of the text, after an incomplete match */
  push(unit) {
    this.length = this.#extend(this.length, unit);
    const { length } = this;
    if (length > this.#borders.length) {
      this.#borders.push(
        this.#extend(this.#borders[length - 2], this.#stop.charCodeAt(length - 1)),
      );
    }
  }

  get whole() {
    return this.length === this.#stop.length;
  }

  /**
   * @param {number} length of a prefix
   * @param {number} unit
   * @returns {number} the length of the longest prefix that ends with `unit`
   */
  #extend(length, unit) {
    let at = length;
    while (at > 0 && this.#stop.charCodeAt(at) !== unit) at = this.#borders[at - 1];
    return this.#stop.charCodeAt(at) === unit ? at + 1 : at;
  }
}

/**
 * Ends a text before the first stop string that becomes complete, even across chunks. The
 * result does not depend on the chunks. One per request; main thread only.
 *
 * Holds back only text that may be the start of a stop string.
 */
export class StopFilter {
  #prefixes;
  #held = '';
  /**
   * The stop string that was found; all text after it is dropped.
   * @type {string | undefined}
   */
  stopSequence = undefined;

  /** Whether a stop string was found. */
  get stopped() {
    return this.stopSequence !== undefined;
  }

  /** @param {readonly string[] | undefined} stops empty strings are ignored */
  constructor(stops) {
    this.#prefixes = (stops ?? []).filter((stop) => stop !== '').map((stop) => new Prefix(stop));
  }

  /**
   * @param {string} text
   * @returns {string} text that can be sent now
   */
  push(text) {
    if (this.stopped) return '';
    if (this.#prefixes.length === 0) return text;
    const all = this.#held + text;
    for (let at = 0; at < text.length; at++) {
      let met = 0;
      for (const prefix of this.#prefixes) {
        prefix.push(text.charCodeAt(at));
        if (prefix.whole) met = Math.max(met, prefix.length);
      }
      if (met > 0) {
        const end = this.#held.length + at + 1;
        this.stopSequence = all.slice(end - met, end);
        this.#held = '';
        return all.slice(0, end - met);
      }
    }
    const free = all.length - Math.max(...this.#prefixes.map(({ length }) => length));
    this.#held = free === 0 ? all : all.slice(free);
    return all.slice(0, free);
  }

  /** The text held back when the text ends without a stop string. */
  flush() {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}
