import { EventEmitter } from 'node:events';
import { detailOf } from './errors.js';
import { ioredis } from '../../internal/util/packages.js';

/** @typedef {import('./address.js').Endpoint} Endpoint */
/** @typedef {import('./address.js').RedisAddress} RedisAddress */

/** The reply of a node of a Redis Cluster that does not own the keys; the host may be absent. */
const MOVED = /\bMOVED \d+ (\S*):(\d+)/;

/** @param {Endpoint} a @param {Endpoint} b */
const isSame = (a, b) => a.host === b.host && a.port === b.port;

/**
 * Finds the current address of the server: from the URL, from the redirection of a Redis Cluster node, or from the
 * Sentinels. Main thread; holds no connection.
 *
 * `moved`: the server has another address; clients close their connections to the old one.
 * @extends {EventEmitter<{moved: []}>}
 */
export class Locator extends EventEmitter {
  #address;
  #timeoutMs;
  #tls;
  /** The order in which Sentinels are asked: the last one that answered comes first. */
  #sentinels;
  /** Target of the last redirection by a Redis Cluster node. @type {Endpoint | undefined} */
  #moved;
  /** The last answer. @type {Endpoint | undefined} */
  #last;

  /**
   * @param {object} options
   * @param {RedisAddress} options.address
   * @param {number} options.timeoutMs time limit for the answer of a Sentinel
   * @param {import('node:tls').ConnectionOptions} [options.tls] for connections to Sentinels
   */
  constructor({ address, timeoutMs, tls }) {
    super();
    // One listener per connection.
    this.setMaxListeners(0);
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#tls = tls;
    this.#sentinels = [...address.sentinels];
  }

  /**
   * @returns {Promise<Endpoint>}
   * @throws {Error} no Sentinel knows the server
   */
  async locate() {
    const { host, port } = this.#address;
    const before = this.#last;
    const found = this.#moved ?? (this.#sentinels.length > 0 ? await this.#ask() : { host, port });
    this.#last = found;
    if (before !== undefined && !isSame(before, found)) this.emit('moved');
    return found;
  }

  /** Whether the server has another address now. @param {Endpoint} endpoint an earlier answer of `locate` */
  isElsewhere(endpoint) {
    return !isSame(this.#moved ?? this.#last ?? endpoint, endpoint);
  }

  /**
   * Follows a redirection to another node.
   * @param {string} message
   * @returns {boolean} whether the error is a redirection
   */
  follow(message) {
    const [, host, port] = MOVED.exec(message) ?? [];
    if (port === undefined) return false;
    // A reply without a host means the host that was asked.
    const to = {
      host: host.replace(/^\[|\]$/g, '') || (this.#last ?? this.#address).host,
      port: Number(port),
    };
    if (this.#moved !== undefined && isSame(this.#moved, to)) return true;
    this.#moved = to;
    this.emit('moved');
    return true;
  }

  /**
   * Returns to the address of the URL if the lost connection was to the other node.
   * @param {Endpoint | undefined} lost answer of `locate`
   */
  forget(lost) {
    if (this.#moved === lost) this.#moved = undefined;
  }

  async #ask() {
    const problems = [];
    for (const sentinel of [...this.#sentinels]) {
      try {
        const found = await this.#askOne(sentinel);
        if (found !== undefined) {
          this.#sentinels = [sentinel, ...this.#sentinels.filter((one) => one !== sentinel)];
          return found;
        }
        problems.push(`${sentinel.host}:${sentinel.port} does not know it`);
      } catch (/** @type {any} */ error) {
        problems.push(`${sentinel.host}:${sentinel.port}: ${detailOf(error)}`);
      }
    }
    const { service } = this.#address;
    throw new Error(`no Sentinel names a master of ${service} (${problems.join('; ')})`);
  }

  /**
   * @param {Endpoint} sentinel
   * @returns {Promise<Endpoint | undefined>} undefined: the Sentinel does not know the server
   */
  async #askOne(sentinel) {
    try {
      return await this.#query(sentinel, {});
    } catch (/** @type {any} */ error) {
      const { user, password } = this.#address;
      // A Sentinel with a password uses that of the server.
      if (!error.message.startsWith('NOAUTH') || password === '') throw error;
      return this.#query(sentinel, { username: user || undefined, password });
    }
  }

  /**
   * @param {Endpoint} sentinel
   * @param {{username?: string, password?: string}} credentials
   */
  async #query(sentinel, credentials) {
    const { Redis } = ioredis();
    /** @type {Error | undefined} */
    let problem;
    const client = new Redis({
      ...{ ...sentinel, ...credentials, tls: this.#tls, protocol: 2 },
      ...{ lazyConnect: true, enableOfflineQueue: false, enableReadyCheck: false },
      ...{ disableClientInfo: true, maxRetriesPerRequest: 0, retryStrategy: () => null },
      connectTimeout: this.#timeoutMs,
      commandTimeout: this.#timeoutMs,
    });
    client.on('error', (error) => (problem ??= error));
    try {
      await client.connect();
      const { service } = this.#address;
      const answer = await client.call('SENTINEL', 'get-master-addr-by-name', service);
      if (!Array.isArray(answer)) return undefined;
      return { host: String(answer[0]), port: Number(answer[1]) };
    } catch (error) {
      throw problem ?? error;
    } finally {
      client.disconnect();
    }
  }
}
