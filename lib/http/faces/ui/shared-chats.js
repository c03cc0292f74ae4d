import { faceOf } from '../ids.js';

/** @typedef {import('./chats.js').ChatsPort} ChatsPort */
/** @typedef {import('./chats.js').UiFace} UiFace */

/**
 * The jobs of UI chats of all processes of a deployment. Main thread.
 * @implements {ChatsPort}
 */
export class SharedUiChats {
  #store;
  #directory;
  #ttlMs;

  /**
   * @param {object} deps
   * @param {import('../../../cluster/jobs/face-store.js').FaceStore} deps.store
   * @param {import('../../../jobs/job-directory.js').JobDirectory} deps.directory
   * @param {number} deps.ttlMs maximum time that a chat keeps its job
   */
  constructor({ store, directory, ttlMs }) {
    this.#store = store;
    this.#directory = directory;
    this.#ttlMs = ttlMs;
  }

  /** @type {ChatsPort['get']} */
  async get(principal, chat) {
    const found = await this.#store.chat(principal, chat);
    if (found === undefined) return undefined;
    const { id, body, delivered } = found;
    const record = await this.#directory.find(id, principal);
    return record && { record, body, delivered };
  }

  /** @type {ChatsPort['set']} */
  async set(record, chat, body, current) {
    const { id, principal } = record;
    for (let expected = current?.id; ;) {
      const change = { principal, chat, id, body, expected, ttlMs: this.#ttlMs };
      const other = await this.#store.setChat(change);
      if (other === undefined) return undefined;
      const found = await this.#directory.find(other.id, principal);
      if (found !== undefined) return { record: found, body: other.body };
      // The job was purged meanwhile.
      expected = other.id;
    }
  }

  /** @type {ChatsPort['setDelivered']} */
  async setDelivered(record) {
    const { chat } = /** @type {UiFace} */ (faceOf(record, 'ui'));
    await this.#store.setDelivered(record.principal, chat, record.id).catch(() => {});
  }
}
