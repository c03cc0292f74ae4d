/**
 * The form for a prompt, its model, length and number of copies. It submits the requests and shows
 * refusals beside their field.
 */

import { plural } from './format.js';

/** @typedef {import('../client.js').JobRequest & {prompt: string}} PromptRequest */

/** The most jobs per click, to protect the server. */
const JOBS_MAX = 64;

/** @type {Record<string, string>} */
const FIELD_OF = { prompt: '#prompt', model: '#model', max_tokens: '#length' };

/** The controller of the form, for the life of the page. */
export class Composer {
  #form;
  #submit;
  #prompt;
  #model;
  #modelName;
  #length;
  #button;
  #problem;
  #copies;

  /**
   * @param {HTMLFormElement} form
   * @param {(requests: PromptRequest[]) => Promise<unknown[]>} submit resolves with one error
   *   per refused request
   */
  constructor(form, submit) {
    this.#form = form;
    this.#submit = submit;
    /** @type {<T extends HTMLElement>(selector: string) => T} */
    const find = (selector) => /** @type {any} */ (form.querySelector(selector));
    this.#prompt = /** @type {HTMLTextAreaElement} */ (find('#prompt'));
    this.#model = /** @type {HTMLSelectElement} */ (find('#model'));
    this.#modelName = /** @type {HTMLInputElement} */ (find('#model-name'));
    this.#length = /** @type {HTMLInputElement} */ (find('#length'));
    this.#button = /** @type {HTMLButtonElement} */ (find('button[type=submit]'));
    this.#problem = find('[data-testid=problem]');
    this.#copies = /** @type {HTMLFieldSetElement} */ (find('[data-part=copies]'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
    form.addEventListener('input', () => this.#count());
    form.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#count();
  }

  /** @param {{id: string}[]} models the default first; empty: any name is allowed */
  setModels(models) {
    this.#model.replaceChildren(...models.map(({ id }) => new Option(id, id)));
    this.#model.hidden = models.length === 0;
    this.#modelName.hidden = models.length > 0;
    const label = this.#form.querySelector('label[for^=model]');
    label?.setAttribute('for', models.length > 0 ? 'model' : 'model-name');
  }

  /** @param {boolean} single true: send a prompt once, as a turn of a conversation */
  setSingle(single) {
    this.#copies.hidden = this.#copies.disabled = single;
    this.#count();
  }

  focus() {
    this.#prompt.focus();
  }

  /** @param {string} message empty: none */
  setProblem(message) {
    this.#problem.textContent = message;
  }

  #prompts() {
    const text = this.#prompt.value.trim();
    if (text === '') return [];
    if (this.#copies.disabled) return [text];
    const copies = new FormData(this.#form).get('copies');
    if (copies !== 'lines') return Array.from({ length: Number(copies) }, () => text);
    const lines = text.split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '').slice(0, JOBS_MAX);
  }

  #count() {
    const { length } = this.#prompts();
    if (this.#copies.disabled) this.#button.textContent = 'Send';
    else this.#button.textContent = length > 1 ? `Stream ${plural(length, 'job')}` : 'Stream';
  }

  async #send() {
    const prompts = this.#prompts();
    if (prompts.length === 0) return this.#refuse('Write a prompt first.', this.#prompt);
    const length = this.#length.value.trim() === '' ? undefined : Number(this.#length.value);
    if (length !== undefined && !(Number.isInteger(length) && length >= 1)) {
      return this.#refuse('Length must be a whole number of tokens, 1 or more.', this.#length);
    }
    const model = this.#modelName.hidden ? this.#model.value : this.#modelName.value.trim();
    const stays = new FormData(this.#form).has('continue');
    this.#button.disabled = true;
    this.setProblem('');
    const errors = await this.#submit(
      prompts.map((prompt) => ({
        prompt,
        ...(model === '' ? {} : { model }),
        ...(length === undefined ? {} : { max_tokens: length }),
        ...(stays ? { on_disconnect: 'continue' } : {}),
      })),
    );
    this.#button.disabled = false;
    if (errors.length === 0) {
      this.#prompt.value = '';
      this.#count();
      return;
    }
    const [first] = /** @type {import('../client.js').SluiceClientError[]} */ (errors);
    const many = prompts.length > 1 ? `${errors.length} of ${prompts.length} refused: ` : '';
    // The key form takes the focus.
    if (first.status === 401) return this.setProblem(`${many}${first.message}`);
    const field = this.#form.querySelector(FIELD_OF[first.param ?? ''] ?? '#prompt');
    this.#refuse(`${many}${first.message}`, /** @type {HTMLElement} */ (field));
  }

  /** @param {string} message @param {HTMLElement} field */
  #refuse(message, field) {
    this.setProblem(message);
    field.focus();
  }
}
