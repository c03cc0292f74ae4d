/** The view that the deployment has of this process's operations. This file has types only. */

/** @typedef {import('../jobs/job-fields.js').OperationKind} OperationKind */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * The progress of an operation; its kind defines the content.
 * @typedef {object} OperationWork
 * @property {() => object} summary plain JSON: the fields that lists show
 * @property {() => NodeChange[]} takeChanges changes of its nodes since the last call
 * @property {(changes: NodeChange[]) => void} giveBack returns unwritten changes; newer changes have precedence
 * @property {() => void} touchAll marks all nodes as changed after Redis has lost them
 */

/**
 * A change of a node, in the format of scripts/fragments/nodes.lua: its id, its state as JSON (empty: removed),
 * and its output as JSON (empty: as before; `-`: none).
 * @typedef {[node: string, state: string, output: string]} NodeChange
 */

/**
 * An operation of this process.
 * @typedef {import('../jobs/job-fields.js').Shared & {kind: OperationKind, handle: number, ended: boolean,
 *   final: any, status: import('../../jobs/request.js').JobStatus, attempt: number, attempts: number,
 *   firstAttempt: number, upstream: undefined, isDropped: boolean, data: OperationWork | undefined,
 *   limits: {maxWallMs: number, retentionMs: number}, graceMs: number,
 *   cancel: (reason: 'client_request' | 'client_disconnected' | 'shutdown' | 'superseded') => void}}
 *   OwnOperation
 */

/**
 * An operation taken over from a process that is lost or does not answer a cancellation. It is
 * ended as cancelled if `cancel` is set, else as failed with `error`.
 * @typedef {object} TakenOperation
 * @property {string} id
 * @property {import('../jobs/job-fields.js').JobFields} fields in Redis
 * @property {number} handle of the replica of its log
 * @property {number} skipIds see `TakenLogs`
 * @property {string} [cancel] the reason
 * @property {{code: string, message: string, type: string}} error
 */

/**
 * `begun`: an attempt starts here. `ended`: the operation has its terminal event. `dropped` replaces
 * `ended` if another process owns it. `conflicting`: this process had reported an ending of an operation that
 * another process owns.
 * @typedef {{begun: [operation: OwnOperation], ended: [operation: OwnOperation, state: JobState],
 *   dropped: [operation: OwnOperation], conflicting: [operation: OwnOperation]}} OwnOperationEvents
 */

/**
 * @typedef {object} OwnOperations
 * @property {(id: string, principal: string) => OwnOperation | undefined} get of any kind
 * @property {(handle: number) => OwnOperation | undefined} byHandle
 * @property {(id: string) => OwnOperation | undefined} byAnyId of any kind and principal
 * @property {() => OwnOperation[]} active operations that have not ended
 * @property {(kind: OperationKind) => OwnOperation[]} all operations of a kind, oldest first
 * @property {(taken: TakenOperation) => Promise<void>} adopt
 * @property {(operation: any) => void} drop removes one that another process owns
 * @property {(operation: any) => void} release removes an ended one
 * @property {<E extends keyof OwnOperationEvents>(event: E,
 *   listener: (...args: OwnOperationEvents[E]) => void) => unknown} on
 */

export {};
