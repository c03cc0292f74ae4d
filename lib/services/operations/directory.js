import { badRequest } from '../../internal/util/http-error.js';
import { latestIn } from '../../cluster/operations/latest.js';

/** @typedef {import('./operation.js').Operation} Operation */
/** @typedef {import('./operation.js').OperationKind} OperationKind */
/** @typedef {import('../../cluster/operations/latest.js').LatestOperation} LatestOperation */
/** @typedef {import('../../cluster/operations/remote-operations.js').SavedOperation} SavedOperation */

/**
 * A value, or a promise of it if other processes have operations, too.
 * @template T
 * @typedef {T | Promise<T>} Perhaps
 */

/**
 * Looks up operations of this process, or of all processes of a deployment.
 * @typedef {object} OperationDirectory
 * @property {(kind: OperationKind, id: string, principal: string) =>
 *   Perhaps<Operation | SavedOperation | undefined>} find undefined: unknown, purged, or of another principal
 * @property {(kind: OperationKind, id: string, principal: string) =>
 *   Perhaps<{handle: number, purgeDueMs: number} | undefined>} log its log in the hub of this process
 * @property {(kind: OperationKind, query: {principal: string, limit: number,
 *   status?: import('../../jobs/request.js').JobStatus, after?: string}) =>
 *   Perhaps<{page: (Operation | SavedOperation)[], hasMore: boolean}>} list a page, newest first; throws an
 *   HttpError 400 when `after` is unknown
 * @property {(operation: Operation | SavedOperation) => Promise<Operation | SavedOperation | undefined>} cancel
 *   resolves with the operation once it has its ending; undefined: it was purged meanwhile
 * @property {(kind: OperationKind, id: string) => Perhaps<string | undefined>} principalOf of an operation of any
 *   principal; undefined: it is unknown or purged
 * @property {(kind: OperationKind, limit: number) => Perhaps<LatestOperation[]>} latest those of all principals,
 *   newest first
 */

/**
 * The operations of a gateway with a single process. Main thread.
 * @implements {OperationDirectory}
 */
export class LocalOperations {
  #hub;
  #operations;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('./operations.js').Operations} deps.operations
   */
  constructor({ hub, operations }) {
    this.#hub = hub;
    this.#operations = operations;
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   */
  find(kind, id, principal) {
    return this.#operations.find(kind, id, principal);
  }

  /**
   * @param {OperationKind} kind
   * @param {string} id
   * @param {string} principal
   */
  log(kind, id, principal) {
    return this.#operations.find(kind, id, principal);
  }

  /** @type {OperationDirectory['list']} */
  list(kind, query) {
    const found = this.#operations.list(kind, query);
    if (found === undefined) throw unknownAfter(kind);
    return found;
  }

  /** @type {(kind: OperationKind, id: string) => string | undefined} */
  principalOf(kind, id) {
    return this.#operations.byId(kind, id)?.principal;
  }

  /** @type {(kind: OperationKind, limit: number) => LatestOperation[]} */
  latest(kind, limit) {
    return latestIn(this.#operations.all(kind), limit);
  }

  /** @type {OperationDirectory['cancel']} */
  async cancel(given) {
    const operation = /** @type {Operation} */ (given);
    operation.cancel('client_request');
    // The operation has its terminal event before the answer.
    await this.#hub.snapshot(operation.handle, { text: false });
    return operation;
  }
}

/**
 * @param {OperationKind} kind
 * @returns {import('../../internal/util/http-error.js').HttpError} 400
 */
function unknownAfter(kind) {
  return badRequest('invalid_value', 'after', `after must be the id of a ${kind} that is kept.`);
}

/**
 * @template T, R
 * @param {Perhaps<T>} value
 * @param {(value: T) => R} then
 * @returns {R | Promise<Awaited<R>>} at once, unless the value is a promise
 */
export function chain(value, then) {
  return value instanceof Promise
    ? /** @type {Promise<Awaited<R>>} */ (value.then(then))
    : then(value);
}
