/** The notice that the demo model answers, with the command that connects another one. */

const KEY = 'sluice.banner';

/** The owner of the models of the demo provider in `GET /v1/models`. */
const DEMO = 'demo';

/** The controller of the notice. */
export class Banner {
  #element;

  /** @param {HTMLElement} element @param {(text: string) => void} copy */
  constructor(element, copy) {
    this.#element = element;
    /** @param {string} name */
    const part = (name) =>
      /** @type {HTMLElement} */ (element.querySelector(`[data-part=${name}]`));
    part('copy').addEventListener('click', () => copy(part('line').textContent ?? ''));
    part('close').addEventListener('click', () => {
      element.hidden = true;
      try {
        sessionStorage.setItem(KEY, 'closed');
      } catch {
        // Without storage the notice comes again after a reload.
      }
    });
  }

  /** @param {{id: string, owned_by?: string}[]} models of the server */
  show(models) {
    const closed = () => {
      try {
        return sessionStorage.getItem(KEY) !== null;
      } catch {
        return false;
      }
    };
    this.#element.hidden = !models.some((each) => each.owned_by === DEMO) || closed();
  }
}
