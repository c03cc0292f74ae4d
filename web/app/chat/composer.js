/**
 * The form for a prompt, its model, length and number of copies. It submits the requests and shows
 * refusals beside their field.
 */

import { fitHeight } from '../fit-height.js';
import { plural } from '../format.js';

/** @typedef {import('../../client.js').JobRequest & {prompt: string}} PromptRequest */
/** @typedef {'chat' | 'jobs'} View */

/** Maximum jobs per click, to protect the server. */
const JOBS_MAX = 64;

const BUSY = 'The answer is still streaming. Stop it, or send this when it has ended.';

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
  #options;
  #send;
  #stop;
  #problem;
  #copies;
  /** @type {View} */
  #view = 'chat';
  #busy = false;
  #sending = false;

  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} problem
   * @param {object} page
   * @param {(requests: PromptRequest[]) => Promise<unknown[]>} page.submit resolves with one error
   *   per refused request
   * @param {() => void} page.onStop
   */
  constructor(form, problem, { submit, onStop }) {
    this.#form = form;
    this.#problem = problem;
    this.#submit = submit;
    /** @type {<T extends HTMLElement>(selector: string) => T} */
    const find = (selector) => /** @type {any} */ (form.querySelector(selector));
    this.#prompt = /** @type {HTMLTextAreaElement} */ (find('#prompt'));
    this.#model = /** @type {HTMLSelectElement} */ (find('#model'));
    this.#modelName = /** @type {HTMLInputElement} */ (find('#model-name'));
    this.#length = /** @type {HTMLInputElement} */ (find('#length'));
    this.#options = /** @type {HTMLDetailsElement} */ (find('details'));
    this.#send = /** @type {HTMLButtonElement} */ (find('button[type=submit]'));
    this.#stop = /** @type {HTMLButtonElement} */ (find('[data-testid=stop]'));
    this.#copies = /** @type {HTMLFieldSetElement} */ (find('[data-part=copies]'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.send();
    });
    form.addEventListener('input', () => this.#draw());
    this.#stop.addEventListener('click', onStop);
    this.#prompt.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#listenToOptions();
    this.#draw();
  }

  #listenToOptions() {
    const close = () => (this.#options.open = false);
    document.addEventListener('pointerdown', (event) => {
      if (!this.#options.contains(/** @type {Node} */ (event.target))) close();
    });
    this.#options.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.#options.open) return;
      close();
      this.#options.querySelector('summary')?.focus();
    });
  }

  /** @param {{id: string}[]} models the default first; empty: any name is allowed */
  setModels(models) {
    const chosen = this.#model.value;
    this.#model.replaceChildren(...models.map(({ id }) => new Option(id, id)));
    if (models.some(({ id }) => id === chosen)) this.#model.value = chosen;
    this.#model.hidden = models.length === 0;
    this.#modelName.hidden = models.length > 0;
    const label = this.#form.querySelector('label[for^=model]');
    label?.setAttribute('for', models.length > 0 ? 'model' : 'model-name');
  }

  /** @param {View} view `chat`: a prompt is sent once, as a turn of a conversation */
  setView(view) {
    this.#view = view;
    this.#copies.hidden = this.#copies.disabled = view === 'chat';
    this.#form.dataset.view = view;
    this.#prompt.placeholder = view === 'chat' ? 'Send a message' : 'Enter a prompt';
    this.#draw();
  }

  /** @param {boolean} busy whether the answer of the open conversation streams */
  setBusy(busy) {
    if (busy === this.#busy) return;
    this.#busy = busy;
    if (!busy) this.setProblem('');
    const focused = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#draw();
    // The focused button was removed.
    if (focused) (busy ? this.#stop : this.#prompt).focus();
  }

  focus() {
    this.#prompt.focus();
  }

  /** @param {string} text */
  setPrompt(text) {
    this.#prompt.value = text;
    this.#draw();
    this.focus();
  }

  /** @param {string} message empty: none */
  setProblem(message) {
    this.#problem.textContent = message;
  }

  /** The chosen settings of a request. @throws {RangeError} an invalid length */
  settings() {
    const value = this.#length.value.trim();
    const length = value === '' ? undefined : Number(value);
    // A number field has an empty value for text that is not a number.
    const bad = this.#length.validity.badInput;
    if (bad || (length !== undefined && !(Number.isInteger(length) && length >= 1))) {
      throw new RangeError('Length must be a whole number of tokens, 1 or more.');
    }
    const model = this.#modelName.hidden ? this.#model.value : this.#modelName.value.trim();
    // An answer of a conversation is kept, so it needs no reader.
    const stays = this.#view === 'chat' || new FormData(this.#form).has('continue');
    return {
      ...(model === '' ? {} : { model }),
      ...(length === undefined ? {} : { max_tokens: length }),
      ...(stays ? { on_disconnect: /** @type {const} */ ('continue') } : {}),
    };
  }

  #prompts() {
    const text = this.#prompt.value.trim();
    if (text === '') return [];
    if (this.#view === 'chat') return [text];
    const copies = new FormData(this.#form).get('copies');
    if (copies !== 'lines') return Array.from({ length: Number(copies) }, () => text);
    const lines = text.split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '').slice(0, JOBS_MAX);
  }

  #draw() {
    fitHeight(this.#prompt);
    const { length } = this.#prompts();
    const stops = this.#view === 'chat' && this.#busy;
    this.#send.hidden = stops;
    this.#stop.hidden = !stops;
    const label = length > 1 ? `Stream ${plural(length, 'job')}` : 'Stream';
    const part = this.#send.querySelector('[data-part=label]');
    if (part) part.textContent = this.#view === 'chat' ? '' : label;
    this.#send.setAttribute('aria-label', this.#view === 'chat' ? 'Send' : label);
    this.#send.dataset.empty = String(length === 0);
  }

  /** Submits the form. */
  async send() {
    if (this.#sending) return;
    if (this.#view === 'chat' && this.#busy) return this.setProblem(BUSY);
    const prompts = this.#prompts();
    if (prompts.length === 0) return this.#refuse('Write a prompt first.', this.#prompt);
    let settings;
    try {
      settings = this.settings();
    } catch (/** @type {any} */ error) {
      this.#options.open = true;
      return this.#refuse(error.message, this.#length);
    }
    const sent = this.#prompt.value;
    this.#sending = this.#send.disabled = true;
    this.setProblem('');
    const errors = await this.#submit(prompts.map((prompt) => ({ prompt, ...settings })));
    this.#sending = this.#send.disabled = false;
    if (errors.length === 0) {
      // Text typed meanwhile stays.
      if (this.#prompt.value === sent) this.#prompt.value = '';
      this.#draw();
      return;
    }
    const [first] = /** @type {import('../../client.js').SluiceClientError[]} */ (errors);
    const many = prompts.length > 1 ? `${errors.length} of ${prompts.length} refused: ` : '';
    // The key form gets the focus.
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
