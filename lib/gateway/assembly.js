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
import { Webhooks, webhookOf } from '../services/webhooks/service.js';
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
import { webhookLimits } from '../services/webhooks/repository.js';
import { openJobStore } from '../jobs/storage/job-store.js';
import { addReadings } from './metric-readings.js';
import { openHolds, openLeases, runningLogBytes } from './figures.js';
import { subscribe } from './listeners.js';

/** @typedef {ReturnType<typeof createParts>} GatewayParts */

/** Maximum open streams of changes of keys. */
const WATCHES_MAX = 1000;
/** Maximum open streams of errors. */
const ERROR_STREAMS_MAX = 100;

/** What only a gateway with Redis needs. @type {() => typeof import('./cluster-parts.js')} */
const clusterParts = lateModule(import.meta.url, (require) => require('./cluster-parts.js'));

/** Services used only by their routes. */
const importAdmin = later(() => import('./admin-parts.js'));
const importEmbeddings = later(() => import('../services/embeddings/service.js'));
const importKeys = later(() => import('../services/keys/service.js'));

/**
 * @template Module, Service
 * @param {() => Promise<Module>} load
 * @param {(module: Module) => Service} make
 * @returns {() => Promise<Service>} the service, created by the first call
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
 * @param {{workflows: Workflows, crawls: Crawls}} services
 */
function createWebhooks(jobs, namespaces, metrics, options, { workflows, crawls }) {
  const { hub, lifecycle, store, memory } = jobs;
  const { webhookSettings: settings, webhookDelivery: limits, logger: log, clock } = options;
  const webhooks = new Webhooks({
    ...{ settings, limits, hub, metrics, log, clock },
    jobs: lifecycle.jobs,
    partition: namespaces.partition('webhooks', webhookLimits(limits.maxBytes)),
    durable: store !== undefined,
    views: {
      job: jobToJson,
      workflow: (operation, { text }) => {
        if (!text) return workflowToJson(workflows.summary(operation));
        return chain(workflows.pageOf(operation), workflowToJson);
      },
      crawl: (operation) => crawlToJson(crawls.summary(operation)),
    },
  });
  memory.gauge('webhooks', () => webhooks.bytes);
  return webhooks;
}

/**
 * @param {ReturnType<typeof createJobs>} jobs
 * @param {KvNamespaces} namespaces
 * @param {GatewayMetrics} metrics
 * @param {import('./options.js').CheckedGatewayOptions} options
 */
function createAudit({ store, memory, deployed }, namespaces, metrics, options) {
  const deps = { ...options.audit, unixMs: wallClock(options.clock), metrics };
  // Without a data file a journal would store the entries in memory twice.
  const journal = store && new KvAuditJournal(namespaces.partition('audit', auditLimits()));
  const local = deployed ? undefined : new AuditLog({ ...deps, journal });
  const audit =
    local ??
    new (clusterParts().SharedAuditLog)({ ...deps, entries: /** @type {any} */ (deployed).audit });
  memory.gauge('audit', () => audit.bytes);
  return { audit, localAudit: local };
}

/**
 * @param {ReturnType<typeof createJobs>} jobs
 * @param {KvNamespaces} namespaces
 * @param {import('./options.js').CheckedGatewayOptions} options
 */
function createDurable({ memory, deployed }, namespaces, { durable: options, clock }) {
  if (deployed !== undefined) {
    return new (clusterParts().SharedDurableStreams)({ options, streams: deployed.streams });
  }
  return new DurableStreams({
    ...{ options, namespaces, memory, unixMs: wallClock(clock), timers: deadlinesOf(clock) },
    partition: namespaces.partition('durable', durableLimits(options)),
  });
}

/**
 * The keys of callers, and the limits that come with them.
 * @param {object} parts
 * @param {AccessControl} parts.access
 * @param {Reservations} parts.reservations
 * @param {import('../jobs/rate-limits/shared-reservations.js').SharedReservations} [parts.sharedReservations]
 * @param {import('../cluster/cluster.js').Cluster} [parts.cluster]
 * @param {import('./options.js').CheckedGatewayOptions} options
 */
function createKeys({ access, reservations, sharedReservations, cluster }, options) {
  const { configFile, authenticate, logger: log } = options;
  const sharedKeys =
    cluster && new (clusterParts().SharedKeys)({ cluster, own: options.access, log });
  const file = configFile === undefined ? undefined : new ConfigFile(configFile);
  /** @param {import('../jobs/policy/config.js').AccessConfig} config */
  const applyAccess = (config) => {
    access.reload(config);
    reservations.reload();
    sharedReservations?.reload();
  };
  sharedKeys?.applyWith(applyAccess);
  const keys = onceLoaded(importKeys, ({ Keys }) => {
    const hasHook = authenticate !== undefined;
    return new Keys({ access, store: sharedKeys ?? file, apply: applyAccess, hasHook });
  });
  return { keys, sharedKeys, applyAccess };
}

/**
 * @param {ReturnType<typeof createJobs>} jobs
 * @param {Omit<ConstructorParameters<typeof Erasure>[0], 'hub' | 'lifecycle' | 'cache' | 'operations' | 'store'>
 *   & {durable: DurableStreams | import('../services/durable/shared-service.js').SharedDurableStreams}} services
 */
function createErasure({ hub, lifecycle, cache, operations, store, deployed, talks }, services) {
  const { kv, billing, durable } = services;
  const erasure = new Erasure({
    ...{ ...services, hub, lifecycle, cache, operations, store },
    durable: deployed === undefined ? durable : undefined,
  });
  const erasePrincipal =
    deployed === undefined
      ? (/** @type {string} */ principal) => erasure.principal(principal)
      : deployed.eraserOf(erasure, [
          (principal) => kv.erase(principal),
          (principal) => billing.erasePrincipal?.(principal),
          (principal) => talks?.conversations.clear(principal),
          (principal) => durable.erase(principal),
          (principal) => deployed.faceStore.erase(principal),
          (principal) => clusterParts().erasePrincipalIn(deployed.audit, principal),
        ]);
  return { erasure, erasePrincipal };
}

