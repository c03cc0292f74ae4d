/**
 * Sluice in the browser: submit prompts, read their tokens, lose none of them to a cut connection.
 * No dependency and no build step; also runs in Node with an injected EventSource.
 *
 *     const client = createClient();
 *     const job = await client.submit({ prompt: 'Hello' });
 *     for await (const text of job) out.append(text);
 */

import { Connections } from './client/connections.js';
import { Conversations } from './client/conversations.js';
import { SluiceClientError } from './client/errors.js';
import { Http, randomKey, tokenOf } from './client/http.js';
import { isEnded, Job, kFail, kFinishFrom } from './client/job.js';

export { SluiceClientError, Job };

/** @typedef {import('./client/conversations.js').Conversation} Conversation */
/** @typedef {import('./client/conversations.js').ConversationMessage} ConversationMessage */
/** @typedef {import('./client/job.js').ConnectionState} ConnectionState */
/** @typedef {import('./client/job.js').JobEventName} JobEventName */
/** @typedef {import('./client/job.js').JobMetrics} JobMetrics */
/** @typedef {import('./client/job.js').JobResult} JobResult */
/** @typedef {import('./client/job.js').JobStatus} JobStatus */
/** @typedef {import('./client/job.js').JobUsage} JobUsage */

/**
 * @typedef {object} ClientOptions
 * @property {string} [baseUrl] where the gateway is mounted; default '', this page's own origin
 * @property {string} [apiKey] sent as `Authorization: Bearer`. An EventSource sends no headers: the
 *   client has the addresses of streams signed, and signed anew when they have expired. Whoever uses
 *   the page can read the key: give each its own, with limits
 * @property {Record<string, string>} [headers] sent with every call, for a gateway with its own way
 *   to authenticate
 * @property {typeof globalThis.fetch} [fetch] default: the global one
 * @property {new (url: string) => EventSource} [EventSource] default: the global one
 * @property {'auto' | boolean} [multiplex] true: all jobs share connections; false: one connection
 *   each; default 'auto': they share when more than four are live. Six connections are all that the
 *   tabs of one origin have together over HTTP/1.1: true where a page is open in several
 * @property {number} [submitRetriesMax] how often a POST is repeated after a passing failure, always
 *   with the same idempotency key; default 2
 */

/**
 * @typedef {object} JobRequest the body of `POST /v1/jobs`
 * @property {string} [prompt] either this or `messages`
 * @property {{role: string, content: string}[]} [messages]
 * @property {string} [model]
 * @property {number} [max_tokens]
 * @property {number} [temperature]
 * @property {string | string[]} [stop]
 * @property {Record<string, unknown>} [metadata]
 * @property {'cancel' | 'continue'} [on_disconnect]
 * @property {number} [disconnect_grace_ms]
 * @property {number} [max_wall_ms]
 * @property {{mode?: 'off' | 'on' | 'refresh', ttl_s?: number}} [cache] whether its answer may be
 *   another job's; default: at temperature 0
 * @property {string} [conversation_id] the prompt is the next turn of this conversation
 * @property {'reject' | 'queue'} [on_busy] while another turn of it is under way; default `reject`
 */

/** One gateway, any number of jobs. Made by `createClient()`; ends with `close()`. */
export class Client {
  /** @type {Map<string, Job>} live jobs */
  #jobs = new Map();
  #closing = new AbortController();
  #http;
  #connections;
  #submitRetriesMax;
  #conversations;

