/**
 * The open conversation: its messages, the running turn, and the actions on them. The server holds
 * the state; the page shows it, and reloads it after each turn.
 */

import { ChatMessage } from './chat-message.js';
import { ChatScroll } from './chat-scroll.js';
import { excerpt, plural } from '../format.js';
import { textOfMessage } from './message-text.js';
import { plainText, titleOf } from '../plain-text.js';

/** @typedef {import('../../client.js').Job} Job */
/** @typedef {import('../../client/conversations.js').Conversation} Conversation */
/** @typedef {import('../../client/conversations.js').ConversationMessage} ConversationMessage */
/** @typedef {import('./composer.js').PromptRequest} PromptRequest */

const TITLE_MAX = 60;
const NO_TITLE = 'New conversation';

/**
 * @typedef {object} ChatPage
 * @property {import('../../client.js').Client} client
 * @property {import('./deletions.js').Deletions} deletions
 * @property {HTMLTemplateElement} template of a message
 * @property {(message: string) => void} say
 * @property {(text: string) => void} copy
 * @property {() => Partial<PromptRequest>} settings of the form, for repeated turns
 * @property {(id: string | null) => void} onOpened called with a conversation that replaces
 *   the shown one; null: a new one
 * @property {() => void} onChange called when turns or title have changed
 * @property {() => void} onConnection called when the connection of the running turn has changed
 */

/** The section of one conversation at a time. `open()` and `close()` switch it. */
export class Chat {
  /** @type {string | null} null: no conversation is open, or it is not created yet */
  #id = null;
  #title = '';
  /** @type {Job | null} the job of the running turn */
  #job = null;
  /** @type {ConversationMessage[]} as stored */
  #stored = [];
  /** @type {ChatMessage[]} the messages on the page */
  #shown = [];
  /** Counts calls of open(), so that a late response for another conversation is ignored. */
  #opening = 0;
  #find;
  #scroll;
  #page;

