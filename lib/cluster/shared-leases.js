import { PersistentCalls } from './client/persistent-calls.js';

/** @typedef {import('../jobs/rate-limits/shared-quota-port.js').SharedQuotaPort} SharedQuotaPort */

/** Time to live of a lease that its process never ends; leases of a dead process end earlier. */
const LEASE_MS = 24 * 3_600_000;
/** Time for which Redis remembers a charge. */
const CHARGED_MS = 3_600_000;

/** @implements {SharedQuotaPort} Main thread; `close()` ends all retries. */
export class SharedLeases {
  #calls;
  #clock;
  #identity;
  #persistent;

  /**
   * @param {object} deps
   * @param {import('./client/redis-client.js').RedisClient} deps.redis
   * @param {import('./client/script-calls.js').ScriptCalls} deps.calls
   * @param {import('./client/redis-clock.js').RedisClock} deps.clock
   * @param {import('./members.js').Identity} deps.identity of this process
   * @param {import('../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, calls, clock, identity, log }) {
    this.#calls = calls;
    this.#clock = clock;
    this.#identity = identity;
    this.#persistent = new PersistentCalls({ redis, log });
  }

  /** @type {SharedQuotaPort['reserve']} */
  async reserve(id, asks) {
    const process = this.#identity.name;
    const args = [process, id, String(LEASE_MS), JSON.stringify(asks)];
    try {
      const [answer, decisions] = await this.#calls.run('quota/lease', [`lease:${id}`], args);
      this.#identity.checkMember(answer, process);
      return { allowed: answer === 'OK', decisions: JSON.parse(decisions) };
    } catch (/** @type {any} */ error) {
      // Redis may have made the reservation before the connection was lost.
      if (error.uncertain) void this.#end(id, undefined, this.#calls.deadlineUs());
      throw error;
    }
  }

  /** @type {SharedQuotaPort['peek']} */
  async peek(asks) {
    const [, decisions] = await this.#calls.run('quota/peek', ['procs'], [JSON.stringify(asks)]);
    return JSON.parse(decisions);
  }

  /** @type {SharedQuotaPort['end']} */
  end(id, used) {
    return this.#end(id, used, '');
  }

  /**
   * @param {string} id
   * @param {string[] | undefined} used
   * @param {string} deadline of a reservation that may still arrive; empty: none can
   */
  async #end(id, used, deadline) {
    const args = ['', id, used === undefined ? '' : JSON.stringify(used), deadline];
    await this.#persistent.tryFirst('quota/end_lease', [`lease:${id}`], () => args);
  }

  /** @type {SharedQuotaPort['charge']} */
  charge(id, charges) {
    const args = ['', String(CHARGED_MS), JSON.stringify(charges)];
    void this.#persistent.insist('quota/charge', [`charged:${id}`], () => args);
  }

  /** @type {SharedQuotaPort['nowUs']} */
  nowUs() {
    return this.#clock.unixMs() * 1000;
  }

  /** Stops all retries. */
  close() {
    this.#persistent.close();
  }
}
