import { Locator } from './locator.js';
import { TlsRelay } from './tls-relay.js';
import { connectionOptions } from './tls-options.js';

/** @typedef {import('./address.js').Endpoint} Endpoint */

/**
 * The route of a process's clients to the server: each client looks it up before each connection.
 * Main thread; `close()` ends it.
 */
export class Route {
  #relay;

  /**
   * @param {object} options
   * @param {import('./address.js').RedisAddress} options.address
   * @param {import('./tls-options.js').RedisTls} [options.tls]
   * @param {number} options.timeoutMs time limit for the answer of a Sentinel
   */
  constructor({ address, tls = {}, timeoutMs }) {
    const { user, password, isEncrypted } = address;
    this.address = address;
    /** Options of TLS for connections of this thread; undefined: plain TCP. */
    this.tls = isEncrypted ? connectionOptions(tls) : undefined;
    this.locator = new Locator({ address, timeoutMs, tls: this.tls });
    this.#relay = isEncrypted ? new TlsRelay({ tls, user, password }) : undefined;
  }

  /**
   * @returns {{address: import('../../streams/redis-link.js').LinkAddress, locate: () => Promise<Endpoint>}} for
   *   the native link, which speaks plain TCP
   */
  ofLink() {
    const { host, port, db, user, password } = this.address;
    return {
      address: { host, port, db, ...(this.#relay?.credentials ?? { user, password }) },
      locate: async () => {
        const endpoint = await this.locator.locate();
        return this.#relay?.connectTo(endpoint) ?? endpoint;
      },
    };
  }

  /** Ends the thread for TLS, if there is one. */
  close() {
    this.#relay?.close();
  }
}
