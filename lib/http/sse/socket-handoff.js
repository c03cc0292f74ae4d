/**
 * Connections of a server whose event streams are under way, and that Node has let go of.
 *
 * A stream lasts for minutes, and most of what one costs is what Node keeps for it: socket, parser,
 * request, response, and whatever they refer to. None of it is needed between the head and the end.
 * So the reactor takes the connection over: Node's descriptor is closed, the reactor's duplicate
 * keeps the connection open, and after the end of the stream a new `net.Socket` is made of that and
 * given to the server as a new connection, which waits for the client's next request.
 *
 * The server goes on counting such connections, so that its `close()` waits for them. Main thread.
 * Ends with its server.
 */
import { closeSync } from 'node:fs';
import net from 'node:net';

/**
 * @typedef {object} Boundary of a request that has come whole, and with nothing behind it
 * @property {StreamConnections} connections
 * @property {number} bytesRead of the connection, up to its end
 * @property {boolean} keepAlive what the request says of the connection
 */

/** @type {WeakMap<object, Boundary>} */
const boundaries = new WeakMap();

const HEAD_END = '\r\n\r\n';

/**
 * Whether a request ends where the bytes end that its connection has brought so far: what Node's
 * parser has taken of the next one could not be given to the next parser.
 * @param {import('node:http').IncomingMessage} req whose head is being parsed: in a listener of
 *   'request', before it returns
 */
function endsWithItsHead({ method, headers, socket }) {
  if (method !== 'GET' || 'transfer-encoding' in headers) return false;
  if ((headers['content-length'] ?? '0') !== '0') return false;
  // Undocumented; without it connections stay with Node.
  const bytes = /** @type {any} */ (socket).parser?.getCurrentBuffer?.();
  if (!Buffer.isBuffer(bytes) || bytes.includes('\n\n')) return false;
  return bytes.length >= HEAD_END.length && bytes.indexOf(HEAD_END) === bytes.length - 4;
}

/** One stream without a response: the handler of its subscriber. */
class HandedOver {
  /**
   * @param {StreamConnections} connections
   * @param {import('../../streams/hub.js').StreamSubscriber} subscriber
   * @param {boolean} keepAlive
   * @param {() => void} onClosed
   */
  constructor(connections, subscriber, keepAlive, onClosed) {
    this.connections = connections;
    this.subscriber = subscriber;
    this.keepAlive = keepAlive;
    this.onClosed = onClosed;
    /** Of its client, where connections are counted by it. @type {string | undefined} */
    this.address = undefined;
  }

  /** It was handed over open. */
  onOpen() {}

  /** @param {import('../../streams/types.js').EndReason} reason */
  onEnd(reason) {
    this.connections.onEnd(this, reason);
  }
}

/** See the head of this file. */
export class StreamConnections {
  #server;
  #addresses;
  /** @type {Set<HandedOver>} */
  #streams = new Set();
  /** @type {Set<net.Socket>} given back, and without a request since */
  #idle = new Set();

  /**
   * @param {import('node:http').Server} server that has had no request yet
   * @param {import('../connection-limits.js').AddressLimit} [addresses] where its connections count
   */
  constructor(server, addresses) {
    this.#server = server;
    this.#addresses = addresses;
    server.prependListener('request', (req, res) => {
      if (this.#idle.delete(req.socket)) req.socket.setTimeout(server.timeout);
      if (!endsWithItsHead(req)) return;
      boundaries.set(req, {
        connections: this,
        bytesRead: req.socket.bytesRead,
        keepAlive: res.shouldKeepAlive,
      });
    });
  }

  /**
   * Takes the connection of a response over, whose head has left, for the rest of its stream.
   * Nothing is heard of the response after that but its 'close'.
   * @param {import('node:http').ServerResponse} res
   * @param {number} fd of its socket
   * @param {import('../../streams/hub.js').StreamSubscriber} subscriber
   * @param {() => void} onClosed called when the stream is over
   * @returns {boolean} false: it stays with Node
   */
  static takeOver(res, fd, subscriber, onClosed) {
    const boundary = boundaries.get(res.req);
    const socket = /** @type {any} */ (res.socket);
    // Bytes that came later are with the parser too.
    if (boundary === undefined || socket.bytesRead !== boundary.bytesRead) return false;
    const { connections, keepAlive } = boundary;
    const stream = new HandedOver(connections, subscriber, keepAlive, onClosed);
    if (!subscriber.transferSocket(fd, stream)) return false;
    connections.#streams.add(stream);
    stream.address = connections.#addresses?.detach(socket);
    // By this property a server knows whom it has to wait for: it must not hear of this ending.
    socket._server = null;
    // Closes the descriptor, without a shutdown of the connection behind it.
    socket.destroy();
    return true;
  }

  /**
   * A stream has come to its end on the reactor.
   * @param {HandedOver} stream
   * @param {import('../../streams/types.js').EndReason} reason
   */
  onEnd(stream, reason) {
    const fd = reason === 'finished' ? stream.subscriber.detachSocket() : -1;
    this.#forget(stream, this.#socketOf(fd));
  }

  /** Cuts every stream, and closes the connections that were given back and are idle. */
  closeAll() {
    this.closeIdle();
    for (const stream of this.#streams) {
      stream.subscriber.detach();
      this.#forget(stream, undefined);
    }
  }

  /** Closes the connections that were given back and have had no request since. */
  closeIdle() {
    for (const socket of this.#idle) socket.destroy();
  }

  /** @param {number} fd -1: none @returns {net.Socket | undefined} */
  #socketOf(fd) {
    if (fd < 0) return undefined;
    try {
      return new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      // No memory, or no such thing as a socket: the client sees its connection closed.
      closeSync(fd);
      return undefined;
    }
  }

  /**
   * @param {HandedOver} stream
   * @param {net.Socket | undefined} socket its connection, where there still is one
   */
  #forget(stream, socket) {
    this.#streams.delete(stream);
    stream.onClosed();
    const counted = /** @type {any} */ (socket ?? new net.Socket());
    counted._server = this.#server;
    if (socket === undefined) this.#addresses?.release(stream.address);
    else this.#addresses?.attach(socket, stream.address);
    if (socket === undefined) counted.destroy();
    else if (stream.keepAlive && this.#server.listening) this.#giveBack(socket);
    else socket.on('error', () => {}).destroySoon();
  }

  /** @param {net.Socket} socket */
  #giveBack(socket) {
    this.#idle.add(socket);
    socket.once('close', () => this.#idle.delete(socket));
    // Node's own keep-alive time-out begins after a response, and this connection has had none.
    socket.setTimeout(this.#server.keepAliveTimeout);
    this.#server.emit('connection', socket);
    // Node takes a new connection for one that owes it a head from then on, and answers 408 in time.
    // Taken off its list it is idle, until the first byte puts it there again. Undocumented.
    /** @type {any} */ (socket).parser?.remove?.();
  }
}
