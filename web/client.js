/**
 * The browser client: submits prompts and reads their tokens, without loss over a cut connection.
 * It has no dependency and no build step, and also runs in Node with an injected EventSource.
 *
 *     const client = createClient();
 *     const job = await client.submit({ prompt: 'Hello' });
 *     for await (const text of job) out.append(text);
 */

import { Connections } from './client/connections.js';
import { Conversations } from './client/conversations.js';
import { SluiceClientError } from './client/errors.js';
import { Http, randomKey, tokenOf } from './client/http.js';
import { isEnded, Job, FAIL, FINISH_FROM } from './client/job.js';
import { checkOptions } from './client/options.js';

export { SluiceClientError, Job };

/** @typedef {import('./client/conversations.js').Conversation} Conversation */
/** @typedef {import('./client/conversations.js').ConversationMessage} ConversationMessage */
/** @typedef {import('./client/job.js').ConnectionState} ConnectionState */
/** @typedef {import('./client/job.js').JobEventName} JobEventName */
/** @typedef {import('./client/job.js').JobEvents} JobEvents */
/** @typedef {import('./client/job.js').JobMetrics} JobMetrics */
/** @typedef {import('./client/job.js').JobResult} JobResult */
/** @typedef {import('./client/job.js').JobStatus} JobStatus */
/** @typedef {import('./client/job.js').JobUsage} JobUsage */
/** @typedef {import('./client/job.js').JobView} JobView */

/**
 * @typedef {object} ClientOptions
 * @property {string} [baseUrl] the mount point of the gateway; default '', this page's origin
 * @property {string} [apiKey] sent as `Authorization: Bearer`. An EventSource sends no headers, so the
 *   client requests signed stream URLs, and new ones after their expiry. Anyone using the page can
 *   read the key: give each user their own, with limits
 * @property {Record<string, string>} [headers] sent with every call, for a gateway with an
 *   `authenticate` hook
 * @property {typeof globalThis.fetch} [fetch] default: the global
 * @property {new (url: string) => EventSource} [EventSource] default: the global
 * @property {'auto' | boolean} [multiplex] true: all jobs share connections; false: one connection
 *   each; default 'auto': jobs share connections when more than four are live. Over HTTP/1.1 all tabs
 *   of one origin share six connections: use true for a page that is open in several tabs
 * @property {number} [submitRetriesMax] number of retries of a POST after a transient failure, always
 *   with the same idempotency key; default 2
 */

/**
 * @typedef {object} JobRequest the body of `POST /v1/jobs`
 * @property {string} [prompt] either this or `messages`
 * @property {{role: string, content?: string | object[] | null, [member: string]: unknown}[]} [messages]
 * @property {string} [model]
 * @property {number} [max_tokens]
 * @property {number} [max_completion_tokens]
 * @property {number} [temperature]
 * @property {string | string[]} [stop]
 * @property {object[] | null} [tools] this and the following members, up to `user`, are passed to the upstream
 *   unchanged
 * @property {string | object | null} [tool_choice]
 * @property {boolean | null} [parallel_tool_calls]
 * @property {object | null} [response_format]
 * @property {number | null} [seed]
 * @property {number | null} [top_p]
 * @property {number | null} [frequency_penalty]
 * @property {number | null} [presence_penalty]
 * @property {object | null} [logit_bias]
 * @property {boolean | number | null} [logprobs]
 * @property {number | null} [top_logprobs]
 * @property {string | null} [reasoning_effort]
 * @property {string | null} [verbosity]
 * @property {string | null} [user]
 * @property {Record<string, unknown>} [extra_body] further members of the upstream call's body
 * @property {Record<string, unknown>} [metadata]
 * @property {'cancel' | 'continue'} [on_disconnect]
 * @property {number} [disconnect_grace_ms]
 * @property {number} [max_wall_ms]
 * @property {{mode?: 'off' | 'on' | 'refresh', ttl_s?: number}} [cache] whether the job may share
 *   the answer of another job; default: at temperature 0
 * @property {string} [conversation_id] the prompt is the next turn of this conversation
 * @property {'reject' | 'queue'} [on_busy] the action during another turn; default `reject`
 * @property {string} [webhook_url] receives the end of the job; its host must be allowed by
 *   the server
 * @property {boolean} [webhook_text] whether the webhook has the text of the answer; default false
 */

