/** One request of a crawl, from the connection to the text. */
import { isUtf8 } from 'node:buffer';
import { nativeNumbers } from '../../internal/native/numbers.js';
import { SluiceError } from '../../internal/util/errors.js';
import { parseRetryAfterMs } from '../../internal/util/retry-after.js';
import { connectionFault } from './connections.js';
import { codingsOf, decoded, mediaTypeOf } from './content.js';
import { readPage } from './page-reader.js';
import { forbidsFollowing } from './robots-rules.js';
import { resolveLink } from './url.js';

/** native/core/crawl/host_queue.h describes them. */
export const Failure = nativeNumbers('enums.CrawlFailure', [
  'THROTTLED',
  'UNREACHABLE',
  'BROKEN',
  'TIMED_OUT',
  'FORBIDDEN',
]);

/** @typedef {import('./items.js').CrawlError} CrawlError */

/**
 * The outcome of a request: `failed` may be retried, `error` may not.
 * @typedef {{type: 'page', status: number, page: import('./page.js').Page}
 *   | {type: 'redirect', location: string}
 *   | {type: 'skipped', reason: string, contentType?: string}
 *   | {type: 'error', error: CrawlError}
 *   | {type: 'failed', failure: number, error: CrawlError, retryAfterMs: number}} Outcome
 */

/** @typedef {import('undici').Dispatcher.ResponseData} Response */

/** RFC 9309 requires at least five. */
const FILE_REDIRECTS_MAX = 5;
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);
const HTML_TYPES = new Set(['text/html', 'application/xhtml+xml']);
/** Bytes of an unused body that are discarded to keep the connection; a longer one closes it. */
const REST_BYTES_MAX = 16 * 1024;

/** @type {Record<ReturnType<typeof connectionFault>['code'], number>} */
const FAILURES = Object.freeze({
  address_not_allowed: Failure.FORBIDDEN,
  dns_failed: Failure.UNREACHABLE,
  tls_failed: Failure.UNREACHABLE,
  connect_failed: Failure.UNREACHABLE,
  protocol_error: Failure.BROKEN,
  disconnected: Failure.BROKEN,
});

const TIMEOUT = new SluiceError('ERR_CRAWL_TIMEOUT', 'the fetch timed out');

/**
 * @param {number} failure
 * @param {import('./items.js').CrawlErrorCode} code
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
  if (error === TIMEOUT) {
    return failed(Failure.TIMED_OUT, 'timeout', `The page took longer than ${timeoutMs} ms`);
  }
  const { code, message } = connectionFault(error);
  return failed(FAILURES[code], code, message);
}

/**
 * @param {Response} response with a status that is neither a success nor a redirect
 * @returns {Outcome}
 */
function statusOutcome({ statusCode: status, headers }) {
  /** @type {CrawlError} */
  const error = { code: 'http_status', message: `The server answered ${status}`, status };
  if (status === 429 || status === 503) {
    const retryAfterMs = parseRetryAfterMs(headers) ?? 0;
    return { type: 'failed', failure: Failure.THROTTLED, error, retryAfterMs };
  }
  if (status >= 500) return { type: 'failed', failure: Failure.BROKEN, error, retryAfterMs: 0 };
  return { type: 'error', error };
}

/**
 * Makes the requests of a crawl. Each outcome is a value: no method rejects. `page()` reports redirects
 * and does not follow them.
 */
export class Fetcher {
  #connections;
  #deadlines;
  #timeoutMs;
  #bodyBytesMax;
  #origin;
  #headers;

  /**
   * @param {object} options
   * @param {import('./connections.js').CrawlConnections} options.connections
   * @param {import('../../internal/time/timers.js').Deadlines} options.deadlines
   * @param {number} options.timeoutMs
   * @param {number} options.bodyBytesMax
   * @param {string} options.origin of the site
   * @param {Record<string, string>} options.headers sent with each request
   */
  constructor({ connections, deadlines, timeoutMs, bodyBytesMax, origin, headers }) {
    this.#connections = connections;
    this.#deadlines = deadlines;
    this.#timeoutMs = timeoutMs;
    this.#bodyBytesMax = bodyBytesMax;
    this.#origin = origin;
    this.#headers = headers;
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
    return this.#get(url, headers, (response) => this.#readPage(url, response));
  }

