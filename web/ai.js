/**
 * The transport of the AI SDK's `useChat` to a Sluice server: `import { SluiceChatTransport } from
 * 'sluice/ai'`. It depends on no package, and runs in browsers and in Node.
 */

import { checkOptions } from './client/options.js';
import { randomKey, sleep } from './client/http.js';

/**
 * @typedef {Record<string, string> | Headers} HeadersInput
 */

/**
 * @template T
 * @typedef {T | (() => T | Promise<T>)} Resolvable a value, or a function called for each
 *   request
 */

/**
 * @typedef {object} TransportOptions
 * @property {string} [api] address of the endpoint; default `/v1/ui/chat`
 * @property {Resolvable<HeadersInput>} [headers] of every request
 * @property {Resolvable<object>} [body] further members of the body
 * @property {RequestCredentials} [credentials]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {{attempts?: number, baseMs?: number, capMs?: number}} [reconnect] for a connection that
 *   broke, even before the answer began: consecutive attempts (5), the longest wait before the first (250 ms), and
 *   before any (5000 ms)
 */

/**
 * @typedef {object} RequestExtras of one request, passed by the SDK
 * @property {HeadersInput | undefined} [headers]
 * @property {object | undefined} [body]
 * @property {AbortSignal | undefined} [abortSignal]
 */

/**
 * A chunk of an answer: the kinds of the SDK's UI message stream sent by a gateway.
 * @typedef {{type: 'start', messageId?: string}
 *   | {type: 'finish', finishReason?: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other'}
 *   | {type: 'abort', reason?: string}
 *   | {type: 'error', errorText: string}
 *   | {type: 'start-step' | 'finish-step'}
 *   | {type: 'text-start' | 'text-end' | 'reasoning-start' | 'reasoning-end', id: string}
 *   | {type: 'text-delta' | 'reasoning-delta', id: string, delta: string}
 *   | {type: 'tool-input-start', toolCallId: string, toolName: string, dynamic?: boolean}
 *   | {type: 'tool-input-delta', toolCallId: string, inputTextDelta: string}
 *   | {type: 'tool-input-available', toolCallId: string, toolName: string, input: unknown,
 *       dynamic?: boolean}
 *   | {type: 'tool-input-error', toolCallId: string, toolName: string, input: unknown,
 *       errorText: string, dynamic?: boolean}
 *   | {type: 'tool-output-available', toolCallId: string, output: unknown, dynamic?: boolean}
 *   | {type: 'tool-output-error', toolCallId: string, errorText: string, dynamic?: boolean}
 *   | {type: 'file', url: string, mediaType: string}
 *   | {type: 'source-url', sourceId: string, url: string, title?: string}
 *   | {type: 'source-document', sourceId: string, mediaType: string, title: string, filename?: string}
 *   | {type: `data-${string}`, id?: string, data: unknown, transient?: boolean}} UiChunk
 */

const DONE = '[DONE]';
/** The cursor of a page that sends a request: it has the earlier steps of the message, but no frame. */
const SENDER = '0';

/**
 * @template T
 * @param {Resolvable<T> | undefined} given
 * @returns {Promise<T | undefined>}
 */
async function resolve(given) {
  return typeof given === 'function' ? /** @type {() => T | Promise<T>} */ (given)() : given;
}

/** @typedef {{attempts: number, baseMs: number, capMs: number}} Reconnect */

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
 * One answer as a stream of chunks for the SDK. A broken connection is resumed inside
 * the stream, after the last received frame.
 */
class AnswerStream {
  #open;
  #reconnect;
  #signal;
  #onEnd;
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;
  #parser = new FrameParser();
  #lastEventId;
  #failures = 0;
  #ended = false;

  /**
   * @param {Response} response with the beginning of the answer
   * @param {(lastEventId: string) => Promise<Response | null>} open the rest of the answer; null: there
   *   is none
   * @param {Reconnect} reconnect
   * @param {AbortSignal | undefined} signal
   * @param {() => void} onEnd called at the end of the answer
   * @param {string} lastEventId from which the answer begins
   */
  constructor(response, open, reconnect, signal, onEnd, lastEventId) {
    this.#lastEventId = lastEventId;
    this.#open = open;
    this.#reconnect = reconnect;
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#take(response);
  }

  /** @returns {ReadableStream<UiChunk>} */
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

  /** @param {ReadableStreamDefaultController<UiChunk>} controller */
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
   * @param {ReadableStreamDefaultController<UiChunk>} controller
   * @param {string | undefined} id
   * @param {string} data
   */
  #deliver(controller, id, data) {
    this.#failures = 0;
    this.#lastEventId = id ?? this.#lastEventId;
    if (data === DONE) this.#ended = true;
    else controller.enqueue(JSON.parse(data));
  }

  /** @returns {Promise<Uint8Array | undefined>} undefined: the connection has ended or was cut */
  async #read() {
    try {
      const result = await this.#reader?.read();
      return result?.done ? undefined : result?.value;
    } catch {
      return undefined;
    }
  }

  /**
   * @returns {Promise<boolean>} false: the answer has ended
   * @throws {TypeError} `network error`, like a failed fetch, so that the SDK resumes
   */
  async #resume() {
    /** @type {unknown} */
    let failure;
    while (this.#failures < this.#reconnect.attempts) {
      await pause(this.#failures, this.#reconnect, this.#signal);
      this.#failures += 1;
      /** @type {Response | null} */
      let response;
      try {
        response = await this.#open(this.#lastEventId);
      } catch (error) {
        this.#signal?.throwIfAborted();
        if (error instanceof RefusedError) throw error;
        failure = error;
        continue;
      }
      if (response !== null) {
        this.#take(response);
        return true;
      }
      // Report a failure of the job once.
      if (failure instanceof FailedError) throw failure;
      return false;
    }
    throw new TypeError('network error');
  }
}

