import http from 'node:http';
import net from 'node:net';
import { COME_BACK_MS, flushHead, sendRetry, setStreamHead } from './head.js';
import { StreamConnections } from './socket-handoff.js';
import { errorBody } from '../error-handler.js';
import { jobNotFound, redisUnavailable } from '../../jobs/errors.js';
import { sendJson, setHeaders } from '../respond.js';

/**
 * Writer of a stream: `auto` the fastest available, `shared` the reactor on a connection that stays
 * with Node, `node` Node.
 * @typedef {'auto' | 'shared' | 'node'} EgressMode
 */

/**
 * The descriptor to which the reactor may write the body of `res`.
 * @param {http.ServerResponse} res with its head made
 * @returns {number} -1 when the body must go through Node
 */
function plainDescriptor(res) {
  const { socket } = res;
  const { write, end } = http.ServerResponse.prototype;
  // A middleware that wraps the response expects the body.
  if (res.write !== write || res.end !== end || !res.chunkedEncoding) return -1;
  // Subclasses (TLS) transform the bytes before the wire.
  if (socket === null || Object.getPrototypeOf(socket) !== net.Socket.prototype) return -1;
  if (process.platform === 'win32' || socket.destroyed) return -1;
  const handle = /** @type {any} */ (socket)._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}

/**
 * The response of an event stream, and the handler of its subscriber in the hub: when either ends, the
 * other is ended. Its calls, in order: `connect()`, then by the hub `onOpen()`, `onFrames()` for each
 * batch, `onEnd()`; a short log that has ended comes by one `onWhole()` instead. Main thread.
 *
 * The frames reach the client's socket in one of three ways, tried in this order. In each a full socket
 * pauses the job's provider.
 *
 * 1. The reactor owns the socket. In the gateway's own server it takes over the connection, sends the
 *    head and returns the connection after the end (socket-handoff.js). The head of a face, whose first
 *    frames may take long, is sent by Node before.
 * 2. The reactor writes to a socket that Node keeps: in another server, whose middleware may wait for the
 *    end of the response. Node sends the head, reads, and ends the response when the log ends.
 * 3. Node writes: TLS, HTTP/2, wrapped responses, platforms without descriptors. `onFrames` acknowledges a
 *    batch, which requests the next one, once Node has accepted it.
 */
export class SseResponse {
  #res;
  #mode;
  #onClosed;
  /** @type {import('../../streams/hub.js').StreamSubscriber | undefined} */
  #subscriber;
  #gone = false;
  #complete = false;
  #hasFace = false;
  #moves;
  /** @type {number | undefined} the socket's time-out, while it is suspended */
  #timeoutMs;

