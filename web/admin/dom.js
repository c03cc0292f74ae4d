/** Elements and tables of the dashboard. All content is set as text, never as markup. */

/** @template {HTMLElement} [T=HTMLElement] @param {string} name @returns {T} */
export const byTestId = (name) =>
  /** @type {any} */ (document.querySelector(`[data-testid=${name}]`));

/** @typedef {string | number | Node | null | undefined} Content */

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Content} children null and undefined are skipped
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) if (child != null) element.append(/** @type {any} */ (child));
  return element;
}

/**
 * @param {string} label
 * @param {() => void} onClick
 * @param {{class?: string, title?: string, label?: string}} [more] `label`: for screen readers, which do not
 *   see the row
 */
export function button(label, onClick, more = {}) {
  const element = h('button', { type: 'button' }, label);
  if (more.class) element.className = more.class;
  if (more.label) element.setAttribute('aria-label', more.label);
  element.addEventListener('click', onClick);
  return element;
}

/** @param {string} state */
export const stateMark = (state) => h('span', { class: 'state', 'data-state': state }, state);

/**
 * A column of a table.
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(item: T) => Content} cell
 * @property {string} [class] of its cells: `number`, `time`, `mono`, `says`
 * @property {boolean} [head] whether its cells name their rows
 */

/**
 * The rows of a table by key. An update keeps the rows of known keys and their unchanged
 * cells, so that focus and selection stay.
 * @template T
 */
export class Rows {
  #body;
  #columns;
  #keyOf;
  /** @type {Map<string, {row: HTMLElement, shown: string}>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} table
   * @param {Column<T>[]} columns
   * @param {(item: T) => string} keyOf
   */
  constructor(table, columns, keyOf) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#body = /** @type {HTMLElement} */ (table.querySelector('tbody'));
    const titles = columns.map(({ title, class: kind }) =>
      h('th', { scope: 'col', ...(kind === 'number' && { class: kind }) }, title),
    );
    table.querySelector('thead')?.replaceChildren(h('tr', {}, ...titles));
  }

  /** @param {T[]} items with distinct keys */
  show(items) {
    const keys = new Set(items.map(this.#keyOf));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    /** @type {Element | null} */
    let place = this.#body.firstElementChild;
    for (const item of items) {
      const row = this.#row(item);
      if (row === place) place = row.nextElementSibling;
      else this.#body.insertBefore(row, place);
    }
  }

  /** @param {T} item item to append or update */
  add(item) {
    const row = this.#row(item);
    if (row.parentNode === null) this.#body.append(row);
  }

  /** Current number of rows. */
  get size() {
    return this.#rows.size;
  }

  /** Removes the first row. */
  shift() {
    const [first] = this.#rows;
    first[1].row.remove();
    this.#rows.delete(first[0]);
  }

  clear() {
    this.#rows.clear();
    this.#body.replaceChildren();
  }

  /** @param {T} item */
  #row(item) {
    const key = this.#keyOf(item);
    const shown = JSON.stringify(item);
    const known = this.#rows.get(key);
    if (known?.shown === shown) return known.row;
    const cells = this.#columns.map(({ title, cell, class: kind, head }) => {
      const content = cell(item);
      const attributes = {
        ...(kind && { class: kind }),
        ...(head ? { scope: 'row' } : { 'data-label': title }),
      };
      return h(head ? 'th' : 'td', attributes, content);
    });
    if (known === undefined) {
      const row = h('tr', { 'data-key': key }, ...cells);
      this.#rows.set(key, { row, shown });
      return row;
    }
    known.shown = shown;
    cells.forEach((cell, i) => {
      const old = known.row.children[i];
      // Elements have their own listeners, and count as equal if their texts are equal.
      if (old.innerHTML !== cell.innerHTML || cell.querySelector('button')) old.replaceWith(cell);
    });
    return known.row;
  }
}

/**
 * A list of names and values, which reuses its elements.
 * @param {HTMLElement} list
 * @param {[name: string, value: string, note?: string][]} facts
 * @param {string} [kind] class of each pair
 */
export function showFacts(list, facts, kind = 'fact') {
  while (list.children.length > facts.length) list.lastElementChild?.remove();
  facts.forEach(([name, value, note = ''], i) => {
    let pair = list.children[i];
    if (pair === undefined) {
      pair = h('div', { class: kind }, h('dt'), h('dd', {}, h('span'), h('small')));
      list.append(pair);
    }
    const [dt, dd] = /** @type {any} */ (pair.children);
    if (dt.textContent !== name) dt.textContent = name;
    const [text, small] = dd.children;
    if (text.textContent !== value) text.textContent = value;
    if (small.textContent !== note) small.textContent = note;
  });
}

const NONE = '–';

/** @param {number | null | undefined} value @param {number} [digits] */
export function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

/** @param {number | null | undefined} seconds Unix time @returns {string} with the day, if it is not today's */
export function time(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`;
}

/** @param {number | null | undefined} seconds Unix time @returns {string} with milliseconds */
export function preciseTime(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const ms = Math.round((seconds % 1) * 1000) % 1000;
  return `${CLOCK.format(new Date(Math.floor(seconds) * 1000))}.${String(ms).padStart(3, '0')}`;
}