/**
 * Waits before an attempt to connect again.
 * @param {number} failures attempts that have failed
 * @param {Reconnect} reconnect
 * @param {AbortSignal | undefined} signal
 */
const pause = (failures, { baseMs, capMs }, signal) =>
  sleep(Math.random() * Math.min(capMs, baseMs * 2 ** failures), signal);

/** An unsuccessful answer that a further attempt would not change. */
class RefusedError extends Error {}

/** An answer about a failure of the server, the upstream or the job. */
class FailedError extends Error {}

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
  return response.status >= 500 ? new FailedError(said) : new RefusedError(said);
}

/**
 * Connects `useChat` to `/v1/ui/chat`.
 *
 * An abort ends the job on the server; closing or reloading a page does not, and
 * `reconnectToStream` replays the answer from its beginning. A broken connection is resumed inside
 * the same stream; after the attempts it fails with `TypeError('network error')`.
 */
export class SluiceChatTransport {
  /** A reconnect returns the whole answer again. */
  resumeStreamIsReplay = true;
  #api;
  #headers;
  #body;
  #credentials;
  #fetch;
  #reconnect;

  /**
   * @param {TransportOptions} [options]
   * @throws {TypeError} for an unknown option
   */
  constructor(options = {}) {
    const known = ['api', 'headers', 'body', 'credentials', 'fetch', 'reconnect'];
    const given = checkOptions('SluiceChatTransport', options, known);
    const { api = '/v1/ui/chat', headers, body, credentials, fetch, reconnect = {} } = given;
    checkOptions('SluiceChatTransport: reconnect', reconnect, ['attempts', 'baseMs', 'capMs']);
    this.#api = api.replace(/\/+$/, '');
    this.#headers = headers;
    this.#body = body;
    this.#credentials = credentials;
    // fetch must not be called with this object as `this`.
    this.#fetch = fetch ?? ((...args) => globalThis.fetch(...args));
    const { attempts = 5, baseMs = 250, capMs = 5000 } = reconnect;
    this.#reconnect = { attempts, baseMs, capMs };
  }

  /**
   * @param {{chatId: string, messages: readonly object[], trigger?: string | undefined,
   *   messageId?: string | undefined} & RequestExtras} options
   * @returns {Promise<ReadableStream<UiChunk>>} the chunks of the answer
   * @throws {Error} if the server refuses
   */
  async sendMessages({ chatId, messages, trigger, messageId, body, headers, abortSignal }) {
    const members = { ...(await resolve(this.#body)), ...body };
    const forget = this.#stopOnAbort(chatId, headers, abortSignal);
    try {
      const response = await this.#post({
        headers: await this.#headersOf(headers, {
          'content-type': 'application/json',
          'idempotency-key': randomKey(),
        }),
        body: JSON.stringify({ ...members, id: chatId, messages, trigger, messageId }),
        signal: abortSignal,
      });
      if (!response.ok) throw await refusal(response);
      return this.#answer(response, chatId, headers, abortSignal, forget, SENDER);
    } catch (error) {
      forget();
      throw error;
    }
  }

  /**
   * @param {{chatId: string} & RequestExtras} options
   * @returns {Promise<ReadableStream<UiChunk> | null>} null: the chat is idle
   * @throws {Error} if the server refuses
   */
  async reconnectToStream({ chatId, headers, abortSignal }) {
    const forget = this.#stopOnAbort(chatId, headers, abortSignal);
    try {
      const response = await this.#open(chatId, headers, abortSignal, '');
      if (response !== null) {
        return this.#answer(response, chatId, headers, abortSignal, forget, '');
      }
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
   * @param {string} cursor
   */
  #answer(response, chatId, headers, signal, onEnd, cursor) {
    const open = (/** @type {string} */ lastEventId) =>
      this.#open(chatId, headers, signal, lastEventId);
    return new AnswerStream(response, open, this.#reconnect, signal, onEnd, cursor).stream();
  }

  /**
   * Sends a request until an answer to it begins. Its key joins the job of an earlier attempt that reached the
   * server.
   * @param {RequestInit} init
   * @returns {Promise<Response>}
   * @throws {TypeError} `network error`, after the attempts
   */
  async #post(init) {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#request(this.#api, { method: 'POST', ...init });
      } catch {
        init.signal?.throwIfAborted();
        if (failures === this.#reconnect.attempts) throw new TypeError('network error');
        await pause(failures, this.#reconnect, init.signal ?? undefined);
      }
    }
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
   * Ends the job when the caller aborts: closing only the connection would leave it running for a
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
