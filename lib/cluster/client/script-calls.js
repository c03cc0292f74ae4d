import { redisUnavailable } from '../../jobs/errors.js';

/**
 * Calls of scripts that take, after the prefix, the arguments `clock` and `deadline`: those of key-value
 * stores, quotas and ledgers, with or without a gateway. After the deadline a script has no effect, so a
 * call that has failed has no effect later. Main thread.
 */
export class ScriptCalls {
  #send;
  #runId;
  #redisClock;
  #clock;
  #refused;

  /**
   * @param {object} deps
   * @param {import('./redis-client.js').RedisClient['run']} deps.send
   * @param {() => string} deps.runId name of the server's run
   * @param {Pick<import('./redis-clock.js').RedisClock, 'unixMs' | 'deadlineUs' | 'sync'>} deps.redisClock
   * @param {import('../../internal/time/clock.js').ManualClock} [deps.clock] in place of Redis's, for tests
   * @param {(error: any) => unknown} [deps.failureOf] maps an error of `send` to the error for the caller;
   *   default: the same
   */
  constructor({ send, runId, redisClock, clock, failureOf = (error) => error }) {
    this.#send = send;
    this.#runId = runId;
    this.#redisClock = redisClock;
    this.#clock = clock;
    this.#refused = failureOf;
  }

  /** The clock that replaces Redis's, if any. */
  get clock() {
    return this.#clock;
  }

  /** @returns {number} the time of the stored data, in milliseconds: Redis's, or that of `clock` */
  nowMs() {
    return this.#clock?.nowMs() ?? this.#redisClock.unixMs();
  }

  /** The name of the server's run: another one after a restart, or on another server. */
  get runId() {
    return this.#runId();
  }

  /** @returns {string} deadline of the latest script sent so far, in Redis's microseconds */
  deadlineUs() {
    return this.#redisClock.deadlineUs();
  }

  /**
   * @param {string} name of the script
   * @param {string[]} keys without the prefix
   * @param {(string | number | Buffer)[]} args behind `clock` and `deadline`
   * @param {{bytes?: boolean}} [options] `bytes`: strings of the answer are Buffers
   * @returns {Promise<any>} its answer, never LATE
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 `storage_unavailable`, 507
   *   `insufficient_storage`; or the error that `failureOf` makes of it
   */
  async run(name, keys, args, options) {
    try {
      for (let isSynced = false; ; isSynced = true) {
        const times = this.#clock ? [usOf(this.#clock), ''] : ['', this.#redisClock.deadlineUs()];
        const answer = await this.#send(name, keys, [...times, ...args], options);
        if (String(answer?.[0]) !== 'LATE') return answer;
        // The answer came in time, so somebody has set Redis's clock. The script had no effect.
        if (isSynced) throw redisUnavailable();
        await this.#redisClock.sync();
      }
    } catch (error) {
      throw this.#refused(error);
    }
  }
}

/**
 * @param {import('../../internal/time/clock.js').ManualClock} clock
 * @returns {string} microseconds, with fractions
 */
function usOf(clock) {
  return String(clock.nowMs() * 1000);
}
