/** Wait before ended jobs are counted together. */
const WAIT_MS = 500;
/** Jobs that one run of the script removes. */
const REMOVED_MAX = 100;

/**
 * Keeps the ended jobs of a deployment, or its ended operations of a kind, within `maxRetainedJobs`. Main
 * thread; `close()` ends it.
 *
 * Each process handles the principals whose jobs it has ended; the bound applies to all processes together.
 */
export class Retention {
  #redis;
  #kind;
  #max;
  /** @type {Set<string>} principals whose jobs are not counted yet */
  #principals = new Set();
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {Pick<import('../client/redis-client.js').RedisClient, 'run'>} deps.redis
   * @param {number} deps.maxRetainedJobs
   * @param {import('./job-fields.js').OperationKind} [deps.kind] of operations; default: jobs
   */
  constructor({ redis, maxRetainedJobs, kind }) {
    this.#redis = redis;
    this.#kind = kind;
    this.#max = maxRetainedJobs;
  }

  /** @param {string} principal of a job that has ended */
  count(principal) {
    this.#principals.add(principal);
    this.#later();
  }

  #later() {
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#run(), WAIT_MS);
    this.#timer.unref();
  }

  async #run() {
    const principals = [...this.#principals];
    this.#principals.clear();
    let removed = 0;
    try {
      const counts = this.#kind === undefined ? 'retained' : `retained_${this.#kind}s`;
      const args = [this.#kind ?? '', this.#max, REMOVED_MAX, ...principals];
      removed = await this.#redis.run('retain', [counts, `${counts}:total`], args);
    } catch {
      for (const principal of principals) this.#principals.add(principal);
    }
    this.#timer = undefined;
    if (removed === REMOVED_MAX || this.#principals.size > 0) this.#later();
  }

  /** Stops counting. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }
}
