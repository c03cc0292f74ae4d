import { EventEmitter, once } from 'node:events';
import { LEAVE, wordOf } from './errors.js';
import { redisUnavailable } from '../../jobs/errors.js';

/**
 * Scripts with permanent effects: their callers get an answer once the replicas have the effects.
 * `admit` is one of them if it stored an idempotency key; the native side waits for endings.
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
 * Waits until replicas have all earlier writes. It has a connection of its own, because WAIT blocks all later
 * commands of its connection. Main thread; `close()` ends it.
 *
 * WAIT counts the replicas that have the last write of its own connection. So each wait begins with a write: a
 * replica that has this write has all writes before it, from any connection. One wait runs at a time, and serves
 * all calls made before it began.
 *
 * `change`: whether enough replicas answered, emitted at each change.
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
  /** The wait that follows the current one. @type {Promise<void> | undefined} */
  #next;

  /**
   * @param {object} options
   * @param {import('ioredis').Redis} options.client a client of its own
   * @param {string} options.key key to write
   * @param {number} options.count number of replicas
   * @param {number} options.timeoutMs time limit of a wait, and of the client's commands
   */
  constructor({ client, key, count, timeoutMs }) {
    super();
    this.#client = client;
    this.#key = key;
    this.#count = count;
    // Redis must answer before the client's time limit.
    this.#timeoutMs = Math.ceil(timeoutMs / 2);
    // The connection for scripts reports faults of the server.
    client.on('error', () => {});
  }

  /**
   * @returns {Promise<void>} resolves once the replicas have all writes made before the call
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 `storage_unavailable`, `uncertain`: the
   *   replicas have not answered in time
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
      // The server may have become a replica.
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
