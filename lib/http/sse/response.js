/** Event streams as responses: their head, and the body by the reactor or by Node. */
import http from 'node:http';
import net from 'node:net';
import { StreamConnections } from './socket-handoff.js';
import { errorBody } from '../error-handler.js';
import { jobNotFound, redisUnavailable } from '../../jobs/errors.js';
import { sendJson, setHeaders } from '../respond.js';

/**
 * Writer of a stream: `auto` the fastest available, `shared` the reactor on a connection that stays
 * with Node, `node` Node.
 * @typedef {'auto' | 'shared' | 'node'} EgressMode
 */

/** Status, headers and TCP options of every stream: ready for browsers, proxies and nginx. */
const STREAM_HEADERS = Object.freeze({
  'Content-Type': 'text/event-stream',
  // no-transform prevents compression, which would delay tokens until its window is full.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
});

/**
 * Sends the head of an event stream.
 * @param {http.ServerResponse} res
 */
export function writeStreamHead(res) {
  setStreamHead(res);
  flushHead(res);
}

/** @param {http.ServerResponse} res with its head made */
function flushHead(res) {
  res.flushHeaders();
  // Tokens are small and must not wait for each other (Nagle).
  res.socket?.setNoDelay?.(true);
}

/**
 * Makes the head of an event stream, which leaves with the first frames.
 * @param {http.ServerResponse} res
 */
function setStreamHead(res) {
  // HTTP/2 has no Connection header, and Node refuses it there. If the client asks for the
  // connection to be closed, Node sends the header and closes it.
  const kept = res.req.httpVersionMajor < 2 && res.shouldKeepAlive;
  if (kept) res.setHeader('Connection', 'keep-alive');
  res.writeHead(200, STREAM_HEADERS);
}

/** The reconnection time while Redis is away, and for a stream whose job moves to another process. */
export const COME_BACK_MS = 1000;

/**
 * Ends a stream before its first event, so that its client reconnects: 200 and a reconnection time, because
 * an EventSource does not reconnect after any other status.
 * @param {http.ServerResponse} res with nothing written yet
 * @param {number} retryMs
 */
export function sendRetry(res, retryMs) {
  writeStreamHead(res);
  res.end(`retry: ${retryMs}\n`);
}

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
 * Writes a hub subscriber's frames to a client's socket.
 *
 * For a plain HTTP/1.1 response on a plain socket the reactor writes the frames itself. In the
 * gateway's own server it takes over the connection, with the head, and returns it after the end
 * (socket-handoff.js); the head of a face, whose first frames may take long, is sent by Node first.
 * In another server, whose middleware may wait for the end of the response, Node keeps reading, and
 * ends the response when the log ends. All other responses (TLS, HTTP/2, wrapped, platforms without
 * descriptors) go through Node: `res.write` sends the frames, and the next batch is requested once
 * Node has accepted the current one. In each case a full socket pauses the job's provider.
 *
 * One subscriber, one response: when either ends, the other is ended. Main thread.
 */
export class ResponseEgress {
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

  /** Called after every end: finished, client gone, socket destroyed. */
  #onClose = () => {
    this.#gone = true;
    this.#subscriber?.detach();
    this.#onClosed(this.#complete && this.#res.writableFinished);
  };

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
    if (this.#subscriber === undefined) queueMicrotask(() => this.#start());
    else this.#start();
  }

  #start() {
    if (this.#gone) return;
    const { socket } = this.#res;
    // Undocumented property; without it, or after earlier unsent answers, Node sends the head.
    const head = /** @type {any} */ (this.#res)._header;
    const isNext = socket?.writableLength === 0 && typeof head === 'string';
    if (isNext && !this.#hasFace && this.#transfer(this.#descriptor(), head)) return;
    flushHead(this.#res);
    this.#begin();
  }

  /** @returns {number} the descriptor to which the reactor may write the body; -1: none */
  #descriptor() {
    return this.#mode === 'node' ? -1 : plainDescriptor(this.#res);
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

  /** Node holds the head; the body follows once the kernel has it. */
  #begin() {
    if (this.#gone) return;
    const { socket } = this.#res;
    const fd = this.#descriptor();
    if (fd >= 0 && socket !== null && socket.writableLength > 0) {
      // 'drain' follows only a refused write; the callback of an empty write follows all earlier
      // writes.
      socket.write('', () => this.#begin());
      return;
    }
    if (this.#transfer(fd)) return;
    if (fd >= 0 && this.#subscriber?.attachSocket(fd)) this.#suspendTimeout();
    else this.#subscriber?.acknowledge();
  }

  /**
   * Suspends the time-out, because Node does not see the reactor's writes and would find the socket
   * idle.
   */
  #suspendTimeout() {
    const { socket } = this.#res;
    if (!socket?.timeout) return;
    this.#timeoutMs = socket.timeout;
    socket.setTimeout(0);
  }

  /**
   * @param {number} fd
   * @param {string} [head] the head, if the reactor must send it; default: Node has sent it
   */
  #transfer(fd, head) {
    if (fd < 0 || this.#mode !== 'auto' || this.#subscriber === undefined) return false;
    const res = this.#res;
    res.off('close', this.#onClose);
    if (StreamConnections.takeOver(res, fd, this.#subscriber, this.#onClosed, head)) return true;
    res.once('close', this.#onClose);
    return false;
  }

  /** @param {Buffer} frames */
  onFrames(frames) {
    if (this.#gone) return;
    const taken = () => this.#subscriber?.acknowledge();
    if (this.#res.write(frames)) taken();
    else this.#res.once('drain', taken);
  }

  /** Before the head is sent. Clients of a face understand errors; an EventSource only reconnects. */
  #askToReconnect() {
    if (!this.#hasFace) {
      sendRetry(this.#res, COME_BACK_MS);
      return;
    }
    const error = redisUnavailable();
    setHeaders(this.#res, error.headers ?? {});
    sendJson(this.#res, error.status, errorBody(error));
  }

  /** @param {import('../../streams/types.js').EndReason} reason */
  onEnd(reason) {
    if (this.#gone) return;
    if (this.#moves && reason !== 'finished' && !this.#res.headersSent) {
      this.#askToReconnect();
      return;
    }
    // The job was purged between its look-up and the subscription, before the head: a reconnection would fail.
    if (reason === 'purged' && !this.#res.headersSent) {
      const error = jobNotFound();
      sendJson(this.#res, error.status, errorBody(error));
      return;
    }
    // Only a terminal event may end the response properly. Otherwise cut the connection, so that
    // the client reconnects and resumes, or receives a 404.
    if (reason !== 'finished') {
      this.#res.destroy();
      return;
    }
    this.#complete = true;
    if (this.#timeoutMs !== undefined) this.#res.socket?.setTimeout(this.#timeoutMs);
    this.#res.end();
  }
}
