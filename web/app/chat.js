/**
 * The open conversation: its messages, the running turn, and the actions fork and delete. The server
 * holds the state; the page shows it, and reloads it after each turn.
 */

import { ChatMessage } from './chat-message.js';
import { excerpt, plural } from './format.js';

/** @typedef {import('../client.js').Job} Job */
/** @typedef {import('../client/conversations.js').Conversation} Conversation */

const TITLE_MAX = 60;
const NO_TITLE = 'New conversation';
/** Within this distance of its end the page keeps scrolling to the end as text arrives. */
const NEAR_END_PX = 120;

/** The section of one conversation at a time. `open()` and `close()` switch it. */
export class Chat {
  /** @type {string | null} null: no conversation is open, or it is not created yet */
  #id = null;
  /** @type {Job | null} the job of the running turn */
  #job = null;
  /** @type {ChatMessage | null} the shown answer of that job */
  #answer = null;
  /** The shown answers, by the job of their turn. @type {Map<string, ChatMessage>} */
  #answers = new Map();
  /** Counts calls of open(), so that a late response for another conversation is ignored. */
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
   * @param {(id: string | null) => void} page.onOpened called with a conversation that was
   *   just created, or null after a deletion
   * @param {() => void} page.onChange called when turns or title have changed
   * @param {() => void} page.onConnection called when the connection of the running turn has changed
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

  /** The job of the running turn. */
  get job() {
    return this.#job;
  }

  get id() {
    return this.#id;
  }

  /**
   * Loads a conversation from the server and shows it.
   * @param {string | null} id null: a new conversation, created with its first turn
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
      this.#setProblem(gone ? 'The server has no such conversation.' : error.message);
    }
  }

  /** Reloads the conversation, which another tab may have changed. */
  async refresh() {
    if (this.#id !== null && this.#job === null) await this.open(this.#id);
  }

  close() {
    this.#opening += 1;
    this.#leave();
    this.#id = null;
  }

  #leave() {
    // The job continues as `on_disconnect` says; open() connects to it again.
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
        const title = excerpt(request.prompt, TITLE_MAX);
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
    // The job may have been disconnected before; it keeps the text received until then.
    this.#answer = this.#add({ role: 'assistant', content: job.text, job_id: job.id }, () =>
      this.#scroll(false),
    );
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
      answer?.setNote(`${job.error.message} This turn was not saved; send it again.`, 'bad');
      this.#drawActions();
      this.#onChange();
      return;
    }
    if (this.#id !== null) await this.open(this.#id);
    this.#onChange();
  }

  /** @param {Conversation | null} conversation null: not loaded yet */
  #draw(conversation) {
    const {
      messages = [],
      title,
      busy_messages: asked = [],
      busy_job_id: busy,
    } = conversation ?? {};
    this.#setProblem('');
    this.#find('chat-title').textContent = title ?? (conversation ? 'Conversation' : NO_TITLE);
    this.#find('chat-empty').hidden = messages.length + asked.length > 0 || this.#id !== null;
    this.#find('chat-count').textContent =
      messages.length === 0 ? '' : plural(messages.length, 'message');
    const near = this.#isNearEnd();
    const live = this.#job;
    const before = this.#answers;
    this.#answers = new Map();
    this.#find('turns').replaceChildren();
    messages.forEach((message, i) => this.#add(message, undefined, i + 1));
    for (const message of asked) this.#add(message);
    if (busy !== undefined && live === null) this.#follow(this.#client.attach(busy));
    // What the reader has unfolded stays so.
    for (const [job, shown] of this.#answers) shown.unfolded = before.get(job)?.unfolded ?? false;
    this.#drawActions();
    if (near) this.#scroll(true);
  }

  /**
   * @param {import('./chat-message.js').ShownMessage} message
   * @param {() => void} [onDrawn]
   * @param {number} [count] of stored messages up to and including this one
   */
  #add(message, onDrawn, count) {
    const forks = count !== undefined && message.role === 'assistant';
    const onFork = forks ? () => void this.#fork(count) : undefined;
    const shown = new ChatMessage(message, { template: this.#template, onFork, onDrawn });
    if (message.role === 'assistant' && message.job_id) this.#answers.set(message.job_id, shown);
    this.#find('turns').append(shown.element);
    return shown;
  }

  #drawActions() {
    const none = this.#id === null;
    /** @type {HTMLButtonElement} */ (this.#find('fork')).disabled = none;
    /** @type {HTMLButtonElement} */ (this.#find('delete')).disabled = none;
  }

  /** @param {number} [at] the number of messages to copy; default all */
  async #fork(at) {
    const id = this.#id;
    if (id === null) return;
    const title = `Fork of ${this.#find('chat-title').textContent}`;
    try {
      const request = { title: excerpt(title, TITLE_MAX), ...(at !== undefined && { at }) };
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

  /** @param {string} message empty: none */
  #setProblem(message) {
    this.#find('chat-problem').textContent = message;
  }

  #isNearEnd() {
    const { scrollHeight } = document.documentElement;
    return scrollHeight - scrollY - innerHeight < NEAR_END_PX;
  }

  /** @param {boolean} always false: only if the page is near its end */
  #scroll(always) {
    const last = this.#find('turns').lastElementChild;
    if (always || this.#isNearEnd()) last?.scrollIntoView({ block: 'nearest' });
  }
}
