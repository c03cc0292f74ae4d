/** A Web `Request` as node:http's request. Main thread. */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

/**
 * Node's request, whose body comes from a Web `Request` at the pace of its reader. `socket` is a socket
 * without a connection: the client's address is unknown.
 */
export class WebIncomingMessage extends IncomingMessage {
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;

  /**
   * @param {Request} request
   * @throws {TypeError} if its body has been read
   */
  constructor(request) {
    super(new Socket());
    const { pathname, search, host } = new URL(request.url);
    this.method = request.method;
    this.url = pathname + search;
    this.httpVersion = '1.1';
    this.httpVersionMajor = 1;
    this.httpVersionMinor = 1;
    /** @type {Record<string, string>} */
    const headers = { host, ...Object.fromEntries(request.headers) };
    this.headers = headers;
    this.rawHeaders = Object.entries(headers).flat();
    if (request.body === null || request.body === undefined) return;
    if (request.bodyUsed || request.body.locked) {
      throw new TypeError('gateway.fetch takes a request whose body has not been read');
    }
    // A Request has no length unless its creator set one.
    if (headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked';
    this.#reader = request.body.getReader();
  }

  /** @override @param {number} size */
  _read(size) {
    // Node's own method would start the flow of the body.
    super._read(size);
    if (this.#reader === undefined) {
      this.#complete();
      return;
    }
    this.#reader.read().then(
      ({ done, value }) => {
        if (done) this.#complete();
        else this.push(value);
      },
      () => this.destroy(),
    );
  }

  #complete() {
    this.complete = true;
    this.push(null);
  }

  /** Drops the rest of the body. */
  release() {
    this.#reader?.cancel().catch(() => {});
  }
}
