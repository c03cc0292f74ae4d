import { closeSync } from 'node:fs';
import net from 'node:net';

/**
 * @typedef {object} Boundary of a request that arrived without bytes of another one
 * @property {StreamConnections} connections
 * @property {number} bytesRead of the connection, up to the end of the request and its body
 * @property {boolean} keepAlive whether the request keeps the connection alive
 */

/** A request's `Boundary`, on the request. */
const BOUNDARY = Symbol('boundary');

// Buffers, because searching for them is faster than for strings.
const HEAD_END = Buffer.from('\r\n\r\n');
const BARE_END = Buffer.from('\n\n');
const POST = 'POST ';
const SUBMISSION = '/v1/jobs';

/**
 * The end of a request, if Node's parser has received no bytes beyond it. Bytes of a next
 * request that the parser has consumed could not be passed to the next parser.
 * @param {import('node:http').IncomingMessage} req whose head is being parsed: in a listener of
 *   'request', before it returns
 * @returns {number} bytes of the connection up to the end of the request; -1: bytes of others may follow
 */
function endOf({ method, headers, socket }) {
  // Node answers `Expect` itself, before the body arrives.
  if ('transfer-encoding' in headers || 'expect' in headers) return -1;
  // Undocumented property; without it connections stay with Node.
  const bytes = /** @type {any} */ (socket).parser?.getCurrentBuffer?.();
  if (!Buffer.isBuffer(bytes)) return -1;
  const headBytes = bytes.indexOf(HEAD_END) + HEAD_END.length;
  const bareEnd = bytes.indexOf(BARE_END);
  const bodyBytes = Number(headers['content-length'] ?? 0);
  // Without the beginning of the head, bytes that look like its end may belong to an earlier body.
  const isWhole = method === 'POST' && bytes.toString('latin1', 0, POST.length) === POST;
  if (headBytes < HEAD_END.length || (bareEnd >= 0 && (!isWhole || bareEnd < headBytes))) return -1;
  const restBytes = bytes.length - headBytes;
  if (method === 'GET') return restBytes === 0 && bodyBytes === 0 ? socket.bytesRead : -1;
  if (method !== 'POST' || !isWhole || restBytes > bodyBytes) return -1;
  return socket.bytesRead - restBytes + bodyBytes;
}

/** Subscriber handler of a stream without a response. */
class HandedOver {
  /**
   * @param {StreamConnections} connections
   * @param {import('../../streams/hub.js').StreamSubscriber} subscriber
   * @param {boolean} keepAlive
   * @param {(complete: boolean) => void} onClosed
   */
  constructor(connections, subscriber, keepAlive, onClosed) {
    this.connections = connections;
    this.subscriber = subscriber;
    this.keepAlive = keepAlive;
    this.onClosed = onClosed;
    /** Address of its client, if connections are limited by address. @type {string | undefined} */
    this.address = undefined;
  }

  /** The stream is already open. */
  onOpen() {}

  /** @param {import('../../streams/types.js').EndReason} reason */
  onEnd(reason) {
    this.connections.onEnd(this, reason);
  }
}

/**
 * Connections of a server with open event streams that Node no longer holds.
 *
 * A stream lasts for minutes, and most of its memory is Node's: socket, parser, request, response,
 * and the objects they refer to. None is needed between the head and the end. So the reactor takes
 * over the connection: Node's descriptor is closed, and the reactor's duplicate keeps the
 * connection open. After the end of the stream the server gets a new `net.Socket` of that
 * descriptor as a new connection, which waits for the client's next request.
 *
 * The server still counts such connections, so that its `close()` waits for them. Main thread. Ends
 * with its server.
 */
export class StreamConnections {
  #server;
  #addresses;
  /** @type {Set<HandedOver>} */
  #streams = new Set();
  /** @type {Set<net.Socket>} returned, without a request since */
  #idle = new Set();

