import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { isPublicAddress } from '../../primitives/crawler/addresses.js';
import { CrawlConnections, connectionFault } from '../../primitives/crawler/connections.js';
import { linkSignals } from '../../internal/util/abort.js';
import { parseRetryAfterMs } from '../../internal/util/retry-after.js';

/**
 * Result of one attempt. `gone`: the receiver refuses further ones.
 * @typedef {{delivered: true, status: number} | {delivered: false, code: string, message: string,
 *   status?: number, retryAfterMs?: number, gone?: boolean}} Outcome
 */

/** Bytes of an answer that are discarded to keep its connection; a longer one closes it. */
const ANSWER_BYTES_MAX = 16 * 1024;
const GONE = 410;

/**
 * @param {URL} url
 * @returns {boolean} whether its host is an address that is not on the public internet
 */
export function namesPrivateAddress({ hostname }) {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && !isPublicAddress(host);
}

/**
 * Posts webhooks. Redirects are not followed: they would lead around the check of the address. Never
 * rejects. Main thread; `close()` ends it.
 */
export class WebhookSender {
  #timeoutMs;
  #connections;
  #closing = new AbortController();

  /**
   * @param {object} options
   * @param {number} options.timeoutMs of one attempt, from the look-up to the head of the answer, and then of its
   *   body
   * @param {number} options.connections at once to one origin
   * @param {boolean} options.allowPrivateAddresses
   */
  constructor({ timeoutMs, connections, allowPrivateAddresses }) {
    this.#timeoutMs = timeoutMs;
    this.#connections = new CrawlConnections({
      ...{ allowPrivateAddresses, connections, timeoutMs },
      lookup: /** @type {import('../../primitives/crawler/addresses.js').Lookup} */ (lookup),
    });
  }

  /**
   * @param {URL} url
   * @param {Record<string, string>} headers
   * @param {string} body
   * @returns {Promise<Outcome | undefined>} undefined: `close` has ended the attempt
   */
  async post(url, headers, body) {
    const { signal, abort, unlink } = linkSignals([this.#closing.signal]);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      abort();
    }, this.#timeoutMs);
    const release = () => {
      clearTimeout(timer);
      unlink();
    };
    try {
      const answer = await this.#connections.post(url, headers, body, signal);
      // The status decides; the body only has to leave the connection.
      answer.body.dump({ limit: ANSWER_BYTES_MAX, signal }).then(release, release);
      return outcomeOf(answer.statusCode, answer.headers);
    } catch (error) {
      release();
      if (this.#closing.signal.aborted) return undefined;
      if (!timedOut) return { delivered: false, ...connectionFault(error) };
      const message = `The receiver took longer than ${this.#timeoutMs} ms`;
      return { delivered: false, code: 'timeout', message };
    }
  }

  /** Ends running attempts and closes every connection. */
  close() {
    this.#closing.abort();
    this.#connections.close();
  }
}

/**
 * @param {number} status
 * @param {Record<string, string | string[] | undefined>} headers
 * @returns {Outcome}
 */
function outcomeOf(status, headers) {
  if (status >= 200 && status < 300) return { delivered: true, status };
  const isRedirect = status >= 300 && status < 400;
  return {
    ...{ delivered: false, status },
    code: isRedirect ? 'redirect' : 'http_status',
    message: `The receiver answered ${status}${isRedirect ? '; redirects are not followed' : ''}`,
    retryAfterMs: parseRetryAfterMs(headers),
    gone: status === GONE,
  };
}
