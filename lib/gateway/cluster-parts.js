/** Builds the parts of a gateway that is one of several processes on Redis. Main thread. */
import { AdoptedJobs, Deployment } from '../cluster/deployment.js';
import { Departure } from '../cluster/jobs/departure.js';
import { DeploymentErasure } from '../services/erasure/deployment.js';
import { Failover } from '../cluster/jobs/failover.js';
import { FaceStore } from '../cluster/jobs/face-store.js';
import { OperationWrites } from '../cluster/operations/operation-writes.js';
import { Presence } from '../cluster/jobs/presence.js';
import { RedisLink, requireRedis } from '../streams/redis-link.js';
import { RemoteJobs } from '../cluster/jobs/remote-jobs.js';
import { RemoteOperations } from '../cluster/operations/remote-operations.js';
import { Replicas } from '../cluster/jobs/replicas.js';
import { SharedAudit } from '../cluster/shared-audit.js';
import { SharedDurable } from '../cluster/durable/shared-durable.js';
import { SharedKvSpaces } from '../cluster/kv/spaces.js';
import { SharedConversations } from '../cluster/shared-conversations.js';
import { SharedOrphans } from '../http/faces/shared-orphans.js';
import { SharedTurns } from '../services/conversations/shared-turns.js';
import { SharedUiChats } from '../http/faces/ui/shared-chats.js';
import { addClusterMetrics } from './cluster-metrics.js';
import { openCluster } from '../cluster/cluster.js';
import { eraseJobIn } from '../services/audit/shared-log.js';
import { scripts } from '../cluster/client/scripts.js';
import { subscriber } from '../cluster/client/subscription.js';

export { SharedAuditLog, erasePrincipalIn } from '../services/audit/shared-log.js';
export { SharedDurableStreams } from '../services/durable/shared-service.js';
export { SharedKeys } from '../cluster/shared-keys.js';
export { SharedParts } from '../jobs/shared-parts.js';
export { SharedReservations } from '../jobs/rate-limits/shared-reservations.js';
export { SharedStore } from '../services/conversations/shared-store.js';
export { createSharedBilling } from '../services/billing/shared-billing.js';

/** @typedef {import('./options.js').CheckedGatewayOptions} Options */
/** @typedef {import('../jobs/job.js').JobRecord} JobRecord */
/** @typedef {NonNullable<ReturnType<typeof openRedis>>} Redis */
/** @typedef {import('../services/operations/directory.js').OperationDirectory} OperationDirectory */
/** @typedef {OperationDirectory & Omit<RemoteOperations, keyof OperationDirectory>} SharedDirectory */

/** Maximum time that a chat keeps its job after the job's wall time and retention. */
const CHAT_SPARE_MS = 3_600_000;

/**
 * Connects to Redis. The hub writes its jobs to the link.
 * @param {Options} options
 * @param {import('../internal/native/reactor.js').Reactor} reactor
 * @throws {import('../internal/util/errors.js').SluiceError} `ERR_REDIS_NOT_BUILT`
 */
export function openRedis({ redis, idempotency, logger: log }, reactor) {
  if (redis === undefined) return undefined;
  requireRedis();
  const cluster = openCluster({ redis, keyTtlMs: idempotency.ttlMs, log });
  const { beat, finish } = scripts();
  const link = new RedisLink({
    ...cluster.redis.route.ofLink(),
    ...{ reactor, leaseMs: redis.leaseMs, scripts: { beat, finish } },
    waitReplicas: redis.waitReplicas,
    prefix: cluster.prefix,
    process: cluster.process,
  });
  cluster.useLink(link);
  // A command or a channel that only the job log needs; refusals of the control connection are
  // reported by that connection.
  const reportRefusal = () => {
    if (link.state !== 'refused' || !cluster.isMember) return;
    const fields = { redis: redis.address.shown, detail: link.detail };
    log.error(
      fields,
      'Redis refuses what the logs of jobs need; they are not shared until it is granted',
    );
  };
  link.on('state', reportRefusal);
  cluster.on('joined', reportRefusal);
  return { cluster, link, writes: new OperationWrites({ cluster, log }) };
}

/**
 * @param {Redis} redis
 * @param {Options} options
 */
export function createSharedConversations({ cluster }, { conversations: limits }) {
  const conversations = new SharedConversations({ cluster, calls: cluster.calls });
  return { conversations, turns: new SharedTurns({ conversations, limits }) };
}

/**
 * @param {Redis} redis
 * @param {object} jobs
 * @param {import('../streams/hub.js').JobHub} jobs.hub
 * @param {import('../jobs/execution/lifecycle.js').JobLifecycle} jobs.lifecycle
 * @param {import('../services/operations/operations.js').Operations} jobs.operations of this process
 * @param {import('../primitives/scheduling/pipeline.js').Pipeline<JobRecord>} jobs.pipeline
 * @param {SharedTurns} jobs.turns
 * @param {Options} options
 * @param {() => number} nowMs
 */
