/**
 * Assigns jobs to EventSources. Few jobs get one each; many share fan-in connections, because a
 * browser opens six connections per origin over HTTP/1.1 and a POST needs one too.
 *
 * A native EventSource reconnects after a cut, with its last event id and after the delay set by the
 * server. On any status but 200 it closes permanently. Then the client looks up the jobs, finishes
 * the ended ones, fails the unknown ones, and opens a new stream for the rest.
 *
 * An EventSource sends no headers. For callers with keys the client requests a signed token for the
 * jobs of a stream each time it opens one. A reconnect with an expired token gets such a final status.
 */

import { PART_EVENTS } from './answer.js';
import { SluiceClientError } from './errors.js';
import { eventIdOf } from './event-id.js';
import { backoffMs, sleep, tokenOf } from './http.js';
import { isEnded, CONNECTION, DELIVER, FAIL, FINISH_FROM } from './job.js';

/** @typedef {import('./job.js').Job} Job */
/** @typedef {new (url: string) => EventSource} EventSourceClass */

const EVENT_TYPES = [
  ...['token', ...PART_EVENTS, 'job_retry', 'gap'],
  ...['job_complete', 'job_error', 'job_cancelled'],
];
const CLOSED = 2; // EventSource.CLOSED, which an injected class need not have
/** The server's limit of jobs on one connection. */
const FAN_IN_MAX = 64;
/** If there are more live jobs than this, they share connections, so that two of the browser's six stay free. */
const SINGLES_MAX = 4;
/** Jobs added within this time share one reopening. */
const GATHER_MS = 20;
/** About four minutes of refused connections; finished jobs are not kept much longer. */
const ATTEMPTS_MAX = 20;

/** Whether the refusal is permanent. @param {SluiceClientError | null} error */
const isDenied = (error) => error?.status === 401 || error?.status === 403;

/** All connections of one client. Ends with `close()`. */
export class Connections {
  /** @type {Set<Connection>} */
  #open = new Set();
  /** @type {Map<Job, Connection>} */
  #of = new Map();
  #http;
  #EventSource;
  #multiplex;

  /**
   * @param {import('./http.js').Http} http
   * @param {EventSourceClass | undefined} EventSource
   * @param {'auto' | boolean} multiplex
   */
  constructor(http, EventSource, multiplex) {
    this.#http = http;
    this.#EventSource = EventSource;
    this.#multiplex = multiplex;
  }

