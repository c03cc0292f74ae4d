/**
 * Leaves `100 Continue` out of what a socket reads: any server may send one (RFC 9110, 15.2), but
 * undici ends the connection then. Main thread only; as long as its socket.
 */

const STATUS_LINE = /^HTTP\/1\.[01] 100(?!\d)/;
const STATUS_LINE_BYTES = 'HTTP/1.1 100 '.length;
const HEAD_END = '\r\n\r\n';
const HEAD_BYTES_MAX = 16 * 1024;

/** Reads in place of a socket's own `read`, at the start of each answer. */
export class InterimFilter {
  #read;
  /** @type {Buffer | undefined} bytes that may belong to an interim answer */
  #held;
  #atStart = false;

  /** @param {import('node:net').Socket} socket its `read` is replaced */
  constructor(socket) {
    this.#read = socket.read.bind(socket);
    // With a size it is the stream that reads, to fill its buffer.
    socket.read = (size) => (size === undefined ? this.#next() : this.#read(size));
  }

  /** A request is about to be sent: what is read next is the head of an answer. */
  expectAnswer() {
    this.#atStart = true;
  }

  #next() {
    const bytes = this.#read();
    if (!this.#atStart) return bytes;
    if (bytes === null) return null;
    let rest = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    this.#held = undefined;
    for (;;) {
      const start = rest.toString('latin1', 0, STATUS_LINE_BYTES);
      if (!STATUS_LINE.test(start)) {
        if ('HTTP/1.1 100 '.startsWith(start) || 'HTTP/1.0 100 '.startsWith(start)) break;
        this.#atStart = false;
        return rest;
      }
      const end = rest.indexOf(HEAD_END);
      if (end < 0 && rest.length > HEAD_BYTES_MAX) {
        this.#atStart = false;
        return rest;
      }
      if (end < 0) break;
      rest = rest.subarray(end + HEAD_END.length);
    }
    if (rest.length > 0) this.#held = rest;
    return null;
  }
}
