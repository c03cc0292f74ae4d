import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PersistentCalls } from '../client/persistent-calls.js';
import { jobFields } from './job-fields.js';
import { stringifyExact } from '../../internal/util/exact-json.js';
import { idempotencyKeyReused, redisUnavailable } from '../../jobs/errors.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/shared-jobs-port.js').SharedJobsPort} SharedJobsPort */
/** @typedef {import('./job-fields.js').Shared} Shared */

/** Time that a job stays in Redis after its wall time if no process ends it. */
const SPARE_MS = 3_600_000;
/** A century, so that the sum with the current time stays within the range of Redis. */
const TTL_MS_MAX = 100 * 365 * 24 * 3_600_000;
/** Waits for the outcome of a request with the same key. */
const PENDING_MS = { first: 25, last: 100 };

/** @param {string} name of a key and its principal */
const keyOf = (name) => `idem:${createHash('sha256').update(name).digest('hex')}`;

/** @param {{maxWallMs: number}} limits @returns {string} time to live of a running job, in milliseconds */
export const ttlOf = ({ maxWallMs }) =>
  String(Math.ceil(Math.min(maxWallMs + SPARE_MS, TTL_MS_MAX)));

/**
 * @param {Pick<Shared, 'kind' | 'request'> & {siblings?: readonly number[]}} record an ended job has no request
 * @returns {number} of logs
 */
const choicesOf = ({ kind, request, siblings = [] }) =>
  kind === undefined ? (request?.n ?? 1 + siblings.length) : 1;

/** @param {Pick<Shared, 'id' | 'usedKey'>} record @returns {string[]} keys of a script: its job, and its idempotency key */
const keysOf = ({ id, usedKey }) =>
  usedKey === undefined ? [`job:${id}`] : [`job:${id}`, keyOf(usedKey.name)];

/**
 * A job, or an operation, of this process as it is now.
 * @typedef {Shared & Pick<JobRecord, 'attempts' | 'firstAttempt' | 'status' | 'upstream' | 'ended'> &
 *   {siblings?: readonly number[], ownFailure?: JobRecord['ownFailure']}} OwnShared
 */

/** @param {Record<string, unknown>} asked of the parts of a job @returns {string} JSON; empty for none */
export const asText = (asked) => (Object.keys(asked).length === 0 ? '' : JSON.stringify(asked));

/**
 * @param {import('../../jobs/execution/failure.js').Failure} failure of a job's call
 * @returns {string} JSON: the part that other processes need for their answers
 */
const refusalOf = ({ upstream, retryAfterMs }) => JSON.stringify({ upstream, retryAfterMs });

/** @implements {SharedJobsPort} Makes jobs known to all processes of a deployment. Main thread. */
export class SharedJobs {
  #redis;
  #identity;
  #clock;
  #keyTtlMs;
  #persistent;
  #rows = 0;
  #epoch;
  #join;
  /**
   * How this process has admitted a job: its name then, and the name of the data in Redis.
   * @type {WeakMap<Shared, {process: string, epoch: string, limits: Parameters<SharedJobsPort['admit']>[1]}>}
   */
  #admitted = new WeakMap();
  /** Unix time of the first dispatch of a job, in milliseconds. @type {WeakMap<Shared, string>} */
  #startedMs = new WeakMap();

