/** An answer of the server under test, on a separate connection: status, head, and the events as they arrive. */
import http from 'node:http';
import https from 'node:https';
import { BlockReader } from './blocks.js';
import { Failure, brief } from './failure.js';

/** @typedef {import('./types.js').Item} Item */
/** @typedef {import('./types.js').RequestParts} RequestParts */
/** @typedef {import('./blocks.js').Block} Block */

/** Bodies other than event streams are read up to this size. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export class Stream {
  #request;
  #timeoutMs;
  /** @type {Set<() => void>} */
  #waiting = new Set();
  #size = 0;
  /** @type {Buffer[]} */
  #chunks = [];
  #blockReader;

  /** @type {http.IncomingMessage | undefined} */
  response;
  /** @type {Block[]} */
  blocks = [];
  /** @type {Item[]} items that the adapter decoded from the blocks */
  items = [];
  /** `end`: the body is complete; `cut`: the connection closed before that. @type {'open' | 'end' | 'cut'} */
  state = 'open';
  /** @type {Error | undefined} */
  error;

  /**
   * @param {URL} base
   * @param {RequestParts} parts
   * @param {object} options
   * @param {(block: Block) => Item[]} options.decode
   * @param {number} options.timeoutMs of each wait
   */
  constructor(base, { method = 'GET', path, headers = {}, body, job }, { decode, timeoutMs }) {
    this.#timeoutMs = timeoutMs;
    this.job = job;
    this.#blockReader = new BlockReader((block) => {
      this.blocks.push(block);
      this.items.push(...decode(block));
    });
    const transport = base.protocol === 'https:' ? https : http;
    const content = body === undefined ? undefined : Buffer.from(body);
    this.#request = transport.request(new URL(path, base), {
      method,
      agent: false,
      headers: {
        ...(content !== undefined && { 'content-length': content.length }),
        ...headers,
      },
    });
    this.#request.on('error', (error) => this.#close(error));
    this.#request.on('response', (response) => this.#read(response));
    this.#request.end(content);
  }

  /** @param {http.IncomingMessage} response */
  #read(response) {
    this.response = response;
    const isStream = /^text\/event-stream/i.test(response.headers['content-type'] ?? '');
    response.on('data', (/** @type {Buffer} */ chunk) => {
      if (isStream) this.#blockReader.feed(chunk);
      else if (this.#size < BODY_BYTES_MAX) this.#chunks.push(chunk);
      this.#size += chunk.length;
      this.#wake();
    });
    response.on('end', () => {
      if (isStream) this.#blockReader.end();
      this.state = 'end';
      this.#wake();
    });
    response.on('error', (error) => this.#close(error));
    response.on('close', () => this.#close());
    this.#wake();
  }

  /** @param {Error} [error] */
  #close(error) {
    if (this.state !== 'open') return;
    this.state = 'cut';
    this.error = error;
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiting) wake();
  }

  get status() {
    return this.response?.statusCode ?? 0;
  }

  get headers() {
    return this.response?.headers ?? {};
  }

  get violations() {
    return this.#blockReader.violations;
  }

  get comments() {
    return this.#blockReader.comments;
  }

  /** Bytes of the body so far. */
  get size() {
    return this.#size;
  }

  /** The body, unless it is an event stream. */
  get body() {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  /** The body as JSON; undefined: not JSON. @returns {any} */
  get json() {
    try {
      return JSON.parse(this.body);
    } catch {
      return undefined;
    }
  }

  /** The text of all items. */
  get text() {
    return this.items.map(({ text = '' }) => text).join('');
  }

  /** @returns {Item[]} */
  get terminals() {
    return this.items.filter(({ kind }) => kind === 'terminal');
  }

  /**
   * Waits until a condition holds.
   * @param {() => unknown} condition checked after each piece of the answer
   * @param {string} what the end of "no ... within N ms"
   * @param {number} [timeoutMs]
   * @returns {Promise<this>}
   */
  async until(condition, what, timeoutMs = this.#timeoutMs) {
    if (condition()) return this;
    await new Promise((resolve, reject) => {
      const finish = (/** @type {Error} */ error) => {
        this.#waiting.delete(wake);
        clearTimeout(timer);
        if (error === undefined) resolve(undefined);
        else reject(error);
      };
      const wake = () => {
        if (condition()) finish(/** @type {any} */ (undefined));
        else if (this.state !== 'open') finish(new Failure(`no ${what}: ${this.#ending()}`));
      };
      const late = () =>
        finish(new Failure(`no ${what} within ${timeoutMs} ms (--timeout-ms)${this.#soFar()}`));
      const timer = setTimeout(late, timeoutMs);
      this.#waiting.add(wake);
      wake();
    });
    return this;
  }

  #soFar() {
    if (this.response === undefined) return '; no answer at all';
    return `; status ${this.status}, ${this.items.length} events, text ${brief(this.text.slice(-60))}`;
  }

  #ending() {
    const code = /** @type {any} */ (this.error)?.code;
    if (this.response === undefined) return `the connection failed (${code ?? 'closed'})`;
    const ending = this.state === 'end' ? 'the response ended' : 'the connection was cut';
    return `${ending}${this.#soFar()}`;
  }

  /** Resolves when the status and the head have arrived. */
  head() {
    return this.until(() => this.response !== undefined, 'response');
  }

  /** Resolves when the body is complete. */
  ended() {
    return this.until(() => this.state === 'end', 'proper end of the response');
  }

  /** Resolves when the response has ended or the connection was cut. */
  closed() {
    return this.until(() => this.state !== 'open', 'end of the connection');
  }

  /** @param {string} text that the text of the stream must finally contain */
  hasText(text) {
    return this.until(() => this.text.includes(text), `text ${brief(text)}`);
  }

  /** Stops reading, so that the socket's buffers fill. */
  pause() {
    this.response?.pause();
  }

  resume() {
    this.response?.resume();
  }

  /** Closes the connection. */
  close() {
    this.#request.destroy();
  }
}
