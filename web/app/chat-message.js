/**
 * One message of a conversation on the page. The answer of a running job grows with its tokens,
 * drawn at most once per frame.
 */

import { AnswerBlocks } from './answer-blocks.js';
import { nextFrame } from './frame.js';
import { textOfMessage } from './message-text.js';
import { REASON_NOTES } from './reasons.js';
import { TextPane } from './text-pane.js';

/** @type {Record<string, string>} */
const NOTES = {
  cancelled: 'Cancelled. The partial answer is kept.',
  ...REASON_NOTES,
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

/**
 * @typedef {{role: string, content?: string | any[] | null, finish_reason?: string,
 *   job_id?: string, reasoning?: string, refusal?: string | null, tool_calls?: any[] | null}}
 *   ShownMessage
 */

/** The element of one message. `follow()` connects it to a running job. */
export class ChatMessage {
  #parts;
  #pane;
  #blocks;
  /** @type {import('../client.js').Job | null} */
  #job = null;
  #reasons = false;
  #pending = '';
  #cleared = false;
  #onDrawn;
  #render = () => this.#draw();

  /**
   * @param {ShownMessage} message
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
    this.#blocks = new AnswerBlocks(parts.said);
    const { reasoning, refusal, tool_calls: calls } = message;
    this.#blocks.set({ reasoning, refusal, toolCalls: calls ?? [] });
    this.#onDrawn = onDrawn ?? (() => {});
    parts.who.textContent = WHO[role] ?? role;
    this.setNote(NOTES[reason ?? ''] ?? '');
    if (onFork) {
      parts.fork.hidden = false;
      parts.fork.addEventListener('click', onFork);
    }
  }

  /** Whether the reader has unfolded the reasoning. */
  get unfolded() {
    return this.#blocks.unfolded;
  }

  set unfolded(open) {
    this.#blocks.unfolded = open;
  }

  /** @param {string} note @param {'plain' | 'away' | 'bad'} [tone] */
  setNote(note, tone = 'plain') {
    this.#parts.note.textContent = note;
    this.#parts.note.dataset.tone = tone;
  }

  /**
   * Shows the answer of a job as it streams.
   * @param {import('../client.js').Job} job
   */
  follow(job) {
    const { element } = this;
    this.#job = job;
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
      this.#reasons = false;
      nextFrame(this.#render);
    });
    for (const name of /** @type {const} */ (['reasoning', 'refusal', 'tool_call'])) {
      job.on(name, () => {
        this.#reasons = name === 'reasoning';
        nextFrame(this.#render);
      });
    }
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
      nextFrame(this.#render);
    });
    // The job may have parts from before it was disconnected.
    nextFrame(this.#render);
  }

  #draw() {
    if (this.#cleared) this.#pane.clear();
    this.#cleared = false;
    if (this.#pending !== '') this.#pane.append(this.#pending);
    this.#pending = '';
    if (this.#job !== null) {
      this.#blocks.set(this.#job, { live: !this.#job.ended, reasons: this.#reasons });
    }
    this.#onDrawn();
  }
}
