/**
 * The histogram above each text: tokens per time interval, split into live tokens, replayed tokens,
 * and time without a connection. The bars fill the width. Their number is limited: when the time no
 * longer fits, neighbouring bars are merged and the interval doubles.
 */

const BARS = 96;
/** Fewer bars leave the rest of the width empty, so that the first ones are not as wide as the card. */
const BARS_MIN = 24;
const HEIGHT = 20;
/** The full height, in units of the highest live bar. */
const SCALE = 1.25;
const FIRST_BAR_MS = 100;

/** @typedef {{live: number, replayed: number, away: boolean}} Bar */

/** @returns {Bar} */
const emptyBar = () => ({ live: 0, replayed: 0, away: false });

/** The histogram of one job. */
export class Flow {
  /** @type {Bar[]} */
  #bars = [];
  #barMs = FIRST_BAR_MS;
  #startMs;
  #svg;

  /** @param {Element} svg @param {number} nowMs */
  constructor(svg, nowMs) {
    this.#svg = svg;
    this.#startMs = nowMs;
  }

  /** @param {number} nowMs @param {boolean} replayed */
  token(nowMs, replayed) {
    this.#at(nowMs)[replayed ? 'replayed' : 'live'] += 1;
  }

  /** Marks a time span without a connection. @param {number} fromMs @param {number} toMs */
  away(fromMs, toMs) {
    this.#at(toMs); // merges first, so that #barMs is final below
    for (let ms = fromMs; ms < toMs; ms += this.#barMs) this.#at(ms).away = true;
    this.#at(toMs).away = true;
  }

  draw() {
    // The scale is that of live tokens: a replay of hundreds is cut at the full height.
    const max = Math.max(4, ...this.#bars.map((bar) => bar.live)) * SCALE;
    let live = '';
    let replayed = '';
    let away = '';
    for (const [x, bar] of this.#bars.entries()) {
      const count = bar.live + bar.replayed;
      const height = Math.min(1, count / max) * HEIGHT;
      const split = HEIGHT - (count > 0 ? (bar.live / count) * height : 0);
      if (bar.live > 0) live += rect(x, split, HEIGHT);
      if (bar.replayed > 0) replayed += rect(x, HEIGHT - height, split);
      if (bar.away) away += `M${x} 0h1v${HEIGHT}h-1z`;
    }
    this.#svg.setAttribute('viewBox', `0 0 ${Math.max(BARS_MIN, this.#bars.length)} ${HEIGHT}`);
    const [awayPath, replayedPath, livePath] = this.#svg.children;
    awayPath.setAttribute('d', away);
    replayedPath.setAttribute('d', replayed);
    livePath.setAttribute('d', live);
  }

  /** @param {number} nowMs */
  #at(nowMs) {
    const sinceMs = Math.max(0, nowMs - this.#startMs);
    while (sinceMs / this.#barMs >= BARS) this.#merge();
    const index = Math.floor(sinceMs / this.#barMs);
    while (this.#bars.length <= index) this.#bars.push(emptyBar());
    return this.#bars[index];
  }

  #merge() {
    this.#barMs *= 2;
    const merged = [];
    for (let index = 0; index < this.#bars.length; index += 2) {
      const first = this.#bars[index];
      const second = this.#bars[index + 1] ?? emptyBar();
      merged.push({
        live: first.live + second.live,
        replayed: first.replayed + second.replayed,
        away: first.away || second.away,
      });
    }
    this.#bars = merged;
  }
}

/** @param {number} x @param {number} top @param {number} bottom */
function rect(x, top, bottom) {
  return `M${x + 0.12} ${bottom.toFixed(2)}V${top.toFixed(2)}h.76V${bottom.toFixed(2)}z`;
}
