import { createHash } from 'node:crypto';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/**
 * The part of a request that a retry repeats.
 * @typedef {{path: string, digest: string}} Repeated
 */

/** Keys that one script deletes. */
const ERASED_AT_ONCE = 1000;
const CHAT_FIELDS = ['job', 'body', 'delivered'];

/** @param {...string} parts */
const digest = (...parts) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/**
 * @param {string} principal
 * @param {Repeated} request
 */
const orphanKey = (principal, { path, digest: body }) => `orphan:${digest(principal, path, body)}`;

/**
 * State of the other protocols' endpoints beside the jobs themselves, in Redis: the job of each UI chat, and the
 * jobs that all clients left before an answer. Main thread.
 */
export class FaceStore {
  #redis;

  /** @param {import('../client/redis-client.js').RedisClient} redis */
  constructor(redis) {
    this.#redis = redis;
  }

  /**
   * @param {string} principal
   * @param {string} chat
   * @returns {Promise<{id: string, body: string, delivered: boolean} | undefined>}
   */
  async chat(principal, chat) {
    const key = `chat:${digest(principal, chat)}`;
    const [id, body, delivered] = await this.#redis.command('HMGET', key, ...CHAT_FIELDS);
    return id === null ? undefined : { id, body, delivered: delivered === '1' };
  }

  /**
   * @param {object} change
   * @param {string} change.principal
   * @param {string} change.chat
   * @param {string | undefined} change.expected id of the chat's current job
   * @param {string} change.id id of its new job
   * @param {string} change.body digest of its request
   * @param {number} change.ttlMs
   * @returns {Promise<{id: string, body: string} | undefined>} the chat's job, if it is another one; undefined: the
   *   change was made
   */
  async setChat({ principal, chat, expected = '', id, body, ttlMs }) {
    const keys = [`chat:${digest(principal, chat)}`];
    const [word, other, otherBody] = await this.#redis.run('chat', keys, [
      expected,
      id,
      body,
      ttlMs,
      principal,
    ]);
    return word === 'OK' ? undefined : { id: other, body: otherBody };
  }

  /**
   * @param {string} principal
   * @param {string} chat
   * @param {string} id id of its job, whose ending a reader has received
   */
  async setDelivered(principal, chat, id) {
    await this.#redis.run('delivered', [`chat:${digest(principal, chat)}`], [id]);
  }

  /**
   * @param {JobRecord} record all its clients have left
   * @param {Repeated} request
   * @param {number} ttlMs
   */
  async addOrphan({ id, principal, createdAtMs }, request, ttlMs) {
    const key = orphanKey(principal, request);
    await this.#redis.run('orphan', [key], [principal, id, createdAtMs, ttlMs]);
  }

  /**
   * @param {JobRecord} record no longer an orphan
   * @param {Repeated} request
   */
  async removeOrphan({ id, principal }, request) {
    await this.#redis.command('ZREM', orphanKey(principal, request), id);
  }

  /**
   * @param {string} principal
   * @param {Repeated} request
   * @returns {Promise<string | undefined>} id of the oldest orphan of this request, removed from the orphans
   */
  async takeOrphan(principal, request) {
    const [id] = await this.#redis.command('ZPOPMIN', orphanKey(principal, request));
    return id;
  }

  /**
   * Deletes all entries of a principal.
   * @param {string} principal
   */
  async erase(principal) {
    for (let count = ERASED_AT_ONCE; count === ERASED_AT_ONCE;) {
      const keys = [`faces:${principal}`];
      count = await this.#redis.run('forget_faces', keys, [ERASED_AT_ONCE]);
    }
  }
}