/** @param {import('./options.js').CheckedGatewayOptions} checked */
export function createParts(checked) {
  const logs = new LogService({ ...checked, files: checked.logFiles });
  const options = { ...checked, logger: logs.logger };
  const { clock, provider } = options;
  const unixMs = wallClock(clock);
  const nowMs = monotonicClock(clock);
  const access = new AccessControl(options.policy, options.corsOrigins);
  const hasPrincipals = () => access.keyed || options.authenticate !== undefined;
  const jobs = createJobs(options, hasPrincipals);
  const { hub, lifecycle, operations, pipeline, cache, store, memory, deployed, telemetry } = jobs;
  const cluster = deployed?.cluster;
  const sharedSecret = cluster && (() => cluster.secret);
  const streamUrls = new StreamUrls(access, { unixMs, nowMs }, sharedSecret);
  const reservations = new Reservations({ access, options });
  const sharedReservations =
    cluster && new (clusterParts().SharedReservations)({ access, quota: cluster.sharedLeases });
  if (sharedReservations !== undefined) jobs.sharedParts?.add(sharedReservations);
  const metrics = new GatewayMetrics({
    processDefaults: options.metrics.processDefaults,
    hasUpstreams: provider.figures !== undefined,
  });
  deployed?.addMetrics(metrics.registry);
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
  const { audit, localAudit } = createAudit(jobs, namespaces, metrics, options);
  const directory = deployed?.directory ?? new LocalJobs({ hub, lifecycle });
  const talks = createConversations(jobs, namespaces, directory, options);
  const { turns, conversations } = talks;
  const durable = createDurable(jobs, namespaces, options);
  const admission = new Admission({
    context: () => telemetry.context(),
    webhookOf: (request, within) => webhookOf(options.webhookSettings, request, within),
    ...{ options, nowMs, hub, pipeline, lifecycle, cache, reservations, store },
    ...{ turns, billing: billing.jobs, memory, hasPrincipals, directory },
    deployment: cluster &&
      jobs.sharedParts &&
      sharedReservations && {
        shared: cluster.sharedJobs,
        parts: jobs.sharedParts,
        charges: { reservations: sharedReservations, calls: billing.calls },
      },
  });
  /** New work is accepted until this is set. */
  const gate = { draining: false };
  const ready = () => !gate.draining;
  const service = {
    ...{ operations, options, access, streamUrls, hub, nowMs, reservations, memory, hasPrincipals },
    ready,
    directory: deployed?.operations ?? new LocalOperations({ hub, operations }),
    shared: deployed &&
      sharedReservations && {
        ...{ writes: deployed.writes, remote: deployed.operations },
        reservations: sharedReservations,
      },
    checkRoom: () => store?.file.checkRoom(),
  };
  const workflows = new Workflows({
    ...service,
    parts: new ChildJobs({ admission, hub, lifecycle }),
    retryBudget: lifecycle.retryBudgets.of(),
  });
  const crawls = new Crawls(service);
  const webhooks = createWebhooks(jobs, namespaces, metrics, options, { workflows, crawls });
  const embeddings = onceLoaded(importEmbeddings, ({ Embeddings }) => {
    return new Embeddings({
      ...{ options, billing, memory, ready },
      reservations: sharedReservations ?? reservations,
      onCall: () => telemetry.calls.observeEmbeddings(),
    });
  });
  const local = { namespaces, partition: namespaces.partition('kv', options.kv), memory };
  const kv = deployed?.kv ?? new LocalKv(local);
  const streams = new OpenStreams({ max: options.maxStreams, hasPrincipals });
  const all = {
    ...{ ...jobs, options, logs, access, streamUrls, reservations, sharedReservations, metrics },
    ...{ ledger, billing, turns, conversations, durable, admission, gate, directory, kv, audit },
    ...{ workflows, crawls, webhooks, embeddings, streams, unixMs },
    ...createKeys({ access, reservations, sharedReservations, cluster }, options),
    ...createErasure(jobs, {
      ...{ admission, turns, billing, ledger, webhooks, kv, durable, audit: localAudit },
      partitions: [talks.partition],
    }),
    operationDirectory: service.directory,
    deployment: deployed?.deployment,
    faces: deployed?.faces ?? {
      ...{ orphans: new Orphans(), chats: new UiChats(lifecycle), events: [lifecycle] },
    },
    watches: new OpenStreams({ max: WATCHES_MAX, hasPrincipals, within: streams }),
    errorStreams: new OpenStreams({ max: ERROR_STREAMS_MAX, hasPrincipals, within: streams }),
  };
  memory.setRunning(() => runningLogBytes({ hub, jobs: lifecycle.jobs, operations }));
  memory.gauge('watches', () => kv.watchBytes);
  memory.gauge('idempotency_keys', () =>
    [admission, workflows, crawls].reduce((sum, { keyBytes }) => sum + keyBytes, 0),
  );
  addReadings(metrics.registry, {
    ...{ cache, streams, durable, webhooks, memory, retryBudgets: lifecycle.retryBudgets },
    load: () => loadOf(pipeline),
    leases: () => openLeases(all),
    holds: () => openHolds({ billing, lifecycle, isShared: cluster !== undefined }),
    upstreams: provider.figures?.bind(provider),
    file: store?.file,
  });
  subscribe({ ...all, log: options.logger });
  return { ...all, admin: adminOf({ ...all, cluster }) };
}
