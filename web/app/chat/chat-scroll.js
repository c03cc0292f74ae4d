/**
 * The scrolling of a conversation: while its end is in view the page follows the text; a reader who
 * has scrolled up keeps the position, and gets a button to the end.
 */

const NEAR_END_PX = 120;

/** The scroll position of the page while a conversation is shown. */
export class ChatScroll {
  #turns;
  #button;
  /** Whether the page follows the text. */
  #follows = true;

  /** @param {HTMLElement} turns @param {HTMLElement} button */
  constructor(turns, button) {
    this.#turns = turns;
    this.#button = button;
    button.addEventListener('click', () => this.toEnd());
    addEventListener(
      'scroll',
      () => {
        this.#follows = this.isNearEnd();
        this.draw();
      },
      { passive: true },
    );
  }

  isNearEnd() {
    const { scrollHeight } = document.documentElement;
    return scrollHeight - scrollY - innerHeight < NEAR_END_PX;
  }

  toEnd() {
    this.#follows = true;
    scrollTo({ top: document.documentElement.scrollHeight });
    this.draw();
  }

  /** Called after the text has grown. */
  follow() {
    if (this.#follows) this.toEnd();
    else this.draw();
  }

  draw() {
    this.#button.hidden = this.#turns.childElementCount === 0 || this.isNearEnd();
  }

  /** Called when another view is shown. */
  leave() {
    this.#button.hidden = true;
    this.#follows = true;
  }
}