  /** @param {Job} job @param {string | null} [token] of its stream, valid for one opening; default: none */
  add(job, token = null) {
    if (this.#of.has(job)) return;
    if (!this.#EventSource) {
      const error = new SluiceClientError(
        'eventsource_missing',
        'there is no EventSource; pass one',
      );
      return job[FAIL](error);
    }
    job[CONNECTION]('connecting');
    if (!this.#shares()) return this.#assign(job, this.#create(false, token));
    // Switching to shared connections: running jobs move over and resume at their last event.
    for (const connection of [...this.#open].filter((open) => !open.fanIn)) {
      const moving = [...connection.jobs.values()];
      this.#drop(connection);
      for (const each of moving) this.#assign(each, this.#withRoom());
    }
    this.#assign(job, this.#withRoom());
  }

  /** @param {Job} job */
  remove(job) {
    const connection = this.#of.get(job);
    if (!connection) return;
    this.#of.delete(job);
    connection.remove(job);
    if (connection.jobs.size === 0) this.#drop(connection);
  }

  close() {
    for (const connection of this.#open) this.#drop(connection);
    this.#of.clear();
  }

  /** The open connections and their jobs. */
  stats() {
    const fanIn = [...this.#open].some((connection) => connection.fanIn);
    return { connections: this.#open.size, jobs: this.#of.size, fanIn };
  }

  #shares() {
    if (this.#multiplex !== 'auto') return this.#multiplex;
    return this.#of.size >= SINGLES_MAX || this.stats().fanIn;
  }

  #withRoom() {
    for (const open of this.#open) if (open.fanIn && open.jobs.size < FAN_IN_MAX) return open;
    return this.#create(true);
  }

  /** @param {boolean} fanIn @param {string | null} [token] */
  #create(fanIn, token = null) {
    const EventSource = /** @type {EventSourceClass} */ (this.#EventSource);
    const connection = new Connection(this.#http, EventSource, { fanIn, token });
    this.#open.add(connection);
    return connection;
  }

  /** @param {Job} job @param {Connection} connection */
  #assign(job, connection) {
    this.#of.set(job, connection);
    connection.add(job);
  }

  /** @param {Connection} connection */
  #drop(connection) {
    this.#open.delete(connection);
    connection.close();
  }
}

/** One EventSource, for one job or many. */
class Connection {
  /** @type {Map<string, Job>} by id */
  jobs = new Map();
  #http;
  #EventSource;
  /** @type {EventSource | null} */
  #source = null;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #reopening = null;
  #closing = new AbortController();
  #recovering = false;
  #attempt = 0;
  /** The token for the first opening. @type {string | null} */
  #token;
  /** Identifies the opening that waits for its token; a later opening or a close replaces it. */
  #signing = {};

  /**
   * @param {import('./http.js').Http} http
   * @param {EventSourceClass} EventSource
   * @param {{fanIn: boolean, token: string | null}} options
   */
  constructor(http, EventSource, { fanIn, token }) {
    this.#http = http;
    this.#EventSource = EventSource;
    this.fanIn = fanIn;
    this.#token = token;
  }

  /** @param {Job} job */
  add(job) {
    this.jobs.set(job.id, job);
    this.#reopenSoon();
  }

  /** @param {Job} job */
  remove(job) {
    this.jobs.delete(job.id);
    // An ended job sends nothing more; a running one needs a reopening without it.
    if (!job.ended && this.jobs.size > 0) this.#reopenSoon();
  }

  close() {
    this.#closing.abort(new SluiceClientError('aborted', 'the connection was closed'));
    this.jobs.clear();
    if (this.#reopening) clearTimeout(this.#reopening);
    this.#closeSource();
  }

  #reopenSoon() {
    if (!this.fanIn) return this.#open();
    if (this.#reopening || this.#recovering) return;
    this.#reopening = setTimeout(() => {
      this.#reopening = null;
      this.#open();
    }, GATHER_MS);
  }

  #closeSource() {
    this.#signing = {};
    this.#source?.close();
    this.#source = null;
  }

  /** @param {Job[]} jobs @param {string | null} token */
  #url(jobs, token) {
    const query = new URLSearchParams();
    for (const job of jobs) query.append('job_id', job.id);
    if (token !== null) query.append('token', token);
    const seen = jobs.filter((job) => job.lastEventId !== null);
    const cursor = this.fanIn
      ? seen.map((job) => `${job.id}:${job.lastEventId}`).join(',')
      : (seen[0]?.lastEventId ?? '');
    if (cursor !== '') query.append('last_event_id', cursor);
    return this.#http.url(`${this.fanIn ? '/v1/events' : '/v1/stream'}?${query}`);
  }

  #open() {
    this.#closeSource();
    if (this.jobs.size === 0) return;
    const token = this.#token;
    this.#token = null;
    const jobs = [...this.jobs.values()];
    if (token !== null || !this.#http.signs) this.#listen(jobs, token);
    else void this.#openSigned(jobs);
  }

  /** @param {Job[]} jobs */
  async #openSigned(jobs) {
    const signing = this.#signing;
    const { signal } = this.#closing;
    try {
      const body = { job_ids: jobs.map(({ id }) => id) };
      const answer = await this.#http.call('POST', '/v1/stream_url', { body, signal });
      if (signing === this.#signing) this.#listen(jobs, tokenOf(answer?.stream_url));
    } catch (error) {
      if (signing !== this.#signing) return;
      if (!(error instanceof SluiceClientError)) throw error;
      this.#attempt += 1;
      await this.#recover(error);
    }
  }

  /** @param {Job[]} jobs covered by the token @param {string | null} token */
  #listen(jobs, token) {
    const source = new this.#EventSource(this.#url(jobs, token));
    this.#source = source;
    source.addEventListener('open', () => {
      if (source !== this.#source) return;
      this.#attempt = 0;
      for (const job of this.jobs.values()) {
        job[CONNECTION]('open', { resumedFrom: job.lastEventId });
      }
    });
    source.addEventListener('error', () => {
      if (source !== this.#source) return;
      this.#attempt += 1;
      if (source.readyState === CLOSED) void this.#recover();
      else this.#sayReconnecting();
    });
    for (const type of EVENT_TYPES) {
      source.addEventListener(type, (event) => {
        if (source === this.#source) this.#receive(type, /** @type {MessageEvent} */ (event));
      });
    }
  }

  #sayReconnecting() {
    for (const job of this.jobs.values()) {
      const detail = { attempt: this.#attempt, lastEventId: job.lastEventId };
      job[CONNECTION]('reconnecting', detail);
    }
  }

  /** @param {string} type @param {MessageEvent} event */
  #receive(type, event) {
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      // Malformed data: reopening requests everything after the last good event again.
      this.#attempt += 1;
      return void this.#recover();
    }
    const cursor = event.lastEventId;
    if (this.fanIn) {
      this.jobs.get(data.job_id)?.[DELIVER](type, data, eventIdOf(cursor, data.job_id));
    } else {
      for (const job of this.jobs.values()) job[DELIVER](type, data, cursor);
    }
  }

  /**
   * Handles a final status: finishes the ended jobs, fails the unknown ones, connects the rest again.
   * @param {SluiceClientError | null} [cause] the error of the opening, if known
   */
  async #recover(cause = null) {
    this.#recovering = true;
    this.#closeSource();
    if (this.#reopening) clearTimeout(this.#reopening);
    this.#reopening = null;
    const { signal } = this.#closing;
    try {
      const before = this.jobs.size;
      const errors = await Promise.all(
        [...this.jobs.values()].map((job) => this.#lookUp(job, signal)),
      );
      if (this.jobs.size === 0) return;
      const refusal = errors.find((error) => error !== null) ?? null;
      const denied = [refusal, cause].find(isDenied);
      if (denied) return this.#fail(() => denied);
      // One purged job makes the server refuse a shared connection; reopen it without that job.
      if (this.jobs.size < before && refusal === null) return this.#open();
      this.#sayReconnecting();
      if (this.#attempt > ATTEMPTS_MAX) return this.#giveUp(refusal ?? cause);
      const delayMs = Math.max(backoffMs(this.#attempt - 1), refusal?.retryAfterMs ?? 0);
      await sleep(delayMs, signal);
      this.#open();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#recovering = false;
    }
  }

  /**
   * @param {Job} job
   * @param {AbortSignal} signal
   * @returns {Promise<SluiceClientError | null>} the error of the look-up, or null
   */
  async #lookUp(job, signal) {
    try {
      const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
      const snapshot = await this.#http.call('GET', path, { signal, jobId: job.id });
      if (isEnded(snapshot?.status)) job[FINISH_FROM](snapshot);
      return null;
    } catch (error) {
      if (signal.aborted || !(error instanceof SluiceClientError)) throw error;
      if (error.status === 404) job[FAIL](error, 'gone');
      return error.status === 404 ? null : error;
    }
  }

  /** @param {SluiceClientError | null} cause */
  #giveUp(cause) {
    const message = 'the stream could not be opened again; the job may still be running';
    this.#fail((jobId) => {
      const details = { status: cause?.status, jobId, cause: cause ?? undefined };
      return new SluiceClientError('connection_failed', message, details);
    });
  }

  /** @param {(jobId: string) => SluiceClientError} errorOf */
  #fail(errorOf) {
    for (const job of [...this.jobs.values()]) job[FAIL](errorOf(job.id));
  }
}
