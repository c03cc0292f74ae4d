/** Builds the parts of a gateway and connects them. Main thread. */
import { AccessControl } from '../jobs/policy/access-control.js';
import { Admission } from '../jobs/admission/admission.js';
import { AnswerCache } from '../jobs/execution/answer-cache.js';
import { AuditLog } from '../services/audit/log.js';
import { ConversationRepository, partitionLimits } from '../services/conversations/repository.js';
import { Conversations } from '../services/conversations/service.js';
import { Crawls } from '../services/crawls/service.js';
import { DurableStreams, partitionLimits as durableLimits } from '../services/durable/service.js';
import { Erasure } from '../services/erasure/service.js';
import { GatewayMetrics } from './metrics.js';
import { JobLifecycle } from '../jobs/execution/lifecycle.js';
import { JobRunner } from '../jobs/execution/runner.js';
import { ConfigFile } from '../services/keys/config-file.js';
import { lateModule, later } from '../internal/util/packages.js';
import { KvAuditJournal, auditLimits } from '../services/audit/journal.js';
import { KvNamespaces } from '../primitives/kv/namespaces.js';
import { LocalKv } from '../primitives/kv/local-kv.js';
import { LocalStore } from '../services/conversations/local-store.js';
import { Ledger } from '../primitives/ledger/ledger.js';
import { LocalJobs } from '../jobs/job-directory.js';
import { LogService } from '../services/error-logs/service.js';
import { MemoryBudget } from '../internal/util/memory-budget.js';
import { Orphans } from '../http/faces/orphans.js';
import { UiChats } from '../http/faces/ui/chats.js';
import { OpenStreams } from '../http/sse/open-streams.js';
import { ChildJobs } from '../services/operations/child-jobs.js';
import { Reservations } from '../jobs/rate-limits/reservations.js';
import { StreamUrls } from '../jobs/policy/signed-urls.js';
import { Telemetry } from '../services/telemetry/service.js';
import { Turns } from '../services/conversations/turns.js';
import { Webhooks } from '../services/webhooks/service.js';
import { Workflows } from '../services/workflows/service.js';
import { Operations } from '../services/operations/operations.js';
import { createBilling } from '../services/billing/service.js';
import { JobHub } from '../streams/hub.js';
import { deadlinesOf } from '../internal/time/timers.js';
import { createJobPipeline, loadOf } from '../jobs/execution/job-pipeline.js';
import { manualReactor, sharedReactors } from '../internal/native/reactor.js';
import { jobToJson } from '../http/routes/jobs.js';
import { chain, LocalOperations } from '../services/operations/directory.js';
import { crawlToJson, workflowToJson } from '../http/routes/operations.js';
import { monotonicClock, wallClock } from '../internal/time/clock.js';
import { overheadMsOf } from '../jobs/execution/overhead.js';
import { webhookLimits } from '../services/webhooks/repository.js';
import { openJobStore } from '../jobs/storage/job-store.js';
import { runningLogBytes } from './running-logs.js';

/** @typedef {ReturnType<typeof createParts>} GatewayParts */

/** Open streams of changes of keys. */
const WATCHES_MAX = 1000;
/** Open streams of errors. */
const ERROR_STREAMS_MAX = 100;

/** What only a gateway with Redis needs. @type {() => typeof import('./cluster-parts.js')} */
const clusterParts = lateModule(import.meta.url, (require) => require('./cluster-parts.js'));

/** Services that only their routes use. */
const importAdmin = later(() => import('./admin-parts.js'));
const importEmbeddings = later(() => import('../services/embeddings/service.js'));
const importKeys = later(() => import('../services/keys/service.js'));

/**
 * @template Module, Service
 * @param {() => Promise<Module>} load
 * @param {(module: Module) => Service} make
 * @returns {() => Promise<Service>} made by the first call
 */
function onceLoaded(load, make) {
  /** @type {Service | undefined} */
  let made;
  return async () => {
    const module = await load();
    made ??= make(module);
    return made;
  };
}

/**
 * The parts behind the dashboard.
 * @param {Parameters<typeof import('./admin-parts.js').createAdmin>[0]} parts
 */
function adminOf(parts) {
  let isClosed = false;
  /** @type {ReturnType<typeof import('./admin-parts.js').createAdmin> | undefined} */
  let made;
  const load = onceLoaded(importAdmin, ({ createAdmin }) => {
    made = createAdmin(parts);
    if (isClosed) made.feed.close();
    return made;
  });
  const close = () => {
    isClosed = true;
    made?.feed.close();
  };
  return { load, close };
}

