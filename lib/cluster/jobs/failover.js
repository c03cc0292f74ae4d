import { setTimeout as sleep } from 'node:timers/promises';
import { fieldsOf } from '../client/scripts.js';
import { Rewrites } from './rewrites.js';
import { parseField, recordFrom } from './job-fields.js';
import { replicateLogs } from './replicas.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('./job-fields.js').JobFields} JobFields */

/** A job that was lost this many times is not run again: it may be the cause of the crashes. */
const LOSSES_MAX = 2;
/** Jobs that are taken over at once. */
const TAKEN_AT_ONCE = 16;
/** Longest wait before offered jobs are taken, so that not all processes ask for the same jobs. */
const OFFER_WAIT_MS = 20;
/** Further wait of a process without a free slot. */
const BUSY_WAIT_MS = 200;
/** Wait before a script whose answer was lost is run again. */
const AGAIN_MS = 250;

/** Outcomes after which a job has moved; the next beat retries the others. */
const MOVED = new Set(['RUN', 'FAIL', 'CANCEL', 'ENDED', 'GONE', 'FENCED']);

/** Ids skipped before an ending by another process: more than the events that an owner may still have to write. */
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
/** @typedef {'lost' | 'offered' | 'cancel' | 'again'} TakeReason a job is taken; `again`: this process no longer has it */

/**
 * The replicas of jobs of other processes.
 * @typedef {object} ReplicasPort
 * @property {(id: string) => Pick<JobRecord, 'handle' | 'siblings'> | undefined} take hands over the logs of a
 *   replica without an ending
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
 * All members take part: a script decides which process gets a job. A process takes over jobs to run
 * only while its queue has room.
 */
