/**
 * One request of a crawl, from the connection to the text: every way in which it can come out is a
 * value, and none throws. Redirects are reported, not followed.
 */
import { SluiceError } from '../../internal/util/errors.js';
import { parseRetryAfterMs } from '../../providers/shared/errors.js';
import { kConnecting } from './connections.js';
import { codingsOf, decoded, mediaTypeOf, sniffType, textOf } from './content.js';
import { asksNotToFollow, extract } from './html.js';

/** The numbers of native/core/crawl/host_queue.h. */
export const Failure = Object.freeze({
  THROTTLED: 0,
  UNREACHABLE: 1,
  BROKEN: 2,
  TIMED_OUT: 3,
  FORBIDDEN: 4,
});

/**
 * @typedef {object} CrawlError
 * @property {string} code `address_not_allowed`, `dns_failed`, `connect_failed`, `tls_failed`,
 *   `disconnected`, `protocol_error`, `timeout`, `http_status`, `bad_encoding`, `bad_redirect`,
 *   `redirect_loop`, `too_many_redirects`, `host_unavailable` or `internal_error`
 * @property {string} message
 * @property {number} [status] of `http_status`
 */

/**
 * `failed` may be tried again, `error` not.
 * @typedef {{type: 'page', status: number, page: import('./html.js').Extract}
 *   | {type: 'redirect', location: string}
 *   | {type: 'skipped', reason: string, contentType?: string}
 *   | {type: 'error', error: CrawlError}
 *   | {type: 'failed', failure: number, error: CrawlError, retryAfterMs: number}} Outcome
 */

/** @typedef {import('undici').Dispatcher.ResponseData} Response */

const kRedirects = new Set([301, 302, 303, 307, 308]);
const kHtml = new Set(['text/html', 'application/xhtml+xml']);
/** The body of an answer that is not read; longer ones cost their connection. */
const kRestBytesMax = 16 * 1024;

const kTimeout = new SluiceError('ERR_CRAWL_TIMEOUT', 'the time for one fetch is over');

/**
 * @param {number} failure
 * @param {string} code
 * @param {string} message
 * @returns {Outcome}
 */
function failed(failure, code, message) {
  return { type: 'failed', failure, error: { code, message }, retryAfterMs: 0 };
}

/**
 * @param {any} error
 * @param {number} timeoutMs
 * @returns {Outcome}
 */
function outcomeOf(error, timeoutMs) {
  const code = String(error?.code ?? '');
  const named = /^\w{1,60}$/.test(code) ? ` (${code})` : '';
  if (error === kTimeout) {
    return failed(Failure.TIMED_OUT, 'timeout', `The page took longer than ${timeoutMs} ms`);
  }
  if (code === 'ERR_CRAWL_ADDRESS_NOT_ALLOWED') {
    return failed(Failure.FORBIDDEN, 'address_not_allowed', error.message);
  }
  if (error?.[kConnecting]) {
    if (error.syscall === 'getaddrinfo' || /^(ENOTFOUND|EAI_|ENODATA|ESERVFAIL)/.test(code)) {
      return failed(Failure.UNREACHABLE, 'dns_failed', `The name does not resolve${named}`);
    }
    if (/CERT|TLS|SSL|SIGN|ISSUER/.test(code)) {
      return failed(Failure.UNREACHABLE, 'tls_failed', `TLS cannot be set up${named}`);
    }
    return failed(Failure.UNREACHABLE, 'connect_failed', `The host cannot be reached${named}`);
  }
  if (error?.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return failed(Failure.BROKEN, 'protocol_error', 'The server does not speak HTTP properly');
  }
  return failed(Failure.BROKEN, 'disconnected', `The server broke off${named}`);
}

/**
 * @param {Response} response whose status is neither a success nor a redirect
 * @returns {Outcome}
 */
function statusOutcome({ statusCode: status, headers }) {
  const error = { code: 'http_status', message: `The server answered ${status}`, status };
  if (status === 429 || status === 503) {
    const retryAfterMs = parseRetryAfterMs(headers) ?? 0;
    return { type: 'failed', failure: Failure.THROTTLED, error, retryAfterMs };
  }
  if (status >= 500) return { type: 'failed', failure: Failure.BROKEN, error, retryAfterMs: 0 };
  return { type: 'error', error };
}

export class Fetcher {
  #connections;
  #deadlines;
  #timeoutMs;
  #bodyBytesMax;
  #headers;

  /**
   * @param {object} options
   * @param {import('./connections.js').CrawlConnections} options.connections
   * @param {import('../../internal/time/timers.js').Deadlines} options.deadlines
   * @param {number} options.timeoutMs
   * @param {number} options.bodyBytesMax
   * @param {string} options.userAgent
   */
  constructor({ connections, deadlines, timeoutMs, bodyBytesMax, userAgent }) {
    this.#connections = connections;
    this.#deadlines = deadlines;
    this.#timeoutMs = timeoutMs;
    this.#bodyBytesMax = bodyBytesMax;
    this.#headers = { 'user-agent': userAgent };
  }

