import { Socket, connect as connectTcp, isIP } from 'node:net';
import { tls as tlsOfNode } from '../../internal/util/packages.js';

/** A closed connection whose server does not answer is destroyed after this long. */
const CLOSE_MS = 2000;
/** Time limit of the TLS handshake, shorter than that of ioredis. */
const GREETING_MS = 1500;

/**
 * @param {import('./locator.js').Locator} locator
 * @param {import('node:tls').ConnectionOptions} [tls] undefined: plain TCP
 * @returns {any} a class for ioredis that looks the server up anew before each connection
 */
export function connectorFor(locator, tls) {
  return class Connector {
    /** Error of the stream; read by ioredis. @type {Error | undefined} */
    firstError;
    #isConnecting = false;
    /** @type {Socket | undefined} */
    #stream;

    check() {
      return true;
    }

    /**
     * @returns {Promise<Socket>} already destroyed if the server was not found, so that ioredis retries
     * @throws {Error} if `disconnect` was called meanwhile
     */
    async connect() {
      this.#isConnecting = true;
      this.firstError = undefined;
      /** @type {import('./address.js').Endpoint | undefined} */
      let endpoint;
      try {
        endpoint = await locator.locate();
      } catch (/** @type {any} */ error) {
        this.firstError = error;
      }
      if (!this.#isConnecting) throw new Error('Connection is closed.');
      this.#stream = endpoint === undefined ? new Socket().destroy() : open(endpoint, tls);
      const stream = this.#stream;
      if (tls !== undefined) boundGreeting(stream);
      // A TLS socket may report more than one error, and one without a listener would end the process.
      stream.on('error', (error) => (this.firstError ??= error));
      const leave = () => {
        if (endpoint !== undefined && locator.isElsewhere(endpoint)) this.disconnect();
      };
      locator.on('moved', leave);
      stream.once('close', () => {
        locator.off('moved', leave);
        locator.forget(endpoint);
      });
      return this.#stream;
    }

    disconnect() {
      this.#isConnecting = false;
      const stream = this.#stream;
      if (stream === undefined) return;
      const timer = setTimeout(() => stream.destroy(), CLOSE_MS);
      stream.once('close', () => clearTimeout(timer));
      stream.end();
    }
  };
}

/**
 * Ends a connection whose server does not complete the handshake: it is frozen, or is a Redis without TLS, which
 * stays silent.
 * @param {Socket} stream TLS socket
 */
function boundGreeting(stream) {
  stream.once('connect', () => {
    const giveUp = () => {
      const message =
        `no answer to the greeting of TLS in ${GREETING_MS / 1000} s: ` +
        'a server without TLS takes redis:// in place of rediss://';
      stream.destroy(new Error(message));
    };
    const timer = setTimeout(giveUp, GREETING_MS);
    for (const event of ['secureConnect', 'close']) stream.once(event, () => clearTimeout(timer));
  });
}

/**
 * @param {import('./address.js').Endpoint} endpoint
 * @param {import('node:tls').ConnectionOptions} [tls] `servername`: the name that the certificate must have;
 *   default: the host
 * @returns {Socket}
 */
export function open({ host, port }, tls) {
  if (tls === undefined) return connectTcp({ host, port });
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  return tlsOfNode().connect({ ...tls, host, port, servername });
}
