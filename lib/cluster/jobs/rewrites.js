/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../operations/own-operations.js').OwnOperation} OwnOperation */

/** Jobs that are written at once. */
const WRITTEN_AT_ONCE = 64;

/**
 * Writes the jobs and operations of this process again that Redis has lost: running ones, and ended jobs for the
 * rest of their retention, so that all processes give the same answers. Main thread.
 */
export class Rewrites {
  #cluster;
  #hub;
  #lifecycle;
  #operations;
  #writes;
  /** Counts the losses: writes begun before a loss are not continued. */
  #losses = 0;
  /** Jobs and operations of this process that another one may have taken. @type {Set<JobRecord | OwnOperation>} */
  #doubted = new Set();

  /**
   * @param {object} deps
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {Pick<import('../../streams/hub.js').JobHub, 'writeAnew'>} deps.hub
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../operations/own-operations.js').OwnOperations} deps.operations
   * @param {import('../operations/operation-writes.js').OperationWrites} deps.writes of operations
   */
  constructor({ cluster, hub, lifecycle, operations, writes }) {
    this.#cluster = cluster;
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    this.#operations = operations;
    this.#writes = writes;
  }

  /** Writes everything again: Redis has lost its data. */
  async all() {
    for (const operation of this.#operations.active()) void this.operation(operation);
    this.#losses += 1;
    const records = this.#lifecycle.jobs.all();
    const running = records.filter(({ ended }) => !ended);
    await this.#jobs([...running, ...ended(records)]);
  }

  /** Writes the ended jobs again that Redis has not, or not with their ending: it may have lost its last changes. */
  async ended() {
    await this.#jobs(ended(this.#lifecycle.jobs.all()));
  }

  /**
   * Drops the jobs that others have taken over while this process was counted dead, and writes those again that
   * Redis has lost meanwhile.
   * @param {Set<string>} ids of the jobs that it still owns
   * @param {number} awayMs time since Redis had this process as a member
   */
  keepOnly(ids, awayMs) {
    for (const record of this.#lifecycle.jobs.active()) {
      if (record.part !== undefined || ids.has(record.id)) continue;
      // A job that another process has taken is in Redis for its retention at least.
      const mayBeLost = awayMs < this.#lifecycle.limitsOf(record).retentionMs;
      if (mayBeLost) void this.#doubt(record, this.job(record));
      else this.#lifecycle.drop(record);
    }
    for (const operation of this.#operations.active()) {
      if (ids.has(operation.id)) continue;
      const mayBeLost = awayMs < operation.limits.retentionMs;
      if (mayBeLost) void this.#doubt(operation, this.operation(operation));
      else this.#operations.drop(operation);
    }
  }

  /**
   * @param {JobRecord | OwnOperation} own may belong to another process
   * @param {Promise<void>} rewriting shows whether it does
   */
  async #doubt(own, rewriting) {
    this.#doubted.add(own);
    await rewriting;
    this.#doubted.delete(own);
  }

  /** @param {string} id of a job that was taken by another process in the meantime, and now by this one */
  dropDoubted(id) {
    const record = this.#lifecycle.jobs.byId(id);
    if (record !== undefined && this.#doubted.has(record)) this.#lifecycle.drop(record);
    const operation = this.#operations.byAnyId(id);
    if (operation !== undefined && this.#doubted.has(operation)) this.#operations.drop(operation);
  }

  /** @param {number} handle of a log of this process that Redis has lost */
  byHandle(handle) {
    const record = this.#lifecycle.jobs.byHandle(handle);
    if (record !== undefined) void this.job(record);
    const operation = this.#operations.byHandle(handle);
    if (operation !== undefined) void this.operation(operation);
  }

  /** @param {JobRecord[]} records */
  async #jobs(records) {
    const losses = this.#losses;
    for (let at = 0; at < records.length && losses === this.#losses; at += WRITTEN_AT_ONCE) {
      const some = records.slice(at, at + WRITTEN_AT_ONCE);
      await Promise.all(some.map((record) => this.job(record)));
    }
  }

  /** @param {JobRecord} record is dropped if another process owns it */
  async job(record) {
    if (record.part !== undefined) return;
    const { sharedJobs } = this.#cluster;
    const answer = await sharedJobs.rewrite(record, this.#lifecycle.limitsOf(record));
    const isKept = this.#lifecycle.jobs.byHandle(record.handle) === record;
    if ((answer === 'OK' || answer === 'THERE') && isKept) {
      for (const log of [record.handle, ...record.siblings]) this.#hub.writeAnew(log);
    } else if (answer === 'OK' && record.ended) {
      // It was purged meanwhile.
      await sharedJobs.retract(record);
    } else if (answer === 'FENCED' && isKept && !record.ended) {
      this.#lifecycle.drop(record);
    }
  }

  /** @param {OwnOperation} operation is dropped if another process owns it */
  async operation(operation) {
    if (operation.ended) return;
    const isOwn = await this.#writes.rewrite(operation);
    if (isOwn) this.#hub.writeAnew(operation.handle);
    else if (this.#operations.byHandle(operation.handle) === operation) {
      this.#operations.drop(operation);
    }
  }
}

/** @param {JobRecord[]} records oldest first @returns {JobRecord[]} the ended ones, newest first */
const ended = (records) => records.filter((record) => record.ended).reverse();
