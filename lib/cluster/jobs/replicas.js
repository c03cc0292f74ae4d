import { setTimeout as sleep } from 'node:timers/promises';
import { EventEmitter } from 'node:events';
import { logIds, parseField, parseFinal, recordFrom, tolerantRead } from './job-fields.js';
import { redisUnavailable } from '../../jobs/errors.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */
/** @typedef {import('./job-fields.js').JobFields} JobFields */

/** The fields of a job from which its record is made, without the prompt. */
const FIELDS = /** @type {const} */ ([
  ...['principal', 'model', 'created_us', 'choices', 'prompt_tokens', 'status', 'attempt'],
  ...['metadata', 'extra', 'cache', 'upstream', 'final', 'max_wall_ms', 'retention_ms', 'ended_ms'],
  ...['started_ms', 'refusal', 'kind', 'settled'],
]);
/** These fields are read again once the job has ended. */
const CHANGING = /** @type {const} */ (['upstream', 'extra', 'attempt', 'started_ms', 'refusal']);

/** Number of reads of an expected refusal, and the wait between them. */
const REFUSAL_TRIES = 10;
const REFUSAL_MS = 20;
/** Period over which readers are disconnected when this process leaves. */
const LEAVE_MS = 1000;
const LEAVE_STEPS = 20;

/**
 * @param {readonly string[]} names
 * @param {(string | null)[]} values of HMGET
 * @returns {Partial<JobFields>} without the absent ones
 */
export function named(names, values) {
  const entries = names.map((name, i) => [name, values[i]]);
  return Object.fromEntries(entries.filter(([, value]) => value !== null));
}

/** @param {JobState | undefined} state @returns {boolean} whether an ended job has an entry in its log */
const hasEntries = (state) => state !== undefined && state.metrics.tokens > 0;

/**
 * @param {JobState | undefined} state
 * @param {string | undefined} refusal
 * @returns {JobRecord['ownFailure']} undefined: its call has not failed, or this is not known yet
 */
function failureOf(state, refusal) {
  if (state?.error === undefined || refusal === undefined) return undefined;
  return { wire: state.error, ...parseField(refusal, 'refusal', JSON.parse) };
}

/**
 * @param {string} id
 * @param {JobFields} fields of the job in Redis
 * @param {import('../../internal/util/logger.js').Logger} log for fields that cannot be read
 * @returns {JobRecord} record of a job that another process runs, or that has ended; without a handle
 */
export function remoteRecord(id, fields, log) {
  const read = tolerantRead(id, log);
  const record = recordFrom(id, { ...fields, request: undefined }, read);
  record.providerDone = true;
  record.final = read(() => parseFinal(fields.final));
  record.begun = hasEntries(record.final);
  record.ownFailure = read(() => failureOf(record.final, fields.refusal));
  return record;
}

/**
 * @param {import('../../streams/hub.js').JobHub} hub
 * @param {Pick<JobRecord, 'id' | 'extra'>} record
 * @param {JobFields} fields
 * @param {Omit<import('../../streams/types.js').ReplicaOptions, 'jobId' | 'whole'>} options
 * @returns {number[]} handles of new replicas of its logs, the job's own log first
 */
export function replicateLogs(hub, { id, extra }, fields, options) {
  const { kind } = fields;
  return logIds(id, fields).map((jobId, choice) =>
    // A face encodes its frames from the whole log.
    hub.replica({ ...options, jobId, kind, whole: choice > 0 || extra?.face !== undefined }),
  );
}

/**
 * Jobs and operations of other processes as replicas of their logs. A replica is made when its job is first asked
 * for, and serves any number of readers; the hub removes it when it has had no reader for a while, or at the end of
 * its retention. Main thread; lives as long as its hub.
 *
 * Emits events as a JobLifecycle does for its jobs.
 * @extends {EventEmitter<{begun: [record: JobRecord], ended: [record: JobRecord, state: JobState],
 *   purged: [record: JobRecord], dropped: [record: JobRecord]}>}
 */