  /** @param {HTMLElement} section @param {ChatPage} page */
  constructor(section, page) {
    this.section = section;
    this.#page = page;
    /** @type {<T extends HTMLElement>(name: string) => T} */
    this.#find = (name) => /** @type {any} */ (section.querySelector(`[data-testid=${name}]`));
    this.#scroll = new ChatScroll(this.#find('turns'), this.#find('latest'));
    this.#find('fork').addEventListener('click', () => void this.#fork());
    this.#find('delete').addEventListener('click', () => {
      if (this.#id !== null) this.delete(this.#id);
    });
  }

  /** The job of the running turn. */
  get job() {
    return this.#job;
  }

  get id() {
    return this.#id;
  }

  /** The title of the open conversation; empty: none is open. */
  get title() {
    return this.#id === null ? '' : this.#title;
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
      const conversation = await this.#page.client.conversations.get(id);
      if (opening !== this.#opening) return;
      this.#draw(conversation);
    } catch (/** @type {any} */ error) {
      if (opening !== this.#opening) return;
      const gone = error.status === 404;
      this.#title = gone ? 'Not found' : this.#title;
      this.#drawHead();
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
    this.#scroll.leave();
  }

  #leave() {
    // The job continues at the server; open() connects to it again.
    this.#job?.disconnect();
    this.#job = null;
    this.#stored = [];
    for (const each of this.#shown.splice(0)) each.element.remove();
  }

  /** Cancels the running turn; its partial answer is kept. */
  async stop() {
    const job = this.#job;
    try {
      await job?.cancel();
    } catch (/** @type {any} */ error) {
      if (!job?.ended) this.#shown.at(-1)?.setNote(`Not stopped: ${error.message}.`, 'bad');
    }
  }

  /** @param {PromptRequest} request @returns {Promise<unknown[]>} the errors */
  async send(request) {
    this.#setProblem('');
    const { client, onOpened } = this.#page;
    const isNew = this.#id === null;
    const opening = this.#opening;
    let id = this.#id;
    try {
      if (id === null) {
        const title = titleOf(request.prompt);
        id = (await client.conversations.create({ title })).conversation_id;
      }
      const sentAtMs = performance.now();
      const job = await client.submit({ ...request, conversation_id: id });
      if (opening !== this.#opening) return []; // another conversation has been opened meanwhile
      this.#id = id;
      if (isNew) this.#title = titleOf(request.prompt);
      this.#add({ role: 'user', content: request.prompt });
      this.#follow(job, { sentAtMs, request });
      this.#drawHead();
      this.#scroll.toEnd();
      if (isNew) onOpened(id);
      return [];
    } catch (/** @type {any} */ error) {
      if (isNew && id !== null) void client.conversations.delete(id).catch(() => {});
      else if (error.code === 'conversation_busy') await this.refresh();
      return [error];
    }
  }

  /**
   * @param {Job} job
   * @param {{sentAtMs?: number, request?: PromptRequest}} [sent] of a job of this page
   */
  #follow(job, { sentAtMs, request } = {}) {
    this.#job = job;
    const { onConnection, onChange } = this.#page;
    // The job may have been disconnected before; it keeps the text received until then.
    const answer = this.#add({ role: 'assistant', content: job.text, job_id: job.id });
    for (const each of this.#shown) each.setActions({});
    answer.follow(job, sentAtMs ?? null);
    job.on('open', onConnection);
    job.on('reconnecting', onConnection);
    job.reconnect();
    onChange();
    void job.done.then(() => this.#ended(job, answer, request));
  }

  /** @param {Job} job @param {ChatMessage} answer @param {PromptRequest} [request] */
  async #ended(job, answer, request) {
    if (this.#job !== job || job.error?.code === 'client_closed') return;
    this.#job = null;
    this.#page.say(job.error ? `Failed: ${job.error.message}` : 'The answer is complete.');
    if (job.error && job.status !== 'gone') {
      answer.setNote(`${job.error.message} This turn was not saved.`, 'bad');
      this.#stored.forEach((_, i) => this.#shown[i].setActions(this.#actionsOf(i)));
      const asked = this.#shown.at(-2);
      const again = request ?? (asked && { prompt: asked.text, ...this.#page.settings() });
      if (again) answer.setActions({ onAgain: () => void this.#repeat(again) });
    } else if (this.#id !== null) {
      await this.open(this.#id);
    }
    this.#page.onChange();
  }

  /** Repeats a failed turn. @param {PromptRequest} request */
  async #repeat(request) {
    for (const each of this.#shown.splice(this.#stored.length)) each.element.remove();
    const [error] = await this.send(request);
    if (error) this.#setProblem(/** @type {Error} */ (error).message);
  }

  /** @param {Conversation | null} conversation null: not loaded yet */
  #draw(conversation) {
    const { messages = [], title, busy_messages: asked = [] } = conversation ?? {};
    this.#setProblem('');
    this.#stored = messages;
    this.#title = plainText(title ?? (conversation ? 'Conversation' : NO_TITLE));
    const follow = this.#scroll.isNearEnd() || conversation === null;
    const running = this.#job === null ? 0 : 2; // a question and its answer
    const all = [...messages, ...(running > 0 ? [] : asked)];
    // Unchanged messages keep their elements, so that focus, selection and unfolded parts stay.
    const same = (/** @type {ChatMessage | undefined} */ shown, /** @type {any} */ message) =>
      shown?.role === message.role && shown?.text === textOfMessage(message);
    const first = all.findIndex((message, i) => !same(this.#shown[i], message));
    if (running === 0) {
      const kept = first === -1 ? all.length : first;
      for (const each of this.#shown.splice(kept)) each.element.remove();
      for (const message of all.slice(kept)) this.#add(message);
    }
    messages.forEach((message, i) => this.#shown[i]?.settle(message, this.#actionsOf(i)));
    const busy = conversation?.busy_job_id;
    if (busy !== undefined && running === 0) this.#follow(this.#page.client.attach(busy));
    this.#drawHead();
    if (follow) this.#scroll.toEnd();
  }

  #drawHead() {
    this.#find('chat-title').textContent = this.#title;
    this.#find('chat-empty').hidden = this.#shown.length > 0 || this.#id !== null;
    this.#find('chat-head').hidden = this.#id === null;
    const { length } = this.#stored;
    this.#find('chat-count').textContent = length === 0 ? '' : plural(length, 'message');
    this.#scroll.draw();
  }

  /** @param {import('./chat-message.js').ShownMessage} message */
  #add(message) {
    const { template, copy } = this.#page;
    const onDrawn = () => this.#scroll.follow();
    const shown = new ChatMessage(message, { template, copy, onDrawn });
    this.#shown.push(shown);
    this.#find('turns').append(shown.element);
    return shown;
  }

  /** @param {number} index of a stored message @returns {import('./chat-message.js').Actions} */
  #actionsOf(index) {
    if (this.#job !== null) return {};
    const { role, content } = this.#stored[index];
    if (role === 'user') {
      // Only text parts can be edited.
      if (typeof content !== 'string') return {};
      return { onEdit: (text) => void this.#replace(index, { prompt: text }) };
    }
    if (role !== 'assistant') return {};
    const asked = this.#stored.findLastIndex((each, i) => i < index && each.role === 'user');
    const prompt = this.#stored[asked]?.content;
    return {
      onFork: () => void this.#fork(index + 1),
      ...(typeof prompt === 'string' && { onAgain: () => void this.#replace(asked, { prompt }) }),
    };
  }

  /**
   * Replaces a stored message of the user by another turn. The conversation is
   * replaced by a fork that ends before it; the notice can undo this.
   * @param {number} index @param {PromptRequest} request
   */
  async #replace(index, request) {
    const { client, deletions, settings, onOpened } = this.#page;
    const before = this.#id;
    if (before === null || this.#job !== null) return;
    const title = index === 0 ? titleOf(request.prompt) : this.#title;
    let made;
    try {
      made = await client.conversations.fork(before, { at: index, title });
      await client.submit({ ...settings(), ...request, conversation_id: made.conversation_id });
    } catch (/** @type {any} */ error) {
      if (made) void client.conversations.delete(made.conversation_id).catch(() => {});
      return this.#setProblem(`Not sent: ${error.message}`);
    }
    deletions.add(before, 'The earlier version is deleted.', () => onOpened(before));
    onOpened(made.conversation_id);
  }

  /** @param {number} [at] the number of messages to copy; default all */
  async #fork(at) {
    const id = this.#id;
    if (id === null) return;
    try {
      const title = excerpt(`Fork of ${this.#title}`, TITLE_MAX);
      const request = { title, ...(at !== undefined && { at }) };
      const made = await this.#page.client.conversations.fork(id, request);
      this.#page.say('Forked.');
      this.#page.onOpened(made.conversation_id);
    } catch (/** @type {any} */ error) {
      this.#setProblem(`Not forked: ${error.message}`);
    }
  }

  /** Deletes a conversation, which the notice can undo. @param {string} id */
  delete(id) {
    const { deletions, onOpened, onChange } = this.#page;
    const open = id === this.#id;
    deletions.add(id, 'The conversation is deleted.', () => (open ? onOpened(id) : onChange()));
    this.#page.say('Deleted.');
    if (open) onOpened(null);
    else onChange();
  }

  /** @param {string} message empty: none */
  #setProblem(message) {
    this.#find('chat-problem').textContent = message;
  }
}
