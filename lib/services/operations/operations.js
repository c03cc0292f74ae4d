import { EventEmitter } from 'node:events';
import { randomId } from '../../internal/util/random-id.js';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { JobTable } from '../../jobs/job-table.js';

/** Kinds of operations, and the prefixes of their ids. */
const PREFIXES = Object.freeze({ workflow: 'wf', crawl: 'crawl' });

/** @typedef {keyof typeof PREFIXES} OperationKind */

/** Every kind of operation. */
export const operationKinds = Object.freeze(/** @type {OperationKind[]} */ (Object.keys(PREFIXES)));

/** Operations of one kind that may run at once. */
const ACTIVE_MAX = 1000;

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
 * A long-running operation: a workflow or a crawl, made of many jobs or fetches, with one log of
 * typed events. Created by `Operations.create`. Main thread.
 *
 * Its log lives in the hub under the hub's rules for readers, disconnects, wall time, endings and
 * retention; it is not queued, and its service calls `finish`. `signal` aborts when the operation
 * ends for any other cause.
 */
export class Operation {
  #hub;
  #purge;
  #policy;
  #abort = new AbortController();

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {{kind: OperationKind, principal: string, policy: OperationPolicy}} fields
   * @param {{nowMs: () => number, retentionMs: number}} purge monotonic clock, and how long it is kept
   *   after its end
   */
  constructor(hub, { kind, principal, policy }, purge) {
    this.#hub = hub;
    this.#purge = purge;
    this.#policy = policy;
    this.kind = kind;
    this.principal = principal;
    // 144 random bits: unguessable and unique.
    this.id = randomId(PREFIXES[kind]);
    this.createdAtMs = Date.now();
    this.handle = 0;
    this.attempt = 1;
    /** @type {import('../../jobs/request.js').JobStatus} */
    this.status = 'running';
    /** When it is purged at the latest, on the monotonic clock. */
    this.purgeDueMs = Infinity;
    /** @type {any} final state from the hub; set when it has ended */
    this.final = undefined;
    /** Set by the service of its kind: the checked request. @type {any} */
    this.request = undefined;
    this.settled = false;
    /** State of its service. @type {any} */
    this.data = undefined;
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
    this.handle = this.#hub.create({ jobId: this.id, kind: this.kind, ...this.#policy });
    this.#hub.start(this.handle);
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
   * @returns {boolean} false: wait for `room` before the next one, unless there are few of them
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

  /** @param {'client_request' | 'shutdown'} reason */
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
    if (!this.settled) this.#abort.abort();
  }
}

/**
 * The operations of a gateway, by kind. Main thread; lives as long as its hub. Emits `ended` once per
 * attempt.
 * @extends {EventEmitter<{ended: [operation: Operation, state: import('../../streams/types.js').JobState]}>}
 */
export class Operations extends EventEmitter {
  #hub;
  #purge;
  /** @type {Record<OperationKind, JobTable<Operation>>} */
  #tables;
  #hasPrincipals;
  #memory;
  /** @type {(() => void)[]} */
  #idle = [];

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {() => number} deps.nowMs monotonic clock
   * @param {number} deps.retentionMs how long an ended operation is kept
   * @param {number} deps.maxRetained maximum of ended operations kept, per kind
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default:
   *   none
   * @param {() => boolean} [deps.hasPrincipals] whether callers are distinguished: then each may
   *   use up to half of the places
   */
  constructor({ hub, nowMs, retentionMs, maxRetained, memory, hasPrincipals = () => false }) {
    super();
    this.#purge = { nowMs, retentionMs };
    this.#memory = memory;
    this.#hasPrincipals = hasPrincipals;
    this.#hub = hub;
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    const table = () =>
      /** @type {JobTable<Operation>} */ (
        new JobTable({
          maxRetainedJobs: maxRetained,
          memory,
          onEvict: (operation) => {
            hub.purge(operation.handle);
            this.holds(operation, 0);
          },
        })
      );
    this.#tables = { workflow: table(), crawl: table() };
  }

