import { EventEmitter } from 'node:events';
import { JobTable } from '../job-table.js';
import { RetryBudgets } from './retry-budget.js';
import { choiceId } from '../job.js';
import { estimatePromptTokens } from '../prompt-tokens.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * Events of the lifecycle. Each job emits `queued` once, then `started` and `retry` per attempt
 * that reaches the provider, `ended` once, and `purged` when its log is gone. A job that replays a
 * finished answer never starts. `attempt` is emitted per call of the provider: for jobs that share
 * an answer once, with the answer's record. `begun` is emitted once, at the first entry of any log of a
 * job that a face waits for. `restored` is emitted for a job that ended in an earlier process, and
 * `settled` once all jobs of earlier processes have ended.
 * @typedef {{queued: [record: JobRecord], started: [record: JobRecord], retry: [record: JobRecord],
 *   attempt: [record: JobRecord], begun: [record: JobRecord], restored: [record: JobRecord],
 *   ended: [record: JobRecord, state: JobState], purged: [record: JobRecord], settled: []}}
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
  #hub;
  #jobs;
  #retryBudgets;
  /** By the handle of a further answer's log. @type {Map<number, JobRecord>} */
  #ofSiblings = new Map();
  /** Start of the first attempt of records that have been retried. */
  /** @type {WeakMap<JobRecord, number>} */
  #startedAtMs = new WeakMap();
  #drained = false;

  /**
   * @param {object} deps
   * @param {LifecycleOptions} deps.options
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../storage/job-store.js').JobStore} [deps.store] default: jobs are in memory only
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default: none
   */
  constructor({ options, nowMs, hub, store, memory }) {
    super();
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
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    hub.events.on('begun', (handle) => this.#onBegun(handle));
  }

  get jobs() {
    return this.#jobs;
  }

  /** The budgets of retries, by upstream. */
  get retryBudgets() {
    return this.#retryBudgets;
  }

  /**
   * Creates the job's log and journal row: from now on the job exists for its caller. Called once, when
   * the job enters the queue or joins an answer.
   * @param {JobRecord} record
   */
  accept(record) {
    const request = /** @type {import('../checked-request.js').CheckedRequest} */ (record.request);
    const maxWallMs = request.max_wall_ms ?? this.#options.maxWallMs;
    const retentionMs = this.#retentionMsOf(record);
    record.deadlineMs = this.#nowMs() + maxWallMs;
    record.purgeDueMs = record.deadlineMs + retentionMs;
    const copyTo = record.part?.copyTo;
    const promptTokens = estimatePromptTokens(request);
    const { n = 1 } = request;
    const number = this.#store?.accept(record, promptTokens, n);
    record.handle = this.#hub.create({
      jobId: record.id,
      copyTo,
      onDisconnect: request.on_disconnect ?? this.#options.onDisconnect,
      disconnectGraceMs: request.disconnect_grace_ms ?? this.#options.disconnectGraceMs,
      maxWallMs,
      promptTokens,
      record: number,
      retentionMs,
      // A face writes its frames from the whole log.
      ...(record.extra?.face !== undefined && { announce: true, whole: true }),
      near: record.answer?.handle ?? copyTo?.handle ?? record.near,
    });
    this.#addSiblings(record, n, number);
    this.#jobs.add(record);
    this.emit('queued', record);
    if (this.#drained) this.cancel(record, 'shutdown');
  }

  /** @param {JobRecord} record @returns {number} how long it is kept after its end */
  #retentionMsOf({ extra }) {
    const face = /** @type {{retention_ms?: number} | undefined} */ (extra?.face);
    const leastMs = extra?.conversation_id === undefined ? 0 : TURN_RETENTION_MS;
    return Math.max(face?.retention_ms ?? this.#options.retentionMs, leastMs);
  }

  /**
   * Creates the logs of a job's further answers. They have no reader of their own and no limits: the
   * job's apply, and they end with it.
   * @param {JobRecord} record accepted
   * @param {number} n answers asked for
   * @param {number} [number] of the job's row, before theirs; default: none
   */
  #addSiblings(record, n, number = 0) {
    const { id, handle, siblings, extra } = record;
    for (let index = 1; index < n; index += 1) {
      const sibling = this.#hub.create({
        jobId: choiceId(id, index),
        record: number && number + index,
        onDisconnect: 'continue',
        disconnectGraceMs: 0,
        maxWallMs: Infinity,
        retentionMs: Infinity,
        announce: extra?.face !== undefined,
        whole: true,
        near: handle,
      });
      siblings.push(sibling);
      this.#ofSiblings.set(sibling, record);
    }
  }

  /**
   * Records a dispatch to the provider: the first attempt, or a retry.
   * @param {JobRecord} record a job, or the answer that several jobs share
   * @param {string} [upstream] its name, where the provider has several
   * @returns {boolean} false: the job has ended, and the provider must not be called
   */
  beginAttempt(record, upstream) {
    if (record.abort.aborted) return false;
    record.ownUpstream = upstream;
    record.beginAttempt();
    const handles = [record.handle, ...record.siblings];
    const nowMs = this.#nowMs();
    const members = upstream === undefined ? undefined : { upstream };
    if (record.attempts === 1) {
      this.#startedAtMs.set(record, nowMs);
      for (const handle of handles) this.#hub.start(handle, members);
    } else {
      record.attemptOffsetMs = nowMs - (this.#startedAtMs.get(record) ?? nowMs);
      for (const handle of handles) this.#hub.retry(handle, members);
    }
    this.emit('attempt', record);
    for (const job of record.jobs) this.emit(job.attempts === 1 ? 'started' : 'retry', job);
    return true;
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
    // The workflow that a child job belongs to has a retry policy of its own.
    if (record.part !== undefined) return false;
    if (retryable !== true || !this.hasAttemptsLeft(record)) return false;
    // The queue counts the returns, also of a job that found no upstream to begin an attempt at.
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
   * @param {'client_request' | 'shutdown' | 'superseded'} reason
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
    for (const handle of [record.handle, ...record.siblings]) this.#hub.unrecord(handle);
    this.#hub.finish(record.handle, { type: 'error', error: { code, message, type } });
    if (!record.providerDone) record.abort.abort();
    this.#purge(record);
  }

  /**
   * Changes what a route keeps with its job, also in the data file.
   * @param {JobRecord} record
   * @param {object} members of `extra.face`
   */
  changeFace(record, members) {
    const face = /** @type {object} */ (record.extra?.face);
    record.extra = { ...record.extra, face: { ...face, ...members } };
    this.#store?.writeExtra(record);
  }

  /** @param {JobRecord} record whose caller aborted before it received the job's id */
  forget(record) {
    this.#jobs.delete(record);
    this.#purge(record);
    record.handle = 0;
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
