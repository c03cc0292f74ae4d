/**
 * Deletions of conversations that can be undone: the page hides a conversation at once and asks the
 * server to delete it when the notice with the undo disappears, the page is closed, or, if that request
 * did not arrive, when a page of this browser is opened again.
 */

const KEY = 'sluice.deletions';

/** @returns {string[]} ids of conversations */
function recall() {
  try {
    const ids = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return ids.filter((/** @type {unknown} */ id) => typeof id === 'string');
  } catch {
    return []; // storage disabled, or in another format
  }
}

/** @param {string[]} ids */
function store(ids) {
  try {
    localStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // Without storage a failed deletion is not repeated.
  }
}

/** Pending deletions of this page. */
export class Deletions {
  /** @type {Map<string, () => void>} ends the notice of each */
  #pending = new Map();
  #delete;
  #toasts;

  /**
   * @param {import('../toast.js').Toasts} toasts
   * @param {(id: string) => Promise<void>} deleteAtServer
   */
  constructor(toasts, deleteAtServer) {
    this.#toasts = toasts;
    this.#delete = deleteAtServer;
    addEventListener('pagehide', () => {
      for (const end of [...this.#pending.values()]) end();
    });
  }

  /** @param {string} id @returns {boolean} whether the page must hide it */
  has(id) {
    return this.#pending.has(id);
  }

  /**
   * @param {string} id
   * @param {string} text of the notice
   * @param {() => void} onUndo
   */
  add(id, text, onUndo) {
    store([...recall().filter((other) => other !== id), id]);
    const end = this.#toasts.show(text, {
      onUndo: () => {
        this.#forget(id);
        onUndo();
      },
      onEnd: () => void this.#commit(id),
    });
    this.#pending.set(id, end);
  }

  /** Repeats deletions of an earlier page. */
  async resume() {
    const rest = recall().filter((id) => !this.#pending.has(id));
    await Promise.all(rest.map((id) => this.#commit(id)));
  }

  /** @param {string} id */
  async #commit(id) {
    try {
      await this.#delete(id);
    } catch (/** @type {any} */ error) {
      if (error.status !== 404) {
        this.#pending.delete(id); // shown again; it stays stored for the next page
        this.#toasts.show(`Not deleted: ${error.message}`);
        return;
      }
    }
    this.#forget(id);
  }

  /** @param {string} id */
  #forget(id) {
    this.#pending.delete(id);
    store(recall().filter((other) => other !== id));
  }
}
