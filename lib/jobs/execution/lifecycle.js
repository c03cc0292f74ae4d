import { EventEmitter } from 'node:events';
import { JobTable } from '../job-table.js';
import { RetryBudgets } from './retry-budget.js';
import { choiceLogOptions, logOptions } from './log-options.js';
import { estimatePromptTokens } from '../prompt-tokens.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * Events of the lifecycle. Each job emits `queued` once, then `started` and `retry` per attempt
 * that reaches the provider, `ended` once, and `purged` when its log is gone. A job that replays a
 * finished answer never starts. `attempt` is emitted per call of the provider: for jobs that share
 * an answer once, with the answer's record; `attemptFailed` at its end if another one may follow. `begun` is
 * emitted once, at the first entry of any log of a job that a face waits for. `restored` is emitted for a job that
 * ended in an earlier process, and `settled` once all jobs of earlier processes have ended. `dropped` replaces all
 * further events of a job that another process has taken; `conflicting` if this process had reported an ending of
 * such a job.
 * @typedef {{queued: [record: JobRecord], started: [record: JobRecord], retry: [record: JobRecord],
 *   attempt: [record: JobRecord], begun: [record: JobRecord], restored: [record: JobRecord],
 *   attemptFailed: [record: JobRecord, failure: import('./failure.js').Failure],
 *   ended: [record: JobRecord, state: JobState], purged: [record: JobRecord], settled: [],
 *   dropped: [record: JobRecord], conflicting: [record: JobRecord]}}
 *   LifecycleEvents
 */

/**
 * @typedef {object} LifecycleOptions defaults of a job's own fields, and limits
 * @property {'cancel' | 'continue'} onDisconnect
 * @property {number} disconnectGraceMs
 * @property {number} maxWallMs
 * @property {number} retentionMs
 * @property {number} maxRetainedJobs
 * @property {{attempts: number}} retry
 */

/**
 * The logs of a job of another process, as replicas of this one.
 * @typedef {object} TakenLogs
 * @property {number[]} handles of its log, then of its further choices
 * @property {number} attempt
 * @property {boolean} isToRun
 * @property {number} skipIds number of ids skipped before its next event, so that it follows all events that its
 *   former owner may still write
 * @property {Record<string, any>} held its resources in Redis, by name of the part
 */

/** Minimum retention of a conversation's turn: its text is read after the job has ended. */
const TURN_RETENTION_MS = 60_000;

/**
 * The states of a gateway's jobs, from the queue to the purge, as events. Decides about attempts
 * and endings; queues and slots belong to the Pipeline, text, ids, timers and readers to the
 * JobHub, shared answers to the AnswerCache. Main thread. Lives as long as its hub.
 * @extends {EventEmitter<LifecycleEvents>}
 */
export class JobLifecycle extends EventEmitter {
  #options;
  #nowMs;
  #store;
  #shared;
  #parts;
  #isForeign;
  #hub;
  #jobs;
  #retryBudgets;
  /** By the handle of a further answer's log. @type {Map<number, JobRecord>} */
  #ofSiblings = new Map();
  #drained = false;

