/**
 * One job on the client: its text, state and events. A connection feeds it. It ends at the first
 * terminal event, or when the server no longer has it, and never changes afterwards.
 */

import { AnswerParts, PART_EVENTS } from './answer.js';
import { SluiceClientError } from './errors.js';
import { isAfter, parseEventId } from './event-id.js';
import { TokenReader } from './token-reader.js';

/** Feeds one server event. Private to the client's modules. */
export const DELIVER = Symbol('sluice.client.deliver');
/** Reports a change of the connection. Private to the client's modules. */
export const CONNECTION = Symbol('sluice.client.connection');
/** Ends the job with an answer of `GET /v1/jobs/{id}`. Private to the client's modules. */
export const FINISH_FROM = Symbol('sluice.client.finishFrom');
/** Ends the job with an error outside the stream. Private to the client's modules. */
export const FAIL = Symbol('sluice.client.fail');

/**
 * @typedef {'queued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'gone'} JobStatus
 *   the server's states, and `gone`: the job is unknown or purged
 * @typedef {'idle' | 'connecting' | 'open' | 'reconnecting' | 'closed'} ConnectionState
 * @typedef {import('./answer.js').ToolCall} ToolCall
 * @typedef {keyof JobEvents} JobEventName
 * @typedef {{queue_ms: number | null, ttft_ms: number | null, duration_ms: number | null,
 *   tokens: number, tokens_per_second: number | null}} JobMetrics
 * @typedef {{prompt_tokens: number, completion_tokens: number, total_tokens: number,
 *   estimated?: true, [name: string]: unknown}} JobUsage
 * @typedef {{status: JobStatus, text: string, reasoning?: string, refusal?: string,
 *   toolCalls?: readonly ToolCall[], reason?: string, usage?: JobUsage, metrics?: JobMetrics,
 *   error?: SluiceClientError}} JobResult
 * @typedef {{cancel(job: Job): Promise<JobView>, connect(job: Job): void,
 *   release(job: Job): void}} JobHost
 */

/**
 * A job in the server's answers.
 * @typedef {object} JobView
 * @property {string} job_id
 * @property {Exclude<JobStatus, 'gone'>} status
 * @property {string} model
 * @property {number} created_at Unix seconds
 * @property {string} text
 * @property {boolean} [text_truncated] whether the oldest text was dropped
 * @property {string} [reasoning] if there is any; like the two below
 * @property {string} [refusal]
 * @property {readonly ToolCall[]} [tool_calls]
 * @property {JobUsage} usage
 * @property {JobMetrics} metrics
 * @property {{code: string, message: string, type: string}} [error] of a failed job
 * @property {string} [reason] reason of the completion or cancellation
 * @property {Record<string, unknown>} [metadata] as submitted
 * @property {string} [conversation_id]
 */

/**
 * The arguments of the listeners of each event.
 * @typedef {object} JobEvents
 * @property {[text: string, detail: {id: string | null}]} token
 * @property {[text: string, detail: {id: string | null}]} reasoning
 * @property {[text: string, detail: {id: string | null}]} refusal
 * @property {[piece: {index: number, id?: string, name?: string, arguments: string},
 *   detail: {id: string | null}]} tool_call
 * @property {[delta: Record<string, unknown>, detail: {id: string | null}]} extra
 * @property {[result: JobResult]} complete
 * @property {[result: JobResult]} cancelled
 * @property {[error: SluiceClientError]} error
 * @property {[detail: {attempt: number, upstream?: string}]} retry
 * @property {[detail: {requested: string | null, earliest: string | null, latest: string | null}]} gap
 * @property {[detail: {resumedFrom: string | null}]} open
 * @property {[detail: {attempt: number, lastEventId: string | null}]} reconnecting
 * @property {[status: JobStatus]} status
 */

/** @type {Record<string, JobStatus>} */
const TERMINAL = { job_complete: 'completed', job_error: 'failed', job_cancelled: 'cancelled' };
const ENDED = new Set(['completed', 'failed', 'cancelled', 'gone']);
/** @type {Record<string, JobEventName>} */
const END_EVENT = {
  completed: 'complete',
  failed: 'error',
  gone: 'error',
  cancelled: 'cancelled',
};

/** One job, with its text and events. `client.submit()` and `client.attach()` make it. */
export class Job {
  #host;
  /** @type {Map<string, Set<(...args: any[]) => void>>} */
  #listeners = new Map();
  /** @type {Set<TokenReader>} */
  #readers = new Set();
  /** @type {import('./event-id.js').Position | null} */
  #position;
  /** @type {JobStatus} */
  #status = 'queued';
  /** @type {ConnectionState} */
  #connection = 'idle';
  /** @type {string | null} */
  #lastEventId;
  #text = '';
  #parts = new AnswerParts();
  #tokens = 0;
  #settled = false;
  /** @type {(result: JobResult) => void} */
  #resolveDone = () => {};

