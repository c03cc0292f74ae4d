import { ProviderError } from './errors.js';
import { undici } from '../../internal/util/packages.js';

/**
 * A model in an upstream's list.
 * @typedef {{id: string, created: number}} ListedModel `created` in Unix seconds; 0 if unknown
 */

/**
 * The fault of a list: `refused`: the credentials were refused; `unreachable`: no usable answer; `absent`: the
 * upstream has no list.
 * @typedef {'refused' | 'unreachable' | 'absent'} ListProblem
 */

/** Time that a list is used before it is requested again. */
const TTL_MS = 60_000;
/** The same after a failure. */
const FAILED_TTL_MS = 5000;
const TIMEOUT_MS = 5000;
const BYTES_MAX = 8 * 1024 * 1024;
const MODELS_MAX = 10_000;

/**
 * @param {any} body of `GET /models`: OpenAI's object, or an array from some servers
 * @returns {ListedModel[]}
 */
function modelsIn(body) {
  const list = [body?.data, body?.models, body].find(Array.isArray) ?? [];
  return list
    .map((/** @type {any} */ entry) => ({ id: entry?.id ?? entry?.name, at: createdOf(entry) }))
    .filter((/** @type {any} */ { id }) => typeof id === 'string' && id !== '')
    .slice(0, MODELS_MAX)
    .map((/** @type {any} */ { id, at }) => ({ id, created: at }));
}

/** @param {any} entry @returns {number} */
function createdOf(entry) {
  const { created, created_at: date } = entry ?? {};
  if (Number.isSafeInteger(created) && created >= 0) return created;
  const ms = typeof date === 'string' ? Date.parse(date) : NaN;
  return Number.isNaN(ms) ? 0 : Math.max(0, Math.floor(ms / 1000));
}

/**
 * @param {number} status other than success
 * @returns {ListProblem}
 */
function problemOfStatus(status) {
  if (status === 401 || status === 403) return 'refused';
  return status >= 500 || status === 429 || status === 408 ? 'unreachable' : 'absent';
}

/** @param {any} error @returns {string} its system code; may be empty */
function codeOf(error) {
  const code = error?.code ?? error?.cause?.code;
  if (error?.name === 'TimeoutError') return 'ETIMEDOUT';
  return typeof code === 'string' && /^\w{1,60}$/.test(code) ? code : '';
}

/** An unavailable list. */
class ListError extends ProviderError {
  /**
   * @param {ListProblem} problem
   * @param {string} detail a status or a system code; may be empty
   * @param {unknown} [cause]
   */
  constructor(problem, detail, cause) {
    super(
      problem === 'refused' ? 'upstream_unauthorized' : 'upstream_unavailable',
      `The upstream did not list its models${detail && ` (${detail})`}`,
      { cause },
    );
    this.problem = problem;
    this.detail = detail;
  }
}

/**
 * The models of one upstream by its `GET /models`, kept for 60 s. Concurrent calls share one
 * request. After a failure the last list stays in use. Main thread; `close()` ends it.
 */
export class ModelList {
  #address;
  #query;
  #headers;
  #only;
  #nowMs;
  #closing = new AbortController();
  /** @type {ListedModel[]} */
  #models = [];
  #staleAtMs = -Infinity;
  /** @type {ListError | undefined} of the last request */
  #error;
  /** @type {Promise<void> | undefined} */
  #pending;

  /**
   * @param {object} options
   * @param {string} options.address base URL of the API
   * @param {string} options.query with its question mark, or empty
   * @param {Record<string, string>} options.headers
   * @param {string} [options.only] the only model to use; default: all
   * @param {() => number} [options.nowMs] monotonic milliseconds
   */
  constructor({ address, query, headers, only, nowMs = () => performance.now() }) {
    this.#address = address;
    this.#query = query;
    this.#only = only;
    const { 'content-type': _, ...others } = headers;
    this.#headers = { ...others, accept: 'application/json' };
    this.#nowMs = nowMs;
  }

  /** @returns {Promise<readonly ListedModel[]>} never rejects; empty if no list was ever received */
  async models() {
    if (this.#only !== undefined) return [{ id: this.#only, created: 0 }];
    await this.#refresh();
    return this.#models;
  }

  /**
   * @param {string} upstream its name
   * @returns {Promise<import('./types.js').UpstreamProblem[]>} empty: the upstream returned its list, or has none
   */
  async check(upstream) {
    await this.#refresh();
    if (this.#error === undefined || this.#error.problem === 'absent') return [];
    const { problem, detail } = this.#error;
    return [{ upstream, address: this.#address, problem, detail }];
  }

  close() {
    this.#closing.abort();
  }

  #refresh() {
    if (this.#nowMs() < this.#staleAtMs || this.#closing.signal.aborted) return undefined;
    this.#pending ??= this.#request().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #request() {
    try {
      this.#models = await this.#fetch();
      this.#error = undefined;
    } catch (/** @type {any} */ error) {
      this.#error = error instanceof ListError ? error : unreachable(error);
    }
    const ttlMs = this.#error === undefined ? TTL_MS : FAILED_TTL_MS;
    this.#staleAtMs = this.#nowMs() + ttlMs;
  }

  async #fetch() {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const { statusCode, body } = await undici().request(`${this.#address}/models${this.#query}`, {
      headers: this.#headers,
      signal,
      // Requests are rare: an idle connection would only delay the end of the process.
      reset: true,
    });
    if (statusCode < 200 || statusCode > 299) {
      await body.dump();
      throw new ListError(problemOfStatus(statusCode), String(statusCode));
    }
    let size = 0;
    const chunks = [];
    for await (const chunk of body) {
      size += chunk.length;
      if (size > BYTES_MAX) throw new ListError('absent', 'too large');
      chunks.push(chunk);
    }
    try {
      return modelsIn(JSON.parse(Buffer.concat(chunks).toString('utf8')));
    } catch {
      throw new ListError('absent', 'not JSON');
    }
  }
}

/** @param {unknown} error of the connection */
function unreachable(error) {
  return new ListError('unreachable', codeOf(error), error);
}
