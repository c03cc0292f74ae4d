/**
 * The client's plain HTTP calls: JSON in and out, every failure a SluiceClientError, and the waits
 * between tries. Ends when its caller's signal does.
 */

import { SluiceClientError } from './errors.js';

const kRetriableStatus = new Set([429, 502, 503, 504]);

/**
 * A delay before try number `attempt` (from 0): doubles up to `maxMs`, and is drawn from the upper
 * half so that many clients cut at once do not come back at once.
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
 * @param {AbortSignal} [signal] ends the wait early; the promise then rejects with its reason
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

/** Whether the same request may succeed a little later. @param {unknown} error */
function isPassing(error) {
  if (!(error instanceof SluiceClientError)) return false;
  // A 429 like the others, but no wait makes it smaller.
  if (error.code === 'request_exceeds_limit') return false;
  return error.code === 'network_error' || kRetriableStatus.has(error.status ?? 0);
}

/**
 * A key for one logical POST. `crypto.randomUUID` exists in secure contexts only, and a page tried
 * from a phone over plain HTTP is not one.
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
 * The token of a signed address; null when it is plain.
 * @param {unknown} streamUrl as the server gave it
 */
export function tokenOf(streamUrl) {
  if (typeof streamUrl !== 'string') return null;
  // Only the query counts: where the gateway is mounted is known here, behind a proxy only here.
  return new URL(streamUrl, 'http://gateway').searchParams.get('token');
}

/** Calls to one gateway. */
export class Http {
  #baseUrl;
  #fetch;
  #headers;
  /** @type {string | null} */
  #apiKey = null;
  /** Whether addresses of streams have to be signed before they are opened, as far as is known. */
  signs;

  /**
   * @param {string} baseUrl where the gateway is mounted, without a slash at the end
   * @param {typeof globalThis.fetch | undefined} fetch
   * @param {Record<string, string>} [headers] of every call
   */
  constructor(baseUrl, fetch, headers = {}) {
    this.#baseUrl = baseUrl;
    this.#fetch = fetch;
    this.#headers = headers;
    this.signs = Object.keys(headers).length > 0;
  }

  /** @param {string | null} key of every call from now on; null for none */
  setApiKey(key) {
    this.#apiKey = key;
    if (key !== null) this.signs = true;
  }

  /** @param {string} path from the mount point, e.g. `/v1/jobs` */
  url(path) {
    return this.#baseUrl + path;
  }

  /**
   * One request; resolves with the decoded JSON of a 2xx answer.
   * @param {'GET' | 'POST' | 'DELETE'} method
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
      // A proxy's HTML error page is worth its status, not a complaint about JSON.
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
   * A call tried again after a passing failure. Only for requests that are safe to repeat.
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
