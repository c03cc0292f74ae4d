/**
 * Announces events to screen readers, briefly: it combines simultaneous events, and never
 * reads out tokens.
 */

const GATHER_MS = 800;
const SPOKEN_MAX = 2;

/** A queue of messages for one live region. */
export class Announcer {
  #element;
  /** @type {string[]} */
  #pending = [];

  /** @param {Element} element a live region */
  constructor(element) {
    this.#element = element;
  }

  /** @param {string} message */
  say(message) {
    if (this.#pending.push(message) > 1) return;
    setTimeout(() => {
      const messages = this.#pending.splice(0);
      const rest = messages.length - SPOKEN_MAX;
      const spoken = messages.slice(0, SPOKEN_MAX).join('. ');
      this.#element.textContent = rest > 0 ? `${spoken}. And ${rest} more.` : spoken;
    }, GATHER_MS);
  }
}
