/**
 * The open conversation: its messages, the turn that is under way, and what can be done with it. The
 * server has it all; the page only shows it, and asks again after each turn.
 */

import { ChatMessage } from './chat-message.js';
import { excerpt, plural } from './format.js';

/** @typedef {import('../client.js').Job} Job */
/** @typedef {import('../client/conversations.js').Conversation} Conversation */

const kTitleMax = 60;
const kNoTitle = 'New conversation';
/** So near to its end the page stays there as text comes. */
const kNearEndPx = 120;

export class Chat {
  /** @type {string | null} null: none is open, or it is yet to be created */
  #id = null;
  /** @type {Job | null} whose turn it is */
  #job = null;
  /** @type {ChatMessage | null} its answer, as it is shown */
  #answer = null;
  /** Counts openings, so that a late answer about another conversation changes nothing. */
  #opening = 0;
  #find;
  #client;
  #template;
  #say;
  #onOpened;
  #onChange;
  #onConnection;

  /**
   * @param {HTMLElement} section
   * @param {object} page
   * @param {import('../client.js').Client} page.client
   * @param {HTMLTemplateElement} page.template of a message
   * @param {(message: string) => void} page.say
   * @param {(id: string | null) => void} page.onOpened another conversation is to be shown: one that
   *   was just made, or none
   * @param {() => void} page.onChange its turns or its title have changed
   * @param {() => void} page.onConnection the connection of the turn that is under way has
   */
  constructor(section, { client, template, say, onOpened, onChange, onConnection }) {
    this.section = section;
    this.#client = client;
    this.#template = template;
    this.#say = say;
    this.#onOpened = onOpened;
    this.#onChange = onChange;
    this.#onConnection = onConnection;
    /** @type {<T extends HTMLElement>(name: string) => T} */
    this.#find = (name) => /** @type {any} */ (section.querySelector(`[data-testid=${name}]`));
    this.#find('fork').addEventListener('click', () => void this.#fork());
    this.#find('delete').addEventListener('click', () => void this.#delete());
  }

  /** The job whose turn is under way. */
  get job() {
    return this.#job;
  }

  get id() {
    return this.#id;
  }