export class Failover {
  #cluster;
  #lifecycle;
  #operations;
  #rewrites;
  #replicas;
  #hub;
  #queue;
  #onLost;
  #leaseMs;
  #log;
  #isClosed = false;
  /** Ids of jobs that are being taken over. @type {Set<string>} */
  #taking = new Set();
  /** The former owners of jobs that this process has taken. @type {Map<string, string>} */
  #taken = new Map();
  #sweeping = false;
  #again = false;
  /** Number of jobs taken over, by outcome. @type {Record<FailoverOutcome, number>} */
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
    this.#replicas = replicas;
    this.#queue = queue;
    this.#onLost = onProducerLost;
    this.#leaseMs = leaseMs;
    this.#log = log;
    this.#rewrites = new Rewrites({ cluster, hub, lifecycle, operations, writes });
    cluster.on('dead', (name, beat) => void this.#bury(name, beat));
    cluster.on('offer', () => void this.#sweep());
    cluster.on('joined', ({ isFirst, isLost, ids, awayMs }) => {
      if (isLost) void this.#rewrites.all();
      else if (!isFirst) this.#rewrites.keepOnly(new Set(ids), awayMs);
    });
    cluster.on('replaced', () => void this.#rewrites.ended());
    hub.events.on('dataLoss', (handle) => this.#rewrites.byHandle(handle));
    cluster.on('message', (message) => this.#onMessage(message));
    for (const own of [lifecycle, operations]) {
      const events = /** @type {Pick<import('node:events').EventEmitter, 'on'>} */ (own);
      events.on('ended', ({ id }) => this.#taken.delete(id));
      events.on('dropped', ({ id }) => void this.#takeAgain(id));
    }
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
      // The next beat repeats the check.
    }
  }

  /** Takes over the jobs of dead and leaving processes. */
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
      // While Redis is away nothing is taken over; the next answered beat repeats this.
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
   * @param {'lost' | 'offered'} reason
   * @returns {Promise<number>} number of jobs that have moved
   */
  async #takeAll(ids, from, reason) {
    const moved = await Promise.all(ids.map((id) => this.take(id, from, reason)));
    return moved.filter((outcome) => MOVED.has(outcome)).length;
  }

  /**
   * Takes over one job, unless another process is faster.
   * @param {string} id
   * @param {string} from its owner; `-` for an offered job
   * @param {TakeReason} reason
   * @returns {Promise<string>} the outcome, see `take.lua`
   * @throws {import('../../internal/util/http-error.js').HttpError} when Redis does not answer
   */
  async take(id, from, reason) {
    if (this.#taking.has(id)) return 'FENCED';
    this.#taking.add(id);
    try {
      const [outcome, ...flat] = await this.#askTake(id, from, reason);
      if (!['RUN', 'FAIL', 'CANCEL'].includes(outcome)) return outcome;
      this.#rewrites.dropDoubted(id);
      // A repeated answer: this process has already adopted the job.
      const operation = this.#operations.byAnyId(id);
      if (this.#lifecycle.jobs.byId(id) !== undefined) return outcome;
      if (operation !== undefined && !operation.ended) return outcome;
      // An earlier attempt of the job has ended here.
      if (operation !== undefined) this.#operations.release(operation);
      this.#taken.set(id, from);
      const fields = /** @type {JobFields} */ (/** @type {unknown} */ (fieldsOf(flat)));
      if (fields.kind !== undefined) this.#adoptOperation(id, fields, outcome, reason);
      else this.#adopt(id, fields, outcome, reason);
      return outcome;
    } finally {
      this.#taking.delete(id);
    }
  }

  /**
   * Takes a job again whose log could not be read, because the connection was lost meanwhile.
   * @param {string} id of a job that was dropped; the script says whether it still belongs to this process
   */
  async #takeAgain(id) {
    const from = this.#taken.get(id);
    this.#taken.delete(id);
    while (from !== undefined && !this.#isClosed) {
      await sleep(AGAIN_MS, undefined, { ref: false });
      if (!this.#takes) continue;
      const answer = await this.take(id, from, 'again').catch(() => undefined);
      if (answer !== undefined) return;
    }
  }

  /**
   * A takeover whose answer was lost may have taken place, so the call is repeated until Redis answers.
   * @param {string} id
   * @param {string} from
   * @param {string} reason
   * @returns {Promise<string[]>}
   */
  async #askTake(id, from, reason) {
    for (let isUncertain = false; ;) {
      try {
        const { process, redis } = this.#cluster;
        const args = ['', this.#cluster.deadlineUs(), process, id, from, reason, this.#onLost];
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
   * @param {TakeReason} reason
   */
  #adopt(id, fields, outcome, reason) {
    const record = this.#recordOf(id, fields);
    const isToRun = outcome === 'RUN' && record.request !== undefined;
    record.request ??= /** @type {any} */ ({});
    const handles = this.#logsOf(record, fields);
    const attempt = Number(fields.attempt);
    // A new attempt starts with its first event.
    const skipIds = isToRun ? 0 : SKIPPED_IDS;
    const held = this.#heldBy(id, fields);
    this.#lifecycle.adopt(record, { handles, attempt, isToRun, skipIds, held });
    const action = isToRun ? 'run' : 'ended';
    const line = { job_id: id, from: fields.taken, why: reason, what: action };
    this.#log.info(line, 'job taken over');
    if (isToRun) {
      if (reason !== 'again') this.outcomes[reason === 'lost' ? 'rerun' : 'handed_over'] += 1;
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
   * @param {TakeReason} reason
   */
  #adoptOperation(id, fields, outcome, reason) {
    const kind = /** @type {import('./job-fields.js').OperationKind} */ (fields.kind);
    const [handle] = this.#logsOf({ id, extra: undefined }, fields);
    const cancel = outcome === 'CANCEL' ? (fields.cancel ?? 'client_request') : undefined;
    if (cancel === undefined) this.outcomes.failed += 1;
    const line = { [`${kind}_id`]: id, from: fields.taken, why: reason, what: 'ended' };
    this.#log.info(line, `${kind} taken over`);
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

  /** @param {string} message sent to this process */
  #onMessage(message) {
    const [command, id, reason] = message.split(' ');
    if (command !== 'cancel') return;
    const record = this.#lifecycle.jobs.byId(id);
    if (record !== undefined) this.#lifecycle.cancel(record, /** @type {any} */ (reason));
    else this.#operations.byAnyId(id)?.cancel(/** @type {any} */ (reason));
  }

  /** Stops taking over jobs. */
  close() {
    this.#isClosed = true;
  }
}
