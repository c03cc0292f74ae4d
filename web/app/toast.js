/** Short notices at the foot of the page. A notice with an undo gives time to revert an action. */

const SHOWN_MS = 8000;

/** The notices of the page. */
export class Toasts {
  #root;
  #template;

  /** @param {HTMLElement} root @param {HTMLTemplateElement} template */
  constructor(root, template) {
    this.#root = root;
    this.#template = template;
  }

  /**
   * @param {string} text
   * @param {object} [actions] exactly one of them is called, at most once
   * @param {() => void} [actions.onUndo] called by the button; without it there is no button
   * @param {() => void} [actions.onEnd] called when the notice disappears
   * @returns {() => void} ends it now
   */
  show(text, { onUndo, onEnd } = {}) {
    const fragment = /** @type {DocumentFragment} */ (this.#template.content.cloneNode(true));
    const element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    /** @param {string} name */
    const part = (name) =>
      /** @type {HTMLElement} */ (element.querySelector(`[data-part=${name}]`));
    part('text').textContent = text;
    let open = true;
    const close = (/** @type {(() => void) | undefined} */ then) => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      element.remove();
      then?.();
    };
    const timer = setTimeout(() => close(onEnd), SHOWN_MS);
    // The notice stays while it has the focus or the pointer.
    element.addEventListener('focusin', () => clearTimeout(timer));
    element.addEventListener('pointerenter', () => clearTimeout(timer));
    part('undo').hidden = onUndo === undefined;
    part('undo').addEventListener('click', () => close(onUndo));
    part('close').addEventListener('click', () => close(onEnd));
    this.#root.append(element);
    return () => close(onEnd);
  }
}