export class Replicas extends EventEmitter {
  #hub;
  #cluster;
  #own;
  #leaseMs;
  #nowMs;
  #log;
  /** @type {Map<string, JobRecord>} */
  #byId = new Map();
  /** Also by the handles of further choices. @type {Map<number, JobRecord>} */
  #byHandle = new Map();
  /** Look-ups in progress. @type {Map<string, Promise<JobRecord | undefined>>} */
  #loading = new Map();
  /** Former replicas of jobs of this process for which calls still wait. @type {Map<string, JobRecord>} */
  #taken = new Map();
  /** Ended replicas that must be compared with Redis at the next look-up. @type {WeakSet<JobRecord>} */
  #stale = new WeakSet();
  /** Until this time an unknown job may be one that its owner is writing again. */
  #lossUntilMs = -Infinity;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../operations/own-operations.js').OwnOperations} deps.operations
   * @param {number} deps.leaseMs
   * @param {() => number} deps.nowMs monotonic milliseconds
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ hub, cluster, lifecycle, operations, leaseMs, nowMs, log }) {
    super();
    this.#log = log;
    this.setMaxListeners(0);
    this.#hub = hub;
    this.#cluster = cluster;
    this.#own = (/** @type {string} */ id, /** @type {string} */ principal) =>
      lifecycle.jobs.get(id, principal) ??
      /** @type {JobRecord | undefined} */ (/** @type {unknown} */ (operations.get(id, principal)));
    this.#leaseMs = leaseMs;
    this.#nowMs = nowMs;
    hub.events.on('begun', (handle) => this.#onBegun(handle));
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    lifecycle.on('begun', (record) => this.#ofTaken(record, 'begun'));
    lifecycle.on('ended', (record) => this.#ofTaken(record, 'ended'));
    lifecycle.on('purged', (record) => this.#ofTaken(record, 'purged'));
    lifecycle.on('dropped', (record) => this.#ofTaken(record, 'dropped'));
    operations.on('ended', (operation) => this.#ofTaken(operation, 'ended'));
    operations.on('dropped', (operation) => this.#ofTaken(operation, 'dropped'));
    cluster.on('joined', ({ isLost }) => {
      if (!isLost) return;
      this.#lossUntilMs = this.#nowMs() + this.#leaseMs;
      this.#doubtEnded();
    });
    // A message about an erased job may have been lost.
    cluster.on('state', () => this.#doubtEnded());
  }

  #doubtEnded() {
    for (const record of this.#byId.values()) if (record.ended) this.#stale.add(record);
  }

  /** Number of replicas. */
  get size() {
    return this.#byId.size;
  }

  /**
   * @param {number} handle
   * @returns {JobRecord | undefined}
   */
  byHandle(handle) {
    return this.#byHandle.get(handle);
  }

  /**
   * @param {string} id
   * @returns {JobRecord | undefined} undefined: the job has no replica here
   */
  byId(id) {
    return this.#byId.get(id);
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<JobRecord | undefined>} undefined: no such job of this principal
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async find(id, principal) {
    const record = this.#byId.get(id) ?? (await this.#loadOnce(id));
    if (record?.principal !== principal) return undefined;
    if (this.#stale.has(record) && !(await this.#refresh(record))) return undefined;
    return record;
  }

  /**
   * @param {string} id
   * @returns {Promise<JobRecord | undefined>}
   */
  #loadOnce(id) {
    const before = this.#loading.get(id);
    if (before !== undefined) return before;
    const loading = this.#load(id).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return loading;
  }

  /**
   * @param {string} id
   * @returns {Promise<JobRecord | undefined>} undefined: no such job
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away, or its owner writes it
   *   again
   */
  async #load(id) {
    const [values, epoch] = await this.#cluster.redis.commands([
      ['HMGET', `job:${id}`, ...FIELDS],
      ['HGET', 'meta', 'epoch'],
    ]);
    const fields = /** @type {JobFields} */ (named(FIELDS, values));
    if (fields.principal === undefined) {
      this.checkEpoch(epoch);
      return undefined;
    }
    // Adopted or placed while Redis was answering.
    const own = this.#own(id, fields.principal);
    if (own !== undefined) return own;
    if (fields.settled !== undefined) throw redisUnavailable();
    const record = remoteRecord(id, fields, this.#log);
    if (record.ended) await this.#learnFailure(record);
    return this.#follow(record, fields);
  }

  /**
   * @param {string | null} epoch of the data in Redis
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while owners write their jobs again
   */
  checkEpoch(epoch) {
    if (this.#nowMs() < this.#lossUntilMs || epoch !== this.#cluster.epoch) {
      throw redisUnavailable();
    }
  }

  /**
   * @param {JobRecord} record
   * @param {JobFields} fields
   */
  #follow(record, fields) {
    const ageMs = Math.max(0, this.#cluster.redisNowMs() - record.createdAtMs);
    const handles = replicateLogs(this.#hub, record, fields, {
      ...{ leaseMs: this.#leaseMs, promptTokens: Number(fields.prompt_tokens), ageMs },
      announce: record.extra?.face !== undefined,
    });
    [record.handle, ...record.siblings] = handles;
    record.purgeDueMs = this.#purgeDueMs(record, fields);
    this.#byId.set(record.id, record);
    for (const handle of handles) this.#byHandle.set(handle, record);
    return record;
  }

  /**
   * @param {JobRecord} record
   * @param {JobFields} fields
   * @returns {number} latest time of its purge, on the monotonic clock
   */
  #purgeDueMs({ createdAtMs }, fields) {
    const { max_wall_ms: wallMs, retention_ms: retentionMs, ended_ms: endedAtMs } = fields;
    const endMs = endedAtMs === undefined ? createdAtMs + Number(wallMs) : Number(endedAtMs);
    return this.#nowMs() + endMs + Number(retentionMs) - this.#cluster.redisNowMs();
  }

  /**
   * @param {JobRecord} record ended
   * @returns {Promise<boolean>} false: it was erased
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away, or owners write their
   *   jobs again
   */
  async #refresh(record) {
    const [values, epoch] = await this.#cluster.redis.commands([
      ['HMGET', `job:${record.id}`, ...CHANGING],
      ['HGET', 'meta', 'epoch'],
    ]);
    const fields = named(CHANGING, values);
    if (fields.attempt === undefined) {
      this.checkEpoch(epoch);
      this.drop(record);
      return false;
    }
    const read = tolerantRead(record.id, this.#log);
    record.ownUpstream = fields.upstream;
    record.ownFailure ??= read(() => failureOf(record.final, fields.refusal));
    record.attempts = fields.started_ms === undefined ? 0 : Number(fields.attempt);
    record.extra = read(() => parseField(fields.extra, 'extra'));
    this.#stale.delete(record);
    return true;
  }

  /** @param {number} handle */
  #onBegun(handle) {
    const record = this.#byHandle.get(handle);
    if (record === undefined || record.begun) return;
    record.begun = true;
    this.emit('begun', record);
  }

  /**
   * @param {number} handle
   * @param {JobState} state
   */
  #onEnded(handle, state) {
    const record = this.#byHandle.get(handle);
    if (record?.handle !== handle) return;
    record.final = state;
    record.status = state.status;
    record.begun ||= hasEntries(state);
    this.#stale.add(record);
    if (state.error === undefined) this.emit('ended', record, state);
    else void this.#onFailed(record, state);
  }

  /**
   * Emits the end of a failed job once the upstream's refusal is known.
   * @param {JobRecord} record
   * @param {JobState} state
   */
  async #onFailed(record, state) {
    await this.#learnFailure(record);
    this.emit('ended', record, state);
  }

  /**
   * Waits for the refusal of a call that failed upstream: another connection writes it than
   * the ending.
   * @param {JobRecord} record a failed job
   */
  async #learnFailure(record) {
    const { id, final } = record;
    if (final.error?.type !== 'upstream_error') return;
    for (let tries = 0; tries < REFUSAL_TRIES && record.ownFailure === undefined; tries += 1) {
      if (tries > 0) await sleep(REFUSAL_MS);
      const ask = this.#cluster.redis.command('HGET', `job:${id}`, 'refusal');
      // Without the refusal the code of the error must suffice.
      const refusal = await ask.catch(() => '{}');
      const read = tolerantRead(id, this.#log);
      record.ownFailure = read(() => failureOf(final, refusal ?? undefined));
    }
  }

  /** @param {number} handle */
  #onPurged(handle) {
    const record = this.#byHandle.get(handle);
    this.#byHandle.delete(handle);
    if (record?.handle !== handle) return;
    this.#remove(record);
    this.emit('purged', record);
  }

  /** @param {JobRecord} record */
  #remove(record) {
    if (this.#byId.get(record.id) === record) this.#byId.delete(record.id);
    for (const handle of [record.handle, ...record.siblings]) this.#byHandle.delete(handle);
  }

  /**
   * Hands over the replica of a job that this process is about to own. Its readers stay. A replica with an ending
   * is dropped: it belongs to an earlier attempt.
   * @param {string} id
   * @returns {JobRecord | undefined} undefined: the job has no replica here
   */
  take(id) {
    const record = this.#byId.get(id);
    if (record?.ended) this.drop(record);
    if (record === undefined || record.ended) return undefined;
    this.#remove(record);
    this.#taken.set(id, record);
    return record;
  }

  /**
   * Passes an event of a job that was taken over to the calls that waited for its replica.
   * @param {Pick<JobRecord, 'id' | 'final' | 'status'> & Partial<JobRecord>} own
   * @param {'begun' | 'ended' | 'purged' | 'dropped'} event
   */
  #ofTaken(own, event) {
    const record = this.#taken.get(own.id);
    if (record === undefined) return;
    const { begun = true, final, status, ownUpstream, ownFailure } = own;
    Object.assign(record, { begun, final, status, ownUpstream, ownFailure });
    if (event === 'purged' || event === 'dropped') this.#taken.delete(own.id);
    if (event === 'ended') this.emit(event, record, final);
    else this.emit(event, record);
  }

  /** @param {JobRecord} record record of the job whose readers are disconnected */
  drop(record) {
    for (const handle of [record.handle, ...record.siblings]) this.#hub.purge(handle);
    this.#remove(record);
    this.emit('purged', record);
  }

  /** Disconnects the readers of other processes' jobs gradually, so that they reconnect elsewhere. */
  async leave() {
    const records = [...this.#byId.values()];
    const perStep = Math.ceil(records.length / LEAVE_STEPS);
    while (records.length > 0) {
      for (const record of records.splice(0, perStep)) this.drop(record);
      if (records.length > 0) await sleep(LEAVE_MS / LEAVE_STEPS);
    }
  }
}
