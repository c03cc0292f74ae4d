/** node:http's response as a Web `Response`. Main thread. */
import { Writable } from 'node:stream';

/** Responses of these statuses have no body. */
const BODILESS = new Set([204, 205, 304]);
/** Headers of a connection: the server that sends the `Response` sets its own. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/**
 * The members of node:http's `ServerResponse` that routes use, over a Web `Response`.
 *
 * The promise `response` resolves with the head. The body is an unbuffered stream: a
 * chunk is passed on when the reader requests it, so a slow reader fills this Writable, whose `write()` then
 * returns false. Cancelling the body destroys this Writable ('close' without 'finish'), like the loss of
 * a connection; destroying it makes the body fail.
 */
export class WebServerResponse extends Writable {
  statusCode = 200;
  headersSent = false;
  /** There is no connection. */
  socket = null;
  shouldKeepAlive = false;
  chunkedEncoding = false;
  /** @type {Promise<Response>} */
  response;
  /** @type {(response: Response) => void} */
  #resolve = () => {};
  /** @type {(error: unknown) => void} */
  #reject = () => {};
  /** @type {Map<string, number | string | readonly string[]>} */
  #headers = new Map();
  #hasBody = true;
  /** @type {ReadableStreamDefaultController<Uint8Array> | undefined} */
  #controller;
  /** Ends the reader's pending request for a chunk. @type {(() => void) | undefined} */
  #onChunk;
  /** The chunk that no reader has requested yet. @type {{chunk: Buffer, done: () => void} | undefined} */
  #waiting;

  /** @param {import('node:http').IncomingMessage} req */
  constructor(req) {
    super();
    this.req = req;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** @param {string} name @param {number | string | readonly string[]} value */
  setHeader(name, value) {
    this.#headers.set(name.toLowerCase(), value);
    return this;
  }

  /** @param {string} name */
  getHeader(name) {
    return this.#headers.get(name.toLowerCase());
  }

  /** @param {string} name */
  hasHeader(name) {
    return this.#headers.has(name.toLowerCase());
  }

  /** @param {string} name */
  removeHeader(name) {
    this.#headers.delete(name.toLowerCase());
  }

  /** @param {number} status @param {Record<string, number | string | readonly string[]>} [headers] */
  writeHead(status, headers = {}) {
    this.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
    this.flushHeaders();
    return this;
  }

  flushHeaders() {
    if (this.headersSent) return;
    this.headersSent = true;
    this.#hasBody = this.req.method !== 'HEAD' && !BODILESS.has(this.statusCode);
    const headers = new Headers();
    for (const [name, value] of this.#headers) {
      if (HOP_BY_HOP.has(name)) continue;
      for (const each of [value].flat()) headers.append(name, String(each));
    }
    const body = this.#hasBody ? this.#createBody() : null;
    this.#resolve(new Response(body, { status: this.statusCode, headers }));
  }

  #createBody() {
    return new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () =>
          new Promise((resolve) => {
            this.#onChunk = () => resolve(undefined);
            this.#send();
          }),
        cancel: () => {
          this.#controller = undefined;
          this.destroy();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Passes the waiting chunk to the reader, once both exist. */
  #send() {
    if (this.#waiting === undefined || this.#onChunk === undefined) return;
    const { chunk, done } = this.#waiting;
    const answered = this.#onChunk;
    this.#waiting = undefined;
    this.#onChunk = undefined;
    this.#controller?.enqueue(chunk);
    answered();
    done();
  }

  /**
   * @override
   * @param {Buffer} chunk
   * @param {string} _encoding
   * @param {() => void} done
   */
  _write(chunk, _encoding, done) {
    this.flushHeaders();
    // An empty chunk would only wake the reader.
    if (!this.#hasBody || chunk.length === 0) {
      done();
      return;
    }
    this.#waiting = { chunk, done };
    this.#send();
  }

  /** @override @param {() => void} done */
  _final(done) {
    this.flushHeaders();
    this.#controller?.close();
    this.#controller = undefined;
    this.#onChunk?.();
    done();
  }

  /**
   * @override
   * @param {Error | null} error the cause, passed to the body's reader
   * @param {() => void} done
   */
  _destroy(error, done) {
    const reason = error ?? new Error('the response was cut off before its end');
    if (!this.headersSent) this.#reject(reason);
    this.#controller?.error(reason);
    this.#controller = undefined;
    this.#onChunk?.();
    // 'close' is sufficient for routes; an 'error' without a listener would end the process.
    done();
  }
}
