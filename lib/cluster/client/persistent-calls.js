import { setTimeout as sleep } from 'node:timers/promises';

/** Wait before a script is retried. */
const AGAIN_MS = 250;

/** Calls of idempotent scripts that must reach Redis, retried until it answers. `close()` ends the waits. */
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
   * @param {() => string[]} args of each attempt
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
   * Runs a script once. If Redis does not answer, further attempts follow after this call has resolved.
   * @param {string} name
   * @param {string[]} keys
   * @param {() => string[]} args of each try
   * @returns {Promise<any>} the answer to the first attempt, if any
   */
  async tryFirst(name, keys, args) {
    const { isDone, answer } = await this.attempt(name, keys, args());
    if (!isDone) void this.insist(name, keys, args);
    return answer;
  }

  /**
   * @param {string} name
   * @param {string[]} keys
   * @param {string[]} args
   * @returns {Promise<{isDone: boolean, answer?: any}>} `isDone: false`: Redis has not answered
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

  /** Stops all retries. */
  close() {
    this.#isClosed = true;
  }
}