  /**
   * @param {object} deps
   * @param {LifecycleOptions} deps.options
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../storage/job-store.js').JobStore} [deps.store] default: jobs are in memory only
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default: none
   * @param {import('../shared-jobs-port.js').SharedJobsPort} [deps.shared] default: jobs belong to this
   *   process only
   * @param {import('../shared-parts.js').SharedParts} [deps.parts] of jobs of a deployment; default: none
   * @param {(handle: number) => boolean} [deps.isForeign] whether a log of the hub belongs to no job; default: none
   */
  constructor({ options, nowMs, hub, store, memory, shared, parts, isForeign = () => false }) {
    super();
    this.#isForeign = isForeign;
    // Listeners are the parts of a gateway: a fixed number.
    this.setMaxListeners(0);
    this.#shared = shared;
    this.#parts = parts;
    this.#options = options;
    this.#nowMs = nowMs;
    this.#store = store;
    this.#retryBudgets = new RetryBudgets(nowMs);
    this.#hub = hub;
    this.#jobs = new JobTable({
      maxRetainedJobs: options.maxRetainedJobs,
      memory,
      onEvict: (record) => {
        this.#purge(record);
        this.emit('purged', record);
      },
    });
    hub.events.on('ending', (handle, state) => void this.#onEnding(handle, state));
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    hub.events.on('begun', (handle) => this.#onBegun(handle));
    hub.events.on('fenced', (handle) => this.#onFenced(handle));
  }

  get jobs() {
    return this.#jobs;
  }

  /** The budgets of retries, by upstream. */
  get retryBudgets() {
    return this.#retryBudgets;
  }

  /**
   * Creates the job's log and journal row: after this the job exists for its caller. Called once, when
   * the job enters the queue or joins an answer.
   * @param {JobRecord} record
   */
  accept(record) {
    const request = /** @type {import('../checked-request.js').CheckedRequest} */ (record.request);
    const { n = 1, max_wall_ms: maxWallMs = this.#options.maxWallMs } = request;
    const number =
      this.#store?.accept(record, estimatePromptTokens(request), n) ?? this.#numberOf(record, n);
    const copyTo = record.part?.copyTo;
    const options = this.#logOptionsOf(record, maxWallMs);
    options.record = number;
    options.copyTo = copyTo;
    options.near = record.answer?.handle ?? copyTo?.handle ?? record.near;
    record.handle = this.#hub.create(options);
    this.#addSiblings(record, n, number);
    this.#begin(record, maxWallMs);
  }

  /**
   * Takes over the logs of another process's job. With `isToRun` its current
   * attempt, which has no entry yet, will run; otherwise the job will be ended.
   * @param {JobRecord} record with its request
   * @param {TakenLogs} logs
   */
  adopt(record, { handles, attempt, isToRun, skipIds, held }) {
    this.#parts?.adopt(record, held);
    const { maxWallMs } = this.limitsOf(record);
    // The wall time counts from the admission.
    const leftMs = Math.max(1, record.createdAtMs + maxWallMs - Date.now());
    const [handle, ...siblings] = handles;
    const number = this.#numberOf(record, handles.length) ?? 0;
    // A job that ends without a dispatch had no attempt.
    if (isToRun) record.attempts = attempt - 1;
    else if (record.attempts > 0) record.attempts = attempt;
    record.firstAttempt = attempt;
    record.handle = handle;
    const position = { attempt, skipIds };
    void this.#hub.adopt(handle, {
      ...this.#logOptionsOf(record, leftMs),
      ...position,
      record: number,
    });
    siblings.forEach((sibling, index) => {
      const options = choiceLogOptions(record, index + 1);
      void this.#hub.adopt(sibling, {
        ...options,
        ...position,
        record: number && number + index + 1,
      });
      this.#addSibling(record, sibling);
    });
    this.#begin(record, leftMs);
  }

  /**
   * @param {JobRecord} record of any job; other processes do not see child jobs
   * @param {number} logs
   */
  #numberOf(record, logs) {
    return record.part === undefined ? this.#shared?.number(record, logs) : undefined;
  }

  /**
   * @param {JobRecord} record with its logs
   * @param {number} wallMs from now
   */
  #begin(record, wallMs) {
    record.acceptedMs = this.#nowMs();
    record.deadlineMs = record.acceptedMs + wallMs;
    record.purgeDueMs = record.deadlineMs + this.#retentionMsOf(record);
    this.#jobs.add(record);
    this.emit('queued', record);
    if (this.#drained) this.cancel(record, 'shutdown');
  }

  /**
   * @param {JobRecord} record with its request
   * @returns {{maxWallMs: number, retentionMs: number}} times from its admission, and from its end
   */
  limitsOf(record) {
    const maxWallMs = record.request?.max_wall_ms ?? this.#options.maxWallMs;
    return { maxWallMs, retentionMs: this.#retentionMsOf(record) };
  }

  /**
   * @param {JobRecord} record with its request
   * @param {number} maxWallMs from now
   */
  #logOptionsOf(record, maxWallMs) {
    const options = logOptions(record, this.#options, maxWallMs, this.#retentionMsOf(record));
    // The hub knows only the readers of this process.
    if (this.#shared !== undefined) options.onDisconnect = 'continue';
    if (record.part === undefined) options.settles = this.#parts?.settles(record);
    return options;
  }

  /**
   * @param {JobRecord} record with its request
   * @returns {number} time that it continues without a reader; Infinity: to its end
   */
  graceMsOf({ request }) {
    const onDisconnect = request?.on_disconnect ?? this.#options.onDisconnect;
    if (onDisconnect === 'continue') return Infinity;
    return request?.disconnect_grace_ms ?? this.#options.disconnectGraceMs;
  }

  /** @param {JobRecord} record @returns {number} retention after its end */
  #retentionMsOf({ extra }) {
    const face = /** @type {{retention_ms?: number} | undefined} */ (extra?.face);
    const leastMs = extra?.conversation_id === undefined ? 0 : TURN_RETENTION_MS;
    return Math.max(face?.retention_ms ?? this.#options.retentionMs, leastMs);
  }

  /**
   * Creates the logs of a job's further answers. They have no reader of their own and no limits: those of the
   * job apply, and they end with it.
   * @param {JobRecord} record accepted
   * @param {number} n answers asked for
   * @param {number} [number] of the job's row, before theirs; default: none
   */
  #addSiblings(record, n, number = 0) {
    for (let index = 1; index < n; index += 1) {
      const sibling = this.#hub.create({
        ...choiceLogOptions(record, index),
        record: number && number + index,
        near: record.handle,
      });
      this.#addSibling(record, sibling);
    }
  }

  /**
   * @param {JobRecord} record
   * @param {number} sibling handle of the log of a further answer
   */
  #addSibling(record, sibling) {
    record.siblings = [...record.siblings, sibling];
    this.#ofSiblings.set(sibling, record);
  }

  /**
   * Records a dispatch to the provider: the first attempt, or a retry.
   * @param {JobRecord} record a job, or the answer that several jobs share
   * @param {string} [upstream] its name, if the provider has several
   * @returns {boolean} false: the job has ended, and the provider must not be called
   */
  beginAttempt(record, upstream) {
    if (record.abort.aborted) return false;
    record.ownUpstream = upstream;
    record.beginAttempt();
    const { siblings } = record;
    const handles = siblings.length === 0 ? [record.handle] : [record.handle, ...siblings];
    const nowMs = this.#nowMs();
    // A literal has room for its one member, an array that grows for 17.
    if (record.calls.length === 0) record.calls = [{ startMs: nowMs }];
    else record.calls.push({ startMs: nowMs });
    const members = upstream === undefined ? undefined : { upstream };
    // The attempt of another process's job was set when it was taken over.
    if (record.attempts === record.firstAttempt) {
      record.startedMs = nowMs;
      for (const handle of handles) this.#hub.start(handle, members);
    } else {
      record.attemptOffsetMs = nowMs - (record.startedMs ?? nowMs);
      for (const handle of handles) this.#hub.retry(handle, members);
    }
    this.emit('attempt', record);
    for (const job of record.jobs) this.emit(job.attempts === 1 ? 'started' : 'retry', job);
    return true;
  }

  /**
   * Ends an attempt that may be followed by another one. The last attempt of a record ends with it.
   * @param {JobRecord} record whose attempt failed before its first token
   * @param {import('./failure.js').Failure} failure
   */
  failAttempt(record, failure) {
    const call = record.calls.at(-1);
    if (call !== undefined) call.endMs = this.#nowMs();
    this.emit('attemptFailed', record, failure);
  }

  /** @param {JobRecord} record that joins an answer with a running attempt */
  joinAttempt(record) {
    record.beginAttempt();
    this.emit('started', record);
  }

  /**
   * @param {JobRecord} record whose attempt failed before its first token
   * @param {import('./failure.js').Failure} failure
   * @returns {boolean} whether another attempt follows
   */
  mayRetry(record, { retryable, retryAfterMs = 0 }) {
    // A child job's workflow has its own retry policy.
    if (record.part !== undefined) return false;
    if (retryable !== true || !this.hasAttemptsLeft(record)) return false;
    // The queue counts the returns, also those of a job that found no upstream for an attempt.
    if (record.requeued >= this.#options.retry.attempts - 1) return false;
    // A wait beyond the deadline would end the job as `wall_time_exceeded` and hide the cause.
    if (retryAfterMs >= record.deadlineMs - this.#nowMs()) return false;
    if (!this.#retryBudgets.of(record.upstream).take()) return false;
    record.requeued += 1;
    return true;
  }

  /** @param {JobRecord} record @returns {boolean} whether `retry.attempts` allows another attempt */
  hasAttemptsLeft({ attempts }) {
    return attempts < this.#options.retry.attempts;
  }

  /**
   * @param {JobRecord} record
   * @param {'client_request' | 'client_disconnected' | 'shutdown' | 'superseded'} reason
   */
  cancel(record, reason) {
    if (record.ended) return;
    this.#hub.finish(record.handle, { type: 'cancelled', reason });
    if (!record.providerDone) record.abort.abort();
  }

  /** Ends all jobs as `shutdown`, and every job accepted later. */
  cancelAll() {
    this.#drained = true;
    for (const record of this.#jobs.active()) this.cancel(record, 'shutdown');
  }

  /**
   * Ends and purges an accepted job whose submission is then refused.
   * @param {JobRecord} record
   * @param {import('../../internal/util/http-error.js').HttpError} error the refusal
   */
  rollbackJob(record, { wireCode: code, message, type }) {
    record.refused = true;
    for (const handle of [record.handle, ...record.siblings]) this.#hub.unrecord(handle);
    this.#hub.finish(record.handle, { type: 'error', error: { code, message, type } });
    if (!record.providerDone) record.abort.abort();
    this.#purge(record);
  }

  /**
   * Changes the data that a route stores with its job, also in the data file.
   * @param {JobRecord} record
   * @param {object} members of `extra.face`
   */
  changeFace(record, members) {
    const face = /** @type {object} */ (record.extra?.face);
    record.extra = { ...record.extra, face: { ...face, ...members } };
    this.#store?.writeExtra(record);
    this.#shared?.writeExtra(record);
  }

  /** @param {JobRecord} record whose caller aborted before it received the job's id */
  forget(record) {
    this.#jobs.delete(record);
    this.#purge(record);
    record.handle = 0;
  }

  /**
   * Drops a job that another process has taken or will take before its end: its provider stops,
   * its readers are disconnected without a terminal event, and nothing is settled.
   * @param {JobRecord} record
   */
  drop(record) {
    if (record.ended) return;
    this.#jobs.delete(record);
    if (!record.providerDone) record.abort.abort();
    for (const handle of [record.handle, ...record.siblings]) {
      this.#hub.fence(handle);
      this.#ofSiblings.delete(handle);
    }
    record.reservation?.release();
    this.emit('dropped', record);
  }

  /** @param {JobRecord} record that has ended: its log and its rows are deleted */
  erase(record) {
    this.#jobs.delete(record);
    this.#purge(record);
    this.emit('purged', record);
  }

  /** Resolves once every job ended so far has been dispatched as `ended`, and is in the journal. */
  async settled() {
    await this.#hub.barrier();
    if (this.#store === undefined) return;
    // The hub returns the final state only after the journal has committed it.
    const active = this.#jobs.active();
    await Promise.all(active.map(({ handle }) => this.#hub.snapshot(handle, { text: false })));
  }

  /**
   * Settles the parts of a job with its ending.
   * @param {number} handle
   * @param {JobState} state
   */
  async #onEnding(handle, state) {
    if (this.#isForeign(handle)) return;
    const record = this.#jobs.byHandle(handle);
    const settlement = record === undefined ? {} : await this.#parts?.settlement(record, state);
    this.#hub.settle(handle, JSON.stringify(settlement ?? {}));
  }

  /**
   * @param {number} handle
   * @param {JobState} state
   */
  #onEnded(handle, state) {
    const record = this.#jobs.byHandle(handle);
    if (record === undefined) return;
    this.#jobs.finish(record, state);
    for (const sibling of record.siblings) {
      this.#hub.finish(sibling, { type: 'cancelled', reason: 'client_request' });
    }
    record.purgeDueMs = this.#nowMs() + this.#retentionMsOf(record);
    record.settleReservation();
    // A shared answer is counted separately.
    if (state.status === 'completed' && record.answer === undefined) {
      this.#retryBudgets.of(record.upstream).onSuccess();
    }
    record.route = undefined;
    record.asked = undefined;
    this.emit('ended', record, state);
    if (!record.providerDone) record.abort.abort();
  }

  /** @param {number} handle */
  #onBegun(handle) {
    const record = this.#jobs.byHandle(handle) ?? this.#ofSiblings.get(handle);
    if (record === undefined || record.begun) return;
    record.begun = true;
    this.emit('begun', record);
  }

  /** @param {number} handle of a log that another process writes */
  #onFenced(handle) {
    const own = this.#jobs.byHandle(handle);
    const record = own ?? this.#ofSiblings.get(handle);
    if (record !== undefined && !record.ended) this.drop(record);
    if (record === undefined || !record.ended || own === undefined) return;
    // While cut off from Redis, this process has reported an ending that differs from the valid one.
    this.#jobs.delete(record);
    this.#purge(record);
    this.emit('conflicting', record);
    this.emit('purged', record);
  }

  /** @param {number} handle */
  #onPurged(handle) {
    const record = this.#jobs.byHandle(handle);
    if (record === undefined) return;
    this.#jobs.delete(record);
    this.#purge(record);
    this.emit('purged', record);
  }

  /** @param {JobRecord} record whose logs are deleted */
  #purge({ handle, siblings }) {
    for (const each of [handle, ...siblings]) this.#hub.purge(each);
    for (const each of siblings) this.#ofSiblings.delete(each);
  }
}
