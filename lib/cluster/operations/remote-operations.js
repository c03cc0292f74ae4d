import { setTimeout as sleep } from 'node:timers/promises';
import { asText, ttlOf } from '../jobs/shared-jobs.js';
import { badRequest } from '../../internal/util/http-error.js';
import { fieldsOf } from '../client/scripts.js';
import { latestIn, latestOf } from './latest.js';
import { parseField, parseFinal, recordFrom, tolerantRead } from '../jobs/job-fields.js';
import { randomId } from '../../internal/util/random-id.js';
import { redisUnavailable } from '../../jobs/errors.js';
import { named, replicateLogs } from '../jobs/replicas.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../jobs/job-fields.js').JobFields} JobFields */
/** @typedef {import('../jobs/job-fields.js').OperationKind} OperationKind */
/** @typedef {import('../../jobs/request.js').JobStatus} JobStatus */
/** @typedef {import('./latest.js').LatestOperation} LatestOperation */
/** @typedef {import('./own-operations.js').NodeChange} NodeChange */
/** @typedef {import('./own-operations.js').OwnOperation} OwnOperation */

/** Ids of operations. Other ids are rejected without a call to Redis. */
const OPERATION_ID = /^(?:wf|crawl)_[\w-]{24}$/;
/** Operations that one call of the list script examines. */
const LIST_STEPS_MAX = 1000;
/** Wait before a script whose answer was lost is repeated. */
const AGAIN_MS = 250;

const FIELDS = /** @type {const} */ ([
  ...[
    'principal',
    'kind',
    'attempt',
    'status',
    'model',
    'created_us',
    'metadata',
    'final',
    'snapshot',
    'started_ms',
    'request',
  ],
  ...['max_wall_ms', 'retention_ms', 'ended_ms'],
]);

/**
 * An operation read from Redis: one of another process, or an ended one.
 * @typedef {object} SavedOperation
 * @property {string} id
 * @property {OperationKind} kind
 * @property {string} principal
 * @property {JobStatus} status
 * @property {number} attempt
 * @property {number} createdAtMs
 * @property {any} final its final state; undefined: it has not ended
 * @property {boolean} ended
 * @property {number} purgeDueMs see `JobRecord`
 * @property {any} request as it was submitted; undefined in lists, or if it cannot be read
 * @property {Record<string, unknown> | undefined} metadata
 * @property {any} snapshot result of `OperationWork.summary`
 * @property {Record<string, string>} nodes states of the nodes that have begun, JSON
 * @property {any} [data] data of its service
 */

/**
 * The operations of a deployment: own ones, and those of other processes. Main thread.
 *
 * Any process may retry an ended operation. So the copy in this process is valid only while Redis
 * names the same attempt.
 */
