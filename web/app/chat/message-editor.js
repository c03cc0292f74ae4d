/** The form that edits a message of the user in place. */

import { fitHeight } from '../fit-height.js';

/** The controller of one message's form. `open()` shows it. */
export class MessageEditor {
  #parts;
  #draft;

  /**
   * @param {Record<string, HTMLElement>} parts of the message
   * @param {(text: string) => void} onSend called with a non-empty text
   */
  constructor(parts, onSend) {
    this.#parts = parts;
    this.#draft = /** @type {HTMLTextAreaElement} */ (parts.draft);
    parts.discard.addEventListener('click', () => this.#close());
    parts.editor.addEventListener('submit', (event) => {
      event.preventDefault();
      const text = this.#draft.value.trim();
      if (text === '') return this.#draft.focus();
      this.#close();
      onSend(text);
    });
    this.#draft.addEventListener('input', () => fitHeight(this.#draft));
    this.#draft.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') return this.#close();
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      /** @type {HTMLFormElement} */ (parts.editor).requestSubmit();
    });
  }

  /** @param {string} text */
  open(text) {
    this.#show(true);
    this.#draft.value = text;
    fitHeight(this.#draft);
    this.#draft.focus();
  }

  #close() {
    this.#show(false);
    this.#parts.edit.focus();
  }

  /** @param {boolean} editing */
  #show(editing) {
    this.#parts.editor.hidden = !editing;
    this.#parts.said.hidden = this.#parts.bar.hidden = editing;
  }
}
