/**
 * Connections to one upstream, each lent to one call at a time.
 *
 * A call owns its connection from before the connect until the end of the response, so a cancel
 * closes exactly that socket, in whichever phase it is (undici's Pool would finish connecting
 * first and keep the socket for another). What ended in good order is kept alive for the next call.
 * Ends with `close()`.
 */
import { undici } from '../../internal/util/packages.js';

// Clients beyond this many idle ones are dropped; their sockets would soon time out anyway.
const kIdleMax = 256;

// Bytes that may wait between the kernel and the decoder while the consumer does not ask.
const kReadAheadBytes = 16 * 1024;

/** One connection, lent to one call. `release` or `destroy` gives it back. */
class Connection {
  /** @type {import('node:net').Socket | undefined} */
  #socket;
  #client;
  #connections;

  /**
   * @param {UpstreamConnections} connections
   * @param {URL} origin
   * @param {ReturnType<typeof import('undici').buildConnector>} connector
   */
  constructor(connections, origin, connector) {
    this.#connections = connections;
    this.#client = new (undici().Client)(origin.origin, {
      // The caller measures silence itself, and not while it is not reading.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        // The connector returns the socket while it is still connecting, though its type does not say so.
        this.#socket = /** @type {import('node:net').Socket} */ (
          /** @type {unknown} */ (connector(options, callback))
        );
      },
    });
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {string} body
   */
  post(path, headers, body) {
    return this.#client.request({
      method: 'POST',
      path,
      headers,
      body,
      highWaterMark: kReadAheadBytes,
    });
  }

  /** The response has been read to its end: the connection may serve another call. */
  release() {
    this.#connections.giveBack(this);
  }

  /**
   * Closes the socket now, whatever it is doing. Idempotent.
   * @param {Error} reason
   */
  destroy(reason) {
    this.#connections.forget(this);
    this.#client.destroy(reason).catch(() => {});
    this.#socket?.destroy(reason);
  }
}

export class UpstreamConnections {
  /** @type {Set<Connection>} */
  #all = new Set();
  /** @type {Connection[]} */
  #idle = [];
  #origin;
  #connector;

  /** @param {URL} origin */
  constructor(origin) {
    this.#origin = origin;
    // Shared, so that TLS sessions are resumed from one connection to the next.
    this.#connector = undici().buildConnector({});
  }

  /** A connection that nobody uses: the one used last, or a new one. */
  borrow() {
    const connection = this.#idle.pop() ?? new Connection(this, this.#origin, this.#connector);
    this.#all.add(connection);
    return connection;
  }

  /** @param {Connection} connection */
  giveBack(connection) {
    if (!this.#all.has(connection)) return;
    if (this.#idle.length < kIdleMax) this.#idle.push(connection);
    else connection.destroy(new Error('surplus connection'));
  }

  /** @param {Connection} connection */
  forget(connection) {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Closes every connection; calls under way fail. */
  close() {
    const reason = new Error('the provider is closed');
    for (const connection of [...this.#all]) connection.destroy(reason);
  }
}
