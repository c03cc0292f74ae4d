/**
 * The lives of a gateway's jobs: each is made, given to the provider, tried again where that may help,
 * and seen to its one ending. Main thread.
 *
 * It only decides. Queues, batches and slots are the Pipeline's; text, ids, timers and readers the
 * JobHub's; the way from a provider to the hub the JobRunner's; what jobs share the AnswerCache's.
 */
import { AnswerCache } from './answer-cache.js';
import { JobRunner } from './runner.js';
import { JobTable } from '../job-table.js';
import { RetryBudget } from './retry-budget.js';
import { SharedAnswer } from './shared-answer.js';
import { createHub } from '../../streams/sharded-hub.js';
import { createJobPipeline } from './job-pipeline.js';
import { estimatePromptTokens } from '../prompt-tokens.js';
import { manualReactor, sharedReactors } from '../../internal/native/reactor.js';
import { openJobStore } from '../storage/job-store.js';

/** @typedef {import('../job-table.js').JobRecord} JobRecord */

/** How long the text of a turn is kept at least, for its conversation to have it. */
const kTurnRetentionMs = 60_000;

/** See the head of this file. Whoever owns it closes it. */
export class JobLife {
  #options;
  #nowMs;
  #metrics;
  #log;
  #works;
  #onJobEnded;
  #store;
  #hub;
  #jobs;
  #pipeline;
  #cache;
  #retryBudget;
  /** The drain is over: what comes to light now ends at once. */
  #drained = false;

