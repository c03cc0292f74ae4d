/**
 * The gateway: takes prompts, makes jobs of them, and sees each to its one ending. Main thread.
 *
 * It only decides. Queues, batches and slots are the Pipeline's; text, ids, timers and readers the
 * JobHub's; the way from a provider to the hub the JobRunner's. `close()` ends it.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Admission, draining } from './admission.js';
import { checkGatewayOptions } from './gateway-options.js';
import { GatewayMetrics } from './metrics.js';
import { badRequest, jobNotFound } from './http-errors.js';
import { JobTable } from './job-table.js';
import { JobRunner } from './job-runner.js';
import { Pipeline } from './pipeline.js';
import { SluiceError } from './errors.js';
import { asJson, checkListQuery } from './schema.js';
import { checkMs, checkOptions, checkSignal, checkString } from './validate.js';
import { createRouter } from './router.js';
import { kAnonymous } from './auth.js';
import { kDiscardResults, kInternals } from './symbols.js';
import { listen } from './server.js';
import { createHub } from './hub-set.js';
import { manualReactor, sharedReactors } from './reactor.js';
import { streamEvents } from './event-stream.js';
import { describeJob } from './job-view.js';

/** @typedef {import('./job-table.js').JobRecord} JobRecord */

/** @param {import('./schema.js').JobRequest} request */
function estimatePromptTokens({ prompt, messages = [] }) {
  const bytes = messages.reduce(
    (sum, { content }) => sum + Buffer.byteLength(content),
    Buffer.byteLength(prompt ?? ''),
  );
  return Math.ceil(bytes / 4);
}

/** How long readers may take to get their terminal events when the gateway closes. */
const kReadersGraceMs = 2000;
const kReadersPollMs = 10;

/** Made by `createGateway`. */
export class Gateway {
  /** @type {import('./gateway-options.js').CheckedGatewayOptions} */
  #options;
  #hub;
  #pipeline;
  #runner;
  #metrics;
  #log;
  #jobs;
  #admission;
  /** @type {() => number} monotonic milliseconds */
  #nowMs;
  #draining = false;
  /** The drain is over: what comes to light now ends at once. */
  #drained = false;
  #hubClosed = false;
  /** @type {Promise<void> | undefined} */
  #closed;
  /** @type {Set<import('./server.js').GatewayServer>} */
  #servers = new Set();