export class RemoteOperations {
  #hub;
  #cluster;
  #operations;
  #replicas;
  #directory;
  #leaseMs;
  #nowMs;
  #log;
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('./own-operations.js').OwnOperations} deps.operations
   * @param {import('../jobs/replicas.js').Replicas} deps.replicas
   * @param {import('../jobs/remote-jobs.js').RemoteJobs} deps.directory
   * @param {number} deps.leaseMs
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ hub, cluster, operations, replicas, directory, leaseMs, nowMs, log }) {
    this.#hub = hub;
    this.#cluster = cluster;
    this.#operations = operations;
    this.#replicas = replicas;
    this.#directory = directory;
    this.#leaseMs = leaseMs;
    this.#nowMs = nowMs;
    this.#log = log;
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   * @returns {OwnOperation | undefined} of this process, of any attempt
   */
  #own(kind, id, principal) {
    const own = this.#operations.get(id, principal);
    return own?.kind === kind ? own : undefined;
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<OwnOperation | SavedOperation | undefined>} undefined: unknown, purged, or of another
   *   principal
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away; an operation that
   *   ended here is then found without Redis
   */
  async find(kind, id, principal) {
    if (!OPERATION_ID.test(id)) return undefined;
    const own = await this.#presentOwn(kind, id, principal);
    if (isKnown(own)) return own;
    const [values, nodes, epoch] = await this.#cluster.redis.commands([
      ['HMGET', `job:${id}`, ...FIELDS],
      ['HGETALL', `nodes:${id}`],
      ['HGET', 'meta', 'epoch'],
    ]);
    const fields = named(FIELDS, values);
    if (fields.principal === undefined) this.#replicas.checkEpoch(epoch);
    if (fields.kind !== kind || fields.principal !== principal) return undefined;
    // It may have begun here while Redis was answering.
    const now = this.#own(kind, id, principal);
    return isKnown(now) ? now : this.#savedFrom(id, fields, fieldsOf(nodes));
  }

  /**
   * The operation of this process. Removes it if it was erased, or retried by another process.
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<OwnOperation | undefined>}
   */
  async #presentOwn(kind, id, principal) {
    const own = this.#own(kind, id, principal);
    if (own === undefined || !own.ended) return own;
    let attempt;
    try {
      attempt = await this.#cluster.redis.command('HGET', `job:${id}`, 'attempt');
    } catch (/** @type {any} */ error) {
      if (error.status === undefined) throw error;
      return own;
    }
    if (attempt === String(own.attempt)) return own;
    if (own.ended && this.#own(kind, id, principal) === own) this.#operations.release(own);
    return this.#own(kind, id, principal);
  }

  /**
   * @param {string} id
   * @param {Partial<JobFields>} given
   * @param {Record<string, string>} nodes
   * @returns {SavedOperation}
   */
  #savedFrom(id, given, nodes) {
    const fields = /** @type {JobFields} */ (given);
    const read = tolerantRead(id, this.#log);
    const record = recordFrom(id, fields, read);
    const final = read(() => parseFinal(fields.final));
    const endMs = Number(fields.ended_ms ?? record.createdAtMs + Number(fields.max_wall_ms));
    const dueMs = endMs + Number(fields.retention_ms);
    return {
      ...{ id, nodes, kind: /** @type {OperationKind} */ (fields.kind) },
      ...{ principal: record.principal, status: record.status, attempt: Number(fields.attempt) },
      createdAtMs: record.createdAtMs,
      ...{ final, ended: final !== undefined },
      purgeDueMs: this.#nowMs() + dueMs - this.#cluster.redisNowMs(),
      ...{ request: record.request, metadata: record.metadata },
      snapshot: read(() => parseField(fields.snapshot, 'snapshot')) ?? {},
    };
  }

  /**
   * The log of an operation in the hub of this process.
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<OwnOperation | JobRecord | undefined>}
   * @throws {import('../../internal/util/http-error.js').HttpError} see `find`
   */
  async log(kind, id, principal) {
    if (!OPERATION_ID.test(id)) return undefined;
    const own = await this.#presentOwn(kind, id, principal);
    if (own !== undefined) return own;
    const replica = this.#replicas.byId(id);
    if (replica?.ended) await this.#dropOld(replica);
    const record = this.#own(kind, id, principal) ?? (await this.#replicas.find(id, principal));
    return record?.kind === kind ? record : undefined;
  }

  /**
   * Drops an ended replica if the operation was retried.
   * @param {JobRecord} replica
   */
  async #dropOld(replica) {
    const ask = this.#cluster.redis.command('HGET', `job:${replica.id}`, 'attempt');
    const attempt = await ask.catch((error) => {
      if (error.status === undefined) throw error;
      return String(replica.final.attempt);
    });
    if (attempt !== String(replica.final.attempt)) this.#replicas.drop(replica);
  }

  /**
   * A page, newest first.
   * @param {OperationKind} kind
   * @param {{principal: string, limit: number, status?: JobStatus, after?: string}} query
   * @returns {Promise<{page: (OwnOperation | SavedOperation)[], hasMore: boolean}>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400 when `after` is unknown; 503 while Redis is
   *   away
   */
  async list(kind, { principal, limit, status, after }) {
    /** @type {(OwnOperation | SavedOperation)[]} */
    const page = [];
    for (let from = after ?? ''; ;) {
      const args = [from, limit + 1 - page.length, status ?? '', LIST_STEPS_MAX];
      const answer = await this.#cluster.redis.run('list', [`${kind}s:${principal}`], args);
      const [word, cursor, rows] = answer;
      if (word === 'UNKNOWN') {
        const message = `after must be the id of a ${kind} that is kept.`;
        throw badRequest('invalid_value', 'after', message);
      }
      for (const [id, ...flat] of rows) {
        const own = this.#own(kind, id, principal);
        const fields = /** @type {any} */ (fieldsOf(flat));
        const isRunning = isKnown(own) && !own?.ended;
        const found = isRunning && own ? own : this.#savedFrom(id, fields, {});
        if (status === undefined || found.status === status) page.push(found);
      }
      if (cursor === '' || page.length > limit) {
        return { page: page.slice(0, limit), hasMore: page.length > limit };
      }
      from = cursor;
    }
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @returns {Promise<string | undefined>} the principal of an operation; undefined: it is unknown or purged
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away, unless it ran here
   */
  async principalOf(kind, id) {
    if (!OPERATION_ID.test(id)) return undefined;
    const own = this.#operations.byAnyId(id);
    if (own !== undefined) return own.kind === kind ? own.principal : undefined;
    const ask = this.#cluster.redis.command('HMGET', `job:${id}`, 'kind', 'principal');
    const [itsKind, principal] = await ask;
    return itsKind === kind ? principal : undefined;
  }

  /**
   * The latest operations of all principals.
   * @param {OperationKind} kind
   * @param {number} limit
   * @returns {Promise<LatestOperation[]>} newest first; while Redis is away those of this process
   */
  async latest(kind, limit) {
    let rows;
    try {
      rows = await this.#cluster.redis.run('operations/recent', [`recent_${kind}s`], [limit]);
    } catch (/** @type {any} */ error) {
      if (error.status === undefined) throw error;
      return latestIn(this.#operations.all(kind), limit);
    }
    return rows.map((/** @type {string[]} */ [id, principal, status, attempt, createdUs, json]) => {
      // An own one that runs is ahead of what Redis has.
      const own = this.#operations.byAnyId(id);
      if (own?.data !== undefined && !own.ended) return latestOf(own);
      const read = tolerantRead(id, this.#log);
      const { counts = {} } = read(() => parseField(json ?? undefined, 'snapshot')) ?? {};
      const createdAtMs = Math.floor(Number(createdUs) / 1000);
      return { id, principal, status, attempt: Number(attempt), createdAtMs, counts };
    });
  }

  /**
   * Cancels an operation in any process. Resolves once Redis has its ending.
   * @param {OwnOperation | SavedOperation} operation
   * @returns {Promise<OwnOperation | SavedOperation | undefined>} the operation with its ending; undefined: it no
   *   longer exists
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async cancel({ kind, id, principal }) {
    const log = await this.log(kind, id, principal);
    if (log !== undefined && !log.ended) await this.#cancelRunning(kind, log);
    return this.find(kind, id, principal);
  }

  /**
   * @param {OperationKind} kind
   * @param {OwnOperation | JobRecord} log
   */
  async #cancelRunning(kind, log) {
    const own = this.#own(kind, log.id, log.principal);
    if (own === undefined) {
      try {
        await this.#directory.cancel(/** @type {JobRecord} */ (log), 'client_request');
      } catch (/** @type {any} */ error) {
        // The operation was purged meanwhile.
        if (error.status !== 404) throw error;
      }
      return;
    }
    own.cancel('client_request');
    // The operation has its terminal event before the answer.
    await this.#hub.snapshot(own.handle, { text: false });
    await this.#hub.barrier();
  }

  /**
   * Moves an ended operation to this process and begins its next attempt, or changes nothing.
   * @param {OwnOperation | SavedOperation} operation
   * @param {object} next
   * @param {import('../../jobs/shared-jobs-port.js').PartsOfJob} next.parts
   * @param {{maxWallMs: number, retentionMs: number}} next.limits
   * @param {string} next.snapshot JSON
   * @param {NodeChange[]} next.changes
   * @param {(handle: number) => void | Promise<void>} next.begin runs it; `handle` is the replica of its
   *   log. Called once; also after a rejection, if Redis executed the script before the connection was lost
   * @returns {Promise<'OK' | 'MOVED' | 'GONE'>} `MOVED`: it has not ended, or is in another attempt
   * @throws {import('../../internal/util/http-error.js').HttpError} of a part; 503 and 507 from Redis
   */
  async reopen(operation, next) {
    const { id, attempt } = operation;
    const args = [id, String(attempt), ttlOf(next.limits), String(Date.now())];
    args.push(asText(next.parts.asked), next.snapshot, randomId('retry'), ...next.changes.flat());
    const done = async (/** @type {string[]} */ [word, ...rest]) => {
      if (word === 'REFUSED') throw next.parts.refused(rest[0], JSON.parse(rest[1]));
      if (word === 'BURIED' || word === 'LATE') throw redisUnavailable();
      if (word !== 'OK') return /** @type {'MOVED' | 'GONE'} */ (word);
      if (rest[0] !== '') next.parts.taken(JSON.parse(rest[0]));
      await next.begin(this.#logToAdopt(operation));
      return /** @type {const} */ ('OK');
    };
    const { calls, process } = this.#cluster;
    try {
      return await done(await calls.run('operations/reopen', [`job:${id}`], [process, ...args]));
    } catch (/** @type {any} */ error) {
      // The caller already has its answer; a refusal now needs no further action.
      if (error.uncertain) {
        const asked = this.#askAgain(id, args).then(done);
        asked.catch(() => {});
      }
      throw error;
    }
  }

  /**
   * Asks whether a request has begun an attempt; repeats while Redis does not answer. The question cannot begin
   * an attempt later than the request itself could have.
   * @param {string} id of an operation
   * @param {string[]} args of the request, behind the process
   * @returns {Promise<string[]>} answer of the script
   */
  async #askAgain(id, args) {
    const deadlineUs = this.#cluster.deadlineUs();
    for (;;) {
      await sleep(AGAIN_MS, undefined, { ref: false });
      try {
        const { redis, process } = this.#cluster;
        const times = ['', deadlineUs, process];
        return await redis.run('operations/reopen', [`job:${id}`], [...times, ...args]);
      } catch (/** @type {any} */ error) {
        if (error.status === undefined || this.#isClosed) throw error;
      }
    }
  }

  /**
   * @param {OwnOperation | SavedOperation} operation
   * @returns {number} the handle of an open replica of its log
   */
  #logToAdopt({ id, kind, principal, createdAtMs }) {
    const own = this.#operations.get(id, principal);
    if (own !== undefined) this.#operations.release(own);
    const open = this.#replicas.take(id);
    if (open !== undefined) return open.handle;
    const fields = /** @type {JobFields} */ ({ kind, choices: '1' });
    const logs = replicateLogs(this.#hub, { id, extra: undefined }, fields, {
      leaseMs: this.#leaseMs,
      ageMs: Math.max(0, this.#cluster.redisNowMs() - createdAtMs),
    });
    const [handle] = logs;
    return handle;
  }

  /** Stops all retries. */
  close() {
    this.#isClosed = true;
  }
}

/**
 * @param {OwnOperation | undefined} own
 * @returns {boolean} whether this process has it with its state, which a takeover reads first
 */
function isKnown(own) {
  return own?.data !== undefined;
}