  /**
   * @param {object} parts
   * @param {import('../../gateway/options.js').CheckedGatewayOptions} parts.options
   * @param {() => number} parts.nowMs monotonic
   * @param {import('../../gateway/metrics.js').GatewayMetrics} parts.metrics
   * @param {() => import('../../services/operations/operations.js').Works} parts.works whose logs are in the same hub
   * @param {(record: JobRecord) => void} parts.onEnded called once for each job that has ended, also
   *   for those that had before a restart
   * @param {(answer: SharedAnswer) => void} parts.onAnswerEnded the same for answers that jobs share
   */
  constructor({ options, nowMs, metrics, works, onEnded, onAnswerEnded }) {
    this.#onJobEnded = onEnded;
    this.#options = options;
    this.#nowMs = nowMs;
    this.#metrics = metrics;
    this.#log = options.logger;
    this.#works = works;
    this.#retryBudget = new RetryBudget(nowMs);
    const { clock, provider, maxRetainedJobs, reactors } = options;
    const threads = clock === undefined ? sharedReactors(reactors) : [manualReactor(clock)];
    this.#store = openJobStore(options, threads[0]);
    this.#hub = this.#createHub(threads);
    this.#jobs = new JobTable({
      maxRetainedJobs,
      onEvict: (record) => this.#hub.purge(record.handle),
    });
    const runner = new JobRunner({
      provider,
      hub: this.#hub,
      onAttempt: (record) => this.#onAttempt(record),
      mayRetry: (record, error) => this.#mayRetry(record, error),
    });
    this.#pipeline = createJobPipeline(options, runner);
    this.#cache = new AnswerCache({
      hub: this.#hub,
      options: options.cache,
      clock,
      activate: (record) => this.activate(record),
      cancel: (answer) => this.cancel(answer, 'client_request'),
      forget: (record) => {
        this.#jobs.delete(record);
        this.#hub.purge(record.handle);
        record.handle = 0;
      },
      onEnded: (answer) => {
        if (answer.final?.status === 'completed') this.#retryBudget.onSuccess();
        onAnswerEnded(answer);
      },
    });
    this.#store?.restore({ hub: this.#hub, jobs: this.#jobs, onRestored: onEnded });
  }

  get hub() {
    return this.#hub;
  }

  get jobs() {
    return this.#jobs;
  }

  get pipeline() {
    return this.#pipeline;
  }

  get cache() {
    return this.#cache;
  }

  /** What calls to the provider may be made again. */
  get retryBudget() {
    return this.#retryBudget;
  }

  /** Where jobs are written down; undefined: nowhere. */
  get store() {
    return this.#store;
  }

  /** @param {import('../../internal/native/reactor.js').Reactor[]} reactors */
  #createHub(reactors) {
    const { streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, reconnectMs } =
      this.#options;
    return createHub(reactors, {
      streamCapacity,
      logBytesMax,
      retentionMs,
      heartbeatMs,
      stallMs,
      retryMs: reconnectMs,
      store: this.#store?.native,
      onEnded: (/** @type {number} */ handle, /** @type {any} */ state) =>
        this.#onEnded(handle, state),
      onPurged: (/** @type {number} */ handle) => {
        const record = this.#jobs.byHandle(handle);
        if (record !== undefined) this.#jobs.delete(record);
        this.#cache.onPurged(handle);
        this.#works().onPurged(handle);
      },
    });
  }

  /**
   * From here on the job exists for others. Runs when its submission is accepted or when it is
   * dispatched, whichever the main thread hears of first.
   * @param {JobRecord} record
   */
  activate(record) {
    if (record instanceof SharedAnswer) this.#cache.activate(record);
    if (record.handle !== 0) return;
    const request = /** @type {import('../request.js').JobRequest} */ (record.request);
    const maxWallMs = request.max_wall_ms ?? this.#options.maxWallMs;
    record.deadlineMs = this.#nowMs() + maxWallMs;
    const feed = record.part?.feed;
    const promptTokens = estimatePromptTokens(request);
    record.handle = this.#hub.create({
      jobId: record.id,
      feed,
      onDisconnect: request.on_disconnect ?? this.#options.onDisconnect,
      disconnectGraceMs: request.disconnect_grace_ms ?? this.#options.disconnectGraceMs,
      maxWallMs,
      promptTokens,
      record: this.#store?.accept(record, promptTokens),
      ...(record.extra?.conversation_id !== undefined && {
        retentionMs: Math.max(this.#options.retentionMs, kTurnRetentionMs),
      }),
      near: record.answer?.handle ?? feed?.into,
    });
    this.#jobs.add(record);
    if (this.#drained) this.cancel(record, 'shutdown');
  }

  /** @param {JobRecord} record about to be given to the provider */
  #onAttempt(record) {
    this.activate(record);
    // It came to light as the drain was over: it has ended, and the provider is not asked.
    if (record.abort.signal.aborted) return;
    record.beginAttempt();
    if (record.attempts === 1) {
      this.#hub.start(record.handle);
    } else {
      this.#metrics.retries.inc();
      this.#hub.retry(record.handle);
    }
  }

  /**
   * @param {JobRecord} record
   * @param {any} error
   */
  #mayRetry(record, error) {
    // Of a part of a work, that work decides.
    if (record.part !== undefined) return false;
    if (error?.retryable !== true || record.attempts >= this.#options.retry.attempts) return false;
    // Waiting for longer than the job may live would only hide the reason of its end.
    if ((error.retryAfterMs ?? 0) >= record.deadlineMs - this.#nowMs()) return false;
    return this.#retryBudget.take();
  }

  /**
   * The one ending of a job, whatever caused it.
   * @param {number} handle
   * @param {any} state
   */
  #onEnded(handle, state) {
    const record = this.#jobs.byHandle(handle);
    if (record === undefined) {
      this.#cache.onEnded(handle, state);
      this.#works().onEnded(handle, state);
      return;
    }
    const { id, principal, model, attempts, cache } = record;
    this.#jobs.finish(record, state);
    record.settleReservation();
    // An answer that is shared counts by itself.
    if (state.status === 'completed' && record.answer === undefined) this.#retryBudget.onSuccess();
    this.#onJobEnded(record);
    if (!record.settled) record.abort.abort();
    this.#cache.leave(record);
    this.#metrics.observe(state);
    const { status, reason, error, metrics } = state;
    this.#log[status === 'failed' ? 'error' : 'info'](
      { job_id: id, principal, model, status, reason, error, cache, attempts, ...metrics },
      'job ended',
    );
    record.part?.onEnded(state);
  }

  /** Resolves when all that the reactors have done so far has been heard of. */
  told() {
    // A reply comes after what happened before it; where a job is, it is on one of these.
    const each = Array.from({ length: this.#options.reactors }, (_, i) => i);
    return Promise.all(each.map((handle) => this.#hub.snapshot(handle, { text: false })));
  }

  /** Resolves when all that was ended so far has been heard of, and is written where it is to be. */
  async settled() {
    await this.told();
    if (this.#store === undefined) return;
    // The answer about a job that has ended comes when its ending is everybody's.
    const active = this.#jobs.active();
    await Promise.all(active.map(({ handle }) => this.#hub.snapshot(handle, { text: false })));
  }

  /**
   * Undoes a job of which nobody has been told.
   * @param {JobRecord} record
   * @param {import('../../internal/util/http-error.js').HttpError} error that its submission is refused with
   */
  discard(record, { wireCode: code, message, type }) {
    this.#hub.unrecord(record.handle);
    this.#hub.finish(record.handle, { type: 'error', error: { code, message, type } });
    if (!record.settled) record.abort.abort();
    this.#hub.purge(record.handle);
  }

  /**
   * @param {JobRecord} record
   * @param {'client_request' | 'shutdown'} reason
   */
  cancel(record, reason) {
    if (record.ended) return;
    this.#hub.finish(record.handle, { type: 'cancelled', reason });
    if (!record.settled) record.abort.abort();
  }

  /** Ends all jobs as `shutdown`, and from now on those that come to light. */
  cancelAll() {
    this.#drained = true;
    for (const record of this.#jobs.active()) this.cancel(record, 'shutdown');
  }
  /** Lets go of the hub and of the data file; everything has ended. */
  async close() {
    this.#cache.close();
    if (this.#store !== undefined) await this.#hub.flush();
    this.#hub.close();
    await this.#store?.close();
  }
}