/**
 * Creates the job logs, the queue, the operations, and the path to the provider and back.
 * @param {import('./options.js').CheckedGatewayOptions} options
 * @param {() => boolean} hasPrincipals whether callers are distinguished
 */
function createJobs(options, hasPrincipals) {
  const { clock, reactors: count, reconnectMs: retryMs } = options;
  const reactors = clock === undefined ? sharedReactors(count) : [manualReactor(clock)];
  const store = openJobStore(options, reactors[0]);
  const redis = options.redis && clusterParts().openRedis(options, reactors[0]);
  const { streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs } = options;
  const hub = new JobHub({
    reactors,
    ...{ streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, retryMs },
    store: store?.file.native,
    link: redis?.link,
    flushMs: options.redis?.flushMs,
    countReaders: redis !== undefined,
  });
  const memory = new MemoryBudget({
    limitBytes: options.memoryBudgetBytes,
    settled: () => hub.barrier(),
  });
  memory.gauge('logs', () => hub.logBytes);
  const nowMs = monotonicClock(clock);
  const shared = redis?.cluster.sharedJobs;
  const sharedParts = shared && new (clusterParts().SharedParts)({ log: options.logger });
  const operations = new Operations({
    ...{ hub, nowMs, retentionMs, memory, hasPrincipals, shared: redis?.writes },
    maxRetained: options.maxRetainedJobs,
  });
  const lifecycle = new JobLifecycle({
    options,
    nowMs,
    hub,
    store,
    memory,
    shared,
    parts: sharedParts,
    isForeign: (handle) => operations.byHandle(handle) !== undefined,
  });
  store?.restore({
    hub,
    jobs: lifecycle.jobs,
    onRestored: (record) => lifecycle.emit('restored', record),
    onSettled: () => lifecycle.emit('settled'),
  });
  const { provider, exposeErrors } = options;
  const telemetry = new Telemetry({
    ...{ hub, provider, settings: options.telemetry, log: options.logger },
    realTime: clock === undefined,
  });
  const runner = new JobRunner({ provider, hub, lifecycle, exposeErrors, calls: telemetry.calls });
  const pipeline = createJobPipeline(options, runner);
  const talks = redis && clusterParts().createSharedConversations(redis, options);
  if (talks !== undefined) sharedParts?.add(talks.turns);
  const { turns } = talks ?? {};
  const deployed =
    redis &&
    turns &&
    clusterParts().createDeployment(
      redis,
      { hub, lifecycle, operations, pipeline, turns },
      options,
      nowMs,
    );
  const cache = new AnswerCache({ hub, lifecycle, options: options.cache, memory, clock });
  telemetry.subscribe(lifecycle, cache);
  return {
    store,
    hub,
    memory,
    lifecycle,
    operations,
    pipeline,
    deployed,
    cache,
    telemetry,
    sharedParts,
    talks,
  };
}

/**
 * @param {ReturnType<typeof createJobs>} jobs
 * @param {KvNamespaces} namespaces
 * @param {import('../jobs/job-directory.js').JobDirectory} directory
 * @param {import('./options.js').CheckedGatewayOptions} options
 */
function createConversations(jobs, namespaces, directory, options) {
  const { hub, lifecycle, store, memory, talks } = jobs;
  const { conversations: limits, logger: log, clock } = options;
  const partition = namespaces.partition('conversations', partitionLimits(limits));
  if (talks !== undefined) {
    const { turns } = talks;
    const { SharedStore } = clusterParts();
    const shared = new SharedStore({ ...talks, limits, directory, log });
    return { turns, partition, conversations: new Conversations({ store: shared, limits }) };
  }
  const repository = new ConversationRepository(partition, limits, wallClock(clock));
  const turns = new Turns({ repository, limits, hub, store, memory, log });
  const local = new LocalStore({ repository, turns, lifecycle, store, memory });
  return { turns, partition, conversations: new Conversations({ store: local, limits }) };
}

/**
 * @param {ReturnType<typeof createJobs>} jobs
 * @param {KvNamespaces} namespaces
 * @param {GatewayMetrics} metrics
 * @param {import('./options.js').CheckedGatewayOptions} options
 * @param {() => {workflows: Workflows, crawls: Crawls}} services
 */
