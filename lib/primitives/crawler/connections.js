/**
 * The connections of one crawl: undici's, with the address check in the connector, and an end that
 * leaves no socket open. Ends with `close()`.
 */
import { isIP } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { addressError, isPublicAddress, publicLookup } from './addresses.js';

/** Marks an error as one of connecting: nothing was sent. */
export const kConnecting = Symbol('sluice.crawl.connecting');

export class CrawlConnections {
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
  constructor({ lookup, allowPrivateAddresses, connections, timeoutMs }) {
    const connector = buildConnector({
      lookup: /** @type {any} */ (allowPrivateAddresses ? lookup : publicLookup(lookup)),
      timeout: timeoutMs,
    });
    this.#agent = new Agent({
      connections,
      // Whoever asks measures the time of the whole fetch.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        const answer = (/** @type {Error | null} */ error, /** @type {any} */ socket) => {
          if (error) Object.assign(error, { [kConnecting]: true });
          callback(.../** @type {[any, any]} */ ([error, socket]));
        };
        const host = options.hostname.replace(/^\[|\]$/g, '');
        // No lookup is made for what is an address already.
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
  get(url, headers, signal) {
    return this.#agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'GET',
      headers,
      signal,
    });
  }

  /** Closes every socket now, those that are still connecting too; requests under way fail. */
  close() {
    const reason = new Error('the crawl is over');
    this.#agent.destroy(reason).catch(() => {});
    for (const socket of this.#sockets) socket.destroy();
  }
}
