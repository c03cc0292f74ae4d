import { HttpError } from '../../internal/util/http-error.js';
import { randomId } from '../../internal/util/random-id.js';

/** @typedef {import('../../cluster/operations/operation-writes.js').OperationWrites} OperationWrites */

/** Kinds of operations, and the prefixes of their ids. */
const PREFIXES = Object.freeze({ workflow: 'wf', crawl: 'crawl' });

/** @typedef {keyof typeof PREFIXES} OperationKind */

/** Every kind of operation. */
export const operationKinds = Object.freeze(/** @type {OperationKind[]} */ (Object.keys(PREFIXES)));

/**
 * @param {string} id
 * @returns {OperationKind | undefined} kind of an operation with this id; undefined: not an operation
 */
export function kindOf(id) {
  return operationKinds.find((kind) => id.startsWith(`${PREFIXES[kind]}_`));
}

/** Schema of an operation's `max_wall_ms`: at most a day. */
export const workWallMs = Object.freeze({
  type: 'integer',
  minimum: 1,
  maximum: 24 * 3600 * 1000,
});

/**
 * @typedef {object} OperationPolicy behaviour without readers, and the time limit
 * @property {'cancel' | 'continue'} onDisconnect
 * @property {number} disconnectGraceMs
 * @property {number} maxWallMs of each attempt
 */

/**
 * Identity of a continued operation: from an earlier attempt, or from another process.
 * @typedef {object} OperationPast
 * @property {string} id
 * @property {number} createdAtMs
 * @property {number} attempt the attempt to begin or to end
 */

/**
 * A long-running operation: a workflow or a crawl, made of many jobs or fetches, with one log of
 * typed events. Created by `Operations.prepare`. Main thread.
 *
 * Its log lives in the hub under the hub's rules for readers, disconnects, wall time, endings and
 * retention; it is not queued, and its service calls `finish`. `signal` aborts when the operation
 * ends for any other cause.
 */
export class Operation {
  #hub;
  #purge;
  #policy;
  #shared;
  #abort = new AbortController();

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {{kind: OperationKind, principal: string, policy: OperationPolicy, past?: OperationPast}} fields
   * @param {{nowMs: () => number, retentionMs: number}} purge monotonic clock, and the retention
   *   after its end
   * @param {OperationWrites} [shared] announces it to other processes; default: there are none
   */
  constructor(hub, { kind, principal, policy, past }, purge, shared) {
    this.#hub = hub;
    this.#purge = purge;
    this.#policy = policy;
    this.#shared = shared;
    this.kind = kind;
    this.principal = principal;
    // 144 random bits: unguessable and unique.
    this.id = past?.id ?? randomId(PREFIXES[kind]);
    this.createdAtMs = past?.createdAtMs ?? Date.now();
    this.handle = 0;
    this.attempt = past?.attempt ?? 1;
    /** @type {import('../../jobs/request.js').JobStatus} */
    this.status = 'running';
    /** Latest time of its purge, on the monotonic clock. */
    this.purgeDueMs = Infinity;
    /** @type {any} final state from the hub; set when it has ended */
    this.final = undefined;
    /** Excluded from the memory budget: see `holds`. @type {any} */
    this.request = undefined;
    /** The checked request, set by the service of its kind. @type {any} */
    this.body = undefined;
    /** From the body of its request. @type {Record<string, unknown> | undefined} */
    this.metadata = undefined;
    this.settled = false;
    /** State of its service. @type {any} */
    this.data = undefined;
    /** With Redis, its last snapshot, set when it is ending. @type {any} */
    this.summary = undefined;
    /** Whether another process owns it. */
    this.isDropped = false;
    /** The idempotency key of its submission. @type {import('../../jobs/job.js').KeyOfJob | undefined} */
    this.usedKey = undefined;
    /** With Redis, the requests to its parts as JSON. @type {string | undefined} */
    this.asked = undefined;
    /**
     * Reservation of the caller's limits for this attempt.
     * @type {import('../../jobs/rate-limits/reservations.js').WorkReservation | undefined}
     */
    this.reservation = undefined;
    /** Bytes of its content, without its log. */
    this.contentBytes = 0;
  }

  /** Whether its terminal event is written. */
  get ended() {
    return this.final !== undefined;
  }

  /** Aborts when this attempt ends other than by `finish`: a cancel, a deadline, ... */
  get signal() {
    return this.#abort.signal;
  }

