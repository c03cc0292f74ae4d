/**
 * An estimate of a Redis server's clock: read once, then advanced by the monotonic clock.
 * Main thread.
 */
export class RedisClock {
  #nowMs;
  #timeoutMs;
  /** Redis's Unix time in microseconds, at the given time of this process's clock. */
  #read = { us: 0, atMs: -Infinity };

  /**
   * @param {object} options
   * @param {number} options.commandTimeoutMs time limit of a command
   * @param {() => number} [options.nowMs] monotonic milliseconds; default `performance.now`
   */
  constructor({ commandTimeoutMs, nowMs = () => performance.now() }) {
    this.#timeoutMs = commandTimeoutMs;
    this.#nowMs = nowMs;
  }

  /**
   * @param {number} us Redis's Unix time in microseconds
   * @param {number} atMs time of this process at which the clock was read
   */
  observe(us, atMs) {
    this.#read = { us, atMs };
  }

  /**
   * Reads Redis's clock.
   * @param {import('./redis-client.js').RedisClient} redis
   */
  async sync(redis) {
    const us = await redis.timeUs();
    // The estimate lags by the travel time of the answer, so deadlines are early rather than late.
    this.observe(us, this.#nowMs());
  }

  /** Milliseconds since the clock was read; Infinity before that. */
  get ageMs() {
    return this.#nowMs() - this.#read.atMs;
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
    const nowMs = this.unixMs();
    return nowMs === 0 ? '' : String(Math.ceil((nowMs + this.#timeoutMs) * 1000));
  }
}