  /**
   * @param {http.ServerResponse} res with nothing written yet
   * @param {object} options
   * @param {EgressMode} options.mode
   * @param {boolean} [options.moves] whether the job may continue in another process; default false
   * @param {(complete: boolean) => void} options.onClosed called once, when the stream has ended;
   *   `complete`: everything was sent
   */
  constructor(res, { mode, moves = false, onClosed }) {
    this.#res = res;
    this.#moves = moves;
    this.#mode = mode;
    this.#onClosed = onClosed;
    res.once('close', this.#onClose);
  }

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {import('../../streams/types.js').Member[]} members
   * @param {{fanIn?: boolean, face?: import('../../streams/types.js').FaceOptions}} [options]
   */
  connect(hub, members, options) {
    this.#hasFace = options?.face !== undefined;
    this.#subscriber = hub.openStream(members, this, options);
    if (this.#gone) this.#subscriber.detach();
  }

  /** @param {boolean} finished */
  onOpen(finished) {
    if (this.#gone) return;
    if (finished) {
      // 204 makes an EventSource stop reconnecting: it has received all events.
      this.#res.writeHead(204, { 'Cache-Control': 'no-cache' }).end();
      return;
    }
    setStreamHead(this.#res);
    // Under a manual clock the subscriber opens before `openStream` has returned.
    if (this.#subscriber === undefined) queueMicrotask(() => this.#sendHead());
    else this.#sendHead();
  }

  /**
   * Node writes the head and all frames of a short stream at once: a transfer of the connection would
   * cost several times as much.
   * @param {string} frames
   */
  onWhole(frames) {
    if (this.#gone) return;
    setStreamHead(this.#res);
    this.#complete = true;
    this.#res.end(frames);
  }

  /** @param {Buffer} frames */
  onFrames(frames) {
    if (this.#gone) return;
    const taken = () => this.#subscriber?.acknowledge();
    if (this.#res.write(frames)) taken();
    else this.#res.once('drain', taken);
  }

  /** @param {import('../../streams/types.js').EndReason} reason */
  onEnd(reason) {
    if (this.#gone) return;
    const { headersSent } = this.#res;
    if (reason === 'finished') {
      this.#complete = true;
      if (this.#timeoutMs !== undefined) this.#res.socket?.setTimeout(this.#timeoutMs);
      this.#res.end();
    } else if (this.#moves && !headersSent) {
      this.#askToReconnect();
    } else if (reason === 'purged' && !headersSent) {
      // Purged between its look-up and the subscription: reconnecting would not help.
      this.#sendError(jobNotFound());
    } else {
      // Only a terminal event may end the response properly. The client reconnects and resumes, or
      // receives a 404.
      this.#res.destroy();
    }
  }

  /** Called after every end: finished, client gone, socket destroyed. */
  #onClose = () => {
    this.#gone = true;
    this.#subscriber?.detach();
    this.#onClosed(this.#complete && this.#res.writableFinished);
  };

  /** Sends the head with a transfer of the connection, or by Node. */
  #sendHead() {
    if (this.#gone) return;
    const { socket } = this.#res;
    // Undocumented property; without it, or after earlier unsent answers, Node sends the head.
    const head = /** @type {any} */ (this.#res)._header;
    const isNext = socket?.writableLength === 0 && typeof head === 'string';
    if (isNext && !this.#hasFace && this.#transfer(this.#descriptor(), head)) return;
    flushHead(this.#res);
    this.#beginBody();
  }

  /** Node holds the head; the body follows once the kernel has it. */
  #beginBody() {
    if (this.#gone) return;
    const { socket } = this.#res;
    const fd = this.#descriptor();
    if (fd >= 0 && socket !== null && socket.writableLength > 0) {
      // 'drain' follows only a refused write; the callback of an empty write follows all earlier
      // writes.
      socket.write('', () => this.#beginBody());
      return;
    }
    if (this.#transfer(fd)) return;
    if (fd >= 0 && this.#subscriber?.attachSocket(fd)) this.#suspendTimeout();
    else this.#subscriber?.acknowledge();
  }

  /** @returns {number} the descriptor to which the reactor may write the body; -1: none */
  #descriptor() {
    return this.#mode === 'node' ? -1 : plainDescriptor(this.#res);
  }

  /**
   * @param {number} fd
   * @param {string} [head] the head, if the reactor must send it; default: Node has sent it
   * @returns {boolean} whether the reactor owns the socket now
   */
  #transfer(fd, head) {
    if (fd < 0 || this.#mode !== 'auto' || this.#subscriber === undefined) return false;
    const res = this.#res;
    res.off('close', this.#onClose);
    if (StreamConnections.takeOver(res, fd, this.#subscriber, this.#onClosed, head)) return true;
    res.once('close', this.#onClose);
    return false;
  }

  /** Node does not see the reactor's writes, and would find the socket idle. */
  #suspendTimeout() {
    const { socket } = this.#res;
    if (!socket?.timeout) return;
    this.#timeoutMs = socket.timeout;
    socket.setTimeout(0);
  }

  /** Before the head is sent. Clients of a face understand errors; an EventSource only reconnects. */
  #askToReconnect() {
    if (this.#hasFace) this.#sendError(redisUnavailable());
    else sendRetry(this.#res, COME_BACK_MS);
  }

  /** @param {import('../../internal/util/http-error.js').HttpError} error */
  #sendError(error) {
    setHeaders(this.#res, error.headers ?? {});
    sendJson(this.#res, error.status, errorBody(error));
  }
}
