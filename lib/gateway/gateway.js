/**
 * The gateway: what the package's users see. Takes prompts, lets in those that may, and answers for
 * the jobs that they become, whose lives are JobLife's. Main thread; `close()` ends it.
 */
import { AccessControl, checkReloadOptions } from '../jobs/policy/access-control.js';
import { Admission } from '../jobs/admission/admission.js';
import { draining } from '../jobs/errors.js';
import { createCredits } from '../services/billing/service.js';
import { windUp } from './shutdown.js';
import { checkGatewayOptions } from './options.js';
import { GatewayMetrics } from './metrics.js';
import { jobNotFound } from '../jobs/errors.js';
import { LogService } from '../services/error-logs/service.js';
import { JobLife } from '../jobs/execution/lifecycle.js';
import { loadOf } from '../jobs/execution/job-pipeline.js';
import { KvSpaces } from '../primitives/kv/namespaces.js';
import { asJson, checkListQuery } from '../jobs/request.js';
import { checkMs, checkOptions, checkSignal, checkString } from '../internal/util/validate.js';
import { Reservations } from '../jobs/rate-limits/reservations.js';
import { createRouter } from '../http/router.js';
import { kAnonymous } from '../jobs/policy/config.js';
import { kInternals } from '../internal/util/symbols.js';
import { listen } from '../http/server.js';
import { openLedger } from '../jobs/storage/ledger-store.js';
import { StreamUrls } from '../jobs/policy/signed-urls.js';
import { createWorks } from './assembly.js';
import { createConversations } from './create-conversations.js';
import { monotonicClock, wallClock } from '../internal/time/clock.js';
import { streamEvents } from '../streams/event-iterator.js';
import { describeJob, describeJobs } from '../jobs/view.js';

/** @typedef {import('../internal/util/http-error.js').HttpError} HttpError */
/** @typedef {import('../jobs/job-table.js').JobRecord} JobRecord */

/** Made by `createGateway`. */
export class Gateway {
  /** @type {import('./options.js').CheckedGatewayOptions} */
  #options;
  #access;
  #streamUrls;
  #life;
  #hub;
  #metrics;
  #log;
  #logs;
  #jobs;
  #reservations;
  #ledger;
  #credits;
  #admission;
  #kv;
  #turns;
  #conversations;
  #works;
  #workflows;
  #crawls;
  /** @type {() => number} monotonic milliseconds */
  #nowMs;
  #draining = false;
  #hubClosed = false;
  /** @type {Promise<void> | undefined} */
  #closed;
  /** @type {Set<import('../http/server.js').GatewayServer>} */
  #servers = new Set();

