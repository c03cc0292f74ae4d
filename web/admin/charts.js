/** Charts over time, drawn by uPlot. A line of text shows the values at the cursor, or else the latest values. */
import { h } from './dom.js';

const HEIGHT = 150;
const AXIS_PX = 46;
const FONT = '11px system-ui, sans-serif';
const TIME_AXIS_PX = 24;
/** The longest and the shortest span shown. */
const SPAN_S = 15 * 60;
const SPAN_MIN_S = 120;

const HOURS = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });

/** uPlot is loaded as a script, because it has no small module. @returns {any} */
const plotClass = () => /** @type {any} */ (globalThis).uPlot;

/** @param {string} name of a custom property */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * @typedef {object} ChartOptions
 * @property {string} title
 * @property {string[]} lines their names; at most three
 * @property {(value: number | null) => string} format
 */

/** One chart. Lives as long as the page. */
export class Chart {
  #format;
  #names;
  #legends;
  #plot;
  /** @type {(number | null)[][]} times, then the values of each line */
  #data;

  /**
   * @param {HTMLElement} parent
   * @param {ChartOptions} options
   */
  constructor(parent, { title, lines, format }) {
    this.#format = format;
    this.#names = lines;
    this.#data = [[], ...lines.map(() => [])];
    this.#legends = lines.map((_, i) =>
      h('span', { class: 'legend', 'data-series': String(i + 1) }, lines[i]),
    );
    const caption = h('figcaption', {}, h('span', { class: 'chart-title' }, title));
    caption.append(...this.#legends);
    const frame = h('div', { 'aria-hidden': 'true' });
    parent.append(h('figure', { class: 'chart', 'aria-label': title }, caption, frame));
    const Plot = plotClass();
    this.#plot = new Plot(this.#options(frame), this.#data, frame);
    new ResizeObserver(() => {
      const width = frame.clientWidth;
      if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
    }).observe(frame);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
      this.#plot.redraw(),
    );
  }

  /** @param {HTMLElement} frame */
  #options(frame) {
    const axis = {
      stroke: () => colour('--soft'),
      font: FONT,
      grid: { stroke: () => colour('--rule'), width: 1 },
      ticks: { show: false },
    };
    return {
      width: Math.max(frame.clientWidth, 100),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: () => this.#span() },
        y: { range: (/** @type {any} */ _plot, _min = 0, max = 1) => [0, (max || 1) * 1.1] },
      },
      axes: [
        {
          ...axis,
          ...{ space: 60, size: TIME_AXIS_PX },
          values: (/** @type {any} */ _plot, /** @type {number[]} */ ticks) =>
            ticks.map((seconds) => (seconds % 60 === 0 ? HOURS.format(seconds * 1000) : '')),
        },
        {
          ...axis,
          size: AXIS_PX,
          values: (/** @type {any} */ _plot, /** @type {number[]} */ ticks) =>
            ticks.map((value) => (value === 0 ? '0' : this.#format(value))),
        },
      ],
      series: [
        {},
        ...this.#names.map((label, i) => ({
          label,
          stroke: () => colour(`--series-${i + 1}`),
          width: 1.5,
          spanGaps: true,
          points: { size: 4 },
        })),
      ],
      hooks: { setCursor: [() => this.#tell()] },
    };
  }

  /** @returns {[number, number]} time span from the first point to now, within bounds */
  #span() {
    const now = Date.now() / 1000;
    const first = this.#data[0][0] ?? now;
    return [Math.max(now - SPAN_S, Math.min(first, now - SPAN_MIN_S)), now];
  }

  /** @param {(number | null)[][]} data times in Unix seconds, then the values of each line */
  show(data) {
    this.#data = data;
    // A hidden chart has no size, and is drawn when it is shown.
    if (this.#plot.root.offsetParent !== null) this.#plot.setData(data);
    this.#tell();
  }

  #tell() {
    const last = this.#data[0].length - 1;
    const at = this.#plot?.cursor.idx ?? last;
    this.#legends.forEach((legend, i) => {
      const value = this.#data[i + 1][at] ?? null;
      const text = `${this.#names[i]} ${value === null ? '–' : this.#format(value)}`;
      if (legend.textContent !== text) legend.textContent = text;
    });
  }
}
