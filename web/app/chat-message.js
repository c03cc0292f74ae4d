/**
 * One message of a conversation on the page. The answer of a running job grows with its tokens,
 * drawn at most once per frame.
 */

import { nextFrame } from './frame.js';
import { textOfMessage } from './message-text.js';
import { TextPane } from './text-pane.js';

/** @type {Record<string, string>} */
const NOTES = {
  cancelled: 'Cancelled. The partial answer is kept.',
  length: 'Stopped at the requested length.',
};
/** @type {Record<string, string>} */
const WHO = {
  user: 'You',
  assistant: 'Answer',
  system: 'Instructions',
  developer: 'Instructions',
  tool: 'Result',
  function: 'Result',
};

/** The element of one message. `follow()` connects it to a running job. */
export class ChatMessage {
  #parts;
  #pane;
  #pending = '';
  #cleared = false;
  #onDrawn;
  #render = () => this.#draw();

  /**
   * @param {{role: string, content?: string | any[] | null, finish_reason?: string}} message
   * @param {object} page
   * @param {HTMLTemplateElement} page.template
   * @param {() => void} [page.onFork] called by the fork button; without it there is no button
   * @param {() => void} [page.onDrawn] called after the text has grown
   */
  constructor(message, { template, onFork, onDrawn }) {
    const { role, finish_reason: reason } = message;
    const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    this.element.dataset.role = role;
    /** @type {Record<string, HTMLElement>} */
    const parts = {};
    for (const part of this.element.querySelectorAll('[data-part]')) {
      const element = /** @type {HTMLElement} */ (part);
      parts[String(element.dataset.part)] = element;
    }
    this.#parts = parts;
    this.#pane = new TextPane(parts.said);
    this.#pane.append(textOfMessage(message));
    this.#onDrawn = onDrawn ?? (() => {});
    parts.who.textContent = WHO[role] ?? role;
    this.setNote(NOTES[reason ?? ''] ?? '');
    if (onFork) {
      parts.fork.hidden = false;
      parts.fork.addEventListener('click', onFork);
    }
  }

  /** @param {string} note @param {'plain' | 'away' | 'bad'} [tone] */
  setNote(note, tone = 'plain') {
    this.#parts.note.textContent = note;
    this.#parts.note.dataset.tone = tone;
  }

  /**
   * Shows the text of a job as it streams.
   * @param {import('../client.js').Job} job
   */
  follow(job) {
    const { element } = this;
    const stop = /** @type {HTMLButtonElement} */ (this.#parts.stop);
    element.dataset.jobId = job.id;
    element.dataset.state = 'running';
    stop.hidden = false;
    stop.addEventListener('click', () => {
      stop.disabled = true;
      job.cancel().catch((/** @type {Error} */ { message }) => {
        stop.disabled = false;
        if (!job.ended) this.setNote(`Not cancelled: ${message}.`, 'bad');
      });
    });
    job.on('token', (text) => {
      this.#pending += text;
      nextFrame(this.#render);
    });
    const startOver = () => {
      this.#pending = '';
      this.#cleared = true;
      nextFrame(this.#render);
    };
    job.on('retry', startOver);
    job.on('gap', startOver);
    job.on('reconnecting', () =>
      this.setNote('Connection lost. Reconnecting automatically.', 'away'),
    );
    job.on('open', () => this.setNote(''));
    void job.done.then(() => {
      stop.hidden = true;
      element.dataset.state = job.status;
    });
  }

  #draw() {
    if (this.#cleared) this.#pane.clear();
    this.#cleared = false;
    if (this.#pending !== '') this.#pane.append(this.#pending);
    this.#pending = '';
    this.#onDrawn();
  }
}
