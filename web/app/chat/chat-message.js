/**
 * One message of a conversation on the page, with its actions. The answer of a running job grows with
 * its tokens, drawn at most once per frame.
 */

import { AnswerBlocks } from './answer-blocks.js';
import { build } from '../build.js';
import { duration, plural, rate } from '../format.js';
import { iconOf } from '../icon.js';
import { nextFrame } from '../frame.js';
import { MarkdownPane } from '../markdown.js';
import { textOfMessage } from './message-text.js';
import { Meter } from '../meter.js';
import { MessageEditor } from './message-editor.js';
import { REASON_NOTES } from '../reasons.js';

/** @type {Record<string, string>} */
const NOTES = {
  cancelled: 'Cancelled. The partial answer is kept.',
  ...REASON_NOTES,
};
/** Tokens a second. */
const LIVE_RATE_MAX = 2000;
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
 *
 * @typedef {object} Actions an absent action has no button
 * @property {() => void} [onFork]
 * @property {() => void} [onAgain] another answer
 * @property {(text: string) => void} [onEdit] another text of the user
 */

/**
 * The buttons below a message, by their part and icon. All but `copy` are hidden until there is an action.
 * @type {[part: string, label: string, testId: string][]}
 */
const BUTTONS = [
  ['copy', 'Copy', 'copy'],
  ['edit', 'Edit', 'edit'],
  ['again', 'Regenerate', 'again'],
  ['fork', 'Fork from here', 'fork-here'],
];

/** @param {typeof BUTTONS[number]} button */
function buttonOf([part, label, testId]) {
  const button = /** @type {HTMLButtonElement} */ (build('button', 'icon', iconOf(part)));
  button.type = 'button';
  button.hidden = part !== 'copy';
  button.ariaLabel = label;
  button.title = label;
  Object.assign(button.dataset, { part, testid: testId });
  return button;
}

/** The element of one message. `follow()` connects it to a running job. */
export class ChatMessage {
  #message;
  #text;
  #parts;
  #markdown;
  #blocks;
  #editor;
  /** @type {Actions} */
  #actions = {};
  /** @type {import('../../client.js').Job | null} */
  #job = null;
  #meter = new Meter(null);
  #replayed = 0;
  #away = false;
  #reasons = false;
  #onDrawn;
  #render = () => this.#draw();

