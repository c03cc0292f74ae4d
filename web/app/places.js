/** The side bar: the conversations by most recent activity. On narrow screens it is a drawer. */

import { nextFrame } from './frame.js';
import { iconOf } from './icon.js';
import { plainText } from './plain-text.js';

const PAGE = 20;

/** The list and its pages. `refresh()` loads it again. */
export class Places {
  /** @type {import('../client/conversations.js').Conversation[]} */
  #all = [];
  #shown = PAGE;
  #hasMore = false;
  #loaded = false;
  #current = '';
  #list;
  #more;
  #client;
  #isHidden;
  #onDelete;
  #asked = 0;

  /**
   * @param {HTMLElement} nav
   * @param {object} page
   * @param {import('../client.js').Client} page.client
   * @param {(id: string) => boolean} page.isHidden whether a conversation is about to be deleted
   * @param {(id: string) => void} page.onDelete
   */
  constructor(nav, { client, isHidden, onDelete }) {
    /** @type {<T extends HTMLElement>(name: string) => T} */
    const find = (name) => /** @type {any} */ (nav.querySelector(`[data-testid=${name}]`));
    this.#list = find('places');
    this.#more = find('more-conversations');
    this.#client = client;
    this.#isHidden = isHidden;
    this.#onDelete = onDelete;
    this.#more.addEventListener('click', () => {
      this.#shown += PAGE;
      void this.refresh();
    });
  }

  /** @param {string} hash of the open conversation */
  setCurrent(hash) {
    this.#current = hash;
    nextFrame(this.#draw);
  }

  /** Loads the list again. An error leaves the list unchanged. */
  async refresh() {
    nextFrame(this.#draw);
    const asked = ++this.#asked;
    try {
      /** @type {import('../client/conversations.js').Conversation[]} */
      const all = [];
      let more = true;
      while (more && all.length < this.#shown) {
        const after = all.at(-1)?.conversation_id;
        const page = await this.#client.conversations.list({ limit: PAGE, after });
        all.push(...page.data);
        more = page.has_more;
      }
      if (asked !== this.#asked) return;
      this.#all = all;
      this.#hasMore = more;
      this.#loaded = true;
    } catch {
      // The list stays; opening or sending reports the error.
    }
    nextFrame(this.#draw);
  }

  #draw = () => {
    // By id: an entry that moved up between two pages appears in both.
    const byId = new Map(this.#all.map((each) => [each.conversation_id, each]));
    const items = [...byId.values()]
      .filter(({ conversation_id: id }) => !this.#isHidden(id))
      .map((each) => this.#item(each));
    const focused = document.activeElement?.getAttribute('data-focus');
    if (items.length === 0 && this.#loaded) {
      const none = document.createElement('li');
      none.className = 'places-none';
      none.textContent = 'No conversations yet.';
      items.push(none);
    }
    this.#list.replaceChildren(...items);
    if (focused) {
      /** @type {HTMLElement | null} */ (
        this.#list.querySelector(`[data-focus="${CSS.escape(focused)}"]`)
      )?.focus();
    }
    this.#more.hidden = !this.#hasMore;
  };

  /** @param {import('../client/conversations.js').Conversation} conversation */
  #item({ conversation_id: id, title, busy_job_id: busy }) {
    const link = document.createElement('a');
    link.className = 'place';
    link.href = `#${id}`;
    link.dataset.testid = 'place';
    link.dataset.focus = id;
    link.textContent = plainText(title ?? '') || 'Conversation';
    link.title = link.textContent;
    if (busy) link.dataset.busy = '';
    if (link.hash === this.#current) link.setAttribute('aria-current', 'page');
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'icon';
    button.dataset.testid = 'delete-place';
    button.dataset.focus = `delete-${id}`;
    button.setAttribute('aria-label', `Delete ${link.textContent}`);
    button.title = 'Delete';
    button.append(iconOf('trash'));
    button.addEventListener('click', () => this.#onDelete(id));
    const item = document.createElement('li');
    item.append(link, button);
    return item;
  }
}
