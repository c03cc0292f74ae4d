/** The notice that the demo model answers, with the command that connects another one. */

const KEY = 'sluice.banner';

const CONTENT = `
  <p>
    <strong>The demo model answers.</strong> Connect your own:
    <code data-part="line">npx sluice serve --upstream http://127.0.0.1:11434 --model llama3.2</code>
  </p>
  <button type="button" class="icon" data-part="copy" aria-label="Copy the command">
    <svg aria-hidden="true"><use href="#i-copy" /></svg>
  </button>
  <button type="button" class="icon" data-part="close" aria-label="Hide this notice">
    <svg aria-hidden="true"><use href="#i-close" /></svg>
  </button>`;

/** The owner of the models of the demo provider in `GET /v1/models`. */
const DEMO = 'demo';

/** The controller of the notice. */
export class Banner {
  #element;

  /** @param {HTMLElement} element empty, hidden @param {(text: string) => void} copy */
  constructor(element, copy) {
    this.#element = element;
    element.innerHTML = CONTENT;
    /** @param {string} name */
    const part = (name) =>
      /** @type {HTMLElement} */ (element.querySelector(`[data-part=${name}]`));
    part('copy').addEventListener('click', () => copy(part('line').textContent ?? ''));
    part('close').addEventListener('click', () => {
      element.hidden = true;
      try {
        sessionStorage.setItem(KEY, 'closed');
      } catch {
        // Without storage the notice appears again after a reload.
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
