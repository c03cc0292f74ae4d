import { setTimeout as sleep } from 'node:timers/promises';
import { fieldsOf } from '../client/scripts.js';
import { parseField, recordFrom } from './job-fields.js';
import { replicateLogs } from './replicas.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('./job-fields.js').JobFields} JobFields */

/** A job that was lost this often is not run again: it may be what kills its process. */
const LOSSES_MAX = 2;
/** Jobs that are taken over in one go. */
const TAKEN_AT_ONCE = 16;
/** Longest wait before offered jobs are taken, so that processes do not all ask for the same ones. */
const OFFER_WAIT_MS = 20;
/** Further wait of a process without a free slot. */
const BUSY_WAIT_MS = 200;
/** Wait before a script whose answer was lost is run again. */
const AGAIN_MS = 250;

/** Outcomes after which a job is not where it was; the next beat tries the others again. */
const MOVED = new Set(['RUN', 'FAIL', 'CANCEL', 'ENDED', 'GONE', 'FENCED']);

/** Ids before the ending of a job by another than its owner: more than an owner has unwritten. */
const SKIPPED_IDS = 2 ** 32;

const PRODUCER_LOST = Object.freeze({
  code: 'producer_lost',
  message: 'The process that ran the job was lost; the text is what had come so far.',
  type: 'server_error',
});
/** @param {import('./job-fields.js').OperationKind} kind */
const operationLost = (kind) => ({
  ...PRODUCER_LOST,
  message: `The process that ran the ${kind} was lost; its events are those that had come so far.`,
});

/** @typedef {'failed' | 'rerun' | 'handed_over'} FailoverOutcome */

/**
 * The replicas of jobs of other processes.
 * @typedef {object} ReplicasPort
 * @property {(id: string) => Pick<JobRecord, 'handle' | 'siblings'> | undefined} take gives away the logs of
 *   a job that has a replica without an ending
 */

/**
 * The queue of this process, for adopted jobs.
 * @typedef {object} AdoptionPort
 * @property {(record: JobRecord) => Promise<unknown>} enqueue puts a job into the queue, however long that
 *   takes; settles when it is there or has ended
 * @property {() => {hasRoom: boolean, isBusy: boolean}} room `hasRoom`: the queue takes a job at once;
 *   `isBusy`: no slot is free
 */

/**
 * Takes over jobs of processes that died or left, and ends jobs whose owner does not react to a
 * cancellation. Main thread; `close()` ends it.
 *
 * Every member helps: a script decides which one gets a job. A process takes jobs that are to be run
 * while its queue has room, and leaves the others where they are.
 */
export class Failover {
  #cluster;
  #lifecycle;
  #operations;
  #writes;
  #replicas;
  #hub;
  #queue;
  #onLost;
  #leaseMs;
  #log;
  #isClosed = false;
  /** Ids of jobs that are being taken over. @type {Set<string>} */
  #taking = new Set();
  #sweeping = false;
  #again = false;
  /** How many jobs were taken over, by what became of them. @type {Record<FailoverOutcome, number>} */
  outcomes = { failed: 0, rerun: 0, handed_over: 0 };

  /**
   * @param {object} deps
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../operations/own-operations.js').OwnOperations} deps.operations
   * @param {import('../operations/operation-writes.js').OperationWrites} deps.writes of operations
   * @param {ReplicasPort} deps.replicas
   * @param {AdoptionPort} deps.queue
   * @param {'fail' | 'rerun'} deps.onProducerLost
   * @param {number} deps.leaseMs
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor(deps) {
    const { cluster, hub, lifecycle, operations, writes, replicas, queue } = deps;
    const { onProducerLost, leaseMs, log } = deps;
    this.#cluster = cluster;
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    this.#operations = operations;
    this.#writes = writes;
    this.#replicas = replicas;
    this.#queue = queue;
    this.#onLost = onProducerLost;
    this.#leaseMs = leaseMs;
    this.#log = log;
    cluster.on('dead', (name, beat) => void this.#bury(name, beat));
    cluster.on('offer', () => void this.#sweep());
    cluster.on('joined', ({ isFirst, isLost, ids }) => {
      if (isLost) this.#writeAnew(lifecycle.jobs.active(), operations.active());
      else if (!isFirst) this.#keepOnly(new Set(ids));
    });
    hub.events.on('dataLoss', (handle) => {
      const record = lifecycle.jobs.byHandle(handle);
      const operation = operations.byHandle(handle);
      this.#writeAnew(record ? [record] : [], operation ? [operation] : []);
    });
    cluster.on('message', (message) => this.#onMessage(message));
  }

  /**
   * @param {string} name of a process
   * @param {string} beat its last one
   */
  async #bury(name, beat) {
    const args = ['', this.#cluster.deadlineUs(), this.#cluster.process, name, beat];
    try {
      const answer = await this.#cluster.redis.run('bury', ['procs'], args);
      if (answer !== 'OK') return;
      this.#log.warn({ process: name }, 'a process of the deployment is dead');
      await this.#sweep();
    } catch {
      // It is judged again after the next beat.
    }
  }

