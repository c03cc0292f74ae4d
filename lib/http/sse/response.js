/**
 * From a hub's subscriber to a client's socket.
 *
 * Where the response is a plain HTTP/1.1 one on a plain socket, the reactor writes the frames to
 * it by itself. In the gateway's own server it takes the whole connection over once Node has sent
 * the head, and gives it back after the end (stream-connections.js). In somebody else's, whose
 * middleware may wait for the end of the response, Node goes on reading, and ends it when the log
 * has ended. Everything else (TLS, HTTP/2, a wrapped response, platforms without descriptors) goes
 * through Node: frames leave by `res.write`, and the next batch is asked for when Node has taken
 * this one. Every way a socket that fills up holds back its job's provider. Main thread.
 */
import http from 'node:http';
import net from 'node:net';
import { StreamConnections } from './socket-handoff.js';

/**
 * Who writes a stream: `auto` the best there is, `shared` the same with the connection left to
 * Node, `node` Node.
 * @typedef {'auto' | 'shared' | 'node'} EgressMode
 */

/** Status, headers and TCP options of every stream: ready for browsers, proxies and nginx. */
const STREAM_HEADERS = Object.freeze({
  'Content-Type': 'text/event-stream',
  // no-transform keeps compression away: it would hold tokens back until its window is full.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
});

/**
 * Sends the head of an event stream.
 * @param {http.ServerResponse} res
 */
export function writeStreamHead(res) {
  // HTTP/2 has no Connection header, and Node refuses it there. Where the client wants the connection
  // closed after the response, Node says so, and does it.
  const kept = res.req.httpVersionMajor < 2 && res.shouldKeepAlive;
  if (kept) res.setHeader('Connection', 'keep-alive');
  res.writeHead(200, STREAM_HEADERS);
  res.flushHeaders();
  // Tokens are small and must not wait for each other (Nagle).
  res.socket?.setNoDelay?.(true);
}

/**
 * The descriptor that the reactor may write the body of `res` to.
 * @param {http.ServerResponse} res with its head written
 * @returns {number} -1 when the body has to go through Node
 */
function plainDescriptor(res) {
  const { socket } = res;
  const { write, end } = http.ServerResponse.prototype;
  // A middleware that wraps the response wants to see the body.
  if (res.write !== write || res.end !== end || !res.chunkedEncoding) return -1;
  // Subclasses (TLS) have bytes of their own between us and the wire.
  if (socket === null || Object.getPrototypeOf(socket) !== net.Socket.prototype) return -1;
  if (process.platform === 'win32' || socket.destroyed) return -1;
  const handle = /** @type {any} */ (socket)._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}

/** Streams one subscriber into one response; the first that ends ends the other. */
export class ResponseEgress {
  #res;
  #mode;
  #onClosed;
  /** @type {import('../../streams/hub.js').StreamSubscriber | undefined} */
  #subscriber;
  #gone = false;
  /** @type {number | undefined} the socket's time-out, while it is put off */
  #timeoutMs;

  /**
   * @param {http.ServerResponse} res with nothing written yet
   * @param {object} options
   * @param {EgressMode} options.mode
   * @param {() => void} options.onClosed called once, when the stream is over
   */
  constructor(res, { mode, onClosed }) {
    this.#res = res;
    this.#mode = mode;
    this.#onClosed = onClosed;
    res.once('close', this.#onClose);
  }

  /** It comes after every ending: finished, client gone, socket destroyed. */
  #onClose = () => {
    this.#gone = true;
    this.#subscriber?.detach();
    this.#onClosed();
  };

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {import('../../streams/types.js').Member[]} members
   * @param {{fanIn?: boolean}} [options]
   */
  connect(hub, members, options) {
    this.#subscriber = hub.openStream(members, this, options);
    if (this.#gone) this.#subscriber.detach();
  }

  /** @param {boolean} finished */
  onOpen(finished) {
    if (this.#gone) return;
    if (finished) {
      // 204 tells an EventSource to stop reconnecting: it has had everything.
      this.#res.writeHead(204, { 'Cache-Control': 'no-cache' }).end();
      return;
    }
    writeStreamHead(this.#res);
    // Under a manual clock the subscriber opens before `openStream` has returned.
    if (this.#subscriber === undefined) queueMicrotask(() => this.#begin());
    else this.#begin();
  }

  /** The head is with Node; the body follows as soon as that is with the kernel. */
  #begin() {
    if (this.#gone) return;
    const { socket } = this.#res;
    const fd = this.#mode === 'node' ? -1 : plainDescriptor(this.#res);
    if (fd >= 0 && socket !== null && socket.writableLength > 0) {
      // 'drain' comes only after a write that was refused; an empty write ends after all others.
      socket.write('', () => this.#begin());
      return;
    }
    if (this.#transfer(fd)) return;
    if (fd >= 0 && this.#subscriber?.attachSocket(fd)) this.#putOffTimeout();
    else this.#subscriber?.acknowledge();
  }

  /** To Node, which does not see what the reactor writes, the socket stands still. */
  #putOffTimeout() {
    const { socket } = this.#res;
    if (!socket?.timeout) return;
    this.#timeoutMs = socket.timeout;
    socket.setTimeout(0);
  }

  /** @param {number} fd */
  #transfer(fd) {
    if (fd < 0 || this.#mode !== 'auto' || this.#subscriber === undefined) return false;
    const res = this.#res;
    res.off('close', this.#onClose);
    if (StreamConnections.takeOver(res, fd, this.#subscriber, this.#onClosed)) return true;
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

  /** @param {import('../../streams/types.js').EndReason} reason */
  onEnd(reason) {
    if (this.#gone) return;
    // Anything but a terminal event must not look like a proper end: cut, so that the client comes
    // back and resumes or learns that the job is gone.
    if (reason !== 'finished') {
      this.#res.destroy();
      return;
    }
    if (this.#timeoutMs !== undefined) this.#res.socket?.setTimeout(this.#timeoutMs);
    this.#res.end();
  }
}