function createWebhooks({ hub, lifecycle, store, memory }, namespaces, metrics, options, services) {
  const { webhookSettings: settings, webhookDelivery: limits, logger: log, clock } = options;
  const webhooks = new Webhooks({
    ...{ settings, limits, hub, metrics, log, clock },
    jobs: lifecycle.jobs,
    partition: namespaces.partition('webhooks', webhookLimits(limits.maxBytes)),
    durable: store !== undefined,
    views: {
      job: jobToJson,
      workflow: (operation, { text }) => {
        const { workflows } = services();
        if (!text) return workflowToJson(workflows.summary(operation));
        return chain(workflows.pageOf(operation), workflowToJson);
      },
      crawl: (operation) => crawlToJson(services().crawls.summary(operation)),
    },
  });
  memory.gauge('webhooks', () => webhooks.bytes);
  return webhooks;
}

/**
 * @param {import('./options.js').CheckedGatewayOptions} checked
 */
export function createParts(checked) {
  const logs = new LogService({ ...checked, files: checked.logFiles });
  const options = { ...checked, logger: logs.logger };
  const { clock } = options;
  const unixMs = wallClock(clock);
  const access = new AccessControl(options.policy, options.corsOrigins);
  const hasPrincipals = () => access.keyed || options.authenticate !== undefined;
  const jobs = createJobs(options, hasPrincipals);
  const { hub, lifecycle, operations, pipeline, cache, store, memory, deployed, telemetry } = jobs;
  const cluster = deployed?.cluster;
  const sharedSecret = cluster && (() => cluster.secret);
  const clocks = { unixMs, nowMs: monotonicClock(clock) };
  const streamUrls = new StreamUrls(access, clocks, sharedSecret);
  const reservations = new Reservations({ access, options });
  const sharedReservations =
    cluster && new (clusterParts().SharedReservations)({ access, quota: cluster.sharedLeases });
  if (sharedReservations !== undefined) jobs.sharedParts?.add(sharedReservations);
  const metrics = new GatewayMetrics({
    processDefaults: options.metrics.processDefaults,
    durable: options.data !== undefined,
    upstreams: options.provider.figures?.bind(options.provider),
    stats: () => ({
      ...loadOf(pipeline),
      openStreams: streams.size,
      cached: cache.stats,
      leases: openLeases({ reservations, sharedReservations, lifecycle }),
      held: openHolds({ billing, lifecycle, isShared: cluster !== undefined }),
      durableStreams: durable.size,
      retriesRefused: lifecycle.retryBudgets.refused,
      webhooks: webhooks.figures,
      store: store?.file.figures,
      memory,
    }),
  });
  const ledger = store?.file.ledger ?? new Ledger({ clock });
  const ofBilling = { access, options, metrics, nowMs: unixMs, hub };
  const billing =
    cluster && jobs.sharedParts
      ? clusterParts().createSharedBilling({
          ...{ ...ofBilling, parts: jobs.sharedParts },
          ...{ credit: cluster.sharedCredit, ledger: cluster.ledger },
        })
      : createBilling({ ...ofBilling, ledger, store });
  const namespaces = new KvNamespaces(clock, store?.file);
  memory.gauge('kv', () => namespaces.bytes);
  // Without a data file the entries would be in memory twice.
  const journal = store && new KvAuditJournal(namespaces.partition('audit', auditLimits()));
  const ofAudit = { ...options.audit, unixMs, metrics };
  const localAudit = deployed ? undefined : new AuditLog({ ...ofAudit, journal });
  const audit =
    localAudit ??
    new (clusterParts().SharedAuditLog)({
      ...ofAudit,
      entries: /** @type {any} */ (deployed).audit,
    });
  memory.gauge('audit', () => audit.bytes);
  deployed?.addMetrics(metrics.registry);
  const directory = deployed?.directory ?? new LocalJobs({ hub, lifecycle });
  const { turns, partition, conversations } = createConversations(
    jobs,
    namespaces,
    directory,
    options,
  );
  const ofDurable = { options: options.durable };
  const durable = deployed
    ? new (clusterParts().SharedDurableStreams)({ ...ofDurable, streams: deployed.streams })
    : new DurableStreams({
        ...{ ...ofDurable, namespaces, memory, unixMs, timers: deadlinesOf(clock) },
        partition: namespaces.partition('durable', durableLimits(options.durable)),
      });
  const nowMs = monotonicClock(clock);
  const webhooks = createWebhooks(jobs, namespaces, metrics, options, () => all);
  const admission = new Admission({
    context: () => telemetry.context(),
    ...{ webhooks, options, nowMs, hub, pipeline, lifecycle, cache, reservations, store },
    ...{ turns, billing: billing.jobs, memory, hasPrincipals, directory },
    deployment: cluster &&
      jobs.sharedParts &&
      sharedReservations && {
        shared: cluster.sharedJobs,
        parts: jobs.sharedParts,
        charges: { reservations: sharedReservations, calls: billing.calls },
      },
  });
  memory.setRunning(() => runningLogBytes({ hub, jobs: lifecycle.jobs, operations }));
  /** New work is accepted until this is set. */
  const gate = { draining: false };
  const service = {
    ...{ operations, options, access, streamUrls, hub, nowMs, reservations, memory, hasPrincipals },
    directory: deployed?.operations ?? new LocalOperations({ hub, operations }),
    shared: deployed &&
      sharedReservations && {
        ...{ writes: deployed.writes, remote: deployed.operations },
        reservations: sharedReservations,
      },
    ready: () => !gate.draining,
    checkRoom: () => store?.file.checkRoom(),
  };
  const sharedKeys =
    cluster &&
    new (clusterParts().SharedKeys)({ cluster, own: options.access, log: options.logger });
  const file = options.configFile === undefined ? undefined : new ConfigFile(options.configFile);
  /** @param {import('../jobs/policy/config.js').AccessConfig} config */
  const applyAccess = (config) => {
    access.reload(config);
    reservations.reload();
    sharedReservations?.reload();
  };
  sharedKeys?.applyWith(applyAccess);
  const keys = onceLoaded(importKeys, ({ Keys }) => {
    const hasHook = options.authenticate !== undefined;
    return new Keys({ access, store: sharedKeys ?? file, apply: applyAccess, hasHook });
  });
  const embeddings = onceLoaded(importEmbeddings, ({ Embeddings }) => {
    return new Embeddings({
      ...{ options, billing, memory },
      reservations: sharedReservations ?? reservations,
      onCall: () => telemetry.calls.observeEmbeddings(),
      ready: () => !gate.draining,
    });
  });
  const parts = new ChildJobs({ admission, hub, lifecycle });
  const local = { namespaces, partition: namespaces.partition('kv', options.kv), memory };
  const kv = deployed?.kv ?? new LocalKv(local);
  memory.gauge('watches', () => kv.watchBytes);
  const erasure = new Erasure({
    ...{
      hub,
      lifecycle,
      cache,
      admission,
      turns,
      operations,
      billing,
      ledger,
      store,
      webhooks,
      audit: localAudit,
    },
    kv,
    partitions: [partition],
    durable: deployed === undefined ? durable : undefined,
  });
  const erasePrincipal =
    deployed === undefined
      ? (/** @type {string} */ principal) => erasure.principal(principal)
      : deployed.eraserOf(erasure, [
          (principal) => kv.erase(principal),
          (principal) => billing.erasePrincipal?.(principal),
          (principal) => jobs.talks?.conversations.clear(principal),
          (principal) => durable.erase(principal),
          (principal) => deployed.faceStore.erase(principal),
          (principal) => clusterParts().erasePrincipalIn(deployed.audit, principal),
        ]);
  const streams = new OpenStreams({ max: options.maxStreams, hasPrincipals });
  const all = {
    ...{
      options,
      access,
      streamUrls,
      ...jobs,
      reservations,
      sharedReservations,
      metrics,
      ledger,
      billing,
      turns,
    },
    ...{ conversations, admission, operations, logs, gate, directory },
    operationDirectory: service.directory,
    deployment: deployed?.deployment,
    faces: deployed?.faces ?? {
      ...{ orphans: new Orphans(), chats: new UiChats(lifecycle), events: [lifecycle] },
    },
    ...{ kv, durable, unixMs, erasure, erasePrincipal, embeddings, webhooks, audit, keys },
    ...{ sharedKeys, applyAccess },
    streams,
    watches: new OpenStreams({ max: WATCHES_MAX, hasPrincipals, within: streams }),
    errorStreams: new OpenStreams({ max: ERROR_STREAMS_MAX, hasPrincipals, within: streams }),
    workflows: new Workflows({ ...service, parts, retryBudget: lifecycle.retryBudgets.of() }),
    crawls: new Crawls(service),
  };
  memory.gauge('idempotency_keys', () =>
    [admission, all.workflows, all.crawls].reduce((sum, { keyBytes }) => sum + keyBytes, 0),
  );
  subscribe(all);
  return { ...all, admin: adminOf({ ...all, cluster }) };
}