  /**
   * @param {object} deps
   * @param {import('../client/redis-client.js').RedisClient} deps.redis
   * @param {import('../members.js').Identity} deps.identity of this process
   * @param {Pick<import('../client/redis-clock.js').RedisClock, 'deadlineUs' | 'sync'>} deps.clock
   * @param {() => string} deps.epoch name of the data in Redis
   * @param {() => Promise<boolean>} deps.join resolves once this process is a member again; false: not in time
   * @param {number} deps.keyTtlMs time to live of an idempotency key
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, identity, clock, epoch, join, keyTtlMs, log }) {
    this.#epoch = epoch;
    this.#join = join;
    this.#redis = redis;
    this.#identity = identity;
    this.#clock = clock;
    this.#keyTtlMs = keyTtlMs;
    this.#persistent = new PersistentCalls({ redis, log });
  }

  /**
   * See `SharedJobsPort.admit`; also for operations.
   * @param {Shared} record
   * @param {Parameters<SharedJobsPort['admit']>[1]} limits
   * @param {Parameters<SharedJobsPort['admit']>[2]} parts
   * @returns {ReturnType<SharedJobsPort['admit']>}
   */
  async admit(record, limits, parts) {
    const { turn: _turn, ...others } = parts.asked;
    const asked = asText(parts.asked);
    // A conversation that Redis has lost no longer has a turn.
    record.asked = asText(others) || undefined;
    let isSynced = false;
    let hasJoined = false;
    for (let waitMs = PENDING_MS.first; ; waitMs = Math.min(waitMs * 2, PENDING_MS.last)) {
      const [answer, ...rest] = await this.#askAdmit(record, limits, asked);
      switch (answer) {
        case 'OK':
          record.createdAtMs = Math.floor(Number(rest[0]) / 1000);
          if (rest[1] !== '') parts.taken(JSON.parse(rest[1]));
          return undefined;
        case 'REFUSED':
          throw parts.refused(rest[0], JSON.parse(rest[1]));
        case 'KNOWN':
          return JSON.parse(rest[1]);
        case 'REUSED':
          throw idempotencyKeyReused();
        case 'PENDING':
          await sleep(waitMs);
          break;
        case 'BURIED':
          this.#identity.bury(this.#admitted.get(record)?.process ?? '');
          // It joins again at once, after a loss of the data for example.
          if (hasJoined || !(await this.#join())) throw redisUnavailable();
          hasJoined = true;
          break;
        default:
          // The answer came in time, so somebody has set Redis's clock.
          if (isSynced) throw redisUnavailable();
          isSynced = true;
          await this.#clock.sync();
      }
    }
  }

  /**
   * @param {Shared} record
   * @param {{maxWallMs: number, retentionMs: number}} limits
   * @param {string} asked of its parts, JSON
   * @returns {Promise<string[]>}
   */
  async #askAdmit(record, limits, asked) {
    const { id, principal, usedKey } = record;
    const process = this.#identity.name;
    this.#admitted.set(record, { process, epoch: this.#epoch(), limits });
    const args = ['', this.#clock.deadlineUs(), process, id, principal];
    args.push(ttlOf(limits), String(choicesOf(record)));
    args.push(usedKey?.fingerprint ?? '', String(this.#keyTtlMs), asked);
    args.push(...jobFields(record, limits));
    try {
      return await this.#redis.run('admit', keysOf(record), args, {
        isKept: usedKey !== undefined,
      });
    } catch (/** @type {any} */ error) {
      // After the deadline Redis no longer admits it; before, Redis may have admitted it.
      if (error.uncertain) void this.retract(record);
      throw error;
    }
  }

  /** @type {SharedJobsPort['known']} */
  async known({ name, fingerprint }) {
    for (let waitMs = PENDING_MS.first; ; waitMs = Math.min(waitMs * 2, PENDING_MS.last)) {
      const [answer, ...rest] = await this.#redis.run('known', [keyOf(name)], [fingerprint]);
      if (answer === 'NEW') return undefined;
      if (answer === 'KNOWN') return JSON.parse(rest[1]);
      if (answer === 'REUSED') throw idempotencyKeyReused();
      await sleep(waitMs);
    }
  }

  /** @param {Shared} record */
  async placed(record) {
    const { id, usedKey, cache, extra } = record;
    const { epoch, limits } = this.#admitted.get(record) ?? {};
    // Redis has lost it since, before it was a job of this process that could be written again.
    if (limits !== undefined && epoch !== this.#epoch()) {
      void this.rewrite(/** @type {OwnShared} */ (record), limits);
    }
    if (cache !== undefined) void this.#insist('note', [`job:${id}`], () => ['cache', cache]);
    // A conversation whose turn waits for a place is not deleted.
    if (usedKey === undefined && extra?.conversation_id === undefined) return;
    const answer = usedKey === undefined ? '' : JSON.stringify(usedKey.answer());
    const args = [String(this.#keyTtlMs), answer];
    const { isDone } = await this.#attempt('placed', [`job:${id}`], args);
    // The job runs meanwhile; requests with its key wait until Redis has this answer.
    if (!isDone) void this.#insist('placed', [`job:${id}`], () => args);
  }

  /** @param {Shared} record */
  async retract(record) {
    const { id } = record;
    // The process may get a new name meanwhile; after it has joined again, it owns the job under this name.
    const was = this.#admitted.get(record)?.process ?? '';
    await this.#insist('retract', [`job:${id}`], () => [
      ...[this.#identity.name, id, '', was, this.#clock.deadlineUs()],
    ]);
  }

  /**
   * @param {unknown} _record
   * @param {number} logs
   * @returns {number} see `SharedJobsPort.number`
   */
  number(_record, logs) {
    const first = this.#rows + 1;
    this.#rows += logs;
    return first;
  }

  /** @type {SharedJobsPort['writeExtra']} */
  writeExtra({ id, extra }) {
    void this.#insist('note', [`job:${id}`], () => ['extra', stringifyExact(extra)]);
  }

  /** @param {Pick<Shared, 'id' | 'principal'>} record an ended job; it is erased from all processes */
  async erase({ id, principal }) {
    await this.#redis.run('erase', [`job:${id}`], [id, principal]);
  }

  /**
   * Records that an attempt was dispatched; lists and failover depend on it. If the call is lost, the
   * ending makes up for it.
   * @param {JobRecord} record
   */
  began(record) {
    const { id, attempts, upstream } = record;
    const startedMs = this.#startedMs.get(record) ?? String(Date.now());
    this.#startedMs.set(record, startedMs);
    const args = [this.#identity.name, startedMs, String(attempts), upstream ?? ''];
    this.#redis.run('began', [`job:${id}`], args).catch(() => {});
  }

  /**
   * Records the upstream's refusal of a job's call, while the native side writes the ending: other processes
   * need the refusal for their answers, and wait for it.
   * @param {JobRecord} record
   * @param {import('../../jobs/execution/failure.js').Failure} failure
   */
  failed({ id }, failure) {
    void this.#insist('note', [`job:${id}`], () => ['refusal', refusalOf(failure)]);
  }

  /**
   * Writes a job again if Redis has lost it, with its idempotency key; the native side writes its log, and
   * its ending.
   * @param {OwnShared} record
   * @param {{maxWallMs: number, retentionMs: number}} limits
   * @returns {Promise<string | undefined>} the answer of the script: `OK`; `THERE`, it is not lost, and has not ended;
   *   `FENCED`, another process owns it; `ENDED`, Redis has the ending that this process has written; `BURIED`, this
   *   process will join again. Undefined: Redis gives none
   */
  async rewrite(record, limits) {
    let attempts = 0;
    const answer = await this.#insist('rewrite', keysOf(record), () => {
      ({ attempts } = record);
      return this.#rewriteArgs(record, limits);
    });
    // A dispatch while the script was on its way found no job; older data may lack it as well.
    const hasBegun = answer === 'THERE' ? record.attempts > 0 : record.attempts !== attempts;
    if (['OK', 'THERE'].includes(answer) && record.kind === undefined && hasBegun) {
      this.began(/** @type {JobRecord} */ (record));
    }
    return answer;
  }

  /**
   * @param {OwnShared} record
   * @param {{maxWallMs: number, retentionMs: number}} limits
   * @returns {string[]} arguments of the script, without the prefix
   */
  #rewriteArgs(record, limits) {
    const { id, principal, createdAtMs, attempts, upstream, usedKey, cache, ownFailure } = record;
    const { asked = '' } = record;
    const keyLeftMs = Math.max(1, createdAtMs + this.#keyTtlMs - Date.now());
    const answer = usedKey === undefined ? '' : JSON.stringify(usedKey.answer());
    // Its conversation is lost as well.
    const fields = jobFields(record, limits, { whole: true });
    fields.push('attempt', String(Math.max(attempts, record.firstAttempt)));
    // Its ending is written after its log.
    const status = attempts === 0 ? 'queued' : 'running';
    fields.push('status', record.ended ? status : record.status);
    fields.push('choices', String(choicesOf(record)));
    const startedMs = this.#startedMs.get(record);
    if (startedMs !== undefined && attempts > 0) fields.push('started_ms', startedMs);
    if (upstream !== undefined) fields.push('upstream', upstream);
    if (cache !== undefined) fields.push('cache', cache);
    if (ownFailure !== undefined) fields.push('refusal', refusalOf(ownFailure));
    return [
      ...[this.#identity.name, id, principal, ttlOf(limits), `${createdAtMs}000`, asked],
      ...[
        record.ended ? '1' : '0',
        usedKey?.fingerprint ?? '',
        String(keyLeftMs),
        answer,
        ...fields,
      ],
    ];
  }

  /** @type {PersistentCalls['insist']} */
  #insist(name, keys, args) {
    return this.#persistent.insist(name, keys, args);
  }

  /** @type {PersistentCalls['attempt']} */
  #attempt(name, keys, args) {
    return this.#persistent.attempt(name, keys, args);
  }

  /** Stops all retries. */
  close() {
    this.#persistent.close();
  }
}
