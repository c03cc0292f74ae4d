/**
 * The graph in the document: a button per node, a line per dependency. Arrow keys move between nodes:
 * left and right along the lines, up and down within a column.
 */

import { layOut } from './layout.js';

/** @typedef {import('./nodes.js').NodeModel} NodeModel */

const WIDTH = 192;
const HEIGHT = 72;
const COLUMN = 248;
const ROW = 92;
const MARGIN = 16;
const SVG = 'http://www.w3.org/2000/svg';

/** @type {Record<string, [column: number, row: number]>} */
const STEPS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The drawing of one workflow at a time. `show()` replaces it, `draw()` updates it. */
export class WorkflowGraph {
  #root;
  #svg;
  #onSelect;
  /** @type {Map<string, {node: NodeModel, button: HTMLButtonElement, state: HTMLElement}>} */
  #boxes = new Map();
  /** @type {{from: NodeModel, to: NodeModel, line: SVGElement}[]} */
  #lines = [];
  /** @type {Map<string, import('./layout.js').Place>} */
  #places = new Map();

  /**
   * @param {HTMLElement} root
   * @param {(id: string) => void} onSelect
   */
  constructor(root, onSelect) {
    this.#root = root;
    this.#svg = /** @type {SVGElement} */ (root.querySelector('svg'));
    this.#onSelect = onSelect;
    root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** @param {Map<string, NodeModel>} nodes */
  show(nodes) {
    for (const { button } of this.#boxes.values()) button.remove();
    this.#boxes.clear();
    const { places, columns, rows } = layOut([...nodes.values()]);
    this.#places = places;
    this.#svg.setAttribute('width', String(columns * COLUMN + MARGIN));
    this.#svg.setAttribute('height', String(rows * ROW + MARGIN));
    this.#root.style.height = `${rows * ROW + 2 * MARGIN}px`;
    // Document order is tab order: by column, then by row.
    const inOrder = [...nodes.values()].sort((a, b) => {
      const [left, right] = [this.#place(a.id), this.#place(b.id)];
      return left.column - right.column || left.row - right.row;
    });
    for (const node of inOrder) this.#addBox(node);
    this.#addLines(nodes);
    this.draw();
  }

  /** @param {string} id */
  #place(id) {
    return this.#places.get(id) ?? { column: 0, row: 0 };
  }

  /** @param {NodeModel} node */
  #addBox(node) {
    const { column, row } = this.#place(node.id);
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'node';
    button.dataset.node = node.id;
    button.style.left = `${column * COLUMN + MARGIN}px`;
    button.style.top = `${row * ROW + MARGIN}px`;
    const name = document.createElement('span');
    name.className = 'node-name';
    name.textContent = node.id;
    const label = document.createElement('span');
    label.className = 'node-label';
    label.textContent = node.label;
    const state = document.createElement('span');
    state.className = 'node-state';
    const after = document.createElement('span');
    after.className = 'visually-hidden';
    after.textContent = node.after.length === 0 ? '' : `after ${node.after.join(', ')}`;
    button.append(name, ' ', label, ' ', state, ' ', after);
    button.addEventListener('click', () => this.#onSelect(node.id));
    this.#root.append(button);
    this.#boxes.set(node.id, { node, button, state });
  }

  /** @param {Map<string, NodeModel>} nodes */
  #addLines(nodes) {
    this.#lines = [];
    for (const to of nodes.values()) {
      for (const id of new Set(to.after)) {
        const from = /** @type {NodeModel} */ (nodes.get(id));
        const line = document.createElementNS(SVG, 'path');
        line.setAttribute('d', this.#path(from.id, to.id));
        this.#lines.push({ from, to, line });
      }
    }
    this.#svg.replaceChildren(...this.#lines.map(({ line }) => line));
  }

  /** @param {string} from @param {string} to */
  #path(from, to) {
    const start = this.#place(from);
    const end = this.#place(to);
    const x1 = start.column * COLUMN + MARGIN + WIDTH;
    const y1 = start.row * ROW + MARGIN + HEIGHT / 2;
    const x2 = end.column * COLUMN + MARGIN;
    const y2 = end.row * ROW + MARGIN + HEIGHT / 2;
    const bend = (COLUMN - WIDTH) * 0.75;
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  }

  /** Updates every box and line. */
  draw() {
    for (const { node, button, state } of this.#boxes.values()) {
      if (state.textContent !== node.words) state.textContent = node.words;
      if (button.dataset.state !== node.state) button.dataset.state = node.state;
    }
    for (const { from, to, line } of this.#lines) {
      line.dataset.state =
        to.state === 'skipped' ? 'shut' : from.state === 'completed' ? 'open' : 'waiting';
    }
  }

  /** @param {string | null} id */
  mark(id) {
    for (const [each, { button }] of this.#boxes) {
      button.setAttribute('aria-pressed', String(each === id));
    }
  }

  /** Scrolls the graph, if need be, so that a node is in view. @param {string} id */
  reveal(id) {
    const { column, row } = this.#place(id);
    const { clientWidth, clientHeight, scrollLeft, scrollTop } = this.#root;
    const [x, y] = [column * COLUMN + MARGIN, row * ROW + MARGIN];
    const seen =
      x >= scrollLeft &&
      x + WIDTH <= scrollLeft + clientWidth &&
      y >= scrollTop &&
      y + HEIGHT <= scrollTop + clientHeight;
    if (seen) return;
    this.#root.scrollTo({
      left: x - (clientWidth - WIDTH) / 2,
      top: y - (clientHeight - HEIGHT) / 2,
      behavior: 'smooth',
    });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    const from = /** @type {HTMLElement} */ (event.target).dataset?.node;
    if (step === undefined || from === undefined) return;
    event.preventDefault();
    const here = this.#place(from);
    const [columns, rows] = step;
    // The nearest node in that direction; a column has one node per row.
    let best;
    for (const [id, place] of this.#places) {
      const along = (place.column - here.column) * columns + (place.row - here.row) * rows;
      const across = columns === 0 ? place.column - here.column : place.row - here.row;
      if (along <= 0 || (columns === 0 && across !== 0)) continue;
      const distance = along * 100 + Math.abs(across);
      if (best === undefined || distance < best.distance) best = { id, distance };
    }
    if (best !== undefined) this.#boxes.get(best.id)?.button.focus();
  }
}
