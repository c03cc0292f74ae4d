import { undici } from '../../internal/util/packages.js';
import { SocketInput } from './socket-input.js';

// Clients beyond this many idle ones are dropped; their sockets would soon time out.
const IDLE_MAX = 256;

// Maximum bytes buffered between the kernel and the decoder while the consumer is not reading.
const READ_AHEAD_BYTES = 16 * 1024;

/**
 * Resolves once the event loop has read every socket with pending bytes or a pending close. The
 * first turn may have begun before they arrived.
 * @returns {Promise<void>}
 */
function socketsRead() {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** One connection, in use by one call. `release` or `destroy` ends the use. */
class Connection {
  /** Whether an earlier call has used it. */
  isKept = false;
  /** @type {import('node:net').Socket | undefined} */
  #socket;
  /** @type {SocketInput | undefined} */
  #input;
  #client;
  #connections;
  /** @type {number | undefined} */
  #bytesReadAtRelease;

  /**
   * @param {UpstreamConnections} connections
   * @param {URL} origin
   * @param {ReturnType<typeof import('undici').buildConnector>} connector
   */
  constructor(connections, origin, connector) {
    this.#connections = connections;
    this.#client = new (undici().Client)(origin.origin, {
      // The caller measures silence itself, and only while it is reading.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        // The connector returns the socket while it is still connecting, though its type does not say so.
        this.#socket = /** @type {import('node:net').Socket} */ (
          /** @type {unknown} */ (connector(options, callback))
        );
        this.#input = new SocketInput(this.#socket);
        this.#input.expectAnswer();
      },
    });
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {string} body
   */
  post(path, headers, body) {
    this.#input?.expectAnswer();
    return this.#client.request({
      method: 'POST',
      path,
      headers,
      body,
      highWaterMark: READ_AHEAD_BYTES,
    });
  }

  /** Whether the socket is open and has received no byte since `release`. */
  get isSilent() {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || socket.readableLength > 0) return false;
    // Even bytes that the parser skips, such as empty lines, belong to no answer.
    return socket.bytesRead === this.#bytesReadAtRelease;
  }

  /** Returns the connection for another call, once the response is read to its end. */
  release() {
    this.isKept = true;
    this.#bytesReadAtRelease = this.#socket?.bytesRead;
    this.#connections.giveBack(this);
  }

  /**
   * Closes the socket at once, in any state. Idempotent.
   * @param {Error} reason
   */
  destroy(reason) {
    this.#connections.forget(this);
    this.#client.destroy(reason).catch(() => {});
    this.#socket?.destroy(reason);
  }
}

/**
 * Connections to one upstream, each used by one call at a time.
 *
 * A call owns its connection from before the connect until the end of the response, so a cancel
 * closes exactly that socket, in whichever phase it is (undici's Pool would finish connecting first
 * and keep the socket for another). A connection whose answer ended properly is kept for the next
 * call, and reused only while its socket is open and silent, because bytes that arrive between
 * calls belong to no request. Ends with `close()`.
 */
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

  /**
   * A connection for one call.
   * @returns {Connection | Promise<Connection>} the most recently used idle connection that is open and silent, or
   *   a new one
   */
  borrow() {
    return this.#idle.length === 0 ? this.create() : this.#borrowIdle();
  }

  /** A new connection. */
  create() {
    const connection = new Connection(this, this.#origin, this.#connector);
    this.#all.add(connection);
    return connection;
  }

  async #borrowIdle() {
    await socketsRead();
    for (let connection; (connection = this.#idle.pop()) !== undefined;) {
      if (connection.isSilent) return connection;
      connection.destroy(new Error('bytes or a close came while the connection was idle'));
    }
    return this.create();
  }

  /** @param {Connection} connection */
  giveBack(connection) {
    if (!this.#all.has(connection)) return;
    if (this.#idle.length < IDLE_MAX) this.#idle.push(connection);
    else connection.destroy(new Error('surplus connection'));
  }

  /** @param {Connection} connection */
  forget(connection) {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Closes every connection; running calls fail. */
  close() {
    const reason = new Error('the provider is closed');
    for (const connection of [...this.#all]) connection.destroy(reason);
  }
}