  /** @param {import('./gateway-options.js').GatewayOptions} options */
  constructor(options) {
    this.#options = checkGatewayOptions(options);
    const { clock, provider, logger, maxRetainedJobs, reactors } = this.#options;
    this.#log = logger;
    this.#nowMs = clock === undefined ? () => performance.now() : () => clock.nowMs();
    this.#hub = this.#createHub(
      clock === undefined ? sharedReactors(reactors) : [manualReactor(clock)],
    );
    this.#jobs = new JobTable({
      maxRetainedJobs,
      onEvict: (record) => this.#hub.purge(record.handle),
    });
    this.#runner = new JobRunner({
      provider,
      hub: this.#hub,
      onAttempt: (record) => this.#onAttempt(record),
      mayRetry: (record, error) => this.#mayRetry(record, error),
    });
    this.#pipeline = this.#createPipeline();
    this.#metrics = new GatewayMetrics({
      processDefaults: this.#options.metrics.processDefaults,
      stats: () => this.#stats(),
    });
    this.#admission = new Admission({
      options: this.#options,
      nowMs: this.#nowMs,
      pipeline: this.#pipeline,
      activate: (record) => this.#activate(record),
      onRefused: (code) => this.#metrics.rejected.inc({ code }),
    });
  }

  /** @param {import('./reactor.js').Reactor[]} reactors */
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
      onEnded: (/** @type {number} */ handle, /** @type {any} */ state) =>
        this.#onEnded(handle, state),
      onPurged: (/** @type {number} */ handle) => {
        const record = this.#jobs.byHandle(handle);
        if (record !== undefined) this.#jobs.delete(record);
      },
    });
  }

  // ---------------------------------------------------------------- the life of a job

  /**
   * Turns a prompt into a job. Resolves when the job is in the queue.
   * @param {import('./schema.js').JobRequest} request the fields of `POST /v1/jobs`, as there in
   *   snake_case
   * @param {object} [options]
   * @param {string} [options.idempotencyKey] the same key gives the same job for 24 h
   * @param {string} [options.principal] whose job it is; default `anonymous`
   * @param {AbortSignal} [options.signal] gives up waiting for admission; without effect on a
   *   submission with an idempotency key, which others may have joined
   * @returns {Promise<{id: string, status: 'queued', createdAt: number, streamUrl: string,
   *   replayed: boolean}>} `createdAt` in Unix seconds; `streamUrl` relative to where the router is
   *   mounted; `replayed` when the key was known
   * @throws {import('./http-errors.js').HttpError} `ERR_INVALID_VALUE` and the like, `ERR_OVERLOADED`, `ERR_DRAINING`,
   *   `ERR_IDEMPOTENCY_KEY_REUSED`
   */
  async submit(request, options) {
    const { idempotencyKey, principal = kAnonymous, signal } = checkOptions('options', options);
    checkString('principal', principal);
    checkSignal('signal', signal);
    const { answer, replayed } = await this.#admission.submit(asJson(request), {
      idempotencyKey,
      principal,
      signal,
    });
    const { id, createdAt } = answer;
    const streamUrl = `/v1/stream?job_id=${id}`;
    return { id, status: 'queued', createdAt, streamUrl, replayed };
  }

  /**
   * From here on the job exists for others. Runs when its submission is accepted or when it is
   * dispatched, whichever the main thread hears of first.
   * @param {JobRecord} record
   */
  #activate(record) {
    if (record.handle !== 0) return;
    const request = /** @type {import('./schema.js').JobRequest} */ (record.request);
    const maxWallMs = request.max_wall_ms ?? this.#options.maxWallMs;
    record.deadlineMs = this.#nowMs() + maxWallMs;
    record.handle = this.#hub.create({
      jobId: record.id,
      onDisconnect: request.on_disconnect ?? this.#options.onDisconnect,
      disconnectGraceMs: request.disconnect_grace_ms ?? this.#options.disconnectGraceMs,
      maxWallMs,
      promptTokens: estimatePromptTokens(request),
    });
    this.#jobs.add(record);
    if (this.#drained) this.#cancel(record, 'shutdown');
  }

  /** @param {JobRecord} record about to be given to the provider */
  #onAttempt(record) {
    this.#activate(record);
    record.attempts += 1;
    record.status = 'running';
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
    if (error?.retryable !== true || record.attempts >= this.#options.retry.attempts) return false;
    // Waiting for longer than the job may live would only hide the reason of its end.
    return (error.retryAfterMs ?? 0) < record.deadlineMs - this.#nowMs();
  }

  /**
   * The one ending of a job, whatever caused it.
   * @param {number} handle
   * @param {any} state
   */
  #onEnded(handle, state) {
    const record = this.#jobs.byHandle(handle);
    if (record === undefined) return;
    const { id, principal, model, attempts } = record;
    this.#jobs.finish(record, state);
    if (!record.settled) record.abort.abort();
    this.#metrics.observe(state);
    const { status, reason, error, metrics } = state;
    this.#log.info(
      { job_id: id, principal, model, status, reason, error, attempts, ...metrics },
      'job ended',
    );
  }

  /**
   * @param {JobRecord} record
   * @param {'client_request' | 'shutdown'} reason
   */
  #cancel(record, reason) {
    if (record.ended) return;
    this.#hub.finish(record.handle, { type: 'cancelled', reason });
    if (!record.settled) record.abort.abort();
  }

  // ---------------------------------------------------------------- the pipeline

  #createPipeline() {
    const { batching, maxInFlightBatches, incomingCapacity, processingCapacity, retry, clock } =
      this.#options;
    /** @type {any} an internal option among the public ones */
    const pipelineOptions = {
      process: (/** @type {JobRecord[]} */ batch) => this.#process(batch),
      ...batching,
      maxConcurrency: maxInFlightBatches,
      incomingCapacity,
      processingCapacity,
      retry,
      clock,
      // Endings are told to the hub.
      [kDiscardResults]: true,
    };
    return new Pipeline(pipelineOptions);
  }

  /** @param {JobRecord[]} batch */
  async #process(batch) {
    const errors = await this.#runner.run(batch);
    return errors.map((/** @type {any} */ cause) => {
      if (cause === undefined) return '';
      const { retryAfterMs } = cause;
      const details = { cause, retryable: true, retryAfterMs };
      return new SluiceError('ERR_ATTEMPT_FAILED', 'The attempt failed.', details);
    });
  }

  /** @returns {{queued: number, inFlightBatches: number}} */
  #stats() {
    const { incoming, batching, processing, retrying, inFlight } = this.#pipeline.stats();
    return { queued: incoming + batching + processing + retrying, inFlightBatches: inFlight };
  }

  // ---------------------------------------------------------------- what is asked of it

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('./job-view.js').Job | undefined>} undefined when unknown, purged, or somebody else's
   */
  async get(id, { principal = kAnonymous } = {}) {
    const record = this.#jobs.get(id, principal);
    return record === undefined ? undefined : describeJob(this.#hub, record, { text: true });
  }

  /**
   * A page of jobs, newest first, without their texts.
   * @param {{limit?: number, after?: string, status?: import('./job-table.js').JobStatus,
   *   principal?: string}} [options] `limit` 1 to 100, default 20; `after` the id of the last job
   *   of the page before
   * @returns {Promise<{data: import('./job-view.js').Job[], hasMore: boolean}>}
   */
  async list({ limit, after, status, principal = kAnonymous } = {}) {
    const query = checkListQuery({
      limit: limit === undefined ? undefined : String(limit),
      after,
      status,
    });
    const found = this.#jobs.list({ ...query, principal });
    if (found === undefined) {
      throw badRequest('invalid_value', 'after', 'after must be the id of a job that is kept.');
    }
    const jobs = await Promise.all(
      found.page.map((record) => describeJob(this.#hub, record, { text: false })),
    );
    // A job may have moved on since the page was chosen.
    const data = jobs.filter(
      (job) => job !== undefined && (status === undefined || job.status === status),
    );
    return { data: /** @type {import('./job-view.js').Job[]} */ (data), hasMore: found.hasMore };
  }

  /**
   * Ends a job as `client_request`. A job that has ended stays as it is.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('./job-view.js').Job>} as it is afterwards
   * @throws {import('./http-errors.js').HttpError} `ERR_JOB_NOT_FOUND`
   */
  async cancel(id, { principal = kAnonymous } = {}) {
    const record = this.#jobs.get(id, principal);
    if (record === undefined) throw jobNotFound();
    this.#cancel(record, 'client_request');
    const job = await describeJob(this.#hub, record, { text: true });
    if (job === undefined) throw jobNotFound();
    return job;
  }

  /**
   * A job's events: everything after `lastEventId`, then live, up to the terminal event.
   * @param {string} id
   * @param {{lastEventId?: string, signal?: AbortSignal, principal?: string}} [options]
   * @returns {AsyncIterable<import('./event-stream.js').StreamEvent>}
   * @throws {import('./http-errors.js').HttpError} `ERR_JOB_NOT_FOUND`
   */
  stream(id, { lastEventId, signal, principal = kAnonymous } = {}) {
    const record = this.#jobs.get(id, principal);
    if (record === undefined) throw jobNotFound();
    if (this.#hubClosed) throw draining();
    return streamEvents(this.#hub, record, { lastEventId, signal: checkSignal('signal', signal) });
  }

  // ---------------------------------------------------------------- serving and closing

  /**
   * An Express 5 router with the whole HTTP contract but the page; it mounts under any prefix.
   * Paths that are not its own it passes on.
   * @returns {import('express').Router}
   */
  router() {
    return createRouter(this);
  }

  /**
   * Serves the router and the page of `web/`, when the provider is ready.
   * @param {{port?: number, host?: string}} [options] defaults: a free port, `127.0.0.1`
   * @returns {Promise<import('./server.js').GatewayServer>} a `http.Server` with `url` and `port`,
   *   listening; `gateway.close()` closes it
   */
  async listen(options) {
    // A model that does not load must be heard of now, and not by the first to ask.
    if (!this.#draining) await this.#options.provider.ready?.();
    if (this.#draining) throw draining();
    const server = await listen(this, options);
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    // close() was called meanwhile and may not have seen this one.
    if (this.#draining) await server.drain();
    return server;
  }

  /** @returns {boolean} whether new jobs are taken: false from the call of `close()` on */
  ready() {
    return !this.#draining;
  }

  /**
   * Takes no new jobs, lets the others go on for `drainMs`, then ends them as `shutdown`; each
   * stream gets its terminal event. Then servers, provider and hub are closed: nothing is left
   * that would keep the process alive. A second call gets the first one's promise.
   * @param {{drainMs?: number}} [options] default 10000
   * @returns {Promise<void>}
   */
  close(options) {
    const { drainMs: given } = checkOptions('options', options);
    const drainMs = checkMs('drainMs', given, { fallback: 10_000 });
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  /** @param {number} drainMs */
  async #close(drainMs) {
    this.#draining = true;
    this.#admission.close();
    const timer = setTimeout(() => this.#cancelRest(), drainMs);
    if (drainMs === 0) this.#cancelRest();
    await this.#pipeline.close();
    clearTimeout(timer);
    // Once more, should an ending have been missed; a snapshot comes after all that was told.
    this.#cancelRest();
    const open = this.#jobs.active();
    await Promise.all(open.map(({ handle }) => this.#hub.snapshot(handle, { text: false })));
    await this.#readersServed();
    await Promise.all([...this.#servers].map((server) => server.drain()));
    try {
      await this.#options.provider.close?.();
    } finally {
      this.#hubClosed = true;
      this.#hub.close();
    }
  }

  /** Every reader has its terminal event, whichever server it came by, or takes too long. */
  async #readersServed() {
    const deadlineMs = performance.now() + kReadersGraceMs;
    while (this.#hub.channelCount > 0 && performance.now() < deadlineMs) {
      await sleep(kReadersPollMs);
    }
  }

  #cancelRest() {
    this.#drained = true;
    for (const record of this.#jobs.active()) this.#cancel(record, 'shutdown');
  }

  /** What the routes need. */
  get [kInternals]() {
    return {
      hub: this.#hub,
      jobs: this.#jobs,
      options: this.#options,
      metrics: this.#metrics,
      log: this.#log,
      /** Refuses what a closed gateway can no longer answer. */
      checkOpen: () => {
        if (this.#hubClosed) throw draining();
      },
      admission: this.#admission,
    };
  }
}

/**
 * @param {import('./gateway-options.js').GatewayOptions} options
 * @returns {Gateway}
 * @throws {TypeError | RangeError} naming the option at fault and what it takes
 */
export function createGateway(options) {
  return new Gateway(options);
}
