/**
 * A growing text. The cost of an append depends only on the appended text: each line is a separate
 * block, so that a line break does not lay out the whole text again, and a long text node is no
 * longer extended. `textContent` is exactly the text.
 */

const NODE_MAX = 512;

/** The text in one element. */
export class TextPane {
  #root;
  /** @type {HTMLElement | null} the line being written */
  #line = null;
  /** @type {Text | null} */
  #tail = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  clear() {
    this.#root.replaceChildren();
    this.#line = null;
    this.#tail = null;
  }

  /** @param {string} text */
  append(text) {
    for (const piece of text.split(/(?<=\n)/)) {
      if (piece === '') continue;
      if (!this.#line) this.#startLine();
      if (!this.#tail || this.#tail.length > NODE_MAX) {
        this.#tail = document.createTextNode('');
        this.#line?.append(this.#tail);
      }
      this.#tail.appendData(piece);
      // The line break stays at the end of its block, where it is invisible.
      if (piece.endsWith('\n')) this.#line = this.#tail = null;
    }
  }

  #startLine() {
    this.#line = document.createElement('div');
    this.#root.append(this.#line);
  }
}
