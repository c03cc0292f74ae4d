/** Answers that pause where a test requests it, so that no page must keep up with them. */

import { setTimeout } from 'node:timers/promises';

const WORD_MS = 10;

/**
 * The pace of answers: each is sent word by word, and waits once after a number of words while the pace
 * is held.
 */
export class Pace {
  #after = Infinity;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** Makes each answer wait after `words` words. @param {number} words */
  hold(words) {
    this.#after = words;
  }

  /** Continues the waiting answers to their ends; later ones wait as well. */
  step() {
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Continues all answers. */
  release() {
    this.#after = Infinity;
    this.step();
  }

  /** @param {string[]} words @param {AbortSignal} signal */
  async *say(words, signal) {
    for (const [index, word] of words.entries()) {
      if (index === this.#after) {
        await new Promise((resolve) => {
          this.#waiting.push(() => resolve(undefined));
          signal.addEventListener('abort', resolve);
        });
      }
      await setTimeout(WORD_MS, undefined, { signal });
      yield word;
    }
  }

  /**
   * A provider called demo whose answers are a text, cut at `max_tokens` words.
   * @param {string} text
   * @returns {import('../../lib/index.js').Provider}
   */
  provider(text) {
    const words = text.match(/\s*\S+/g) ?? [];
    return {
      name: 'demo',
      models: [{ id: 'demo' }],
      generate: ({ maxTokens = words.length }, { signal }) =>
        this.#answer(words, maxTokens, signal),
    };
  }

  /** @param {string[]} words @param {number} wanted @param {AbortSignal} signal */
  async *#answer(words, wanted, signal) {
    yield* this.say(words.slice(0, wanted), signal);
    /** @type {'length' | 'stop'} */
    const reason = wanted < words.length ? 'length' : 'stop';
    return { reason };
  }
}
