/** Common parts of the dashboard's sections: calls with the key of the tab, questions, announcements. */
import { Announcer } from '../app/announcer.js';
import { byTestId } from './dom.js';
import { Http } from '../client/http.js';
import { recallKey } from '../app/key-form.js';

/** The context of the page. */
export class Context {
  #http = new Http('', globalThis.fetch.bind(globalThis));
  #onDenied;
  /** @type {string | null} */
  #key = recallKey();
  announcer = new Announcer(byTestId('announcer'));

  /** @param {(message: string) => void} onDenied called if the server refuses the key or a missing key */
  constructor(onDenied) {
    this.#onDenied = onDenied;
    this.#http.setApiKey(this.#key);
  }

  get key() {
    return this.#key;
  }

  /** @param {string} key */
  useKey(key) {
    this.#key = key;
    this.#http.setApiKey(key);
  }

  /**
   * @param {'GET' | 'POST' | 'PATCH' | 'DELETE'} method
   * @param {string} path
   * @param {unknown} [body]
   * @param {HTMLElement} [problem] element for failures; default: at the top of the page
   * @returns {Promise<any>} undefined after a failure, which is shown; `{}` for an answer without content
   */
  async call(method, path, body, problem = byTestId('problem')) {
    try {
      problem.textContent = '';
      return (await this.#http.call(method, path, { body })) ?? {};
    } catch (error) {
      const { status, message, param } = /** @type {any} */ (error);
      if (status === 401 || status === 403) this.#onDenied(message);
      else problem.textContent = param ? `${message} (${param})` : String(message);
      return undefined;
    }
  }

  /**
   * Asks for confirmation of an irreversible action.
   * @param {{title: string, text: string, yes: string}} question
   * @returns {Promise<boolean>}
   */
  confirm({ title, text, yes }) {
    const dialog = /** @type {HTMLDialogElement} */ (byTestId('confirm'));
    byTestId('confirm-title').textContent = title;
    byTestId('confirm-text').textContent = text;
    byTestId('confirm-yes').textContent = yes;
    return new Promise((resolve) => {
      const answer = (/** @type {boolean} */ given) => {
        dialog.close();
        resolve(given);
      };
      byTestId('confirm-yes').onclick = () => answer(true);
      byTestId('confirm-no').onclick = () => answer(false);
      dialog.onclose = () => resolve(false);
      dialog.showModal();
    });
  }
}
