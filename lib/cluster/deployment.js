import { Departure } from './jobs/departure.js';
import { Failover } from './jobs/failover.js';
import { Retention } from './jobs/retention.js';

/** @typedef {import('../jobs/job.js').JobRecord} JobRecord */

/**
 * @typedef {object} DeploymentOptions
 * @property {import('./options.js').CheckedRedis} redis
 * @property {number} maxRetainedJobs
 * @property {number} incomingCapacity
 * @property {number} maxConcurrency batches at a time
 */

/**
 * Connects the jobs and operations of this process to a deployment: takes over jobs of other processes, and hands
 * its own jobs to them when it leaves. Main thread; `leave()` ends it.
 */
export class Deployment {
  #lifecycle;
  #pipeline;
  #replicas;
  #complete;
  #options;
  #retentions;
  /** Jobs whose ending, as reported by this process, differs from the ending in Redis. */
  conflictingEndings = 0;
  /** @type {Promise<unknown>} */
  #leaving = Promise.resolve();

  /**
   * @param {object} deps
   * @param {import('./cluster.js').Cluster} deps.cluster
   * @param {import('../streams/hub.js').JobHub} deps.hub hub whose journal is the cluster's link
   * @param {import('../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('./operations/own-operations.js').OwnOperations} deps.operations
   * @param {import('./operations/operation-writes.js').OperationWrites} deps.writes of operations
   * @param {import('../primitives/scheduling/pipeline.js').Pipeline<JobRecord>} deps.pipeline
   * @param {import('./jobs/failover.js').ReplicasPort & {leave: () => Promise<void>}} deps.replicas
   * @param {(record: JobRecord) => Promise<boolean>} deps.complete completes the request of a job from another
   *   process; false: its conversation is gone
   * @param {DeploymentOptions} deps.options
   * @param {import('../internal/util/logger.js').Logger} deps.log
   */
  constructor(deps) {
    const { cluster, hub, lifecycle, operations, writes, pipeline, replicas, options, log } = deps;
    this.cluster = cluster;
    this.#lifecycle = lifecycle;
    this.#complete = deps.complete;
    this.#pipeline = pipeline;
    this.#replicas = replicas;
    this.#options = options;
    const { onProducerLost, leaseMs } = options.redis;
    this.departure = new Departure({ cluster, lifecycle, hub, onProducerLost, log });
    this.failover = new Failover({
      ...{ cluster, hub, lifecycle, operations, writes, replicas, onProducerLost, leaseMs, log },
      enqueue: (record) => this.#enqueue(record),
      room: () => this.#room(),
    });
    const { maxRetainedJobs } = options;
    const retention = (
      /** @type {import('./jobs/job-fields.js').OperationKind | undefined} */ kind,
    ) => new Retention({ redis: cluster.redis, maxRetainedJobs, kind });
    const retentions = {
      job: retention(undefined),
      workflow: retention('workflow'),
      crawl: retention('crawl'),
    };
    this.#retentions = Object.values(retentions);
    lifecycle.on('ended', ({ part, principal }) => {
      if (part === undefined) retentions.job.count(principal);
    });
    operations.on('ended', ({ kind, principal }) => retentions[kind].count(principal));
    lifecycle.on('conflicting', (record) => void this.#report(record, log));
    operations.on('conflicting', (operation) => void this.#report(operation, log));
    for (const event of /** @type {const} */ (['started', 'retry'])) {
      lifecycle.on(event, (record) => {
        if (record.part !== undefined) return;
        cluster.sharedJobs.began(record);
        record.onFailed = (failure) => cluster.sharedJobs.failed(record, failure);
      });
    }
  }

  /**
   * Logs both endings of a job.
   * @param {Pick<JobRecord, 'id' | 'status' | 'final'>} record with the ending that this process has reported
   * @param {import('../internal/util/logger.js').Logger} log
   */
  async #report({ id, status, final }, log) {
    const kept = await this.cluster.redis
      .command('HMGET', `job:${id}`, 'status', 'final', 'attempt')
      .catch(() => [null, null, null]);
    // Another process has retried the operation.
    if (Number(kept[2]) > final.attempt) return;
    this.conflictingEndings += 1;
    const reported = { status, reason: final.reason, error: final.error };
    log.error(
      { job_id: id, reported, kept_status: kept[0], kept: kept[1] },
      'two endings of a job',
    );
  }

  /** @param {JobRecord} record adopted */
  async #enqueue(record) {
    try {
      if (!(await this.#complete(record))) {
        // The conversation of this turn was deleted.
        this.#lifecycle.cancel(record, 'client_request');
        return;
      }
      await this.#pipeline.submit(record, { signal: record.abort.signal });
    } catch {
      // The queue is closed, or the job has ended.
      if (!record.abort.signal.aborted) await this.departure.giveBack(record);
    }
  }

  #room() {
    const { waiting, incoming, inFlight } = this.#pipeline.stats();
    const hasRoom = waiting + incoming < this.#options.incomingCapacity;
    return { hasRoom, isBusy: inFlight >= this.#options.maxConcurrency };
  }

  /**
   * Accepts no further jobs, hands over those that have not begun, and disconnects the readers of other processes'
   * jobs, which then reconnect elsewhere. Resolves once the jobs are handed over; the readers leave within a
   * second.
   */
  async beginToLeave() {
    this.failover.close();
    this.#leaving = this.#replicas.leave();
    await this.departure.offerQueued();
  }

  /** Hands over all jobs that can be run elsewhere. */
  async offerRest() {
    await this.departure.offerRest();
  }

  /** Leaves the deployment, once every ending is in Redis. */
  async leave() {
    await this.#leaving;
    for (const retention of this.#retentions) retention.close();
    await this.cluster.leave();
    this.cluster.close();
  }
}