  /**
   * @param {ShownMessage} message
   * @param {object} page
   * @param {HTMLTemplateElement} page.template
   * @param {(text: string) => void} page.copy
   * @param {() => void} [page.onDrawn] called after the text has grown
   */
  constructor(message, { template, copy, onDrawn }) {
    const { role } = message;
    this.#message = message;
    this.#text = textOfMessage(message);
    const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (fragment.firstElementChild);
    this.element.dataset.role = role;
    this.element.querySelector('.message-bar')?.prepend(...BUTTONS.map(buttonOf));
    /** @type {Record<string, HTMLElement>} */
    const parts = {};
    for (const part of this.element.querySelectorAll('[data-part]')) {
      const element = /** @type {HTMLElement} */ (part);
      parts[String(element.dataset.part)] = element;
    }
    this.#parts = parts;
    // The text of a user is shown unchanged.
    this.#markdown = role === 'assistant' ? new MarkdownPane(parts.said) : null;
    if (this.#markdown === null) parts.said.textContent = this.#text;
    else this.#markdown.set(this.#text);
    this.#blocks = new AnswerBlocks(parts.said);
    this.#editor = new MessageEditor(parts, (text) => this.#actions.onEdit?.(text));
    this.#onDrawn = onDrawn ?? (() => {});
    parts.who.textContent = WHO[role] ?? role;
    parts.copy.addEventListener('click', () => copy(this.#text));
    parts.fork.addEventListener('click', () => this.#actions.onFork?.());
    parts.again.addEventListener('click', () => this.#actions.onAgain?.());
    parts.edit.addEventListener('click', () => this.#editor.open(this.#text));
    this.settle(message, {});
  }

  /** The text as received. */
  get text() {
    return this.#text;
  }

  get role() {
    return this.#message.role;
  }

  /** Whether the reader has unfolded the reasoning. */
  get unfolded() {
    return this.#blocks.unfolded;
  }

  set unfolded(open) {
    this.#blocks.unfolded = open;
  }

  /**
   * Shows the message as the server has stored it; its text is the displayed one.
   * @param {ShownMessage} message @param {Actions} actions
   */
  settle(message, actions) {
    const { reasoning, refusal, tool_calls: calls, finish_reason: reason } = message;
    this.#message = message;
    this.#blocks.set({ reasoning, refusal, toolCalls: calls ?? [] });
    this.setNote(NOTES[reason ?? ''] ?? '');
    this.setActions(actions);
  }

  /** @param {Actions} actions */
  setActions(actions) {
    this.#actions = actions;
    this.#parts.fork.hidden = actions.onFork === undefined;
    this.#parts.again.hidden = actions.onAgain === undefined;
    this.#parts.edit.hidden = actions.onEdit === undefined;
    this.#parts.copy.hidden = this.#text === '';
  }

  /** @param {string} note @param {'plain' | 'away' | 'good' | 'bad'} [tone] */
  setNote(note, tone = 'plain') {
    if (this.#parts.note.textContent !== note) this.#parts.note.textContent = note;
    this.#parts.note.dataset.tone = tone;
  }

  /**
   * Shows the answer of a job as it streams.
   * @param {import('../../client.js').Job} job
   * @param {number | null} sentAtMs the time of submission; null if before this page was loaded
   */
  follow(job, sentAtMs) {
    const { element } = this;
    this.#job = job;
    this.#meter = new Meter(sentAtMs);
    this.#away = sentAtMs === null;
    element.dataset.jobId = job.id;
    element.dataset.state = 'running';
    this.setActions({});
    for (const name of /** @type {const} */ (['token', 'reasoning', 'refusal', 'tool_call'])) {
      job.on(name, () => {
        if (this.#meter.token(performance.now())) this.#replayed += 1;
        this.#reasons = name === 'reasoning';
        nextFrame(this.#render);
      });
    }
    const startOver = () => {
      this.#replayed = 0;
      nextFrame(this.#render);
    };
    job.on('retry', startOver);
    job.on('gap', startOver);
    job.on('reconnecting', () => {
      this.#away = true;
      this.setNote('Connection lost. Reconnecting automatically.', 'away');
    });
    job.on('open', () => {
      if (this.#away) this.#meter.opened(performance.now());
      this.#away = false;
      this.setNote('');
    });
    void job.done.then(() => {
      element.dataset.state = job.status;
      nextFrame(this.#render);
    });
    // The job may have parts from before it was disconnected.
    nextFrame(this.#render);
  }

  #draw() {
    const job = this.#job;
    if (job === null) return;
    this.#text = job.text;
    this.#markdown?.set(this.#text, !job.ended);
    this.#blocks.set(job, { live: !job.ended, reasons: this.#reasons });
    this.element.dataset.begun = String(job.tokens > 0);
    this.#parts.facts.textContent = this.#facts(job);
    this.#parts.copy.hidden = this.#text === '';
    this.#onDrawn();
  }

  /** @param {import('../../client.js').Job} job */
  #facts(job) {
    const { metrics } = job;
    const live = this.#meter.tokensPerSecond;
    // A burst after a pause of the page does not show the model's rate.
    const measured = live !== null && live < LIVE_RATE_MAX ? live : null;
    const perSecond = metrics?.tokens_per_second ?? measured;
    const first = metrics?.ttft_ms ?? this.#meter.firstTokenMs;
    return [
      plural(metrics?.tokens ?? job.tokens, 'token'),
      ...(perSecond ? [`${rate(perSecond)} per second`] : []),
      ...(first === null || first === undefined ? [] : [`first after ${duration(first)}`]),
      ...(this.#replayed > 0
        ? [`${this.#replayed.toLocaleString('en')} replayed on reconnect`]
        : []),
    ].join(' · ');
  }
}