  /** @param {ClientOptions} [options] */
  constructor(options = {}) {
    const { baseUrl = '', headers, multiplex = 'auto', submitRetriesMax = 2 } = options;
    if (multiplex !== 'auto' && typeof multiplex !== 'boolean') {
      throw new TypeError("multiplex must be 'auto', true or false");
    }
    if (!Number.isInteger(submitRetriesMax) || submitRetriesMax < 0) {
      throw new RangeError('submitRetriesMax must be an integer of 0 or more');
    }
    // The global fetch insists on being called with the global as its `this`.
    const fetch = options.fetch ?? globalThis.fetch?.bind(globalThis);
    const EventSource = options.EventSource ?? globalThis.EventSource;
    this.#http = new Http(String(baseUrl).replace(/\/+$/, ''), fetch, headers);
    this.setApiKey(options.apiKey ?? null);
    this.#connections = new Connections(this.#http, EventSource, multiplex);
    this.#submitRetriesMax = submitRetriesMax;
    this.#conversations = new Conversations((method, path, body) => {
      this.#checkOpen();
      const call = { body, signal: this.#closing.signal };
      return this.#http.callWithRetries(method, path, call, method === 'POST' ? 0 : 2);
    });
  }

  /**
   * Another key for every call from now on; streams that are open stay so.
   * @param {string | null} key null for none
   */
  setApiKey(key) {
    if (key !== null && (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))) {
      throw new TypeError('apiKey must be visible ASCII characters');
    }
    this.#http.setApiKey(key);
  }

  /**
   * Submits a prompt. Resolves when the server has accepted it; the job is connected already.
   * @param {JobRequest} request
   * @param {{idempotencyKey?: string, signal?: AbortSignal}} [options] without a key one is made, so
   *   that a repeated POST cannot make a second job
   * @returns {Promise<Job>} rejects with a SluiceClientError carrying the server's `code`, `param`
   *   and `status`
   */
  async submit(request, { idempotencyKey = randomKey(), signal } = {}) {
    this.#checkOpen();
    // Not a listener for each submission: beyond ten on a signal, Node warns of a leak.
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal];
    const headers = { 'idempotency-key': idempotencyKey };
    const options = { body: request, headers, signal: AbortSignal.any(signals) };
    const retriesMax = this.#submitRetriesMax;
    const answer = await this.#http.callWithRetries('POST', '/v1/jobs', options, retriesMax);
    if (typeof answer?.job_id !== 'string') {
      throw new SluiceClientError('invalid_response', 'the server answered without a job_id');
    }
    const token = tokenOf(answer.stream_url);
    if (token !== null) this.#http.signs = true;
    return this.#attach(answer.job_id, null, token);
  }

  /**
   * Takes up a job that exists, after a reload for example. The whole text is replayed, or what
   * follows `lastEventId`. If the server does not know the job (any more), it ends with an `error`
   * whose code is `job_not_found`, and its status is `gone`.
   * @param {string} jobId
   * @param {{lastEventId?: string | null}} [options]
   */
  attach(jobId, { lastEventId = null } = {}) {
    this.#checkOpen();
    return this.#attach(jobId, lastEventId, null);
  }

  /** @param {string} jobId @param {string | null} lastEventId @param {string | null} token */
  #attach(jobId, lastEventId, token) {
    const live = this.#jobs.get(jobId);
    if (live) return live;
    const job = new Job(jobId, this.#host, lastEventId);
    this.#jobs.set(jobId, job);
    this.#connections.add(job, token);
    return job;
  }

  /**
   * The models the server offers, its default first; may be empty when it passes any name on.
   * @returns {Promise<{id: string}[]>}
   */
  async models() {
    this.#checkOpen();
    const options = { signal: this.#closing.signal };
    const answer = await this.#http.callWithRetries('GET', '/v1/models', options, 2);
    return Array.isArray(answer?.data) ? answer.data : [];
  }

  /** Histories that jobs are sent with: see `conversation_id` of `submit`. */
  get conversations() {
    return this.#conversations;
  }

  /** Live connections and the jobs on them. */
  stats() {
    return this.#connections.stats();
  }

  /**
   * Closes every connection. Jobs go on at the server as their policy says; here their `done`
   * resolves as they are, and their iterators throw `client_closed`. May be called twice.
   */
  close() {
    if (this.#closing.signal.aborted) return;
    const error = new SluiceClientError('client_closed', 'the client was closed');
    this.#closing.abort(error);
    for (const job of [...this.#jobs.values()]) job[kFail](error);
    this.#connections.close();
  }

  /** @type {import('./client/job.js').JobHost} */
  #host = {
    connect: (job) => {
      this.#checkOpen();
      this.#connections.add(job);
    },
    release: (job) => {
      this.#connections.remove(job);
      if (job.ended) this.#jobs.delete(job.id);
    },
    cancel: async (job) => {
      this.#checkOpen();
      const path = `/v1/jobs/${encodeURIComponent(job.id)}/cancel`;
      const options = { signal: this.#closing.signal, jobId: job.id };
      try {
        const answer = await this.#http.callWithRetries('POST', path, options, 2);
        // Connected, the terminal event brings this in its order; else the answer has to do.
        if (job.connection !== 'open' && isEnded(answer?.status)) job[kFinishFrom](answer);
        return answer;
      } catch (error) {
        if (error instanceof SluiceClientError && error.status === 404) job[kFail](error, 'gone');
        throw error;
      }
    },
  };

  #checkOpen() {
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
  }
}

/** @param {ClientOptions} [options] */
export function createClient(options) {
  return new Client(options);
}
