/** The side bar: the jobs, and the conversations by most recent activity. */

import { nextFrame } from './frame.js';

const PAGE = 20;

/** The list and its pages. `refresh()` loads it again. */
export class Places {
  /** @type {import('../client/conversations.js').Conversation[]} */
  #all = [];
  #shown = PAGE;
  #hasMore = false;
  #current = '#jobs';
  #list;
  #jobs;
  #more;
  #client;
  #asked = 0;

  /**
   * @param {HTMLElement} nav
   * @param {import('../client.js').Client} client
   */
  constructor(nav, client) {
    /** @type {<T extends HTMLElement>(name: string) => T} */
    const find = (name) => /** @type {any} */ (nav.querySelector(`[data-testid=${name}]`));
    this.#list = find('places');
    this.#jobs = /** @type {HTMLElement} */ (this.#list.firstElementChild);
    this.#more = find('more-conversations');
    this.#client = client;
    this.#more.addEventListener('click', () => {
      this.#shown += PAGE;
      void this.refresh();
    });
  }

  /** @param {string} hash of the open entry */
  setCurrent(hash) {
    this.#current = hash;
    nextFrame(this.#draw);
  }

  /** Loads the list again. An error leaves the list unchanged. */
  async refresh() {
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
    } catch {
      // The list stays; opening or sending reports the error.
    }
    nextFrame(this.#draw);
  }

  #draw = () => {
    // By id: an entry that moved up between two pages appears in both.
    const byId = new Map(this.#all.map((each) => [each.conversation_id, each]));
    const items = [...byId.values()].map((each) => {
      const link = document.createElement('a');
      link.className = 'place';
      link.href = `#${each.conversation_id}`;
      link.dataset.testid = 'place';
      link.textContent = each.title || 'Conversation';
      link.title = link.textContent;
      if (each.busy_job_id) link.dataset.busy = '';
      const item = document.createElement('li');
      item.append(link);
      return item;
    });
    const focused = document.activeElement?.getAttribute('href');
    this.#list.replaceChildren(this.#jobs, ...items);
    for (const link of this.#list.querySelectorAll('a')) {
      const here = link.getAttribute('href') === this.#current;
      if (here) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
      if (focused !== null && link.getAttribute('href') === focused) link.focus();
    }
    this.#more.hidden = !this.#hasMore;
  };
}
