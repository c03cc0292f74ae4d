/** Converts a model's tokens to text. One per request; main thread only. */

/** @typedef {import('node-llama-cpp').Token} Token */

/** A character has at most four bytes, so at most four byte tokens wait for its end. */
const CHARACTER_TOKENS_MAX = 4;

/** Converts tokens to text, in whole characters only. */
export class Speller {
  #model;
  /** The last converted tokens: they determine a leading space. @type {Token[]} */
  #before;
  /** @type {Token[]} */
  #held = [];

  /**
   * @param {{detokenize: import('node-llama-cpp').LlamaModel['detokenize']}} model
   * @param {Token[]} before the prompt
   */
  constructor(model, before) {
    this.#model = model;
    this.#before = before.slice(-CHARACTER_TOKENS_MAX);
  }

  /** @param {Token} token */
  push(token) {
    this.#held.push(token);
    const text = this.#model.detokenize(this.#held, false, this.#before);
    // Bytes of an incomplete character decode to the replacement character.
    if (text.endsWith('\ufffd') && this.#held.length < CHARACTER_TOKENS_MAX) return '';
    this.#before = [...this.#before, ...this.#held].slice(-CHARACTER_TOKENS_MAX);
    this.#held = [];
    return text;
  }

  /** The incomplete character at the end of the text. */
  flush() {
    if (this.#held.length === 0) return '';
    const text = this.#model.detokenize(this.#held, false, this.#before);
    this.#held = [];
    return text;
  }
}
