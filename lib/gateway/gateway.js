import { EventEmitter } from 'node:events';
import { asJson, checkListQuery } from '../jobs/request.js';
import { checkCloseOptions, checkGatewayOptions } from './options.js';
import {
  asQueryNumber,
  checkOptions,
  checkSignal,
  checkString,
} from '../internal/util/validate.js';
import { checkReloadOptions } from '../jobs/policy/access-control.js';
import { describeJob } from '../jobs/view.js';
import { draining, jobNotFound } from '../jobs/errors.js';
import { forwardJobEvents } from './job-events.js';
import { lateModule, later } from '../internal/util/packages.js';
import { ANONYMOUS, compileAccess } from '../jobs/policy/config.js';
import { kindOf } from '../services/operations/operation.js';
import { streamEvents } from '../streams/event-iterator.js';

/** @typedef {import('../internal/util/http-error.js').HttpError} HttpError */
/** @typedef {import('../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../services/audit/entries.js').AuditPort} AuditPort */

/** What only a gateway needs: `import 'sluice'` loads none of it. */
/** @type {() => typeof import('./assembly.js')} */
const assembly = lateModule(import.meta.url, (require) => require('./assembly.js'));
/** @type {() => typeof import('./http.js')} */
const http = lateModule(import.meta.url, (require) => require('./http.js'));
/** @type {() => typeof import('../http/server.js')} */
const server = lateModule(import.meta.url, (require) => require('../http/server.js'));
/** @type {() => typeof import('./shutdown.js')} */
const shutdown = lateModule(import.meta.url, (require) => require('./shutdown.js'));

const importFetch = later(() => import('../http/fetch.js'));

/** Time that `listen()` waits for Redis before it listens without it. */
const FIRST_ANSWER_MS = 2000;

/**
 * Turns prompts into jobs, streams their tokens, and serves both over HTTP. Created by
 * `createGateway`; `close()` ends it. Main thread.
 *
 * `gateway.on('job', (event) => ...)` reports each change in the life of each job: see `JobEvent`. A
 * listener that throws is logged.
 * @extends {EventEmitter<{job: [event: import('./job-events.js').JobEvent]}>}
 */
export class Gateway extends EventEmitter {
  #parts;
  #handler;
  #hubClosed = false;
  /** @type {Promise<void> | undefined} */
  #closed;
  /** @type {Set<import('../http/server.js').GatewayServer>} */
  #servers = new Set();