  /** @param {string} id @param {JobHost} host @param {string | null} [lastEventId] */
  constructor(id, host, lastEventId = null) {
    /** @readonly */
    this.id = id;
    this.#host = host;
    this.#position = parseEventId(lastEventId);
    this.#lastEventId = this.#position && lastEventId;
    /** @type {JobMetrics | undefined} the server's figures, once the job has ended */
    this.metrics = undefined;
    /** @type {JobUsage | undefined} */
    this.usage = undefined;
    /** @type {string | undefined} the reason of the end: `stop`, `tool_calls`, `client_request`, ... */
    this.reason = undefined;
    /** @type {SluiceClientError | undefined} */
    this.error = undefined;
    /**
     * Resolves when the job ends or the client closes; never rejects.
     * @type {Promise<JobResult>}
     */
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
  }

  /** All text received in the current attempt. Appending is cheap; reading it joins the pieces. */
  get text() {
    return this.#text;
  }

  /** All reasoning received in the current attempt. */
  get reasoning() {
    return this.#parts.reasoning;
  }

  /** The model's refusal, empty for none. */
  get refusal() {
    return this.#parts.refusal;
  }

  /** The tool calls received so far, with their arguments; a new array after each change. */
  get toolCalls() {
    return this.#parts.toolCalls;
  }

  get status() {
    return this.#status;
  }

  /** The state of the connection; `closed` after `disconnect()` and after the end. */
  get connection() {
    return this.#connection;
  }

  /** The id of the latest received event, `<attempt>-<seq>`, or null. */
  get lastEventId() {
    return this.#lastEventId;
  }

  /** The number of events in the answer, for text and all other parts. */
  get tokens() {
    return this.#tokens;
  }

  /** Whether the job has ended. */
  get ended() {
    return this.#settled;
  }