  /**
   * A file of any type. Redirects within the site are followed, five at most.
   * @param {string} url
   * @param {{bytesMax: number, gzip?: boolean, onRequest: () => void}} options `bytesMax`: longer files
   *   are cut; `gzip`: a file may be compressed by itself; `onRequest` is called before each
   *   request
   * @returns {Promise<Outcome | {type: 'file', bytes: Buffer, cut: boolean}>}
   */
  async file(url, { bytesMax, gzip = false, onRequest }) {
    const headers = { accept: '*/*', 'accept-encoding': 'identity' };
    let at = url;
    for (let hops = 0; ; hops += 1) {
      onRequest();
      const outcome = await this.#get(at, headers, (response) =>
        this.#readFile(response, bytesMax, gzip),
      );
      if (outcome.type !== 'redirect' || hops === FILE_REDIRECTS_MAX) return outcome;
      const target = resolveLink(outcome.location, at, this.#origin);
      if ('refused' in target) return outcome;
      at = target.url;
    }
  }

  /**
   * @template {{type: string}} T
   * @param {string} url
   * @param {Record<string, string>} headers
   * @param {(response: Response) => Promise<T>} read gets a response with a 2xx status
   * @returns {Promise<T | Outcome>}
   */
  async #get(url, headers, read) {
    const abort = new AbortController();
    const stopTimer = this.#deadlines.start(this.#timeoutMs, () => abort.abort(TIMEOUT));
    try {
      const response = await this.#connections.get(
        new URL(url),
        { ...headers, ...this.#headers },
        abort.signal,
      );
      // The reader of a body gets its errors; those of an unread body do not matter.
      response.body.on('error', () => {});
      const { statusCode: status } = response;
      if (status >= 200 && status < 300) return await read(response);
      await response.body.dump({ limit: REST_BYTES_MAX }).catch(() => {});
      const location = response.headers.location;
      if (REDIRECT_STATUSES.has(status) && typeof location === 'string') {
        return { type: 'redirect', location: textOfHeader(location) };
      }
      return statusOutcome(response);
    } catch (error) {
      return outcomeOf(error, this.#timeoutMs);
    } finally {
      stopTimer();
    }
  }

  /**
   * @param {string} url
   * @param {Response} response
   * @returns {Promise<Outcome>}
   */
  async #readPage(url, { statusCode: status, headers, body }) {
    const { type: declared, charset } = mediaTypeOf(headers['content-type']);
    const codings = codingsOf(headers['content-encoding']);
    if (declared !== '' && !HTML_TYPES.has(declared) && declared !== 'text/plain') {
      body.destroy();
      return { type: 'skipped', reason: 'content_type', contentType: declared };
    }
    if (codings === undefined) {
      body.destroy();
      return { type: 'error', error: encodingError('was not requested and is unknown') };
    }
    const bytes = await this.#readWhole(body, headers, codings);
    if (bytes === 'too_large') return { type: 'skipped', reason: 'too_large' };
    if (bytes === 'garbled') return { type: 'error', error: encodingError('cannot be read') };
    const page = await readPage({ bytes, type: declared, charset, url, origin: this.#origin });
    if (page === undefined) return { type: 'skipped', reason: 'content_type' };
    if (forbidsFollowing([headers['x-robots-tag'] ?? []].flat().join())) page.links = [];
    return { type: 'page', status, page };
  }

  /**
   * @param {Response} response
   * @param {number} bytesMax
   * @param {boolean} gzip
   * @returns {Promise<{type: 'file', bytes: Buffer, cut: boolean} | {type: 'error', error: CrawlError}>}
   */
  async #readFile({ headers, body }, bytesMax, gzip) {
    const codings = codingsOf(headers['content-encoding']);
    const { bytes, whole } = await this.#read(body, bytesMax);
    try {
      let content = codings && (await decoded(bytes, codings, 2 * bytesMax));
      if (gzip && content && content[0] === 0x1f && content[1] === 0x8b) {
        content = whole ? await decoded(content, ['gzip'], bytesMax) : content;
        if (content === undefined) return { type: 'file', bytes, cut: true };
      }
      if (content) {
        const cut = !whole || content.length > bytesMax;
        return { type: 'file', bytes: content.subarray(0, bytesMax), cut };
      }
    } catch {
      // The bytes are not in that coding: the same error as for an unknown one.
    }
    return { type: 'error', error: encodingError('cannot be read') };
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
   * Reads at most `bytesMax` of a body; a longer body closes its connection.
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

/**
 * The text of a header's octets: decoded as UTF-8 if valid, else as latin1.
 * @param {string} value one character per octet
 */
function textOfHeader(value) {
  const octets = Buffer.from(value, 'latin1');
  return isUtf8(octets) ? octets.toString() : value;
}

/**
 * @param {string} problem
 * @returns {CrawlError}
 */
function encodingError(problem) {
  return { code: 'bad_encoding', message: `The content encoding ${problem}` };
}
