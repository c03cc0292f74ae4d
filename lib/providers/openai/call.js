/**
 * One HTTP call to a model's server by undici: posts JSON and feeds the response to the native
 * relay, which decodes it. `feedAnswer` never rejects; it resolves when the relay is over, or when
 * the transfer has ended.
 */

/** @typedef {import('./connections.js').UpstreamConnections} UpstreamConnections */
/** @typedef {Awaited<ReturnType<UpstreamConnections['borrow']>>} Connection */
/** @typedef {import('../../internal/native/relay-types.js').AnswerFeed} AnswerFeed */

/**
 * @typedef {object} UpstreamPost
 * @property {string} path
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {number} idleMs longest wait for the next byte, from the start; time in which the
 *   relay has no room does not count
 */

const REQUEST_TIMEOUT = 408;

/** @param {unknown} error */
function codeOf(error) {
  const code = /** @type {{code?: unknown}} */ (error)?.code;
  return typeof code === 'string' && /^\w{1,60}$/.test(code) ? code : '';
}

/** @param {unknown} error whether the peer does not use HTTP */
function isProtocolError(error) {
  const { name, message } = /** @type {Error} */ (error);
  if (codeOf(error) === 'UND_ERR_HEADERS_OVERFLOW') return true;
  // The parser also reports a truncated body, which is a disconnect.
  return name === 'HTTPParserError' && !/\bEOF\b/.test(message);
}

/** @param {string | string[] | undefined} header */
function single(header) {
  return Array.isArray(header) ? header[0] : header;
}

/**
 * @param {UpstreamConnections} connections
 * @param {UpstreamPost} request
 * @param {AnswerFeed} fed
 */
export async function feedAnswer(connections, request, fed) {
  await new Call(connections, request, fed).run();
}

class Call {
  #connections;
  #request;
  #fed;
  /** @type {Connection | undefined} */
  #connection;
  #over = false;
  #silent = false;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #waits = 0; // Counts waits begun and ended: odd while waiting.

  /**
   * @param {UpstreamConnections} connections
   * @param {UpstreamPost} request
   * @param {AnswerFeed} fed
   */
  constructor(connections, request, fed) {
    this.#connections = connections;
    this.#request = request;
    this.#fed = fed;
    fed.whenOver(() => this.#drop(new Error('the answer is not wanted any more')));
  }

  async run() {
    try {
      const { statusCode: status, headers, body } = await this.#post();
      body.on('error', () => {}); // `next` rejects as well.
      this.#fed.head({
        status,
        contentType: single(headers['content-type']),
        retryAfter: single(headers['retry-after']),
        retryAfterMs: single(headers['retry-after-ms']),
        location: single(headers.location),
        contentEncoding: single(headers['content-encoding']),
      });
      const pieces = body[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await this.#wait(pieces.next());
        if (done) break;
        await this.#fed.bytes(value);
      }
      this.#release();
      this.#fed.end('whole');
    } catch (error) {
      this.#drop(error instanceof Error ? error : new Error(String(error)));
      if (this.#silent) this.#fed.end('silent');
      else this.#fed.end(isProtocolError(error) ? 'protocol' : 'broken', codeOf(error));
    }
  }

  /**
   * Sends the request. A call that fails on a kept connection before the head of its answer, or is
   * answered 408 there (RFC 9110, 15.5.9), is made once more on a new connection.
   */
  async #post() {
    const { path, headers, body } = this.#request;
    let connection = await this.#connections.borrow();
    for (;;) {
      this.#connection = connection;
      if (this.#over) throw new Error('over before it began');
      try {
        const response = await this.#wait(connection.post(path, headers, body));
        if (response.statusCode !== REQUEST_TIMEOUT || !connection.isKept) return response;
        response.body.on('error', () => {});
      } catch (error) {
        if (this.#over || !connection.isKept) throw error;
      }
      connection.destroy(new Error('the kept connection was stale'));
      connection = this.#connections.create();
    }
  }

  /** Returns the connection for another call, once the body has ended. */
  #release() {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#connection?.release();
  }

  /**
   * Closes the socket at once, in any phase. Idempotent.
   * @param {Error} reason
   */
  #drop(reason) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#connection?.destroy(reason);
  }

  /**
   * Waits for the upstream, for `idleMs` at most.
   * @template T
   * @param {Promise<T>} promise
   */
  async #wait(promise) {
    this.#waits += 1;
    this.#watch();
    try {
      return await promise;
    } finally {
      this.#waits += 1;
    }
  }

  #watch() {
    // One timer, refreshed with every wait, costs less than a timer per wait.
    if (this.#timer !== undefined) {
      this.#timer.refresh();
      return;
    }
    this.#timer = setTimeout(() => {
      if (this.#waits % 2 === 0) return;
      const waits = this.#waits;
      // A busy event loop runs its timers before it reads its sockets: check again after that.
      setImmediate(() => {
        if (this.#waits !== waits || this.#over) return;
        this.#silent = true;
        this.#drop(new Error('the upstream is silent'));
      });
    }, this.#request.idleMs);
  }
}
