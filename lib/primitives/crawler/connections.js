/** The connections of one crawl. */
import { isIP } from 'node:net';
import { addressError, isPublicAddress, publicLookup } from './addresses.js';

/** Marks an error of connecting: no request was sent. */
export const CONNECTING = Symbol('sluice.crawl.connecting');

/**
 * undici's connections, each to an address that was checked; they are opened as requests need them.
 * `close()` leaves no socket open.
 */
export class CrawlConnections {
  #options;
  #closed = false;
  /** @type {Promise<import('undici').Agent> | undefined} */
  #agent;
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set();

  /**
   * @param {object} options
   * @param {import('./addresses.js').Lookup} options.lookup
   * @param {boolean} options.allowPrivateAddresses
   * @param {number} options.connections at once
   * @param {number} options.timeoutMs to connect
   */
  constructor(options) {
    this.#options = options;
  }

  /** undici is loaded with the first request. */
  async #start() {
    const { Agent, buildConnector } = await import('undici');
    const { lookup, allowPrivateAddresses, connections, timeoutMs } = this.#options;
    const connector = buildConnector({
      lookup: /** @type {any} */ (allowPrivateAddresses ? lookup : publicLookup(lookup)),
      timeout: timeoutMs,
    });
    return new Agent({
      connections,
      // The caller limits the time of the whole fetch.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        const answer = (/** @type {Error | null} */ error, /** @type {any} */ socket) => {
          if (error) Object.assign(error, { [CONNECTING]: true });
          callback(.../** @type {[any, any]} */ ([error, socket]));
        };
        const host = options.hostname.replace(/^\[|\]$/g, '');
        // An address is not looked up, so it is checked here.
        if (isIP(host) !== 0 && !allowPrivateAddresses && !isPublicAddress(host)) {
          process.nextTick(answer, addressError(host), null);
          return;
        }
        // The connector returns the socket while it is still connecting, though its type does not
        // say so.
        const socket = /** @type {import('node:net').Socket} */ (
          /** @type {unknown} */ (connector(options, /** @type {any} */ (answer)))
        );
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      },
    });
  }

  /**
   * @param {URL} url
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal closes the connection, at any time until the body has ended
   */
  async get(url, headers, signal) {
    const agent = await (this.#agent ??= this.#start());
    if (this.#closed) throw new Error('the crawl is over');
    return agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      headers,
      signal,
    });
  }

  /** Closes every socket now, those that are still connecting too; open requests fail. */
  close() {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
    void this.#agent
      ?.then((agent) => agent.destroy(new Error('the crawl is over')))
      .catch(() => {});
  }
}
