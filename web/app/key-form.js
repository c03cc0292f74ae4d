/**
 * The form for a key, shown when the server requires one or refuses the current one. The key is kept
 * only in the session storage of the tab.
 */

const KEY = 'sluice.key';

/** Of `data-label`, above an optional hint in the form. */
const FIELDS = `
  <label class="field-label" for="key"></label>
  <div class="key-row">
    <input id="key" data-testid="key" type="password" autocomplete="off" autocapitalize="off"
      spellcheck="false" aria-describedby="key-hint key-problem" />
    <button type="submit" class="primary" data-testid="use-key">Use key</button>
  </div>
  <p id="key-problem" class="problem" role="alert" data-testid="key-problem"></p>`;

/** @returns {string | null} the key of this tab */
export function recallKey() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage switched off
  }
}

/** @param {string | null} key null: remove it */
function keepKey(key) {
  try {
    if (key === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, key);
  } catch {
    // Without storage the form appears again after a reload.
  }
}

/** The controller of the form. `ask()` shows it. */
export class KeyForm {
  #form;
  #field;
  #button;
  #problem;
  #tryKey;

  /**
   * @param {HTMLFormElement} form hidden; its `data-label` is the label of the field
   * @param {(key: string) => Promise<string>} tryKey resolves with the problem of the key; empty if
   *   the server accepts it
   */
  constructor(form, tryKey) {
    this.#form = form;
    this.#tryKey = tryKey;
    /** @type {<T extends HTMLElement>(selector: string) => T} */
    const find = (selector) => /** @type {any} */ (form.querySelector(selector));
    form.insertAdjacentHTML('afterbegin', FIELDS);
    find('label').textContent = form.dataset.label ?? '';
    this.#field = /** @type {HTMLInputElement} */ (find('input'));
    this.#button = /** @type {HTMLButtonElement} */ (find('button'));
    this.#problem = find('[role=alert]');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  /** @param {string} problem the reason; empty: none */
  ask(problem) {
    this.#form.hidden = false;
    this.#setProblem(problem);
    this.#field.focus();
  }

  /** @param {string} problem */
  #setProblem(problem) {
    this.#problem.textContent = problem;
    this.#field.setAttribute('aria-invalid', String(problem !== ''));
  }

  async #send() {
    const key = this.#field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) {
      return this.ask('A key consists of letters, digits and punctuation.');
    }
    this.#button.disabled = true;
    this.#setProblem('');
    const problem = await this.#tryKey(key);
    this.#button.disabled = false;
    keepKey(problem === '' ? key : null);
    if (problem !== '') return this.ask(problem);
    this.#field.value = '';
    this.#form.hidden = true;
  }
}
