import { EventEmitter, once } from 'node:events';
import { LEAVE, wordOf } from './errors.js';
import { redisUnavailable } from '../../jobs/errors.js';

/**
 * Scripts whose effects are acknowledged for good: an answer to their caller is sent when replicas have them.
 * `admit` counts where it has taken an idempotency key; endings are waited for natively.
 */
export const KEPT = new Set([
  'placed',
  ...['conversations/clear', 'conversations/create', 'conversations/delete', 'conversations/fork'],
  ...['durable/append', 'durable/clear', 'durable/create', 'durable/delete'],
  ...['keys/change', 'kv/commit', 'kv/clear'],
  ...['ledger/execute', 'ledger/linked', 'ledger/open', 'ledger/rename'],
]);

/** The key that each wait writes lives for this long. */
const KEY_MS = 60_000;

/**
 * Waits until replicas have what was written before, on a connection of its own, for WAIT holds up whatever
 * follows it. Main thread; `close()` ends it.
 *
 * WAIT counts the replicas that have the last write of its own connection. So each wait begins with a write:
 * what has that one has all before it, whoever wrote it. One wait is under way at a time, and serves all
 * that were asked for before it began.
 *
 * `change`: whether there were enough replicas, when that has changed.
 * @extends {EventEmitter<{change: [has: boolean]}>}
 */
export class ReplicaWait extends EventEmitter {
  #client;
  #key;
  #count;
  #timeoutMs;
  #has = true;
  /** @type {Promise<void>} */
  #running = Promise.resolve();
  /** The one that follows it. @type {Promise<void> | undefined} */
  #next;

  /**
   * @param {object} options
   * @param {import('ioredis').Redis} options.client that nothing else uses
   * @param {string} options.key that it may write
   * @param {number} options.count of replicas
   * @param {number} options.timeoutMs of a wait, and of the client's commands
   */
  constructor({ client, key, count, timeoutMs }) {
    super();
    this.#client = client;
    this.#key = key;
    this.#count = count;
    // Redis has to answer before the client gives up.
    this.#timeoutMs = Math.ceil(timeoutMs / 2);
    // What is wrong with the server is told by the connection for scripts.
    client.on('error', () => {});
  }

  /**
   * @returns {Promise<void>} resolves once the replicas have what was written before the call
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 `storage_unavailable`, `uncertain`: they
   *   have not answered in time
   */
  wait() {
    this.#next ??= this.#running.then(() => {
      const now = this.#ask();
      this.#running = now.catch(() => {});
      this.#next = undefined;
      return now;
    });
    return this.#next;
  }

  async #ask() {
    try {
      if (this.#client.status !== 'ready') {
        await once(this.#client, 'ready', { signal: AbortSignal.timeout(this.#timeoutMs) });
      }
      const [, reached] = await Promise.all([
        this.#client.set(this.#key, '', 'PX', KEY_MS),
        this.#client.wait(this.#count, this.#timeoutMs),
      ]);
      this.#become(reached >= this.#count);
      if (reached < this.#count) {
        throw new Error(`${reached} of ${this.#count} replicas have answered`);
      }
    } catch (/** @type {any} */ cause) {
      // The server may be a replica by now.
      if (LEAVE.has(wordOf(cause))) this.#client.disconnect(true);
      throw Object.assign(redisUnavailable(), { cause, uncertain: true });
    }
  }

  /** @param {boolean} has */
  #become(has) {
    if (has === this.#has) return;
    this.#has = has;
    this.emit('change', has);
  }

  close() {
    this.#client.disconnect();
  }
}
