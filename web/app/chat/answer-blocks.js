/**
 * The parts of an answer besides its text: reasoning, folded; a refusal, marked; and a card for each
 * tool call. They surround the element of the text.
 */

import { build } from '../build.js';
import { TextPane } from '../text-pane.js';
import { argumentsText, isUnfinishedJson } from '../tool-arguments.js';

/** @typedef {import('../../client/answer.js').ToolCall} ToolCall */
/** @typedef {{reasoning?: string, refusal?: string | null, toolCalls?: readonly ToolCall[]}} Parts */

/** A growing text; only the addition is laid out. */
class GrowingText {
  #pane;
  #shown = '';

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#pane = new TextPane(element);
  }

  /** @param {string} text */
  set(text) {
    if (text.length < this.#shown.length || !text.startsWith(this.#shown)) {
      this.#pane.clear();
      this.#shown = '';
    }
    this.#pane.append(text.slice(this.#shown.length));
    this.#shown = text;
  }
}

/** The card of one tool call. */
class CallCard {
  #name = build('code', 'call-name');
  #arguments = build('pre', 'call-arguments');
  #problem = build('p', 'call-problem');
  /** @type {ToolCall | null} */
  #shown = null;
  #live = false;

  constructor() {
    const kind = build('span', 'call-kind', 'Tool call');
    this.element = build('li', 'call', build('p', 'call-head', kind, ' ', this.#name));
    this.element.dataset.testid = 'call';
    this.element.append(this.#arguments, this.#problem);
  }

  /** @param {ToolCall} call @param {boolean} live whether more of it may follow */
  set(call, live) {
    if (call === this.#shown && live === this.#live) return;
    this.#shown = call;
    this.#live = live;
    const { name = '', arguments: json = '' } = call?.function ?? {};
    this.#name.textContent = name;
    this.#arguments.textContent = argumentsText(json);
    const broken = !live && isUnfinishedJson(json);
    this.#problem.textContent = broken ? 'The arguments are not valid JSON.' : '';
  }
}

/** The blocks around one text. `set()` draws them; call it at most once per frame. */
export class AnswerBlocks {
  #title = build('span', 'reasoning-title');
  #reasoning;
  #reasoningText;
  #refusal;
  #refusalText;
  #list = build('ol', 'calls');
  /** @type {CallCard[]} */
  #cards = [];

  /** @param {HTMLElement} text */
  constructor(text) {
    const reasoning = build('div', 'reasoning-text');
    const summary = build('summary', 'reasoning-summary', this.#title);
    this.#reasoning = /** @type {HTMLDetailsElement} */ (
      build('details', 'reasoning', summary, reasoning)
    );
    this.#reasoning.dataset.testid = 'reasoning';
    this.#reasoningText = new GrowingText(reasoning);
    const refusal = build('div', 'refusal-text');
    this.#refusal = build('div', 'refusal', build('p', 'refusal-title', 'Refused'), refusal);
    this.#refusal.dataset.testid = 'refusal';
    this.#refusalText = new GrowingText(refusal);
    this.#list.setAttribute('aria-label', 'Tool calls');
    // Safari drops the list role from lists without markers.
    this.#list.setAttribute('role', 'list');
    this.#reasoning.hidden = this.#refusal.hidden = this.#list.hidden = true;
    text.before(this.#reasoning);
    text.after(this.#refusal, this.#list);
  }

  /** Whether the reader has unfolded the reasoning. */
  get unfolded() {
    return this.#reasoning.open;
  }

  set unfolded(open) {
    this.#reasoning.open = open;
  }

  /**
   * @param {Parts} parts
   * @param {object} [state] of the answer
   * @param {boolean} [state.live] whether more may follow
   * @param {boolean} [state.reasons] whether the reasoning is its newest part
   */
  set({ reasoning = '', refusal, toolCalls = [] }, { live = false, reasons = false } = {}) {
    this.#reasoning.hidden = reasoning === '';
    this.#reasoningText.set(reasoning);
    const title = live && reasons ? 'Reasoning …' : 'Reasoning';
    if (this.#title.textContent !== title) this.#title.textContent = title;
    this.#refusal.hidden = !refusal;
    this.#refusalText.set(refusal ?? '');
    this.#list.hidden = toolCalls.length === 0;
    for (const card of this.#cards.splice(toolCalls.length)) card.element.remove();
    for (const [index, call] of toolCalls.entries()) {
      const card = (this.#cards[index] ??= new CallCard());
      if (!card.element.isConnected) this.#list.append(card.element);
      card.set(call, live && index === toolCalls.length - 1);
    }
  }
}
