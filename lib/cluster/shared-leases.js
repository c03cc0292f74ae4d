import { setTimeout as sleep } from 'node:timers/promises';
import { redisUnavailable } from '../jobs/errors.js';

/** @typedef {import('../jobs/rate-limits/shared-quota-port.js').SharedQuotaPort} SharedQuotaPort */

/** A lease that its process has forgotten goes after this; a process that dies ends its leases before. */
const LEASE_MS = 24 * 3_600_000;
/** How long it is known that something was charged. */
const CHARGED_MS = 3_600_000;
/** Wait before a script is tried again. */
const AGAIN_MS = 250;

/** @implements {SharedQuotaPort} Main thread; `close()` ends what is tried again. */
export class SharedLeases {
  #redis;
  #process;
  #calls;
  #clock;
  #onBuried;
  #log;
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {import('./redis-client.js').RedisClient} deps.redis
   * @param {import('./script-calls.js').ScriptCalls} deps.calls
   * @param {import('./redis-clock.js').RedisClock} deps.clock
   * @param {() => string} deps.process name of this process
   * @param {() => void} deps.onBuried this process is no member of the deployment
   * @param {import('../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, calls, clock, process, onBuried, log }) {
    this.#redis = redis;
    this.#calls = calls;
    this.#clock = clock;
    this.#process = process;
    this.#onBuried = onBuried;
    this.#log = log;
  }

  /** @type {SharedQuotaPort['reserve']} */
  async reserve(id, asks) {
    const args = [this.#process(), id, String(LEASE_MS), JSON.stringify(asks)];
    try {
      const [answer, decisions] = await this.#calls.run('quota/lease', [`lease:${id}`], args);
      if (answer === 'BURIED') {
        this.#onBuried();
        throw redisUnavailable();
      }
      return { allowed: answer === 'OK', decisions: JSON.parse(decisions) };
    } catch (/** @type {any} */ error) {
      // It may have been reserved before the connection was lost.
      if (error.uncertain) void this.end(id);
      throw error;
    }
  }

  /** @type {SharedQuotaPort['end']} */
  async end(id, used) {
    const args = ['', id, used === undefined ? '' : JSON.stringify(used)];
    await this.#insist('quota/end_lease', [`lease:${id}`], args);
  }

  /** @type {SharedQuotaPort['charge']} */
  charge(id, charges) {
    const args = ['', String(CHARGED_MS), JSON.stringify(charges)];
    void this.#insist('quota/charge', [`charged:${id}`], args);
  }

  /** @type {SharedQuotaPort['nowUs']} */
  nowUs() {
    return this.#clock.unixMs() * 1000;
  }

  /**
   * Runs a script, and again until Redis answers; resolves after the first try.
   * @param {string} name
   * @param {string[]} keys
   * @param {string[]} args
   */
  async #insist(name, keys, args) {
    if (await this.#attempt(name, keys, args)) return;
    const again = async () => {
      do await sleep(AGAIN_MS, undefined, { ref: false });
      while (!this.#isClosed && !(await this.#attempt(name, keys, args)));
    };
    void again();
  }

  /**
   * @param {string} name
   * @param {string[]} keys
   * @param {string[]} args
   * @returns {Promise<boolean>} false: Redis has not answered
   */
  async #attempt(name, keys, args) {
    try {
      await this.#redis.run(name, keys, args);
      return true;
    } catch (/** @type {any} */ error) {
      if (error.status !== undefined) return false;
      this.#log.error({ err: error, script: name }, 'a script of Redis failed');
      return true;
    }
  }

  /** Nothing is tried again from now on. */
  close() {
    this.#isClosed = true;
  }
}
