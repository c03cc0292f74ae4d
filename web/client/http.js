/**
 * The HTTP calls of the client: JSON requests and answers, SluiceClientErrors, and the delays between
 * attempts. The signal of the caller aborts a call and its delays.
 */

import { SluiceClientError } from './errors.js';

const RETRIABLE_STATUS = new Set([429, 502, 503, 504]);

/**
 * The delay before attempt number `attempt` (from 0). It doubles up to `maxMs`, and is drawn from the
 * upper half, so that clients disconnected together do not reconnect together.
 * @param {number} attempt
 * @param {number} [baseMs]
 * @param {number} [maxMs]
 */
export function backoffMs(attempt, baseMs = 500, maxMs = 15000) {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 20));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}

/**
 * @param {number} delayMs
 * @param {AbortSignal} [signal] aborts the wait; the promise then rejects with its reason
 * @returns {Promise<void>}
 */
export function sleep(delayMs, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** Whether a repetition of the request may succeed. @param {unknown} error */
function isPassing(error) {
  if (!(error instanceof SluiceClientError)) return false;
  // A 429 whose request exceeds the whole limit: a later retry cannot succeed.
  if (error.code === 'request_exceeds_limit') return false;
  return error.code === 'network_error' || RETRIABLE_STATUS.has(error.status ?? 0);
}

/**
 * A random idempotency key. `crypto.randomUUID` exists only in secure contexts; a page loaded over
 * plain HTTP from another machine is not secure.
 */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {Response} response @param {unknown} body @param {string | undefined} jobId */
function errorFrom(response, body, jobId) {
  const error = /** @type {{error?: Record<string, unknown>} | undefined} */ (body)?.error;
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return new SluiceClientError(
    typeof error?.code === 'string' ? error.code : `http_${response.status}`,
    typeof error?.message === 'string' ? error.message : `HTTP ${response.status}`,
    {
      status: response.status,
      type: typeof error?.type === 'string' ? error.type : undefined,
      param: typeof error?.param === 'string' ? error.param : undefined,
      retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
      jobId: jobId ?? (typeof error?.job_id === 'string' ? error.job_id : undefined),
    },
  );
}

/**
 * The token of a signed stream URL; null for an unsigned one.
 * @param {unknown} streamUrl from the server
 */
export function tokenOf(streamUrl) {
  if (typeof streamUrl !== 'string') return null;
  // Only the query is used: behind a proxy, only the client knows the mount point of the gateway.
  return new URL(streamUrl, 'http://gateway').searchParams.get('token');
}

/** The HTTP calls to one gateway. */
export class Http {
  #baseUrl;
  #fetch;
  #headers;
  /** @type {string | null} */
  #apiKey = null;
  /** Whether the server requires signed stream URLs, if known. */
  signs;

  /**
   * @param {string} baseUrl the mount point of the gateway, without a trailing slash
   * @param {typeof globalThis.fetch | undefined} fetch
   * @param {Record<string, string>} [headers] sent with every call
   */
  constructor(baseUrl, fetch, headers = {}) {
    this.#baseUrl = baseUrl;
    this.#fetch = fetch;
    this.#headers = headers;
    this.signs = Object.keys(headers).length > 0;
  }

  /** @param {string | null} key of all later calls; null: none */
  setApiKey(key) {
    this.#apiKey = key;
    if (key !== null) this.signs = true;
  }

  /** @param {string} path from the mount point, e.g. `/v1/jobs` */
  url(path) {
    return this.#baseUrl + path;
  }

  /**
   * Sends one request; resolves with the decoded JSON of a 2xx answer.
   * @param {'GET' | 'POST' | 'PATCH' | 'DELETE'} method
   * @param {string} path
   * @param {{body?: unknown, headers?: Record<string, string>, signal?: AbortSignal,
   *   jobId?: string}} [options]
   * @returns {Promise<any>}
   */
  async call(method, path, { body, headers = {}, signal, jobId } = {}) {
    if (!this.#fetch) {
      throw new SluiceClientError('fetch_missing', 'there is no fetch here; pass one');
    }
    let response;
    let text;
    try {
      response = await this.#fetch(this.url(path), {
        method,
        signal,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...this.#headers,
          ...(this.#apiKey !== null && { authorization: `Bearer ${this.#apiKey}` }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new SluiceClientError('network_error', 'the server could not be reached', {
        cause,
        jobId,
      });
    }
    let json;
    try {
      json = text === '' ? undefined : JSON.parse(text);
    } catch (cause) {
      // The body may be a proxy's HTML error page: report the status, not the JSON error.
      if (response.ok) {
        throw new SluiceClientError('invalid_response', 'the server answered without JSON', {
          status: response.status,
          cause,
          jobId,
        });
      }
    }
    if (!response.ok) throw errorFrom(response, json, jobId);
    return json;
  }

  /**
   * Repeats a call after transient failures. Only for requests that are safe to repeat.
   * @param {'GET' | 'POST' | 'DELETE'} method
   * @param {string} path
   * @param {Parameters<Http['call']>[2]} options
   * @param {number} retriesMax
   */
  async callWithRetries(method, path, options, retriesMax) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.call(method, path, options);
      } catch (error) {
        if (attempt >= retriesMax || !isPassing(error)) throw error;
        const asked = /** @type {SluiceClientError} */ (error).retryAfterMs ?? 0;
        await sleep(Math.max(backoffMs(attempt), Math.min(asked, 15000)), options?.signal);
      }
    }
  }
}