  /**
   * @param {import('./assembly.js').GatewayParts} parts
   * @internal
   */
  constructor(parts) {
    super();
    this.#parts = parts;
    forwardJobEvents(parts, this);
    this.#handler = http().createGatewayHandler(parts, this, () => {
      if (this.#hubClosed) throw draining();
    });
  }

  // ---------------------------------------------------------------- jobs

  /**
   * Turns a prompt into a job. Resolves when the job is in the queue.
   * @param {import('../jobs/request.js').JobRequest} request the fields of `POST /v1/jobs`, in
   *   snake_case
   * @param {object} [options]
   * @param {string} [options.idempotencyKey] the same key gives the same job for 24 h
   * @param {string} [options.principal] owner of the job; default `anonymous`. The id of a key
   *   brings the configuration of that key
   * @param {AbortSignal} [options.signal] cancels the wait for admission; without effect on a
   *   submission with an idempotency key, which other calls may have joined
   * @returns {Promise<{id: string, status: 'queued', createdAt: number, streamUrl: string,
   *   replayed: boolean, cache?: import('../jobs/job.js').CacheResult}>} `createdAt` in Unix
   *   seconds; `streamUrl` relative to the mount point of the router; `replayed` when the key was
   *   known; `cache` when the answer may be shared
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_INVALID_VALUE` and the like,
   *   `ERR_OVERLOADED`, `ERR_DRAINING`, `ERR_IDEMPOTENCY_KEY_REUSED`; `ERR_RATE_LIMIT_EXCEEDED`
   *   with `retryAfterMs`, and `ERR_REQUEST_EXCEEDS_LIMIT`, which no wait can resolve
   */
  async submit(request, options) {
    const known = ['idempotencyKey', 'principal', 'signal'];
    const {
      idempotencyKey,
      principal = ANONYMOUS,
      signal,
    } = checkOptions('submit', options, known);
    checkString('principal', principal);
    checkSignal('signal', signal);
    const { answer, replayed } = await this.#parts.admission.submit(asJson(request), {
      idempotencyKey,
      access: this.#parts.access.of(principal),
      signal,
    });
    const { id, createdAt, cache } = answer;
    const streamUrl = this.#parts.streamUrls.make(principal, [id]);
    return { id, status: 'queued', createdAt, streamUrl, replayed, ...(cache && { cache }) };
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('../jobs/view.js').Job | undefined>} undefined for an unknown or purged job, or one of
   *   another principal
   */
  async get(id, options) {
    const { principal = ANONYMOUS } = checkOptions('get', options, ['principal']);
    const record = await this.#parts.directory.find(id, principal);
    return record === undefined ? undefined : describeJob(this.#parts.hub, record, { text: true });
  }

  /**
   * A page of jobs, newest first, without their texts.
   * @param {{limit?: number, after?: string, status?: import('../jobs/request.js').JobStatus,
   *   principal?: string}} [options] `limit` 1 to 100, default 20; `after` the id of the last job
   *   of the previous page
   * @returns {Promise<{data: import('../jobs/view.js').Job[], hasMore: boolean}>}
   */
  async list(options) {
    const known = ['limit', 'after', 'status', 'principal'];
    const { limit, after, status, principal = ANONYMOUS } = checkOptions('list', options, known);
    const query = checkListQuery({
      limit: asQueryNumber(limit),
      after,
      status,
    });
    return this.#parts.directory.list({ ...query, principal });
  }

  /**
   * Cancels a job with the reason `client_request`. An ended job is unchanged.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<import('../jobs/view.js').Job>} the state afterwards
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_JOB_NOT_FOUND`
   */
  async cancel(id, options) {
    const { principal = ANONYMOUS } = checkOptions('cancel', options, ['principal']);
    const record = await this.#find(id, principal);
    await this.#parts.directory.cancel(record, 'client_request');
    const job = await describeJob(this.#parts.hub, record, { text: true });
    if (job === undefined) throw jobNotFound();
    return job;
  }

  /**
   * Cancels a running job, and erases all of its data: text, metadata, shared answer, idempotency key,
   * and its rows in the data file. Messages that it added to a conversation stay there.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<void>} resolves when all of its data is erased
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_JOB_NOT_FOUND`;
   *   `ERR_INSUFFICIENT_STORAGE` or `ERR_STORAGE_UNAVAILABLE`: the job is still in the data file
   */
  async delete(id, options) {
    const { principal = ANONYMOUS } = checkOptions('delete', options, ['principal']);
    const record = await this.#find(id, principal);
    const { erasure, deployed } = this.#parts;
    if (deployed === undefined) await erasure.job(record);
    else await deployed.directory.erase(record, (own) => erasure.job(own));
  }

  /**
   * Ends and erases everything of one caller: jobs, workflows, crawls, conversations, durable streams,
   * keys and values, cached answers, idempotency keys. The ledger and the usage totals keep the amounts
   * without the name; with `redis` they keep the name as well, and other processes erase their data in memory at
   * their next beat at the latest.
   * @param {string} principal
   * @returns {Promise<void>} resolves when all of its data is erased
   * @throws {import('../internal/util/http-error.js').HttpError} see `delete`
   */
  async erasePrincipal(principal) {
    checkString('principal', principal);
    await this.#parts.erasePrincipal(principal);
  }

  /** Conversations: see `lib/services/conversations/service.js`. */
  get conversations() {
    return this.#parts.conversations;
  }

  /**
   * Workflows: see `lib/services/workflows/service.js`.
   * @returns {Pick<import('../services/workflows/service.js').Workflows,
   *   'submit' | 'get' | 'list' | 'page' | 'node' | 'cancel' | 'retry' | 'stream'>}
   */
  get workflows() {
    return this.#parts.workflows;
  }

  /** @type {import('../services/workflows/service.js').Workflows['submit']} `gateway.workflows.submit` */
  async submitWorkflow(request, options) {
    return this.workflows.submit(request, options);
  }

  /** @type {import('../services/workflows/service.js').Workflows['get']} `gateway.workflows.get` */
  workflow(id, options) {
    return this.workflows.get(id, options);
  }

  /** Accounts, transfers and usage: see `lib/services/billing/service.js`. */
  get credits() {
    return this.#parts.billing.credits;
  }

  /**
   * Failed webhooks: `listFailed({limit, after})` and `replay(id)`, see
   * `lib/services/webhooks/deliveries.js`.
   * @returns {Pick<import('../services/webhooks/service.js').Webhooks, 'listFailed' | 'replay'>}
   */
  get webhooks() {
    return this.#parts.webhooks;
  }

  /**
   * The audit log: `list(query)` reads it (with `redis` as a promise); `record(action)` adds an action of the
   * application, for example of its own administration page.
   * @returns {{list: AuditPort['list'], record: AuditPort['record']}}
   */
  get audit() {
    const { audit } = this.#parts;
    return { list: (query) => audit.list(query), record: (action) => audit.record(action) };
  }

  /**
   * Crawls: see `lib/services/crawls/service.js`.
   * @returns {Pick<import('../services/crawls/service.js').Crawls, 'submit' | 'get' | 'list' | 'cancel' | 'stream'>}
   */
  get crawls() {
    return this.#parts.crawls;
  }

  /**
   * A job's events: everything after `lastEventId`, then live, up to the terminal event. In TypeScript
   * `stream<WorkflowEvent>(id)` and `stream<CrawlEvent>(id)` give the types of the other kinds.
   * @template {import('../streams/events.js').AnyStreamEvent} [Event=import('../streams/events.js').StreamEvent]
   * @param {string} id of a job, a workflow or a crawl
   * @param {{lastEventId?: string, signal?: AbortSignal, principal?: string}} [options]
   * @returns {AsyncIterable<Event>}
   * @throws {import('../internal/util/http-error.js').HttpError} `ERR_JOB_NOT_FOUND`. With `redis` the
   *   first `next()` rejects with it, because other processes have jobs, too
   */
  stream(id, options) {
    const known = ['lastEventId', 'signal', 'principal'];
    const { lastEventId, signal, principal = ANONYMOUS } = checkOptions('stream', options, known);
    const { lifecycle, operations, deployed, hub } = this.#parts;
    // An operation that ended here may continue in another process.
    const operation = deployed === undefined ? operations.get(id, principal) : undefined;
    const record = lifecycle.jobs.get(id, principal) ?? operation;
    if (record === undefined && deployed === undefined) throw jobNotFound();
    if (this.#hubClosed) throw draining();
    const find = deployed && (() => this.#findLog(id, principal));
    const own = { lastEventId, signal: checkSignal('signal', signal) };
    return streamEvents(hub, { handle: record?.handle, find }, own);
  }

  /**
   * @param {string} id of a job, a workflow or a crawl
   * @param {string} principal
   * @returns {Promise<{handle: number}>}
   * @throws {HttpError} 404 `job_not_found`
   */
  async #findLog(id, principal) {
    const kind = kindOf(id);
    if (kind === undefined) return this.#find(id, principal);
    if (this.#hubClosed) throw draining();
    const log = await this.#parts.operationDirectory.log(kind, id, principal);
    if (log === undefined) throw jobNotFound();
    return log;
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<JobRecord>}
   * @throws {HttpError} 404 `job_not_found`
   */
  async #find(id, principal) {
    if (this.#hubClosed) throw draining();
    const record = await this.#parts.directory.find(id, principal);
    if (record === undefined) throw jobNotFound();
    return record;
  }

  // ---------------------------------------------------------------- serving and closing

  /**
   * The HTTP contract, without the page, as a function of node:http's request and response. As a
   * middleware it passes unknown paths to `next`. Without `next` it answers below any prefix, and
   * unknown paths get a 404. The body must not have been read, or must be in `req.body`, parsed.
   * @returns {import('../http/handler.js').Handler}
   */
  handler() {
    return this.#handler;
  }

  /**
   * The handler for Express: `app.use(gateway.router())`, under any path.
   * @returns {import('../http/handler.js').Handler}
   */
  router() {
    return this.#handler;
  }

  /**
   * The HTTP contract as a function of the Web's `Request` and `Response`, for route handlers of Hono,
   * Next.js and others in Node. Needs no `this`, and ignores further arguments.
   *
   * Resolves with the head; the body streams, at the pace of its reader. Cancelling the body, and
   * aborting `request.signal`, count as a disconnect. Paths may have any prefix (`/api/ai/v1/jobs`). The
   * client's address is unknown, so without keys no caller is an administrator.
   * @type {(request: Request) => Promise<Response>}
   */
  fetch = async (request) => (await importFetch()).fetchFrom(this.#handler, request);

  /**
   * Serves the router and the page of `web/`, when the provider is ready.
   * @param {import('../http/server.js').ListenOptions} [options] defaults: a free port,
   *   `127.0.0.1`; without keys a host that other machines can reach needs `open: true`
   * @returns {Promise<import('../http/server.js').GatewayServer>} a `http.Server` with `url` and
   *   `port`, listening; `gateway.close()` closes it
   */
  async listen(options) {
    const { gate, options: own, store, access, metrics } = this.#parts;
    // A model that fails to load must fail the start, not the first request.
    if (!gate.draining) await own.provider.ready?.();
    await store?.restored;
    const isMember = await this.#parts.deployed?.cluster.ready(FIRST_ANSWER_MS);
    // Keys disabled over HTTP must not be accepted.
    if (isMember) await this.#parts.sharedKeys?.read().catch(() => {});
    if (gate.draining) throw draining();
    const { authenticate, egress, logger: log, bodyIdleMs, maxBodyBytes: bodyBytesMax } = own;
    const onRefused = (/** @type {'all' | 'address'} */ limit) =>
      metrics.refusedConnections.inc({ limit });
    const deps = {
      ...{ handler: this.#handler, access, authenticate, egress, onRefused, log },
      ...{ bodyIdleMs, bodyBytesMax },
    };
    const opened = await server().listen(deps, options);
    this.#servers.add(opened);
    opened.once('close', () => this.#servers.delete(opened));
    setImmediate(() => metrics.addProcess());
    // close() may have run while the server was being opened.
    if (gate.draining) await opened.drain();
    return opened;
  }

  /**
   * Replaces the configuration of keys and limits. Open streams continue, even those of a removed
   * key. A raised limit keeps the amount in use.
   * @param {{access: import('../jobs/policy/config.js').AccessConfig}} options
   * @throws {TypeError | RangeError} naming the invalid member; the current configuration is kept
   */
  reload(options) {
    const access = checkReloadOptions(options);
    const trail = this.#parts.audit.begin({ actor: null, action: 'config.reload' });
    try {
      this.#replaceAccess(access);
    } catch (error) {
      trail.end({ code: 'invalid_value' });
      throw error;
    }
    trail.end({});
  }

  /** @param {unknown} given an `AccessConfig` */
  #replaceAccess(given) {
    const { applyAccess, sharedKeys } = this.#parts;
    const access = /** @type {import('../jobs/policy/config.js').AccessConfig} */ (given);
    if (sharedKeys === undefined) {
      applyAccess(access);
      return;
    }
    // Changes in Redis override it; an invalid configuration changes nothing.
    compileAccess('access', access);
    sharedKeys.replaceOwn(structuredClone(access));
    applyAccess(sharedKeys.access);
  }

  /** @returns {boolean} whether new jobs are accepted: false after a call of `close()` */
  ready() {
    return !this.#parts.gate.draining;
  }

  /**
   * Refuses new jobs, lets running ones continue for `drainMs`, then ends them as `shutdown`; each
   * stream gets its terminal event. Then closes servers, provider and hub, so that nothing keeps
   * the process alive. A second call returns the promise of the first.
   * @param {{drainMs?: number}} [options] default 10000
   * @returns {Promise<void>}
   */
  close(options) {
    const { drainMs } = checkCloseOptions(options);
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  /** @param {number} drainMs */
  async #close(drainMs) {
    try {
      await shutdown().shutDown(this.#parts, { drainMs, servers: this.#servers });
    } finally {
      this.#hubClosed = true;
      const { cache, hub, store, memory, deployed } = this.#parts;
      memory.close();
      cache.close();
      // Remaining writes of operations would wait while Redis is away.
      deployed?.writes.close();
      if (store !== undefined || deployed !== undefined) await hub.flush();
      await deployed?.deployment.leave();
      hub.close();
      deployed?.close();
      await store?.close();
    }
  }
}

/**
 * @param {import('./options.js').GatewayOptions} options
 * @returns {Gateway}
 * @throws {TypeError | RangeError} naming the invalid option and its valid values
 */
export function createGateway(options) {
  return new Gateway(assembly().createParts(checkGatewayOptions(options)));
}