  /** Takes over what dead processes and leaving ones have left. */
  async #sweep() {
    if (this.#sweeping) {
      this.#again = true;
      return;
    }
    this.#sweeping = true;
    try {
      do {
        this.#again = false;
        await this.#takeEstates();
        await this.#takeOffered();
      } while (this.#again && !this.#isClosed);
    } catch (/** @type {any} */ error) {
      // Without Redis the next beat that it answers comes back to this.
      if (error.status === undefined) this.#log.error({ err: error }, 'a takeover failed');
    } finally {
      this.#sweeping = false;
    }
  }

  async #takeEstates() {
    const { redis } = this.#cluster;
    for (const name of await redis.command('SMEMBERS', 'dead')) {
      for (let taken = TAKEN_AT_ONCE; taken > 0 && this.#takes;) {
        const ids = await redis.run('estate', ['dead'], [name, TAKEN_AT_ONCE]);
        if (ids.length === 0) break;
        taken = await this.#takeAll(ids, name, 'lost');
      }
    }
  }

  async #takeOffered() {
    const { redis } = this.#cluster;
    const { isBusy } = this.#queue.room();
    if ((await redis.command('SCARD', 'open:-')) === 0) return;
    await sleep(Math.random() * OFFER_WAIT_MS + (isBusy ? BUSY_WAIT_MS : 0));
    for (let taken = TAKEN_AT_ONCE; taken > 0 && this.#takes;) {
      const ids = await redis.command('SRANDMEMBER', 'open:-', TAKEN_AT_ONCE);
      taken = ids.length === 0 ? 0 : await this.#takeAll(ids, '-', 'offered');
    }
  }

  get #takes() {
    return !this.#isClosed && this.#cluster.isMember;
  }

  /**
   * @param {string[]} ids
   * @param {string} from
   * @param {'lost' | 'offered'} why
   * @returns {Promise<number>} how many jobs are not where they were
   */
  async #takeAll(ids, from, why) {
    const moved = await Promise.all(ids.map((id) => this.take(id, from, why)));
    return moved.filter((outcome) => MOVED.has(outcome)).length;
  }

  /**
   * Takes over one job, unless another process is faster.
   * @param {string} id
   * @param {string} from its owner; `-`: it is offered
   * @param {'lost' | 'offered' | 'cancel'} why
   * @returns {Promise<string>} the outcome, as of `take.lua`
   * @throws {import('../../internal/util/http-error.js').HttpError} when Redis does not answer
   */
  async take(id, from, why) {
    if (this.#taking.has(id)) return 'FENCED';
    this.#taking.add(id);
    try {
      const [outcome, ...flat] = await this.#askTake(id, from, why);
      if (!['RUN', 'FAIL', 'CANCEL'].includes(outcome)) return outcome;
      // The same answer again: the job was adopted before.
      const operation = this.#operations.byAnyId(id);
      if (this.#lifecycle.jobs.byId(id) !== undefined) return outcome;
      if (operation !== undefined && !operation.ended) return outcome;
      // An earlier attempt of it has ended here.
      if (operation !== undefined) this.#operations.release(operation);
      const fields = /** @type {JobFields} */ (/** @type {unknown} */ (fieldsOf(flat)));
      if (fields.kind !== undefined) this.#adoptOperation(id, fields, outcome, why);
      else this.#adopt(id, fields, outcome, why);
      return outcome;
    } finally {
      this.#taking.delete(id);
    }
  }

  /**
   * A takeover whose answer was lost may have happened, so it is asked for until there is an answer.
   * @param {string} id
   * @param {string} from
   * @param {string} why
   * @returns {Promise<string[]>}
   */
  async #askTake(id, from, why) {
    for (let isUncertain = false; ;) {
      try {
        const { process, redis } = this.#cluster;
        const args = ['', this.#cluster.deadlineUs(), process, id, from, why, this.#onLost];
        args.push(this.#queue.room().hasRoom ? '1' : '0', String(LOSSES_MAX));
        return await redis.run('take', [`job:${id}`], args);
      } catch (/** @type {any} */ error) {
        isUncertain ||= error.uncertain === true;
        if (!isUncertain || this.#isClosed) throw error;
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  /**
   * @param {string} id
   * @param {JobFields} fields
   * @param {string} outcome
   * @param {'lost' | 'offered' | 'cancel'} why
   */
  #adopt(id, fields, outcome, why) {
    const record = this.#recordOf(id, fields);
    const isToRun = outcome === 'RUN' && record.request !== undefined;
    record.request ??= /** @type {any} */ ({});
    const handles = this.#logsOf(record, fields);
    const attempt = Number(fields.attempt);
    // The next event of an attempt that is to be run is its first.
    const skipIds = isToRun ? 0 : SKIPPED_IDS;
    const held = this.#heldBy(id, fields);
    this.#lifecycle.adopt(record, { handles, attempt, isToRun, skipIds, held });
    const what = isToRun ? 'run' : 'ended';
    this.#log.info({ job_id: id, from: fields.taken, why, what }, 'job taken over');
    if (isToRun) {
      this.outcomes[why === 'lost' ? 'rerun' : 'handed_over'] += 1;
      void this.#queue.enqueue(record);
      return;
    }
    if (outcome === 'CANCEL') {
      this.#lifecycle.cancel(record, /** @type {any} */ (fields.cancel ?? 'client_request'));
      return;
    }
    this.outcomes.failed += 1;
    this.#hub.finish(handles[0], { type: 'error', error: PRODUCER_LOST });
  }

  /**
   * Ends an operation.
   * @param {string} id
   * @param {JobFields} fields
   * @param {string} outcome
   * @param {'lost' | 'offered' | 'cancel'} why
   */
  #adoptOperation(id, fields, outcome, why) {
    const kind = /** @type {import('./job-fields.js').OperationKind} */ (fields.kind);
    const [handle] = this.#logsOf({ id, extra: undefined }, fields);
    const cancel = outcome === 'CANCEL' ? (fields.cancel ?? 'client_request') : undefined;
    if (cancel === undefined) this.outcomes.failed += 1;
    const what = { [`${kind}_id`]: id, from: fields.taken, why, what: 'ended' };
    this.#log.info(what, `${kind} taken over`);
    const error = operationLost(kind);
    const taken = { id, fields, handle, skipIds: SKIPPED_IDS, cancel, error };
    this.#operations.adopt(taken).catch((err) => {
      this.#log.error(
        { err, [`${kind}_id`]: id },
        `a ${kind} in Redis cannot be read; it is ended`,
      );
    });
  }

  /**
   * @param {Pick<JobRecord, 'id' | 'extra'>} record
   * @param {JobFields} fields
   * @returns {number[]} the replicas of its logs, with their readers
   */
  #logsOf(record, fields) {
    const replica = this.#replicas.take(record.id);
    if (replica !== undefined) return [replica.handle, ...replica.siblings];
    const createdAtMs = Number(fields.created_us) / 1000;
    const ageMs = Math.max(0, this.#cluster.redisNowMs() - createdAtMs);
    return replicateLogs(this.#hub, record, fields, { leaseMs: this.#leaseMs, ageMs });
  }

  /**
   * @param {string} id
   * @param {JobFields} fields
   */
  #recordOf(id, fields) {
    try {
      return recordFrom(id, fields);
    } catch (error) {
      this.#log.error({ err: error, job_id: id }, 'a job in Redis cannot be read; it is ended');
      const { request: _request, metadata: _metadata, extra: _extra, ...rest } = fields;
      return recordFrom(id, rest);
    }
  }

  /**
   * @param {string} id
   * @param {JobFields} fields
   * @returns {Record<string, any>} by name of the part
   */
  #heldBy(id, { held }) {
    try {
      return parseField(held, 'held') ?? {};
    } catch (error) {
      this.#log.error({ err: error, job_id: id }, 'what a job holds in Redis cannot be read');
      return {};
    }
  }

  /** @param {string} message to this process */
  #onMessage(message) {
    const [what, id, reason] = message.split(' ');
    if (what !== 'cancel') return;
    const record = this.#lifecycle.jobs.byId(id);
    if (record !== undefined) this.#lifecycle.cancel(record, /** @type {any} */ (reason));
    else this.#operations.byAnyId(id)?.cancel(/** @type {any} */ (reason));
  }

  /**
   * Lets go of the jobs that others have taken while this process was counted dead.
   * @param {Set<string>} ids of the jobs that it still has
   */
  #keepOnly(ids) {
    for (const record of this.#lifecycle.jobs.active()) {
      if (record.part === undefined && !ids.has(record.id)) this.#lifecycle.drop(record);
    }
    for (const operation of this.#operations.active()) {
      if (!ids.has(operation.id)) this.#operations.drop(operation);
    }
  }

  /**
   * Writes jobs and operations anew that Redis has lost.
   * @param {JobRecord[]} records
   * @param {import('../operations/own-operations.js').OwnOperation[]} operations
   */
  #writeAnew(records, operations) {
    for (const operation of operations) {
      if (operation.ended) continue;
      this.#writes.rewrite(operation).then(
        (isOwn) => isOwn || this.#operations.drop(operation),
        () => {},
      );
    }
    for (const record of records) {
      if (record.part !== undefined || record.ended) continue;
      this.#cluster.sharedJobs.rewrite(record, this.#lifecycle.limitsOf(record)).then(
        (isOwn) => isOwn || this.#lifecycle.drop(record),
        () => {},
      );
    }
  }

  /** Takes nothing over from now on. */
  close() {
    this.#isClosed = true;
  }
}