export function createDeployment({ cluster, link, writes }, jobs, options, nowMs) {
  const { hub, lifecycle, pipeline, turns } = jobs;
  const own = /** @type {import('../cluster/operations/own-operations.js').OwnOperations} */ (
    /** @type {unknown} */ (jobs.operations)
  );
  const { logger: log, maxWallMs, retentionMs } = options;
  const redis = /** @type {import('../cluster/options.js').CheckedRedis} */ (options.redis);
  const { leaseMs, onProducerLost } = redis;
  const replicas = new Replicas({ hub, cluster, lifecycle, operations: own, leaseMs, nowMs, log });
  const audit = new SharedAudit({ redis: cluster.redis, log });
  const departure = new Departure({ cluster, lifecycle, hub, onProducerLost, log });
  const failover = new Failover({
    ...{ cluster, hub, lifecycle, operations: own, writes, replicas, onProducerLost, leaseMs, log },
    queue: new AdoptedJobs({ lifecycle, pipeline, departure, turns, options }),
  });
  const directory = new RemoteJobs({
    ...{ hub, cluster, lifecycle, operations: own, replicas, failover, log },
    onErased: (id) => eraseJobIn(audit, id),
  });
  const deployment = new Deployment({
    ...{ cluster, lifecycle, operations: own, replicas, departure, failover, log },
    maxRetainedJobs: options.maxRetainedJobs,
  });
  const operations = new RemoteOperations({
    ...{ hub, cluster, operations: own, replicas, directory, leaseMs, nowMs, log },
  });
  const endJob = (
    /** @type {JobRecord | import('../cluster/operations/own-operations.js').OwnOperation} */ record,
  ) =>
    'cancel' in record
      ? record.cancel('client_disconnected')
      : lifecycle.cancel(record, 'client_disconnected');
  const presence = new Presence({ hub, cluster, replicas, endJob });
  lifecycle.on('queued', (record) => {
    const graceMs = lifecycle.graceMsOf(record);
    if (record.part === undefined && graceMs < Infinity) presence.watch(record, graceMs);
  });
  own.on('begun', (operation) => {
    if (operation.graceMs < Infinity) presence.watch(operation, operation.graceMs);
  });
  const store = new FaceStore(cluster.redis);
  const faces = {
    orphans: new SharedOrphans({ store, directory }),
    chats: new SharedUiChats({
      ...{ store, directory },
      ttlMs: maxWallMs + retentionMs + CHAT_SPARE_MS,
    }),
    events: [lifecycle, replicas],
  };
  /** Counters of events of the parts. */
  const counts = { fenced: 0, dataLosses: 0 };
  for (const dropped of [lifecycle, own]) {
    /** @type {any} */ (dropped).on('dropped', () => (counts.fenced += 1));
  }
  cluster.on('joined', ({ isLost }) => (counts.dataLosses += isLost ? 1 : 0));

  /** @returns {Promise<import('./cluster-metrics.js').ClusterFigures>} */
  async function figures() {
    const { followed, unsent_tokens: unsentTokens, catch_ups: catchUps } = await hub.replication();
    return {
      ...counts,
      ...{ state: cluster.state, unsentTokens, catchUps, followedJobs: followed },
      conflictingEndings: deployment.conflictingEndings,
      reconnects: Math.max(0, link.figures().connections - 1),
      processes: cluster.members.names.length,
      failovers: failover.outcomes,
    };
  }

  return {
    ...{ cluster, deployment, directory, faces, faceStore: store, writes, audit },
    operations: /** @type {SharedDirectory} */ (/** @type {unknown} */ (operations)),
    kv: new SharedKvSpaces({
      ...{ calls: cluster.calls, prefix: cluster.prefix, limits: options.kv },
      subscribe: subscriber(cluster.redis.route),
    }),
    streams: new SharedDurable({ calls: cluster.calls, channels: cluster }),
    /**
     * @param {import('../services/erasure/service.js').Erasure} erasure of this process
     * @param {((principal: string) => void | Promise<void>)[]} erasers of the services' data in Redis
     * @returns {(principal: string) => Promise<void>} erases a principal from the deployment
     */
    eraserOf(erasure, erasers) {
      const shared = new DeploymentErasure({ cluster, directory, operations, erasure, erasers });
      return (principal) => shared.principal(principal);
    },
    /** @param {import('prom-client').Registry} registry */
    addMetrics(registry) {
      const { observeRoundtrip } = addClusterMetrics(registry, figures);
      cluster.on('beat', ({ sentMs, answeredMs }) =>
        observeRoundtrip((answeredMs - sentMs) / 1000),
      );
    },
    isReady: () => cluster.isReady,
    close() {
      presence.close();
      audit.close();
      operations.close();
      link.close();
    },
  };
}