  /** @param {import('./options.js').GatewayOptions} options */
  constructor(options) {
    const checked = checkGatewayOptions(options);
    this.#logs = new LogService({ ...checked, files: checked.logFiles });
    this.#options = { ...checked, logger: this.#logs.logger };
    const { clock, policy, corsOrigins } = this.#options;
    this.#access = new AccessControl(policy, corsOrigins);
    this.#streamUrls = new StreamUrls(this.#access, wallClock(clock));
    this.#log = this.#options.logger;
    this.#nowMs = monotonicClock(clock);
    this.#reservations = new Reservations({ access: this.#access, options: this.#options });
    this.#metrics = new GatewayMetrics({
      processDefaults: this.#options.metrics.processDefaults,
      stats: () => ({
        ...loadOf(this.#life.pipeline),
        cached: this.#life.cache.stats,
        leases: this.#reservations.open,
        held: this.#credits.jobs.open,
        retriesRefused: this.#life.retryBudget.refused,
        store: this.#life.store?.figures,
      }),
      durable: this.#options.data !== undefined,
    });
    this.#life = new JobLife({
      options: this.#options,
      nowMs: this.#nowMs,
      metrics: this.#metrics,
      works: () => this.#works,
      onEnded: (record) => this.#onEnded(record),
      onAnswerEnded: (answer) => this.#credits.onEnded(answer),
    });
    this.#ledger = openLedger({ store: this.#life.store, clock });
    this.#credits = createCredits({
      ledger: this.#ledger,
      access: this.#access,
      options: this.#options,
      metrics: this.#metrics,
      nowMs: wallClock(clock),
      store: this.#life.store,
      told: () => this.#life.told(),
    });
    this.#hub = this.#life.hub;
    this.#jobs = this.#life.jobs;
    const spaces = new KvSpaces(clock, this.#life.store);
    const { turns, conversations } = createConversations({
      spaces,
      limits: this.#options.conversations,
      unixMs: wallClock(clock),
      life: this.#life,
      log: this.#log,
    });
    this.#turns = turns;
    this.#conversations = conversations;
    this.#admission = new Admission({
      options: this.#options,
      nowMs: this.#nowMs,
      pipeline: this.#life.pipeline,
      cache: this.#life.cache,
      store: this.#life.store,
      reservations: this.#reservations,
      turns: this.#turns,
      credits: this.#credits.jobs,
      told: () => this.#life.told(),
      discard: (record, error) => this.#life.discard(record, error),
      activate: (record) => this.#life.activate(record),
      onAdmitted: ({ cache }) => cache && this.#metrics.cacheLookups.inc({ result: cache }),
      onRefused: (error, record) => this.#onRefused(error, record),
    });
    this.#kv = { spaces, area: spaces.area('kv', this.#options.kv) };
    const { works, workflows, crawls } = createWorks({
      hub: this.#hub,
      jobs: this.#jobs,
      admission: this.#admission,
      options: this.#options,
      access: this.#access,
      streamUrls: this.#streamUrls,
      metrics: this.#metrics,
      nowMs: this.#nowMs,
      ready: () => this.ready(),
      checkRoom: () => this.#life.store?.checkRoom(),
      cancel: (record) => this.#life.cancel(record, 'client_request'),
      reservations: this.#reservations,
      told: () => this.#life.told(),
      retryBudget: this.#life.retryBudget,
    });
    this.#works = works;
    this.#workflows = workflows;
    this.#crawls = crawls;
  }

  // ---------------------------------------------------------------- what is asked of it

  /**
   * Turns a prompt into a job. Resolves when the job is in the queue.
   * @param {import('../jobs/request.js').JobRequest} request the fields of `POST /v1/jobs`, as there in
   *   snake_case
   * @param {object} [options]
   * @param {string} [options.idempotencyKey] the same key gives the same job for 24 h
   * @param {string} [options.principal] whose job it is; default `anonymous`. The id of a key brings
   *   what is configured for that key
   * @param {AbortSignal} [options.signal] gives up waiting for admission; without effect on a
   *   submission with an idempotency key, which others may have joined
   * @returns {Promise<{id: string, status: 'queued', createdAt: number, streamUrl: string,
   *   replayed: boolean, cache?: import('../jobs/execution/answer-cache.js').CacheResult}>} `createdAt` in Unix
   *   seconds; `streamUrl` relative to where the router is mounted; `replayed` when the key was
   *   known; `cache` when the answer may be shared
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_INVALID_VALUE` and the like, `ERR_OVERLOADED`, `ERR_DRAINING`,
   *   `ERR_IDEMPOTENCY_KEY_REUSED`; `ERR_RATE_LIMIT_EXCEEDED` with `retryAfterMs`, and
   *   `ERR_REQUEST_EXCEEDS_LIMIT`, where no wait helps
   */
  async submit(request, options) {
    const { idempotencyKey, principal = kAnonymous, signal } = checkOptions('options', options);
    checkString('principal', principal);
    checkSignal('signal', signal);
    const { answer, replayed } = await this.#admission.submit(asJson(request), {
      idempotencyKey,
      access: this.#access.of(principal),
      signal,
    });
    const { id, createdAt, cache } = answer;
    const streamUrl = this.#streamUrls.make(principal, [id]).path;
    return { id, status: 'queued', createdAt, streamUrl, replayed, ...(cache && { cache }) };
  }

  /**
   * @param {HttpError & {refusedBy?: {scope: string, limit: string}[]}} error
   * @param {JobRecord} record that did not become a job
   */
  #onRefused({ wireCode: code, refusedBy = [] }, { principal, model }) {
    this.#metrics.rejected.inc({ code });
    for (const labels of refusedBy) this.#metrics.rateLimited.inc(labels);
    this.#log.debug?.({ principal, model, code, refused_by: refusedBy }, 'job refused');
  }

  /**
   * @param {JobRecord} record whose `final` and `extra` say what is to be done
   */
  #onEnded(record) {
    this.#credits.onEnded(record);
    this.#turns.onEnded(record);
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('../jobs/view.js').Job | undefined>} undefined when unknown, purged, or somebody else's
   */
  async get(id, { principal = kAnonymous } = {}) {
    const record = this.#jobs.get(id, principal);
    return record === undefined ? undefined : describeJob(this.#hub, record, { text: true });
  }

  /**
   * A page of jobs, newest first, without their texts.
   * @param {{limit?: number, after?: string, status?: import('../jobs/job-table.js').JobStatus,
   *   principal?: string}} [options] `limit` 1 to 100, default 20; `after` the id of the last job
   *   of the page before
   * @returns {Promise<{data: import('../jobs/view.js').Job[], hasMore: boolean}>}
   */
  async list({ limit, after, status, principal = kAnonymous } = {}) {
    const query = checkListQuery({
      limit: limit === undefined ? undefined : String(limit),
      after,
      status,
    });
    return describeJobs(this.#hub, this.#jobs, { ...query, principal });
  }

  /**
   * Ends a job as `client_request`. A job that has ended stays as it is.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('../jobs/view.js').Job>} as it is afterwards
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_JOB_NOT_FOUND`
   */
  async cancel(id, { principal = kAnonymous } = {}) {
    const record = this.#jobs.get(id, principal);
    if (record === undefined) throw jobNotFound();
    this.#life.cancel(record, 'client_request');
    const job = await describeJob(this.#hub, record, { text: true });
    if (job === undefined) throw jobNotFound();
    return job;
  }

  /** Conversations: see `lib/services/conversations/service.js`. */
  get conversations() {
    return this.#conversations;
  }

  /** Workflows: see `lib/services/workflows/service.js`. */
  get workflows() {
    return this.#workflows;
  }

  /** @type {import('../services/workflows/service.js').Workflows['submit']} `gateway.workflows.submit` */
  submitWorkflow(request, options) {
    return this.#workflows.submit(request, options);
  }

  /** @type {import('../services/workflows/service.js').Workflows['get']} `gateway.workflows.get` */
  workflow(id, options) {
    return this.#workflows.get(id, options);
  }

  /** Accounts, transfers and usage: see `lib/services/billing/service.js`. */
  get credits() {
    return this.#credits.credits;
  }

  /** Crawls: see `lib/services/crawls/service.js`. */
  get crawls() {
    return this.#crawls;
  }

  /**
   * A job's events: everything after `lastEventId`, then live, up to the terminal event.
   * @param {string} id of a job, a workflow or a crawl
   * @param {{lastEventId?: string, signal?: AbortSignal, principal?: string}} [options]
   * @returns {AsyncIterable<import('../streams/event-iterator.js').StreamEvent>}
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_JOB_NOT_FOUND`
   */
  stream(id, { lastEventId, signal, principal = kAnonymous } = {}) {
    const record =
      this.#jobs.get(id, principal) ??
      this.#works.find('workflow', id, principal) ??
      this.#works.find('crawl', id, principal);
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
   * @param {import('../http/server.js').ListenOptions} [options] defaults: a free port, `127.0.0.1`;
   *   without keys another host than this machine's own needs `open: true`
   * @returns {Promise<import('../http/server.js').GatewayServer>} a `http.Server` with `url` and `port`,
   *   listening; `gateway.close()` closes it
   */
  async listen(options) {
    // A model that does not load must be heard of now, and not by the first to ask.
    if (!this.#draining) await this.#options.provider.ready?.();
    await this.#life.store?.restored;
    if (this.#draining) throw draining();
    const server = await listen(this, options);
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    // close() was called meanwhile and may not have seen this one.
    if (this.#draining) await server.drain();
    return server;
  }

  /**
   * Puts another configuration of keys and limits in force. Streams that run go on, also those of a
   * key that is gone; of what was taken, a larger limit has as much taken, too.
   * @param {{access: import('../jobs/policy/config.js').AccessConfig}} options
   * @throws {TypeError | RangeError} naming what is wrong with it; nothing has changed then
   */
  reload(options) {
    this.#access.reload(checkReloadOptions(options));
    this.#reservations.reload();
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
    if (this.#life.store !== undefined) await this.#life.store.restored;
    const parts = {
      works: this.#works,
      pipeline: this.#life.pipeline,
      hub: this.#hub,
      servers: this.#servers,
      logs: this.#logs,
      provider: this.#options.provider,
      cancelRest: () => this.#cancelRest(),
      told: () => this.#life.settled(),
      busy: () =>
        this.#admission.pending > 0 ||
        this.#reservations.open > 0 ||
        this.#credits.jobs.open > 0 ||
        this.#jobs.active().length > 0,
    };
    try {
      await windUp(parts, drainMs);
      await this.#turns.idle();
    } finally {
      this.#hubClosed = true;
      await this.#life.close();
    }
  }

  #cancelRest() {
    this.#works.cancelAll('shutdown');
    this.#life.cancelAll();
  }

  /** What the routes need. */
  get [kInternals]() {
    return {
      access: this.#access,
      streamUrls: this.#streamUrls,
      hub: this.#hub,
      jobs: this.#jobs,
      options: this.#options,
      metrics: this.#metrics,
      log: this.#log,
      logs: this.#logs,
      /** Refuses what a closed gateway can no longer answer. */
      checkOpen: () => {
        if (this.#hubClosed) throw draining();
      },
      admission: this.#admission,
      reservations: this.#reservations,
      ledger: this.#ledger,
      jobCredits: this.#credits.jobs,
      kv: this.#kv,
      works: this.#works,
      cache: this.#life.cache,
    };
  }
}

/**
 * @param {import('./options.js').GatewayOptions} options
 * @returns {Gateway}
 * @throws {TypeError | RangeError} naming the option at fault and what it takes
 */
export function createGateway(options) {
  return new Gateway(options);
}
