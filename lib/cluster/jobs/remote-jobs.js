import { EventEmitter, once } from 'node:events';
import { badRequest } from '../../internal/util/http-error.js';
import { describeJob } from '../../jobs/view.js';
import { fieldsOf } from '../client/scripts.js';
import { jobNotFound, redisUnavailable } from '../../jobs/errors.js';
import { remoteRecord } from './replicas.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/job-directory.js').JobDirectory} JobDirectory */
/** @typedef {import('./job-fields.js').JobFields} JobFields */

/** Ids of jobs. Other ids are rejected without a call to Redis. */
const JOB_ID = /^job_[\w-]{24}$/;

/** Jobs that one call of the list script examines. */
const LIST_STEPS_MAX = 1000;
/** Time that a cancellation gives the owner of the job before this process ends the job itself. */
const OWNER_MS = 1000;
/** Statuses of a job that has ended. */
const ENDED = new Set(['completed', 'failed', 'cancelled']);
/** Time that a cancellation waits for an ending that is being written. */
const ENDING_MS = 5000;

/**
 * The jobs of a deployment: own ones, and those of other processes by their replicas. Main thread.
 * @implements {JobDirectory}
 */
export class RemoteJobs {
  #hub;
  #cluster;
  #lifecycle;
  #operations;
  #replicas;
  #failover;
  #eraseNames;
  #log;
  /** Waits for endings of jobs, by id. */
  #endings = new EventEmitter().setMaxListeners(0);

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../operations/own-operations.js').OwnOperations} deps.operations
   * @param {import('./replicas.js').Replicas} deps.replicas
   * @param {Pick<import('./failover.js').Failover, 'take'>} deps.failover takes a cancelled job from an owner
   *   that does not answer
   * @param {(id: string) => Promise<void>} deps.onErased called when this process has erased a job; erases what
   *   entries elsewhere in Redis that name it
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ hub, cluster, lifecycle, operations, replicas, failover, onErased, log }) {
    this.#eraseNames = onErased;
    this.#log = log;
    this.#hub = hub;
    this.#cluster = cluster;
    this.#lifecycle = lifecycle;
    this.#operations = operations;
    this.#replicas = replicas;
    this.#failover = failover;
    const onEnded = (/** @type {{id: string}} */ { id }) => this.#endings.emit(id);
    replicas.on('ended', onEnded);
    lifecycle.on('ended', onEnded);
    operations.on('ended', onEnded);
    cluster.on('erased', (id) => this.#onErased(id));
    cluster.on('message', (message) => {
      const [kind, id] = message.split(' ');
      if (kind === 'erased') this.#onErased(id);
    });
  }

  /** @type {JobDirectory['find']} */
  find(id, principal) {
    const own = this.#lifecycle.jobs.get(id, principal);
    if (own !== undefined || !JOB_ID.test(id)) return own;
    return this.#replicas.find(id, principal);
  }

  /** @type {JobDirectory['list']} */
  async list({ principal, limit, status, after }) {
    /** @type {import('../../jobs/view.js').Job[]} */
    const data = [];
    for (let from = after ?? ''; ;) {
      const args = [from, limit + 1 - data.length, status ?? '', LIST_STEPS_MAX];
      const answer = await this.#cluster.redis.run('list', [`jobs:${principal}`], args);
      const [word, cursor, rows] = answer;
      if (word === 'UNKNOWN') {
        throw badRequest('invalid_value', 'after', 'after must be the id of a job that is kept.');
      }
      const described = await Promise.all(
        rows.map((/** @type {string[]} */ [id, ...flat]) =>
          this.#describe(id, /** @type {any} */ (fieldsOf(flat))),
        ),
      );
      // A job's status may have changed since the page was chosen.
      data.push(
        ...described.filter((job) => job && (status === undefined || job.status === status)),
      );
      if (cursor === '' || data.length > limit) {
        return { data: data.slice(0, limit), hasMore: data.length > limit };
      }
      from = cursor;
    }
  }

  /**
   * @param {string} id
   * @param {JobFields} fields
   * @returns {Promise<import('../../jobs/view.js').Job | undefined>} undefined if it was purged meanwhile, or its
   *   owner writes it again
   */
  async #describe(id, fields) {
    const own = this.#lifecycle.jobs.get(id, fields.principal);
    if (own === undefined && fields.settled !== undefined) return undefined;
    const ended = fields.final ? remoteRecord(id, fields, this.#log) : undefined;
    // The log has an ending that cannot be read here.
    const saved = ended?.ended ? ended : undefined;
    const record = own ?? saved ?? (await this.#replicas.find(id, fields.principal));
    return record && describeJob(this.#hub, record, { text: false });
  }

  /**
   * See `JobDirectory.cancel`; also accepts the record of an operation of another process.
   * @type {JobDirectory['cancel']}
   */
  async cancel(record, reason) {
    if (record.ended) return;
    const { id, principal } = record;
    if (this.#lifecycle.jobs.byHandle(record.handle) === record) {
      this.#lifecycle.cancel(record, reason);
      return;
    }
    for (const untilMs = performance.now() + ENDING_MS; ;) {
      const { process } = this.#cluster;
      const args = ['', this.#cluster.deadlineUs(), process, id, principal, reason];
      const [answer, owner] = await this.#cluster.redis.run('cancel', [`job:${id}`], args);
      if (answer === 'GONE') await this.#refuseUnknown();
      if (answer === 'LATE') throw redisUnavailable();
      if (answer === 'TOLD' && (await this.#ending(record, OWNER_MS))) return;
      let outcome;
      if (answer === 'TOLD') outcome = await this.#failover.take(id, owner, 'cancel');
      if (answer === 'FREE') outcome = await this.#failover.take(id, '-', 'cancel');
      if (answer === 'OWN' && !this.#cancelOwn(record, reason)) {
        outcome = await this.#failover.take(id, process, 'cancel');
      }
      // Redis has lost the request, or the job, since: it is asked again.
      const isLost = outcome === 'ALIVE' || outcome === 'GONE';
      if (isLost && performance.now() < untilMs) continue;
      if (!(await this.#ending(record, ENDING_MS))) throw redisUnavailable();
      return;
    }
  }

  /**
   * @returns {Promise<never>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 404; 503 while Redis is away, or owners write
   *   their jobs again after a loss
   */
  async #refuseUnknown() {
    this.#replicas.checkEpoch(await this.#cluster.redis.command('HGET', 'meta', 'epoch'));
    throw jobNotFound();
  }

  /** @type {JobDirectory['settled']} */
  async settled(record) {
    if (this.#lifecycle.jobs.byHandle(record.handle) === record) {
      await this.#hub.barrier();
      return;
    }
    const status = await this.#cluster.redis.command('HGET', `job:${record.id}`, 'status');
    if (ENDED.has(status)) await this.#ending(record, ENDING_MS);
  }

  /**
   * Cancels a job that this process has taken over since its replica was found.
   * @param {JobRecord} record
   * @param {'client_request' | 'superseded'} reason
   * @returns {boolean} false: it no longer has the job, which older data of Redis show as running
   */
  #cancelOwn({ id, principal }, reason) {
    const own = this.#lifecycle.jobs.get(id, principal);
    const operation = this.#operations.get(id, principal);
    if (own !== undefined) this.#lifecycle.cancel(own, reason);
    else operation?.cancel(reason);
    return own !== undefined || operation !== undefined;
  }

  /**
   * @param {JobRecord} record
   * @param {number} waitMs
   * @returns {Promise<boolean>} whether the job has its ending here
   */
  async #ending(record, waitMs) {
    if (!record.ended) {
      const signal = AbortSignal.timeout(waitMs);
      await once(this.#endings, record.id, { signal }).catch(() => {});
    }
    const { id, principal } = record;
    const own = this.#lifecycle.jobs.get(id, principal) ?? this.#operations.get(id, principal);
    return record.ended || own?.ended === true;
  }

  /** @param {string} id of a job that another process, or this one, has erased */
  #onErased(id) {
    const record = this.#replicas.byId(id);
    if (record !== undefined) this.#replicas.drop(record);
    const own = this.#lifecycle.jobs.byId(id);
    if (own?.ended) this.#lifecycle.erase(own);
    const operation = this.#operations.byAnyId(id);
    if (operation?.ended) this.#operations.release(operation);
  }

  /**
   * Erases a job from all processes.
   * @param {JobRecord} record
   * @param {(own: JobRecord) => Promise<void>} eraseOwn ends and erases a job of this process
   * @param {{waits?: boolean}} [how] `waits`: resolves once the other processes have erased it as well, or after a
   *   second; default true
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away: nothing was erased, or
   *   only the data in this process
   */
  async erase(record, eraseOwn, { waits = true } = {}) {
    const { id, principal } = record;
    const own = this.#lifecycle.jobs.get(id, principal);
    if (own === undefined) await this.cancel(record, 'client_request');
    else await eraseOwn(own);
    await this.#cluster.sharedJobs.erase(record);
    this.#onErased(id);
    await this.#eraseNames(id);
    if (waits) await this.#cluster.barrier();
  }
}