  begin() {
    this.#due(this.#policy.maxWallMs);
    this.handle = this.#hub.create(this.#logOptions());
    this.#hub.start(this.handle);
  }

  /**
   * Continues the log of another process, in this operation's attempt.
   * @param {number} handle of its replica
   * @param {{skipIds?: number}} [position] see `JobHub.adopt`
   */
  async adopt(handle, position) {
    this.#due(this.#policy.maxWallMs);
    this.handle = handle;
    const options = { ...this.#logOptions(), attempt: this.attempt, ...position };
    await this.#hub.adopt(
      handle,
      /** @type {import('../../streams/job-options.js').AdoptOptions} */ (options),
    );
    if (!this.isDropped) this.#hub.start(handle);
  }

  #logOptions() {
    const own = { jobId: this.id, kind: this.kind, ...this.#policy };
    if (this.#shared === undefined) return own;
    const record = this.#shared.number();
    // The hub knows only the readers of this process.
    const onDisconnect = /** @type {const} */ ('continue');
    return { ...own, onDisconnect, record, settles: /** @type {const} */ ('state') };
  }

  // --- view for other processes

  get limits() {
    return { maxWallMs: this.#policy.maxWallMs, retentionMs: this.#purge.retentionMs };
  }

  /** Time that it continues without a reader; Infinity: to its end. */
  get graceMs() {
    const { onDisconnect, disconnectGraceMs } = this.#policy;
    return onDisconnect === 'continue' ? Infinity : disconnectGraceMs;
  }

  /** JSON. */
  get snapshot() {
    return JSON.stringify(this.data?.summary() ?? {});
  }

  get attempts() {
    return this.attempt;
  }

  get firstAttempt() {
    return this.attempt;
  }

  /**
   * Call it after each change of its `data`, to inform other processes.
   * @param {{isResult?: boolean}} [change] see `OperationWrites.changed`
   */
  changed(change) {
    this.#shared?.changed(/** @type {any} */ (this), change);
  }

  /** Starts the next attempt of an ended operation. */
  reopen() {
    this.attempt += 1;
    this.status = 'running';
    this.settled = false;
    this.#abort = new AbortController();
    this.#due(this.#policy.maxWallMs);
    this.#hub.reopen(this.handle);
  }

  /**
   * Appends an event; dropped if the operation has ended.
   * @param {string} type
   * @param {object} data fields besides the operation's id
   * @returns {boolean} false: wait for `room` before the next one, unless there are only a few
   */
  emit(type, data) {
    return this.#hub.appendEvent(this.handle, type, data);
  }

  /** @returns {Promise<void>} resolves when the slowest reader has caught up, or it has ended */
  room() {
    return this.#hub.writable(this.handle);
  }

  /**
   * @param {import('../../streams/types.js').TerminalInput} terminal only the first call has an
   *   effect
   */
  finish(terminal) {
    this.settled = true;
    this.#hub.finish(this.handle, terminal);
  }

  /** @param {'client_request' | 'client_disconnected' | 'shutdown' | 'superseded'} reason */
  cancel(reason) {
    if (!this.ended) this.#hub.finish(this.handle, { type: 'cancelled', reason });
  }

  /** @param {number} leftMs until its end at the latest */
  #due(leftMs) {
    this.purgeDueMs = this.#purge.nowMs() + leftMs + this.#purge.retentionMs;
  }

  /** Marks the operation as ended and aborts its signal. */
  stop() {
    this.#due(0);
    this.reservation?.settle();
    this.halt();
  }

  /** Aborts its signal, unless it has ended by `finish`. */
  halt() {
    if (!this.settled) this.#abort.abort();
  }

  /** Drops it: another process owns it. */
  drop() {
    this.isDropped = true;
    this.settled = false;
    this.stop();
  }
}

/**
 * The same answer for an unknown, a purged and another principal's operation.
 * @param {OperationKind} kind
 */
export function operationNotFound(kind) {
  return new HttpError(404, {
    code: `${kind}_not_found`,
    param: `${kind}_id`,
    message: `No such ${kind}: it never existed, or its retention is over.`,
  });
}

/** The error in an event for a failure that only the log explains. */
export const internalError = () => ({
  code: 'internal_error',
  message: 'Internal error; see the server log.',
  type: 'server_error',
});