/**
 * @param {object} parts
 * @param {import('../services/billing/service.js').Billing} parts.billing
 * @param {JobLifecycle} parts.lifecycle
 * @param {boolean} parts.isShared
 * @returns {number} holds that are not settled; of a deployment, those of this process
 */
function openHolds({ billing, lifecycle, isShared }) {
  if (!isShared) return billing.jobs.open;
  const active = lifecycle.jobs.active().filter(({ extra }) => holdsCredit(extra));
  return billing.jobs.open + active.length;
}

/** @param {import('../jobs/job.js').JobRecord['extra']} extra */
function holdsCredit(extra) {
  const bill = /** @type {import('../services/billing/charges.js').Bill | undefined} */ (
    extra?.credit
  );
  return bill !== undefined && bill.held !== '0';
}

/**
 * @param {Pick<GatewayParts, 'reservations' | 'sharedReservations' | 'lifecycle'>} parts
 * @returns {number} reservations that are not settled; of a deployment, those of this process
 */
function openLeases({ reservations, sharedReservations, lifecycle }) {
  if (sharedReservations === undefined) return reservations.open;
  const active = lifecycle.jobs.active().filter(({ reservation }) => reservation !== undefined);
  return reservations.open + sharedReservations.open + active.length;
}

/**
 * Subscribes webhooks, billing, turns, metrics and the log to the ends of jobs and operations. Order
 * matters: webhooks are stored before the job counts as settled, and credit and turns are settled before the
 * end of a job is logged.
 * @param {Omit<GatewayParts, 'admin'>} parts
 */