  /**
   * Shows a conversation as the server has it.
   * @param {string | null} id null: an empty one, made with its first turn
   */
  async open(id) {
    const opening = ++this.#opening;
    if (id !== this.#id || id === null) {
      this.#leave();
      this.#id = id;
      this.#draw(null);
    }
    if (id === null) return;
    try {
      const conversation = await this.#client.conversations.get(id);
      if (opening !== this.#opening) return;
      this.#draw(conversation);
    } catch (/** @type {any} */ error) {
      if (opening !== this.#opening) return;
      const gone = error.status === 404;
      this.#setProblem(gone ? 'The server does not have this conversation.' : error.message);
    }
  }

  /** What is shown may be old: another tab may have gone on. */
  async refresh() {
    if (this.#id !== null && this.#job === null) await this.open(this.#id);
  }

  close() {
    this.#opening += 1;
    this.#leave();
    this.#id = null;
  }

  #leave() {
    // The job goes on as its policy says; it is found again when this is opened again.
    this.#job?.disconnect();
    this.#job = this.#answer = null;
  }

  /**
   * @param {import('../client.js').JobRequest & {prompt: string}} request
   * @returns {Promise<unknown[]>} the errors
   */
  async send(request) {
    this.#setProblem('');
    const { conversations } = this.#client;
    const isNew = this.#id === null;
    try {
      if (this.#id === null) {
        const title = excerpt(request.prompt, kTitleMax);
        this.#id = (await conversations.create({ title })).conversation_id;
        this.#find('chat-title').textContent = title;
      }
      const id = this.#id;
      const job = await this.#client.submit({ ...request, conversation_id: id });
      this.#find('chat-empty').hidden = true;
      this.#add({ role: 'user', content: request.prompt });
      this.#follow(job);
      this.#scroll(true);
      if (isNew) this.#onOpened(id);
      return [];
    } catch (/** @type {any} */ error) {
      if (isNew && this.#id !== null) this.#onOpened(this.#id);
      else if (error.code === 'conversation_busy') await this.refresh();
      return [error];
    }
  }

  /** @param {Job} job */
  #follow(job) {
    this.#job = job;
    // It may have been let go of before, and has what came until then.
    this.#answer = this.#add({ role: 'assistant', content: job.text }, () => this.#scroll(false));
    this.#answer.follow(job);
    job.on('open', this.#onConnection);
    job.on('reconnecting', this.#onConnection);
    job.reconnect();
    this.#drawActions();
    this.#onChange();
    void job.done.then(() => this.#ended(job));
  }

  /** @param {Job} job */
  async #ended(job) {
    if (this.#job !== job || job.error?.code === 'client_closed') return;
    const answer = this.#answer;
    this.#job = this.#answer = null;
    this.#say(job.error ? `Failed: ${job.error.message}` : 'The answer is complete.');
    if (job.error && job.status !== 'gone') {
      answer?.setNote(`${job.error.message} Nothing of this turn is kept; send it again.`, 'bad');
      this.#drawActions();
      this.#onChange();
      return;
    }
    if (this.#id !== null) await this.open(this.#id);
    this.#onChange();
  }

  /** @param {Conversation | null} conversation null: not known yet */
  #draw(conversation) {
    const {
      messages = [],
      title,
      busy_messages: asked = [],
      busy_job_id: busy,
    } = conversation ?? {};
    this.#setProblem('');
    this.#find('chat-title').textContent = title ?? (conversation ? 'Conversation' : kNoTitle);
    this.#find('chat-empty').hidden = messages.length + asked.length > 0 || this.#id !== null;
    this.#find('chat-count').textContent =
      messages.length === 0 ? '' : plural(messages.length, 'message');
    const near = this.#isNearEnd();
    const live = this.#job;
    this.#find('turns').replaceChildren();
    messages.forEach((message, i) => this.#add(message, undefined, i + 1));
    for (const message of asked) this.#add(message);
    if (busy !== undefined && live === null) this.#follow(this.#client.attach(busy));
    this.#drawActions();
    if (near) this.#scroll(true);
  }

  /**
   * @param {{role: string, content: string, finish_reason?: string}} message
   * @param {() => void} [onDrawn]
   * @param {number} [count] of messages up to this one, of those that are kept
   */
  #add(message, onDrawn, count) {
    const forks = count !== undefined && message.role === 'assistant';
    const onFork = forks ? () => void this.#fork(count) : undefined;
    const shown = new ChatMessage(message, { template: this.#template, onFork, onDrawn });
    this.#find('turns').append(shown.element);
    return shown;
  }

  #drawActions() {
    const none = this.#id === null;
    /** @type {HTMLButtonElement} */ (this.#find('fork')).disabled = none;
    /** @type {HTMLButtonElement} */ (this.#find('delete')).disabled = none;
  }

  /** @param {number} [at] how many messages; default all */
  async #fork(at) {
    const id = this.#id;
    if (id === null) return;
    const title = `Fork of ${this.#find('chat-title').textContent}`;
    try {
      const request = { title: excerpt(title, kTitleMax), ...(at !== undefined && { at }) };
      const made = await this.#client.conversations.fork(id, request);
      this.#say('Forked.');
      this.#onOpened(made.conversation_id);
    } catch (/** @type {any} */ error) {
      this.#setProblem(`Not forked: ${error.message}`);
    }
  }

  async #delete() {
    const id = this.#id;
    if (id === null) return;
    try {
      await this.#client.conversations.delete(id);
    } catch (/** @type {any} */ error) {
      if (error.status !== 404) return this.#setProblem(`Not deleted: ${error.message}`);
    }
    this.#say('Deleted.');
    this.close();
    this.#onOpened(null);
  }

  /** @param {string} message empty for none */
  #setProblem(message) {
    this.#find('chat-problem').textContent = message;
  }

  #isNearEnd() {
    const { scrollHeight } = document.documentElement;
    return scrollHeight - scrollY - innerHeight < kNearEndPx;
  }

  /** @param {boolean} always or only where the end is in sight */
  #scroll(always) {
    const last = this.#find('turns').lastElementChild;
    if (always || this.#isNearEnd()) last?.scrollIntoView({ block: 'nearest' });
  }
}
