/**
 * The transport of the AI SDK's `useChat` to a Sluice server: `import { SluiceChatTransport } from
 * 'sluice/ai'`. It depends on nothing, and runs in browsers and in Node.
 */

/**
 * @typedef {Record<string, string> | Headers} HeadersInput
 */

/**
 * @template T
 * @typedef {T | (() => T | Promise<T>)} Resolvable a value, or a function that is called for each
 *   request
 */

/**
 * @typedef {object} TransportOptions
 * @property {string} [api] address of the endpoint; default `/v1/ui/chat`
 * @property {Resolvable<HeadersInput>} [headers] of every request
 * @property {Resolvable<object>} [body] further members of the body
 * @property {RequestCredentials} [credentials]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {{attempts?: number, baseMs?: number, capMs?: number}} [reconnect] of a connection that
 *   broke: attempts in a row (5), the longest wait before the first (250 ms), and before any (5000 ms)
 */

/**
 * @typedef {object} RequestExtras of one request, as the SDK gives them
 * @property {HeadersInput} [headers]
 * @property {object} [body]
 * @property {AbortSignal} [abortSignal]
 */

const DONE = '[DONE]';

/**
 * @template T
 * @param {Resolvable<T> | undefined} given
 * @returns {Promise<T | undefined>}
 */
async function resolve(given) {
  return typeof given === 'function' ? /** @type {() => T | Promise<T>} */ (given)() : given;
}

/** Splits the bytes of an event stream into frames. */
class FrameParser {
  #decoder = new TextDecoder();
  #rest = '';

  /**
   * @param {Uint8Array} bytes
   * @returns {{id: string | undefined, data: string}[]}
   */
  push(bytes) {
    const blocks = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => {
      const data = /^data: ?(.*)$/m.exec(block)?.[1];
      return data === undefined ? [] : [{ id: /^id: ?(.*)$/m.exec(block)?.[1], data }];
    });
  }
}

/**
 * One answer as the stream of chunks that the SDK reads. A connection that breaks is resumed inside
 * it, after the last frame that came.
 */
class AnswerStream {
  #open;
  #reconnect;
  #signal;
  #onEnd;
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  #parser = new FrameParser();
  #lastEventId = '';
  #failures = 0;
  #ended = false;

  /**
   * @param {Response} response with the beginning of the answer
   * @param {(lastEventId: string) => Promise<Response | null>} open the rest of the answer; null: there
   *   is none
   * @param {{attempts: number, baseMs: number, capMs: number}} reconnect
   * @param {AbortSignal | undefined} signal
   * @param {() => void} onEnd called when the answer has come to its end
   */
  constructor(response, open, reconnect, signal, onEnd) {
    this.#open = open;
    this.#reconnect = reconnect;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#take(response);
  }

  /** @returns {ReadableStream<any>} */
  stream() {
    return new ReadableStream({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#drop(),
    });
  }

  /** @param {Response} response */
  #take(response) {
    this.#parser = new FrameParser();
    this.#reader = response.body?.getReader();
  }

  #drop() {
    this.#ended = true;
    this.#reader?.cancel().catch(() => {});
  }

  /** @param {ReadableStreamDefaultController<any>} controller */
  async #pull(controller) {
    while (!this.#ended) {
      const bytes = await this.#read();
      this.#signal?.throwIfAborted();
      if (bytes === undefined) {
        if (await this.#resume()) continue;
        break;
      }
      const frames = this.#parser.push(bytes);
      for (const { id, data } of frames) this.#deliver(controller, id, data);
      if (frames.length > 0 && !this.#ended) return;
    }
    this.#ended = true;
    this.#onEnd();
    controller.close();
  }

  /**
   * @param {ReadableStreamDefaultController<any>} controller
   * @param {string | undefined} id
   * @param {string} data
   */
  #deliver(controller, id, data) {
    this.#failures = 0;
    this.#lastEventId = id ?? this.#lastEventId;
    if (data === DONE) this.#ended = true;
    else controller.enqueue(JSON.parse(data));
  }

  /** @returns {Promise<Uint8Array | undefined>} undefined: the connection has ended or broken */
  async #read() {
    try {
      const result = await this.#reader?.read();
      return result?.done ? undefined : result?.value;
    } catch {
      return undefined;
    }
  }

  /**
   * @returns {Promise<boolean>} false: nothing follows
   * @throws {TypeError} `network error`, as of a fetch that failed: the SDK then resumes by itself
   */
  async #resume() {
    const { attempts, baseMs, capMs } = this.#reconnect;
    while (this.#failures < attempts) {
      const longest = Math.min(capMs, baseMs * 2 ** this.#failures);
      this.#failures += 1;
      await pause(Math.random() * longest, this.#signal);
      try {
        const response = await this.#open(this.#lastEventId);
        if (response === null) return false;
        this.#take(response);
        return true;
      } catch (error) {
        this.#signal?.throwIfAborted();
        if (error instanceof RefusedError) throw error;
      }
    }
    throw new TypeError('network error');
  }
}

/** An answer other than a success, which no further attempt would change. */
class RefusedError extends Error {}

/**
 * @param {number} ms
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((done, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      done();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/**
 * @param {Response} response
 * @returns {Promise<Error>}
 */
