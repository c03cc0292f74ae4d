/**
 * A growing text. Appending costs what is appended, not what is there: each line is a block of its
 * own, so that a line break never makes the browser lay out the whole text again, and a text node is
 * left alone once it is long. `textContent` is exactly the text.
 */

const kNodeMax = 512;

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
      if (!this.#tail || this.#tail.length > kNodeMax) {
        this.#tail = document.createTextNode('');
        this.#line?.append(this.#tail);
      }
      this.#tail.appendData(piece);
      // The break stays at the end of its block, where it draws nothing.
      if (piece.endsWith('\n')) this.#line = this.#tail = null;
    }
  }

  #startLine() {
    this.#line = document.createElement('div');
    this.#root.append(this.#line);
  }
}
