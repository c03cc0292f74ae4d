/** Types of the services of operations. This file has types only. */

/** @typedef {import('../../jobs/admission/types.js').Submission['access']} Access */
/** @typedef {import('./operation.js').Operation} Operation */
/** @typedef {import('../../cluster/operations/remote-operations.js').SavedOperation} SavedOperation */

/**
 * Dependencies of a service in a deployment.
 * @typedef {object} SharedServiceParts
 * @property {import('../../cluster/operations/operation-writes.js').OperationWrites} writes
 * @property {Pick<import('../../cluster/operations/remote-operations.js').RemoteOperations, 'reopen'>} remote
 * @property {import('../../jobs/rate-limits/shared-reservations.js').SharedReservations} reservations
 */

/**
 * Dependencies of a service.
 * @typedef {object} ServiceParts
 * @property {import('./operations.js').Operations} operations
 * @property {import('./directory.js').OperationDirectory} directory
 * @property {SharedServiceParts} [shared] default: operations belong to this process only
 * @property {import('../../jobs/settings.js').Settings} options
 * @property {import('../../jobs/policy/access-control.js').AccessControl} access
 * @property {import('../../jobs/policy/signed-urls.js').StreamUrls} streamUrls
 * @property {import('../../streams/hub.js').JobHub} hub
 * @property {() => number} nowMs
 * @property {() => boolean} ready
 * @property {() => void} checkRoom throws an HttpError while the disk is full
 * @property {import('../../jobs/rate-limits/reservations.js').Reservations} reservations
 * @property {import('../../internal/util/memory-budget.js').MemoryBudget} [memory]
 * @property {() => boolean} [hasPrincipals] whether callers are distinguished; default no
 */

/**
 * Request fields for the whole operation.
 * @typedef {object} PolicyFields
 * @property {'cancel' | 'continue'} [on_disconnect]
 * @property {number} [disconnect_grace_ms]
 * @property {number} [max_wall_ms]
 */

/**
 * Hooks of a kind of operation. They receive checked requests only.
 * @template {PolicyFields} Request
 * @template View
 * @typedef {object} Kind
 * @property {import('./operation.js').OperationKind} name
 * @property {number} maxWallMs default of `max_wall_ms`
 * @property {(body: unknown) => Request} check throws an HttpError
 * @property {(request: Request, access: Access) => void} [admit] throws an HttpError to refuse this
 *   caller
 * @property {(operation: Operation, request: Request, access: Access) => void} prepare sets its `data`
 * @property {(operation: Operation) => void} run begins its work
 * @property {(operation: Operation | SavedOperation, options: {whole: boolean}) => View} describe `whole`:
 *   includes the fields that lists omit. For a SavedOperation `data` is the result of `restore`
 * @property {(operation: Operation | SavedOperation, saved: {nodes?: Record<string, string>, snapshot?: any}) =>
 *   any} restore returns the `data` of another process's operation; without `nodes` only the fields for lists
 */

export {};
