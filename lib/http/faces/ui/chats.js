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

/** @param {string} principal @param {string} chat */
const keyOf = (principal, chat) => JSON.stringify([principal, chat]);

/**
 * The job of each UI chat: its last one, while it is kept. Main thread; lives as long as its lifecycle.
 */
export class UiChats {
  /** @type {Map<string, {record: JobRecord, body?: string}>} */
  #chats = new Map();
  /** Work of `alone` that has not ended, the last of each chat. @type {Map<string, Promise<any>>} */
  #work = new Map();
  #lifecycle;

  /** @param {import('../../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle */
  constructor(lifecycle) {
    this.#lifecycle = lifecycle;
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
    this.#chats.set(keyOf(record.principal, chat), { record, body });
  }

  /**
   * @param {string} principal
   * @param {string} chat
   */
  get(principal, chat) {
    return this.#chats.get(keyOf(principal, chat));
  }

  /**
   * @param {JobRecord} record
   * @returns {boolean} whether a reader of the chat has had its ending, also in an earlier process
   */
  isDelivered(record) {
    return /** @type {UiFace | undefined} */ (faceOf(record, 'ui'))?.delivered === true;
  }

  /** @param {JobRecord} record whose ending a reader of the chat has had */
  setDelivered(record) {
    if (!this.isDelivered(record)) this.#lifecycle.changeFace(record, { delivered: true });
  }

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
