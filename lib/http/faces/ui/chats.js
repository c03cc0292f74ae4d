import { faceOf } from '../ids.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */

/**
 * What is kept of a UI chat with its job.
 * @typedef {object} UiFace
 * @property {'ui'} dialect
 * @property {string} chat the client's id
 * @property {string | null} model as requested
 * @property {string} [message_id] of the assistant's message that the answer continues
 */

/** @param {string} principal @param {string} chat */
const keyOf = (principal, chat) => JSON.stringify([principal, chat]);

/**
 * The job of each UI chat: its last one, while it is kept. Main thread; lives as long as its lifecycle.
 */
export class UiChats {
  /** @type {Map<string, {record: JobRecord, delivered: boolean, body?: string}>} */
  #chats = new Map();

  /** @param {import('../../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle */
  constructor(lifecycle) {
    // Those of an earlier process, oldest first.
    for (const record of lifecycle.jobs.all()) {
      const face = /** @type {UiFace | undefined} */ (faceOf(record, 'ui'));
      if (face !== undefined) this.set(record, face.chat);
    }
    lifecycle.on('purged', (record) => {
      const face = /** @type {UiFace | undefined} */ (faceOf(record, 'ui'));
      if (face === undefined) return;
      const key = keyOf(record.principal, face.chat);
      if (this.#chats.get(key)?.record === record) this.#chats.delete(key);
    });
  }

  /**
   * @param {JobRecord} record the chat's job from now on
   * @param {string} chat
   * @param {string} [body] of its request
   */
  set(record, chat, body) {
    this.#chats.set(keyOf(record.principal, chat), { record, delivered: false, body });
  }

  /**
   * @param {string} principal
   * @param {string} chat
   */
  get(principal, chat) {
    return this.#chats.get(keyOf(principal, chat));
  }
}
