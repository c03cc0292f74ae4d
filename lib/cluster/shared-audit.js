import { PersistentCalls } from './client/persistent-calls.js';

/** Maximum entries that wait for Redis; further ones are dropped. */
const WAITING_MAX = 10_000;

/**
 * A stored entry: `about` names its target for a look-up (empty: nothing), `entry` is JSON without the id.
 * @typedef {{actor: string, about: string, entry: string}} StoredAudit
 */

/** @typedef {{token: string, number: string, entry: string}} FoundAudit `number`: the digits of its id */

/** @param {string[][]} rows @returns {FoundAudit[]} */
const foundIn = (rows) => rows.map(([token, number, entry]) => ({ token, number, entry }));

/**
 * The entries of the audit log of a deployment, in Redis, on the scripts in scripts/audit. Main thread;
 * `close()` ends all retries.
 */
export class SharedAudit {
  #redis;
  #persistent;
  #waiting = 0;

  /**
   * @param {object} deps
   * @param {import('./client/redis-client.js').RedisClient} deps.redis
   * @param {import('../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, log }) {
    this.#redis = redis;
    this.#persistent = new PersistentCalls({ redis, log });
  }

  /**
   * Adds an entry, or completes it. Retries until Redis answers.
   * @param {string} token name of the entry, chosen by its writer
   * @param {StoredAudit} stored
   * @param {object} options
   * @param {string} options.former its last written JSON; empty for a new entry
   * @param {number} options.maxEntries
   * @returns {Promise<number>} number of entries dropped to make room, or because Redis is away
   */
  async write(token, { actor, about, entry }, { former, maxEntries }) {
    if (this.#waiting >= WAITING_MAX) return 1;
    this.#waiting += 1;
    const args = [token, former, actor, about, entry, String(maxEntries)];
    const dropped = await this.#persistent.insist('audit/write', ['auditorder'], () => args);
    this.#waiting -= 1;
    return Math.max(0, Number(dropped ?? 0));
  }

  /**
   * @param {string} before digits of an entry's id; only older entries are returned; empty: all
   * @param {number} count maximum number
   * @returns {Promise<FoundAudit[]>} newest first
   * @throws {import('../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async page(before, count) {
    return foundIn(await this.#redis.run('audit/page', ['auditorder'], [before, count]));
  }

  /**
   * @param {string} about a target, see `StoredAudit`
   * @returns {Promise<FoundAudit[]>}
   * @throws {import('../internal/util/http-error.js').HttpError} see `page`
   */
  async about(about) {
    return foundIn(await this.#redis.run('audit/about', [`audit:about:${about}`], []));
  }

  /**
   * Replaces an entry.
   * @param {FoundAudit} found
   * @param {StoredAudit} stored
   * @returns {Promise<boolean>} false: the entry has changed meanwhile
   * @throws {import('../internal/util/http-error.js').HttpError} see `page`
   */
  async change({ token, entry: former }, { actor, about, entry }) {
    const args = [token, former, actor, about, entry];
    return (await this.#redis.run('audit/change', ['auditorder'], args)) === 1;
  }

  /** Stops all retries. */
  close() {
    this.#persistent.close();
  }
}
