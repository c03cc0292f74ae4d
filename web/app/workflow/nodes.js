/**
 * The state and text of a workflow's nodes, from `GET /v1/workflows/{id}` and the events after it.
 * Independent of the document.
 */

import { duration, plural } from '../format.js';

/** @typedef {'pending' | 'running' | 'retrying' | 'completed' | 'failed' | 'skipped' | 'cancelled'} State */

/** The separator between the texts of a map's items. */
const BETWEEN_ITEMS = '\n\n';

/** The model of one node. */
export class NodeModel {
  /** @type {State} */
  state = 'pending';
  attempts = 0;
  tokens = 0;
  /** The error, or the progress. */
  note = '';
  /** A short description of the node. */
  label = '';
  /** @type {string[]} one text per item of a map; else one text */
  #texts = [''];
  #pages = 0;

  /** @param {{id: string, type?: string, after?: string[]}} node */
  constructor({ id, type = 'prompt', after = [] }) {
    this.id = id;
    this.type = type;
    this.after = after;
  }

  get text() {
    // Items arrive in any order: items without text so far are holes in the array.
    return Array.from(this.#texts, (text) => text ?? '')
      .filter((text, i) => i === 0 || text !== '')
      .join(BETWEEN_ITEMS);
  }

  /** A short description of the state. */
  get words() {
    if (this.state === 'running' && this.tokens > 0) return plural(this.tokens, 'token');
    if (this.state === 'running' && this.#pages > 0) return plural(this.#pages, 'page');
    if (this.state === 'completed' && this.tokens > 0) {
      return `done, ${plural(this.tokens, 'token')}`;
    }
    if (this.state === 'completed' && this.#pages > 0) {
      return `done, ${plural(this.#pages, 'page')}`;
    }
    return this.state;
  }

  /** @param {any} view of `GET /v1/workflows/{id}` */
  show({ status, attempts, text, text_omitted: omitted, error, reason, items, usage }) {
    this.state = status;
    this.attempts = attempts;
    this.#texts = [omitted ? '(The text is too long to be shown here.)' : (text ?? '')];
    this.tokens = usage?.completion_tokens ?? 0;
    this.#pages = this.type === 'crawl' ? (items?.length ?? 0) : 0;
    this.note = error ? `${error.code}: ${error.message}` : reasonNote(reason);
  }

  /**
   * @param {string} type of an event of this node
   * @param {any} data
   * @returns {boolean} true if more than the text has changed
   */
  apply(type, data) {
    switch (type) {
      case 'token':
        this.tokens += 1;
        this.#texts[data.item ?? 0] = (this.#texts[data.item ?? 0] ?? '') + data.token;
        return false;
      case 'node_started':
        this.state = 'running';
        this.attempts = data.attempt;
        this.note = '';
        if (data.attempt === 1) this.#forget();
        return true;
      case 'node_progress':
        this.note = `${data.done} of ${plural(data.total, 'item')}`;
        return true;
      case 'page':
        this.#pages += 1;
        this.#texts[0] += `${data.title || data.url}\n`;
        return true;
      case 'page_error':
        this.note = `${data.url}: ${data.error.message}`;
        return true;
      case 'node_retry':
        this.state = 'retrying';
        this.note = `${data.error.code}; attempt ${data.attempt} in ${duration(data.delay_ms)}`;
        if (data.items === undefined) this.#forget();
        else for (const item of data.items) this.#texts[item] = '';
        return true;
      case 'node_complete':
        this.state = 'completed';
        this.note = '';
        if (typeof data.text === 'string' && this.type !== 'crawl') this.#texts = [data.text];
        return true;
      case 'node_failed':
        this.state = 'failed';
        this.note = `${data.error.code}: ${data.error.message}`;
        return true;
      case 'node_skipped':
        this.state = 'skipped';
        this.note = reasonNote(data.reason);
        return true;
      default:
        return false;
    }
  }

  #forget() {
    this.#texts = [''];
    this.tokens = 0;
    this.#pages = 0;
  }

  /** Marks an unfinished node as cancelled after the end of the workflow. */
  stop() {
    if (['pending', 'running', 'retrying'].includes(this.state)) this.state = 'cancelled';
  }
}

/** @param {string | undefined} reason the node that failed */
function reasonNote(reason) {
  return reason === undefined ? '' : `skipped, because ${reason} failed`;
}