async function refusal(response) {
  const text = await response.text().catch(() => '');
  let message = text;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // Not one of the server's own answers.
  }
  const said = message || `The server answered with status ${response.status}.`;
  return response.status >= 500 ? new Error(said) : new RefusedError(said);
}

/**
 * Connects `useChat` to `/v1/ui/chat`.
 *
 * An abort ends the job on the server; a page that is left or reloaded ends nothing, and
 * `reconnectToStream` replays the answer from its beginning. A connection that breaks is resumed inside
 * the same stream; after the attempts it fails with `TypeError('network error')`.
 */
export class SluiceChatTransport {
  /** A reconnect gives the whole answer again. */
  resumeStreamIsReplay = true;
  #api;
  #headers;
  #body;
  #credentials;
  #fetch;
  #reconnect;

  /** @param {TransportOptions} [options] */
  constructor({ api = '/v1/ui/chat', headers, body, credentials, fetch, reconnect = {} } = {}) {
    this.#api = api.replace(/\/+$/, '');
    this.#headers = headers;
    this.#body = body;
    this.#credentials = credentials;
    // A bare reference to fetch must not be called with this object as `this`.
    this.#fetch = fetch ?? ((...args) => globalThis.fetch(...args));
    const { attempts = 5, baseMs = 250, capMs = 5000 } = reconnect;
    this.#reconnect = { attempts, baseMs, capMs };
  }

  /**
   * @param {{chatId: string, messages: any[], trigger?: string, messageId?: string} & RequestExtras} options
   * @returns {Promise<ReadableStream<any>>} the chunks of the answer
   * @throws {Error} when the server refuses
   */
  async sendMessages({ chatId, messages, trigger, messageId, body, headers, abortSignal }) {
    const members = { ...(await resolve(this.#body)), ...body };
    const forget = this.#stopOnAbort(chatId, headers, abortSignal);
    try {
      const response = await this.#request(this.#api, {
        method: 'POST',
        headers: await this.#headersOf(headers, { 'content-type': 'application/json' }),
        body: JSON.stringify({ ...members, id: chatId, messages, trigger, messageId }),
        signal: abortSignal,
      });
      if (!response.ok) throw await refusal(response);
      return this.#answer(response, chatId, headers, abortSignal, forget);
    } catch (error) {
      forget();
      throw error;
    }
  }

  /**
   * @param {{chatId: string} & RequestExtras} options
   * @returns {Promise<ReadableStream<any> | null>} null: the chat is idle
   * @throws {Error} when the server refuses
   */
  async reconnectToStream({ chatId, headers, abortSignal }) {
    const forget = this.#stopOnAbort(chatId, headers, abortSignal);
    try {
      const response = await this.#open(chatId, headers, abortSignal, '');
      if (response !== null) return this.#answer(response, chatId, headers, abortSignal, forget);
      forget();
      return null;
    } catch (error) {
      forget();
      throw error;
    }
  }

  /**
   * @param {Response} response
   * @param {string} chatId
   * @param {HeadersInput | undefined} headers
   * @param {AbortSignal | undefined} signal
   * @param {() => void} onEnd
   */
  #answer(response, chatId, headers, signal, onEnd) {
    const open = (/** @type {string} */ lastEventId) =>
      this.#open(chatId, headers, signal, lastEventId);
    return new AnswerStream(response, open, this.#reconnect, signal, onEnd).stream();
  }

  /**
   * @param {string} chatId
   * @param {HeadersInput | undefined} headers
   * @param {AbortSignal | undefined} signal
   * @param {string} lastEventId empty: from the beginning
   * @returns {Promise<Response | null>}
   */
  async #open(chatId, headers, signal, lastEventId) {
    /** @type {Record<string, string>} */
    const cursor = lastEventId === '' ? {} : { 'last-event-id': lastEventId };
    const response = await this.#request(`${this.#urlOf(chatId)}/stream`, {
      headers: await this.#headersOf(headers, cursor),
      signal,
    });
    if (response.status === 204) return null;
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /**
   * Ends the job when the caller aborts: closing the connection alone would leave it running for a
   * reload.
   * @param {string} chatId
   * @param {HeadersInput | undefined} headers
   * @param {AbortSignal | undefined} signal
   * @returns {() => void} forgets the signal
   */
  #stopOnAbort(chatId, headers, signal) {
    const stop = async () => {
      const request = { method: 'POST', headers: await this.#headersOf(headers), keepalive: true };
      await this.#request(`${this.#urlOf(chatId)}/stop`, request).catch(() => {});
    };
    signal?.addEventListener('abort', stop, { once: true });
    return () => {
      signal?.removeEventListener('abort', stop);
    };
  }

  /** @param {string} chatId */
  #urlOf(chatId) {
    return `${this.#api}/${encodeURIComponent(chatId)}`;
  }

  /**
   * @param {HeadersInput | undefined} own of this request
   * @param {Record<string, string>} [more]
   */
  async #headersOf(own, more = {}) {
    const headers = new Headers(await resolve(this.#headers));
    new Headers(own).forEach((value, name) => headers.set(name, value));
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    return headers;
  }

  /** @param {string} url @param {RequestInit} init */
  #request(url, init) {
    const credentials = this.#credentials;
    return this.#fetch(url, { ...init, ...(credentials !== undefined && { credentials }) });
  }
}
