/**
 * Announces events to screen readers, briefly: it gathers events that come together, and never
 * reads out tokens.
 */

const kGatherMs = 800;
const kSpokenMax = 2;

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
      const rest = messages.length - kSpokenMax;
      const spoken = messages.slice(0, kSpokenMax).join('. ');
      this.#element.textContent = rest > 0 ? `${spoken}. And ${rest} more.` : spoken;
    }, kGatherMs);
  }
}
