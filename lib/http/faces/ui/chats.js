import { faceOf } from '../ids.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */

/**
 * Data of a UI chat stored with its job.
 * @typedef {object} UiFace
 * @property {'ui'} dialect
 * @property {string} chat the client's id
 * @property {string | null} model as requested
 * @property {string} [message_id] of the assistant's message that the answer continues
 * @property {Record<string, any>[]} [earlier] the present parts of this message
 * @property {boolean} [delivered] whether a reader of the chat has received its ending
 */

/**
 * The job of a chat.
 * @typedef {object} ChatJob
 * @property {JobRecord} record
 * @property {string} [body] digest of its request
 * @property {boolean} delivered whether a reader of the chat has received its ending
 */

/**
 * The jobs of UI chats, of this process or of all processes of a deployment.
 * @typedef {object} ChatsPort
 * @property {(principal: string, chat: string) =>
 *   ChatJob | undefined | Promise<ChatJob | undefined>} get
 * @property {(record: JobRecord, chat: string, body: string, current?: JobRecord) =>
 *   Promise<{record: JobRecord, body: string} | undefined>} set replaces the chat's job `current`
 *   `current`; by `record`; if the chat has another job now, changes nothing and resolves with that job
 * @property {(record: JobRecord) => void | Promise<void>} setDelivered records that a reader of the chat has
 *   received the ending of its job
 */

/** @param {string} principal @param {string} chat */
const keyOf = (principal, chat) => JSON.stringify([principal, chat]);

/**
 * The latest job of each UI chat, during its retention. Main thread; lives as long as its lifecycle.
 * @implements {ChatsPort}
 */
export class UiChats {
  /** @type {Map<string, {record: JobRecord, body?: string}>} */
  #chats = new Map();
  #lifecycle;

  /** @param {import('../../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle */
  constructor(lifecycle) {
    this.#lifecycle = lifecycle;
    // Jobs of an earlier process, oldest first.
    for (const record of lifecycle.jobs.all()) {
      const face = /** @type {UiFace | undefined} */ (faceOf(record, 'ui'));
      if (face !== undefined) this.#chats.set(keyOf(record.principal, face.chat), { record });
    }
    lifecycle.on('purged', (record) => {
      const face = /** @type {UiFace | undefined} */ (faceOf(record, 'ui'));
      if (face === undefined) return;
      const key = keyOf(record.principal, face.chat);
      if (this.#chats.get(key)?.record === record) this.#chats.delete(key);
    });
  }

  /** @type {ChatsPort['set']} */
  async set(record, chat, body) {
    this.#chats.set(keyOf(record.principal, chat), { record, body });
    return undefined;
  }

  /** @type {ChatsPort['get']} */
  get(principal, chat) {
    const found = this.#chats.get(keyOf(principal, chat));
    return found && { ...found, delivered: isDelivered(found.record) };
  }

  /** @type {ChatsPort['setDelivered']} */
  setDelivered(record) {
    if (!isDelivered(record)) this.#lifecycle.changeFace(record, { delivered: true });
  }
}

/**
 * @param {JobRecord} record @returns {boolean} whether a reader has received its ending, also in an earlier process
 */
const isDelivered = (record) =>
  /** @type {UiFace | undefined} */ (faceOf(record, 'ui'))?.delivered === true;

/** Runs work on chats, one task at a time per chat. Main thread. */
export class ChatTurns {
  /** The last unfinished task of each chat. @type {Map<string, Promise<any>>} */
  #work = new Map();

  /**
   * Runs `work` after the earlier tasks of the same chat: of two concurrent requests the second finds
   * the job of the first.
   * @template T
   * @param {string} principal
   * @param {string} chat
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  alone(principal, chat, work) {
    const key = keyOf(principal, chat);
    const before = this.#work.get(key) ?? Promise.resolve();
    const done = before.then(work, work);
    const forget = () => {
      if (this.#work.get(key) === done) this.#work.delete(key);
    };
    this.#work.set(key, done);
    done.then(forget, forget);
    return done;
  }
}
