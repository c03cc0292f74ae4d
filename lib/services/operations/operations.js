import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpError } from '../../internal/util/http-error.js';
import { JobTable } from '../../jobs/job-table.js';
import { Operation, operationKinds } from './operation.js';
import { parseField } from '../../cluster/jobs/job-fields.js';

/** Operations of one kind that may run at once. */
const ACTIVE_MAX = 1000;
/** Wait before data written by another process is requested again. */
const AGAIN_MS = 250;

/** @typedef {import('../../cluster/operations/own-operations.js').TakenOperation} TakenOperation */
/** @typedef {import('./operation.js').OperationKind} OperationKind */
/** @typedef {import('./operation.js').OperationPolicy} OperationPolicy */
/** @typedef {import('./operation.js').OperationPast} OperationPast */
/** @typedef {import('../../cluster/operations/operation-writes.js').OperationWrites} OperationWrites */

/** @typedef {{nodes: Record<string, string>, snapshot: any}} Saved of an operation in Redis */

/**
 * The operations of a gateway, by kind. Main thread; lives as long as its hub. Emits `begun` and `ended` once
 * per attempt. With Redis these are the operations of this process; for `dropped` and `conflicting` see
 * OwnOperationEvents.
 * @extends {EventEmitter<{begun: [operation: Operation], dropped: [operation: Operation],
 *   conflicting: [operation: Operation],
 *   ended: [operation: Operation, state: import('../../streams/types.js').JobState]}>}
 */