  /**
   * Begins an operation. The caller must call `finish` on it.
   * @param {OperationKind} kind
   * @param {string} principal
   * @param {OperationPolicy} policy
   * @returns {Operation}
   * @throws {HttpError} 503 when too many are running
   */
  create(kind, principal, policy) {
    this.#checkRoom(kind, principal);
    const operation = new Operation(this.#hub, { kind, principal, policy }, this.#purge);
    operation.begin();
    this.#tables[kind].add(operation);
    return operation;
  }

  /**
   * Begins the next attempt of an ended operation.
   * @param {Operation} operation
   * @throws {HttpError} 503 when too many are running
   */
  reopen(operation) {
    this.#checkRoom(operation.kind, operation.principal);
    this.#tables[operation.kind].revive(operation);
    operation.reopen();
  }

  /**
   * @param {OperationKind} kind
   * @param {string} principal
   */
  #checkRoom(kind, principal) {
    const active = this.#tables[kind].active();
    const own = active.filter((operation) => operation.principal === principal).length;
    const ownMax = this.#hasPrincipals() ? ACTIVE_MAX / 2 : ACTIVE_MAX;
    if (active.length < ACTIVE_MAX && own < ownMax) return;
    const many = own < ownMax ? `${active.length} ${kind}s` : `${own} ${kind}s of this caller`;
    throw new HttpError(503, {
      code: 'overloaded',
      message: `${many} are under way; try again later.`,
      headers: { 'Retry-After': '5' },
    });
  }

  /**
   * @param {Operation} operation
   * @param {number} bytes of its content from now on, without its log
   */
  holds(operation, bytes) {
    this.#memory?.count('workflows', operation.principal, bytes - operation.contentBytes);
    operation.contentBytes = bytes;
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   * @returns {Operation | undefined} undefined: unknown, purged, or of another principal
   */
  find(kind, id, principal) {
    return this.#tables[kind].get(id, principal);
  }

  /**
   * A page, newest first.
   * @param {OperationKind} kind
   * @param {{principal: string, limit: number, status?: import('../../jobs/request.js').JobStatus,
   *   after?: string}} query
   * @throws {HttpError} 400 when `after` is unknown
   */
  list(kind, query) {
    const found = this.#tables[kind].list(query);
    if (found !== undefined) return found;
    throw badRequest('invalid_value', 'after', `after must be the id of a ${kind} that is kept.`);
  }

  /** @param {'client_request' | 'shutdown'} reason for all running operations */
  cancelAll(reason) {
    for (const operation of this.active()) operation.cancel(reason);
  }

  /**
   * Cancels and purges all operations of one caller.
   * @param {string} principal
   */
  async erase(principal) {
    const operations = operationKinds.flatMap((kind) => this.#tables[kind].of(principal));
    for (const operation of operations) operation.cancel('client_request');
    await Promise.all(operations.map(({ handle }) => this.#hub.snapshot(handle, { text: false })));
    await this.#hub.barrier();
    for (const operation of operations) {
      this.#tables[operation.kind].delete(operation);
      this.#hub.purge(operation.handle);
    }
  }

  /** @returns {Promise<void>} resolves when no operation is running */
  idle() {
    if (this.active().length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /**
   * @param {number} handle of any log
   * @param {import('../../streams/types.js').JobState} state
   */
  #onEnded(handle, state) {
    const operation = this.#byHandle(handle);
    if (operation === undefined) return;
    this.#tables[operation.kind].finish(operation, state);
    operation.stop();
    this.emit('ended', operation, state);
    this.#tellIdle();
  }

  /** @param {number} handle of any log */
  #onPurged(handle) {
    const operation = this.#byHandle(handle);
    if (operation === undefined) return;
    this.#tables[operation.kind].delete(operation);
    this.holds(operation, 0);
    // Its retention expired at the moment of its restart.
    if (!operation.ended) operation.stop();
    this.#tellIdle();
  }

  #tellIdle() {
    if (this.active().length === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /**
   * @param {OperationKind} kind
   * @returns {Operation[]} of all principals, oldest first
   */
  all(kind) {
    return this.#tables[kind].all();
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @returns {Operation | undefined} of any principal
   */
  byId(kind, id) {
    return this.#tables[kind].byId(id);
  }

  /** The operations that have not ended. */
  active() {
    return operationKinds.flatMap((kind) => this.#tables[kind].active());
  }

  /** @param {number} handle */
  #byHandle(handle) {
    for (const kind of operationKinds) {
      const operation = this.#tables[kind].byHandle(handle);
      if (operation !== undefined) return operation;
    }
    return undefined;
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