function subscribe({ lifecycle, cache, admission, operations, billing, turns, metrics, ...rest }) {
  const { webhooks } = rest;
  const log = rest.options.logger;
  /** @param {import('../jobs/job.js').JobRecord} record */
  const settle = (record) => {
    // An earlier process that counted the job has stored its webhooks before.
    if (!record.counted) webhooks.onJobEnded(record);
    billing.settle(record);
    turns.end(record);
  };
  lifecycle.on('ended', settle);
  lifecycle.on('restored', settle);
  lifecycle.on('settled', billing.releaseOrphans);
  lifecycle.on('ended', (record, state) => {
    metrics.observe(state, overheadMsOf(record, state.metrics.duration_ms));
    const { id, principal, model, upstream, attempts, cache: shared } = record;
    const { status, reason, error, metrics: figures } = state;
    if (record.answer === undefined) metrics.observeUpstream(record, figures);
    const failed = status === 'failed';
    const fields = {
      job_id: id,
      principal,
      model,
      upstream,
      status,
      reason,
      error,
      err: failed ? record.failure?.logged : undefined,
      cache: shared,
      attempts,
      ...figures,
    };
    log[failed ? 'error' : 'info'](fields, 'job ended');
  });
  lifecycle.on('attempt', ({ attempts }) => {
    if (attempts > 1) metrics.retries.inc();
  });
  cache.on('ended', (answer) => {
    const { final, upstream } = answer;
    if (final?.status === 'completed') lifecycle.retryBudgets.of(upstream).onSuccess();
    if (final !== undefined) metrics.observeUpstream(answer, final.metrics);
    billing.settle(answer);
  });
  admission.on('admitted', ({ cache: result }) => {
    if (result !== undefined) metrics.cacheLookups.inc({ result });
  });
  admission.on('refused', (/** @type {Refusal} */ { wireCode: code, refusedBy = [] }, record) => {
    metrics.rejected.inc({ code });
    for (const labels of refusedBy) metrics.rateLimited.inc(labels);
    const { principal, model } = record;
    log.debug?.({ principal, model, code, refused_by: refusedBy }, 'job refused');
  });
  operations.on('ended', (operation, state) => {
    const { kind, id, principal, attempt } = operation;
    webhooks.onOperationEnded(operation, state);
    const { status, reason, error, metrics: figures } = state;
    metrics.operations.inc({ kind, status });
    const fields = { principal, status, reason, error, attempt, ...figures };
    log[status === 'failed' ? 'error' : 'info']({ [`${kind}_id`]: id, ...fields }, `${kind} ended`);
  });
}

/**
 * @typedef {import('../internal/util/http-error.js').HttpError &
 *   {refusedBy?: {scope: string, limit: string}[]}} Refusal
 */