  /**
   * @param {import('node:http').Server} server that has had no request yet
   * @param {import('../connection-limits.js').AddressLimit} [addresses] counter of its connections
   */
  constructor(server, addresses) {
    this.#server = server;
    this.#addresses = addresses;
    server.prependListener('request', ({ socket }) => {
      if (this.#idle.size > 0 && this.#idle.delete(socket)) socket.setTimeout(server.timeout);
    });
    // After the answer has begun: most requests have it then, and a connection is taken over later.
    server.on('request', (req, res) => {
      // A submission, the most frequent request, is not answered by a stream.
      const isSubmission = req.url === SUBMISSION && req.method === 'POST';
      const bytesRead = isSubmission || res.writableEnded ? -1 : endOf(req);
      if (bytesRead < 0) return;
      const boundary = { connections: this, bytesRead, keepAlive: res.shouldKeepAlive };
      /** @type {any} */ (req)[BOUNDARY] = boundary;
    });
  }

  /**
   * Takes over the connection of a response for the rest of its stream. Afterwards the response only emits 'close'.
   * @param {import('node:http').ServerResponse} res
   * @param {number} fd of its socket
   * @param {import('../../streams/hub.js').StreamSubscriber} subscriber
   * @param {(complete: boolean) => void} onClosed called when the stream has ended; `complete`: the
   *   everything was sent
   * @param {string} [head] head of the response, if the reactor must send it; default: Node has sent it
   * @returns {boolean} false: the connection stays with Node
   */
  static takeOver(res, fd, subscriber, onClosed, head) {
    /** @type {Boundary | undefined} */
    const boundary = /** @type {any} */ (res.req)[BOUNDARY];
    const socket = /** @type {any} */ (res.socket);
    // Node's parser has already read later bytes.
    if (boundary === undefined || socket.bytesRead !== boundary.bytesRead) return false;
    const { connections, keepAlive } = boundary;
    const stream = new HandedOver(connections, subscriber, keepAlive, onClosed);
    if (!subscriber.transferSocket(fd, stream, head)) return false;
    connections.#streams.add(stream);
    stream.address = connections.#addresses?.detach(socket);
    // A server tracks its open connections by this property; it must keep counting this one.
    socket._server = null;
    // Closes the descriptor without shutting down the connection.
    socket.destroy();
    return true;
  }

  /**
   * A stream has ended on the reactor.
   * @param {HandedOver} stream
   * @param {import('../../streams/types.js').EndReason} reason
   */
  onEnd(stream, reason) {
    const fd = reason === 'finished' ? stream.subscriber.detachSocket() : -1;
    this.#forget(stream, this.#socketOf(fd), reason === 'finished');
  }

  /** Closes all streams, and returned connections that are idle. */
  closeAll() {
    this.closeIdle();
    for (const stream of this.#streams) {
      stream.subscriber.detach();
      this.#forget(stream, undefined, false);
    }
  }

  /** Closes returned connections without a request since. */
  closeIdle() {
    for (const socket of this.#idle) socket.destroy();
  }

  /** @param {number} fd -1: none @returns {net.Socket | undefined} */
  #socketOf(fd) {
    if (fd < 0) return undefined;
    try {
      return new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      // Out of memory, or not a socket: the client's connection is closed.
      closeSync(fd);
      return undefined;
    }
  }

  /**
   * @param {HandedOver} stream
   * @param {net.Socket | undefined} socket its connection, if still open
   * @param {boolean} complete
   */
  #forget(stream, socket, complete) {
    this.#streams.delete(stream);
    stream.onClosed(complete);
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
    // Node starts its keep-alive time-out after a response, but this connection had none.
    socket.setTimeout(this.#server.keepAliveTimeout);
    this.#server.emit('connection', socket);
    // Node expects a head from a new connection and would answer 408 after a time. Removed from the
    // parser list, the connection counts as idle until its first byte. Undocumented.
    /** @type {any} */ (socket).parser?.remove?.();
  }
}
