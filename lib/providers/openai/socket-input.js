const STATUS_LINE = /^HTTP\/1\.[01] 100(?!\d)/;
const STATUS_LINE_BYTES = 'HTTP/1.1 100 '.length;
const HEAD_END = '\r\n\r\n';
const HEAD_BYTES_MAX = 16 * 1024;

// At most the high-water mark of a socket in every version of Node: a larger size would raise it.
const PIECE_BYTES = 16 * 1024;

/**
 * The input of a socket that undici reads. Main thread only; lives as long as its socket.
 *
 * The input arrives in pieces. If the reader of an answer pauses, undici puts the rest of its input back,
 * and reads everything when the reader continues. Such a read makes Node fetch 64 KiB from the kernel,
 * regardless of the bytes already waiting, which would grow without bound and be copied at each pause.
 *
 * `100 Continue` is filtered out: any server may send it (RFC 9110, 15.2), but undici then ends the
 * connection.
 */
export class SocketInput {
  #socket;
  #read;
  /** @type {Buffer | undefined} bytes that may belong to an interim answer */
  #held;
  #atStart = false;

  /** @param {import('node:net').Socket} socket its `read` is replaced */
  constructor(socket) {
    this.#socket = socket;
    this.#read = socket.read.bind(socket);
    // A call with a size comes from the stream itself, to fill its buffer.
    socket.read = (size) => (size === undefined ? this.#next() : this.#read(size));
  }

  /** Called before a request is sent: the next bytes read are the head of an answer. */
  expectAnswer() {
    this.#atStart = true;
  }

  #next() {
    const bytes =
      this.#socket.readableLength > PIECE_BYTES ? this.#read(PIECE_BYTES) : this.#read();
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
