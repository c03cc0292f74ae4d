import { setTimeout as sleep } from 'node:timers/promises';

/** Wait before a script is tried again. */
const AGAIN_MS = 250;

/** Calls of idempotent scripts that must reach Redis, however long it is away. `close()` ends the waits. */
export class PersistentCalls {
  #redis;
  #log;
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {Pick<import('./redis-client.js').RedisClient, 'run'>} deps.redis
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, log }) {
    this.#redis = redis;
    this.#log = log;
  }

  /**
   * Runs a script until Redis answers.
   * @param {string} name
   * @param {string[]} keys
   * @param {() => string[]} args of each try
   * @returns {Promise<any>} its answer; undefined when it cannot be had
   */
  async insist(name, keys, args) {
    for (;;) {
      const { isDone, answer } = await this.attempt(name, keys, args());
      if (isDone || this.#isClosed) return answer;
      await sleep(AGAIN_MS, undefined, { ref: false });
    }
  }

  /**
   * Runs a script once; if Redis does not answer, again and again after this has resolved.
   * @param {string} name
   * @param {string[]} keys
   * @param {string[]} args
   * @returns {Promise<any>} its answer to the first try, if any
   */
  async tryFirst(name, keys, args) {
    const { isDone, answer } = await this.attempt(name, keys, args);
    if (!isDone) void this.insist(name, keys, () => args);
    return answer;
  }

  /**
   * @param {string} name
   * @param {string[]} keys
   * @param {string[]} args
   * @returns {Promise<{isDone: boolean, answer?: any}>} not done: Redis has not answered
   */
  async attempt(name, keys, args) {
    try {
      return { isDone: true, answer: await this.#redis.run(name, keys, args) };
    } catch (/** @type {any} */ error) {
      if (error.status !== undefined) return { isDone: false };
      this.#log.error({ err: error, script: name }, 'a script of Redis failed');
      return { isDone: true };
    }
  }

  /** Nothing is tried again from now on. */
  close() {
    this.#isClosed = true;
  }
}
