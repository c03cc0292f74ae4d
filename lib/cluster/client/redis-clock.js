/**
 * An estimate of a Redis server's clock: read once, then advanced by the monotonic clock.
 * Main thread.
 */
export class RedisClock {
  #redis;
  #nowMs;
  #timeoutMs;
  #ageMsMax;
  /** Redis's Unix time in microseconds, at the given time of this process's clock. */
  #read = { us: 0, atMs: -Infinity };

  /**
   * @param {object} options
   * @param {Pick<import('./redis-client.js').RedisClient, 'timeUs'>} options.redis
   * @param {number} options.commandTimeoutMs time limit of a command
   * @param {number} [options.ageMsMax] age at which the reading is renewed by the next call of `deadlineUs`;
   *   default: never
   * @param {() => number} [options.nowMs] monotonic milliseconds; default `performance.now`
   */
  constructor({ redis, commandTimeoutMs, ageMsMax = Infinity, nowMs = () => performance.now() }) {
    this.#redis = redis;
    this.#timeoutMs = commandTimeoutMs;
    this.#ageMsMax = ageMsMax;
    this.#nowMs = nowMs;
  }

  /**
   * @param {number} us Redis's Unix time in microseconds
   * @param {number} atMs time of this process at which the clock was read
   */
  observe(us, atMs) {
    this.#read = { us, atMs };
  }

  /** Reads Redis's clock. */
  async sync() {
    const us = await this.#redis.timeUs();
    // The estimate lags by the travel time of the answer, so deadlines are early rather than late.
    this.observe(us, this.#nowMs());
  }

  /** @returns {number} Redis's Unix time in milliseconds; 0 before the clock was read */
  unixMs() {
    const { us, atMs } = this.#read;
    return us === 0 ? 0 : us / 1000 + this.#nowMs() - atMs;
  }

  /**
   * @returns {string} until when Redis may run a script that is sent now, in its own microseconds; empty
   *   before the clock was read
   */
  deadlineUs() {
    if (this.#nowMs() - this.#read.atMs > this.#ageMsMax) void this.sync().catch(() => {});
    const nowMs = this.unixMs();
    return nowMs === 0 ? '' : String(Math.ceil((nowMs + this.#timeoutMs) * 1000));
  }
}