  /**
   * @param {string} url
   * @returns {Promise<Outcome>}
   */
  page(url) {
    const headers = {
      accept: 'text/html, application/xhtml+xml, text/plain;q=0.9, */*;q=0.1',
      'accept-encoding': 'gzip, br, deflate',
    };
    return this.#get(url, headers, (response) => this.#readPage(response));
  }

  /**
   * A small text file of any type.
   * @param {string} url
   * @param {number} bytesMax what is longer is cut
   * @returns {Promise<Outcome | {type: 'text', text: string}>}
   */
  text(url, bytesMax) {
    const headers = { accept: 'text/plain, */*;q=0.1', 'accept-encoding': 'identity' };
    return this.#get(url, headers, async ({ headers: answered, body }) => {
      const codings = codingsOf(answered['content-encoding']);
      const { bytes } = await this.#read(body, bytesMax);
      const content = codings && (await decoded(bytes, codings, 2 * bytesMax).catch(() => {}));
      if (!content) return { type: 'error', error: encodingError('cannot be read') };
      return { type: 'text', text: new TextDecoder().decode(content.subarray(0, bytesMax)) };
    });
  }

  /**
   * @template {{type: string}} T
   * @param {string} url
   * @param {Record<string, string>} headers
   * @param {(response: Response) => Promise<T>} read takes an answer with a status of success
   * @returns {Promise<T | Outcome>}
   */
  async #get(url, headers, read) {
    const abort = new AbortController();
    const stopTimer = this.#deadlines.start(this.#timeoutMs, () => abort.abort(kTimeout));
    try {
      const response = await this.#connections.get(
        new URL(url),
        { ...this.#headers, ...headers },
        abort.signal,
      );
      // Whoever reads hears of it; an answer that nobody reads may break off as it likes.
      response.body.on('error', () => {});
      const { statusCode: status } = response;
      if (status >= 200 && status < 300) return await read(response);
      await response.body.dump({ limit: kRestBytesMax }).catch(() => {});
      const location = response.headers.location;
      if (kRedirects.has(status) && typeof location === 'string') {
        return { type: 'redirect', location };
      }
      return statusOutcome(response);
    } catch (error) {
      return outcomeOf(error, this.#timeoutMs);
    } finally {
      stopTimer();
    }
  }

  /**
   * @param {Response} response
   * @returns {Promise<Outcome>}
   */
  async #readPage({ statusCode: status, headers, body }) {
    const { type: declared, charset } = mediaTypeOf(headers['content-type']);
    const codings = codingsOf(headers['content-encoding']);
    if (declared !== '' && !kHtml.has(declared) && declared !== 'text/plain') {
      body.destroy();
      return { type: 'skipped', reason: 'content_type', contentType: declared };
    }
    if (codings === undefined) {
      body.destroy();
      return { type: 'error', error: encodingError('is of a kind that was not asked for') };
    }
    const bytes = await this.#readWhole(body, headers, codings);
    if (bytes === 'too_large') return { type: 'skipped', reason: 'too_large' };
    if (bytes === 'garbled') return { type: 'error', error: encodingError('cannot be read') };
    const type = declared || sniffType(bytes);
    if (type === '') return { type: 'skipped', reason: 'content_type' };
    const text = textOf(bytes, charset);
    if (!kHtml.has(type)) return { type: 'page', status, page: plainPage(text) };
    const page = await extract(text, { xml: type === 'application/xhtml+xml' });
    if (asksNotToFollow([headers['x-robots-tag'] ?? []].flat().join())) page.follow = false;
    return { type: 'page', status, page };
  }

  /**
   * @param {Response['body']} body
   * @param {Response['headers']} headers
   * @param {string[]} codings
   * @returns {Promise<Buffer | 'too_large' | 'garbled'>}
   */
  async #readWhole(body, headers, codings) {
    if (Number(headers['content-length']) > this.#bodyBytesMax) {
      body.destroy();
      return 'too_large';
    }
    const { bytes, whole } = await this.#read(body, this.#bodyBytesMax);
    if (!whole) return 'too_large';
    try {
      return (await decoded(bytes, codings, this.#bodyBytesMax)) ?? 'too_large';
    } catch {
      return 'garbled';
    }
  }

  /**
   * At most `bytesMax` of a body; the connection of a longer one is closed.
   * @param {Response['body']} body
   * @param {number} bytesMax
   */
  async #read(body, bytesMax) {
    /** @type {Buffer[]} */
    const pieces = [];
    let length = 0;
    for await (const piece of body) {
      length += piece.length;
      pieces.push(piece);
      // Leaving the loop destroys the body.
      if (length > bytesMax) break;
    }
    return { bytes: Buffer.concat(pieces).subarray(0, bytesMax), whole: length <= bytesMax };
  }
}

/** @param {string} what */
function encodingError(what) {
  return { code: 'bad_encoding', message: `The content encoding ${what}` };
}

/**
 * @param {string} text
 * @returns {import('./html.js').Extract}
 */
function plainPage(text) {
  return {
    title: '',
    text: text.replaceAll(/\r\n?/g, '\n').trim(),
    links: [],
    base: undefined,
    follow: true,
  };
}