  /**
   * Calls `listener` on each event `name`:
   * - `token` (text, {id}), `reasoning` (text, {id}), `refusal` (text, {id})
   * - `tool_call` ({index, id, name, arguments: ''}, {id}) at the beginning of a call, then
   *   ({index, arguments}, {id}) with each piece of its arguments
   * - `extra` (object, {id}): other members of the model's answer, such as images
   * - `complete`, `cancelled` (result) and `error` (SluiceClientError): once, at the end
   * - `retry` ({attempt, upstream?}): the answer is discarded, a new attempt follows
   * - `gap` ({requested, earliest, latest}): the server could not replay all events. The answer starts
   *   over with the stored part
   * - `open` ({resumedFrom}): connected; `resumedFrom` is the id of the last event before it, or null
   * - `reconnecting` ({attempt, lastEventId}): disconnected; reconnecting automatically
   * - `status` (status): any change of `job.status`
   * @template {JobEventName} Name
   * @param {Name} name
   * @param {(...args: JobEvents[Name]) => void} listener
   * @returns {() => void} removes the listener
   */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(/** @type {(...args: any[]) => void} */ (listener));
    return () => {
      set.delete(/** @type {(...args: any[]) => void} */ (listener));
    };
  }

  /**
   * Cancels the job at the server. Resolves with the server's view of the job; the job itself ends
   * with the `cancelled` event. A finished job does not change.
   * @returns {Promise<JobView>}
   */
  cancel() {
    return this.#host.cancel(this);
  }

  /** Closes the connection and keeps the position; the job then follows its `on_disconnect` policy. */
  disconnect() {
    if (this.#settled) return;
    this.#host.release(this);
    this[CONNECTION]('closed');
  }

  /** Continues after the last received event. */
  reconnect() {
    if (this.#settled || this.#connection !== 'closed') return;
    this.#host.connect(this);
  }

  /**
   * Yields the text: the text received so far as one piece, then token by token. Ends with the job.
   * Throws a SluiceClientError if the job failed, or was cancelled without a cancel request. A `retry`
   * or `gap` drops the pieces not yet read; listen for these events to discard earlier pieces, too.
   * @returns {AsyncIterableIterator<string>}
   */
  [Symbol.asyncIterator]() {
    const reader = new TokenReader((closed) => this.#readers.delete(closed));
    if (this.#text !== '') reader.push(this.#text);
    if (this.#settled) reader.end(this.#iterationError());
    else this.#readers.add(reader);
    return reader;
  }

  /**
   * @internal
   * @param {string} type the event name
   * @param {any} data
   * @param {string | null} id the event id of this job
   */
  [DELIVER](type, data, id) {
    if (this.#settled) return;
    if (type === 'gap') return this.#startOver('gap', data, null);
    const position = parseEventId(id);
    if (position) {
      // A replay may overlap received events; skip the known ones.
      if (!isAfter(position, this.#position)) return;
      this.#position = position;
      this.#lastEventId = id;
    }
    if (type === 'token') return this.#append(String(data.token), id);
    if (PART_EVENTS.has(type)) {
      return this.#addPart(/** @type {import('./answer.js').PartEvent} */ (type), data, id);
    }
    if (type === 'job_retry') return this.#startOver('retry', data, this.#position);
    const status = TERMINAL[type];
    if (status) this.#end(status, data);
  }

  /**
   * @internal
   * @param {ConnectionState} state
   * @param {Record<string, unknown>} [detail] for the listeners
   */
  [CONNECTION](state, detail) {
    if (this.#settled) return;
    this.#connection = state;
    if (state === 'open' || state === 'reconnecting') this.#emit(state, detail);
  }

  /** @internal @param {any} snapshot the view of an ended job */
  [FINISH_FROM](snapshot) {
    if (this.#settled) return;
    if (typeof snapshot.text === 'string') this.#catchUp(snapshot);
    this.#tokens = snapshot.metrics?.tokens ?? this.#tokens;
    this.#end(snapshot.status, snapshot);
  }

  /** @internal @param {SluiceClientError} error @param {JobStatus} [status] default: unchanged */
  [FAIL](error, status) {
    if (this.#settled) return;
    this.error = error;
    this.#settle(status ?? this.#status);
  }

  /** @param {any} snapshot snapshot with the whole answer */
  #catchUp(snapshot) {
    const { text } = snapshot;
    if (!text.startsWith(this.#text) || this.#parts.missing(snapshot) === null) {
      const gap = { requested: this.#lastEventId, earliest: null, latest: null };
      this.#startOver('gap', gap, this.#position);
    }
    for (const { type, data } of this.#parts.missing(snapshot) ?? []) {
      this.#addPart(type, data, this.#lastEventId);
    }
    const missing = text.slice(this.#text.length);
    if (missing !== '') this.#append(missing, this.#lastEventId);
  }

  /** @param {import('./answer.js').PartEvent} type @param {any} data @param {string | null} id */
  #addPart(type, data, id) {
    this.#setStatus('running');
    this.#tokens += 1;
    this.#emit(type, this.#parts.add(type, data), { id });
  }

  /** @param {string} token @param {string | null} id */
  #append(token, id) {
    this.#setStatus('running');
    this.#text += token;
    this.#tokens += 1;
    for (const reader of this.#readers) reader.push(token);
    this.#emit('token', token, { id });
  }

  /**
   * @param {'gap' | 'retry'} name
   * @param {unknown} data
   * @param {import('./event-id.js').Position | null} position
   */
  #startOver(name, data, position) {
    this.#position = position;
    if (position === null) this.#lastEventId = null;
    this.#text = '';
    this.#parts = new AnswerParts();
    this.#tokens = 0;
    for (const reader of this.#readers) reader.drop();
    this.#emit(name, data);
  }

  /** @param {JobStatus} status @param {any} data */
  #end(status, data) {
    this.metrics = data.metrics;
    this.usage = data.usage;
    this.reason = data.reason;
    if (status === 'failed') {
      const { code = 'job_failed', message = 'the job failed', type } = data.error ?? {};
      this.error = new SluiceClientError(code, message, { type, jobId: this.id });
    }
    this.#settle(status);
  }

  /** @param {JobStatus} status */
  #settle(status) {
    this.#settled = true;
    this.#connection = 'closed';
    this.#setStatus(status);
    this.#host.release(this);
    for (const reader of this.#readers) reader.end(this.#iterationError());
    this.#readers.clear();
    const result = this.#result();
    this.#resolveDone(result);
    // The caller closed the client, which is not a failure of the job.
    if (this.error?.code === 'client_closed') return;
    if (this.error) this.#emit('error', this.error);
    else this.#emit(END_EVENT[status], result);
  }

  /** @returns {JobResult} */
  #result() {
    const { text, reasoning, refusal, toolCalls, status, reason, usage, metrics, error } = this;
    return {
      status,
      text,
      ...(reasoning !== '' && { reasoning }),
      ...(refusal !== '' && { refusal }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...{ reason, usage, metrics, error },
    };
  }

  #iterationError() {
    if (this.error) return this.error;
    if (this.#status !== 'cancelled' || this.reason === 'client_request') return null;
    return new SluiceClientError('job_cancelled', `the job was cancelled: ${this.reason}`, {
      jobId: this.id,
    });
  }

  /** @param {JobStatus} status */
  #setStatus(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.#emit('status', status);
  }

  /** @param {JobEventName} name @param {...unknown} args */
  #emit(name, ...args) {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        listener(...args);
      } catch (error) {
        // Report the error of a listener without stopping the stream.
        if (typeof reportError === 'function') reportError(error);
        else {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}

/** Whether a status of the server is final. @param {string} status */
export function isEnded(status) {
  return ENDED.has(status);
}