const CLIENT_OPTIONS = [
  ...['baseUrl', 'apiKey', 'headers', 'fetch', 'EventSource', 'multiplex', 'submitRetriesMax'],
];

/** A client of one gateway, for any number of jobs. `createClient()` makes it; `close()` ends it. */
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
    checkOptions('createClient', options, CLIENT_OPTIONS);
    const { baseUrl = '', headers, multiplex = 'auto', submitRetriesMax = 2 } = options;
    if (multiplex !== 'auto' && typeof multiplex !== 'boolean') {
      throw new TypeError("multiplex must be 'auto', true or false");
    }
    if (!Number.isInteger(submitRetriesMax) || submitRetriesMax < 0) {
      throw new RangeError('submitRetriesMax must be an integer of 0 or more');
    }
    // The global fetch throws unless `this` is the global object.
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
   * Replaces the key for all later calls; open streams continue.
   * @param {string | null} key null: no key
   */
  setApiKey(key) {
    if (key !== null && (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key))) {
      throw new TypeError('apiKey must be visible ASCII characters');
    }
    this.#http.setApiKey(key);
  }

  /**
   * Submits a prompt. Resolves once the server has accepted it; the job is then connected.
   * @param {JobRequest} request
   * @param {{idempotencyKey?: string, signal?: AbortSignal}} [options] `idempotencyKey`
   *   defaults to a random one, so that a repeated POST cannot create a second job
   * @returns {Promise<Job>} rejects with a SluiceClientError with the server's `code`, `param`
   *   and `status`
   */
  async submit(request, options = {}) {
    this.#checkOpen();
    const known = ['idempotencyKey', 'signal'];
    const { idempotencyKey = randomKey(), signal } = checkOptions('submit', options, known);
    // AbortSignal.any() adds no listener: Node warns of a leak beyond ten listeners on a signal.
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal];
    const headers = { 'idempotency-key': idempotencyKey };
    const call = { body: request, headers, signal: AbortSignal.any(signals) };
    const retriesMax = this.#submitRetriesMax;
    const answer = await this.#http.callWithRetries('POST', '/v1/jobs', call, retriesMax);
    if (typeof answer?.job_id !== 'string') {
      throw new SluiceClientError('invalid_response', 'the server answered without a job_id');
    }
    const token = tokenOf(answer.stream_url);
    if (token !== null) this.#http.signs = true;
    return this.#attach(answer.job_id, null, token);
  }

  /**
   * Connects to an existing job, for example after a reload. The server replays the whole text, or
   * the events after `lastEventId`. An unknown or purged job ends with the status `gone` and an
   * `error` with the code `job_not_found`.
   * @param {string} jobId
   * @param {{lastEventId?: string | null}} [options]
   */
  attach(jobId, options = {}) {
    this.#checkOpen();
    const { lastEventId = null } = checkOptions('attach', options, ['lastEventId']);
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
   * The models of the server, its default first; empty if the server accepts any name.
   * @returns {Promise<{id: string}[]>}
   */
  async models() {
    this.#checkOpen();
    const options = { signal: this.#closing.signal };
    const answer = await this.#http.callWithRetries('GET', '/v1/models', options, 2);
    return Array.isArray(answer?.data) ? answer.data : [];
  }

  /** The conversations of the caller; see `conversation_id` of `submit`. */
  get conversations() {
    return this.#conversations;
  }

  /** The numbers of open connections and of the jobs on them. */
  stats() {
    return this.#connections.stats();
  }

  /**
   * Closes every connection. At the server, jobs follow `on_disconnect`; here `done`
   * resolves with the current state, and iterators throw `client_closed`. A second call has no
   * effect.
   */
  close() {
    if (this.#closing.signal.aborted) return;
    const error = new SluiceClientError('client_closed', 'the client was closed');
    this.#closing.abort(error);
    for (const job of [...this.#jobs.values()]) job[FAIL](error);
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
        // On an open connection the terminal event ends the job in order; otherwise this answer ends it.
        if (job.connection !== 'open' && isEnded(answer?.status)) job[FINISH_FROM](answer);
        return answer;
      } catch (error) {
        if (error instanceof SluiceClientError && error.status === 404) job[FAIL](error, 'gone');
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
