import { faceOf } from '../ids.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */

/**
 * What is kept of a UI chat with its job.
 * @typedef {object} UiFace
 * @property {'ui'} dialect
 * @property {string} chat the client's id
 * @property {string | null} model as requested
 * @property {string} [message_id] of the assistant's message that the answer continues
 * @property {Record<string, any>[]} [earlier] the parts that this message has
 * @property {boolean} [delivered] whether a reader of the chat has had its ending
 */

/**
 * The job of a chat.
 * @typedef {object} ChatJob
 * @property {JobRecord} record
 * @property {string} [body] digest of its request
 * @property {boolean} delivered whether a reader of the chat has had its ending
 */

/**
 * The jobs of UI chats, of this process or of all processes of a deployment.
 * @typedef {object} ChatsPort
 * @property {(principal: string, chat: string) =>
 *   ChatJob | undefined | Promise<ChatJob | undefined>} get
 * @property {(record: JobRecord, chat: string, body: string, current?: JobRecord) =>
 *   Promise<{record: JobRecord, body: string} | undefined>} set makes `record` the chat's job in place of
 *   `current`; resolves with another job that the chat has got meanwhile, and changes nothing then
 * @property {(record: JobRecord) => void | Promise<void>} setDelivered a reader of the chat has had the
 *   ending of its job
 */

/** @param {string} principal @param {string} chat */
const keyOf = (principal, chat) => JSON.stringify([principal, chat]);

/**
 * The job of each UI chat: its last one, while it is kept. Main thread; lives as long as its lifecycle.
 * @implements {ChatsPort}
 */
export class UiChats {
  /** @type {Map<string, {record: JobRecord, body?: string}>} */
  #chats = new Map();
  #lifecycle;

  /** @param {import('../../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle */
  constructor(lifecycle) {
    this.#lifecycle = lifecycle;
    // Those of an earlier process, oldest first.
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

/** @param {JobRecord} record @returns {boolean} whether a reader has had its ending, also in an earlier process */
const isDelivered = (record) =>
  /** @type {UiFace | undefined} */ (faceOf(record, 'ui'))?.delivered === true;

/** Work on chats, one piece after the other for each. Main thread. */
export class ChatTurns {
  /** Work that has not ended, the last of each chat. @type {Map<string, Promise<any>>} */
  #work = new Map();

  /**
   * Runs `work` after what was given for the same chat before: of two requests at once the second finds
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
