/** Connections to hosts that callers name: of one crawl, and of webhooks. */
import { isIP } from 'node:net';
import { addressError, isPublicAddress, publicLookup } from './addresses.js';

/** Marks an error of connecting: no request was sent. */
const CONNECTING = Symbol('sluice.crawl.connecting');

const CLOSED = 'the connections are closed';

/**
 * Describes the failure of a request.
 * @param {any} error of a request or of reading its answer
 * @returns {{code: 'address_not_allowed' | 'dns_failed' | 'tls_failed' | 'connect_failed' |
 *   'protocol_error' | 'disconnected', message: string}}
 */
export function connectionFault(error) {
  const code = String(error?.code ?? '');
  const named = /^\w{1,60}$/.test(code) ? ` (${code})` : '';
  if (code === 'ERR_CRAWL_ADDRESS_NOT_ALLOWED') {
    return { code: 'address_not_allowed', message: error.message };
  }
  if (error?.[CONNECTING]) {
    if (error.syscall === 'getaddrinfo' || /^(ENOTFOUND|EAI_|ENODATA|ESERVFAIL)/.test(code)) {
      return { code: 'dns_failed', message: `The name does not resolve${named}` };
    }
    if (/CERT|TLS|SSL|SIGN|ISSUER/.test(code)) {
      return { code: 'tls_failed', message: `TLS cannot be set up${named}` };
    }
    return { code: 'connect_failed', message: `The host cannot be reached${named}` };
  }
  if (error?.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return { code: 'protocol_error', message: 'The response is not valid HTTP' };
  }
  return { code: 'disconnected', message: `The connection closed early${named}` };
}

/**
 * Connections of undici, each to a checked address, opened on demand.
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
        // An IP address needs no look-up, so it is checked here.
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
    return this.#request(url, { method: 'GET', headers, signal });
  }

  /**
   * Like `get`, with a body. Redirects are returned as answers.
   * @param {URL} url
   * @param {Record<string, string>} headers
   * @param {string} body
   * @param {AbortSignal} signal
   */
  post(url, headers, body, signal) {
    return this.#request(url, { method: 'POST', headers, body, signal });
  }

  /**
   * @param {URL} url
   * @param {{method: 'GET' | 'POST', headers: Record<string, string>, body?: string,
   *   signal: AbortSignal}} request
   */
  async #request({ origin, pathname, search }, request) {
    const agent = await (this.#agent ??= this.#start());
    if (this.#closed) throw new Error(CLOSED);
    return agent.request({ origin, path: pathname + search, ...request });
  }

  /** Closes all sockets now, including connecting ones; open requests fail. */
  close() {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
    void this.#agent?.then((agent) => agent.destroy(new Error(CLOSED))).catch(() => {});
  }
}