export class Operations extends EventEmitter {
  #hub;
  #shared;
  /** By kind: functions that return the `data` of an operation that was taken over. */
  /** @type {Map<OperationKind, (operation: Operation, saved: Saved) => any>} */
  #restorers = new Map();
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
   * @param {number} deps.retentionMs retention of an ended operation
   * @param {number} deps.maxRetained maximum number of ended operations kept, per kind
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default:
   *   none
   * @param {() => boolean} [deps.hasPrincipals] whether callers are distinguished: then each may
   *   use up to half of the places
   * @param {OperationWrites} [deps.shared] default: operations belong to this process only
   */
  constructor({
    hub,
    nowMs,
    retentionMs,
    maxRetained,
    memory,
    hasPrincipals = () => false,
    shared,
  }) {
    super();
    this.#shared = shared;
    this.#purge = { nowMs, retentionMs };
    this.#memory = memory;
    this.#hasPrincipals = hasPrincipals;
    this.#hub = hub;
    hub.events.on('ending', (handle) => void this.#onEnding(handle));
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    hub.events.on('fenced', (handle) => this.#onFenced(handle));
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
   * @param {OperationKind} kind
   * @param {string} principal
   * @param {OperationPolicy} policy
   * @param {OperationPast} [past] identity of an operation that is continued
   * @returns {Operation} an operation that has not begun
   * @throws {HttpError} 503 when too many are running
   */
  prepare(kind, principal, policy, past) {
    this.#checkRoom(kind, principal);
    return new Operation(this.#hub, { kind, principal, policy, past }, this.#purge, this.#shared);
  }

  /**
   * Begins an operation. The caller must call `finish` on it.
   * @param {Operation} operation result of `prepare`
   * @returns {Operation} the same operation
   */
  begin(operation) {
    operation.begin();
    this.#tables[operation.kind].add(operation);
    this.emit('begun', operation);
    return operation;
  }

  /**
   * Begins a later attempt of an operation whose log belongs or belonged to another process.
   * @param {Operation} operation
   * @param {number} handle of the replica of its log
   */
  async continue(operation, handle) {
    const adopted = operation.adopt(handle);
    this.#tables[operation.kind].add(operation);
    this.emit('begun', operation);
    await adopted;
  }

  // --- in a deployment, see OwnOperations

  /**
   * @param {OperationKind} kind
   * @param {(operation: Operation, saved: Saved) => any} restore returns its `data`
   */
  restoreWith(kind, restore) {
    this.#restorers.set(kind, restore);
  }

  /**
   * Ends an operation of another process.
   * @param {TakenOperation} taken
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_REDIS_DATA`, after its end: its nodes
   *   stay unchanged
   */
  async adopt({ id, fields, handle, skipIds, cancel, error }) {
    const kind = /** @type {OperationKind} */ (fields.kind);
    const policy = {
      ...{ onDisconnect: /** @type {const} */ ('continue'), disconnectGraceMs: 0 },
      maxWallMs: Infinity,
    };
    const createdAtMs = Math.floor(Number(fields.created_us) / 1000);
    const past = { id, createdAtMs, attempt: Number(fields.attempt) };
    const of = { kind, principal: fields.principal, policy, past };
    const operation = new Operation(this.#hub, of, this.#purge, this.#shared);
    void operation.adopt(handle, { skipIds });
    this.#tables[kind].add(operation);
    try {
      await this.#restore(operation, fields);
    } catch (unread) {
      operation.body = { nodes: [] };
      operation.data = this.#restorers.get(kind)?.(operation, { nodes: {}, snapshot: {} });
      throw unread;
    } finally {
      if (cancel !== undefined) operation.cancel(/** @type {any} */ (cancel));
      // Not `finish`: its nodes end like those of a cancelled operation.
      else this.#hub.finish(operation.handle, { type: 'error', error });
    }
  }

  /**
   * @param {Operation} operation
   * @param {import('../../cluster/jobs/job-fields.js').JobFields} fields
   */
  async #restore(operation, { request, metadata, ...fields }) {
    const shared = /** @type {OperationWrites} */ (this.#shared);
    const snapshot = parseField(fields.snapshot, 'snapshot') ?? {};
    operation.body = parseField(request, 'request');
    operation.metadata = parseField(metadata, 'metadata');
    while (!operation.isDropped && operation.data === undefined) {
      try {
        const nodes = await shared.nodes(operation.id);
        operation.data = this.#restorers.get(operation.kind)?.(operation, { nodes, snapshot });
      } catch (/** @type {any} */ error) {
        if (error.status === undefined) throw error;
        await sleep(AGAIN_MS, undefined, { ref: false });
      }
    }
  }

  /**
   * @param {string} id of any kind
   * @param {string} principal
   * @returns {Operation | undefined}
   */
  get(id, principal) {
    return this.find('workflow', id, principal) ?? this.find('crawl', id, principal);
  }

  /**
   * @param {string} id of any kind and principal
   * @returns {Operation | undefined}
   */
  byAnyId(id) {
    return this.#tables.workflow.byId(id) ?? this.#tables.crawl.byId(id);
  }

  /**
   * Drops an open operation that another process owns: its work stops, its readers are disconnected
   * without a terminal event, and nothing is settled.
   * @param {Operation} operation
   */
  drop(operation) {
    if (operation.ended || operation.isDropped) return;
    this.#remove(operation);
    operation.drop();
    this.#hub.fence(operation.handle);
    this.emit('dropped', operation);
    this.#tellIdle();
  }

  /** @param {Operation} operation an ended operation to remove from this process */
  release(operation) {
    this.#remove(operation);
    this.#hub.purge(operation.handle);
  }

  /** @param {Operation} operation */
  #remove(operation) {
    this.#tables[operation.kind].delete(operation);
    this.holds(operation, 0);
  }

  /** @param {number} handle of any log */
  async #onEnding(handle) {
    const operation = this.byHandle(handle);
    if (operation === undefined || this.#shared === undefined) return;
    operation.halt();
    const snapshot = await this.#shared.last(/** @type {any} */ (operation));
    operation.summary = JSON.parse(snapshot);
    this.#hub.settle(handle, JSON.stringify({ snapshot }));
  }

  /** @param {number} handle of a log that another process writes */
  #onFenced(handle) {
    const operation = this.byHandle(handle);
    if (operation === undefined) return;
    if (!operation.ended) {
      this.drop(operation);
      return;
    }
    // While cut off from Redis, this process has reported an ending that differs from the valid one; or the
    // operation was retried by another process.
    this.release(operation);
    this.emit('conflicting', operation);
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
    this.emit('begun', operation);
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
      message: `${many} are running; try again later.`,
      headers: { 'Retry-After': '5' },
    });
  }

  /**
   * @param {Operation} operation
   * @param {number} bytes new size of its content, without its log
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
   * @returns {{page: Operation[], hasMore: boolean} | undefined} undefined: `after` is unknown
   */
  list(kind, query) {
    return this.#tables[kind].list(query);
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
    const operation = this.byHandle(handle);
    if (operation === undefined) return;
    this.#tables[operation.kind].finish(operation, state);
    operation.stop();
    this.emit('ended', operation, state);
    this.#tellIdle();
  }

  /** @param {number} handle of any log */
  #onPurged(handle) {
    const operation = this.byHandle(handle);
    if (operation === undefined) return;
    this.#remove(operation);
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

  /**
   * @param {number} handle
   * @returns {Operation | undefined}
   */
  byHandle(handle) {
    for (const kind of operationKinds) {
      const operation = this.#tables[kind].byHandle(handle);
      if (operation !== undefined) return operation;
    }
    return undefined;
  }
}
