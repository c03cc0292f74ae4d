/** The operations of this process, as the deployment sees them. This file has no code. */

/** @typedef {import('../jobs/job-fields.js').OperationKind} OperationKind */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * The progress of an operation; its kind defines the content.
 * @typedef {object} OperationWork
 * @property {() => object} summary plain JSON: the fields that lists show
 * @property {() => NodeChange[]} takeChanges of its nodes since the last call
 * @property {(changes: NodeChange[]) => void} giveBack changes that were not written; newer ones stay
 * @property {() => void} touchAll counts all nodes as changed: Redis has lost them
 */

/**
 * A change of a node, as scripts/fragments/nodes.lua writes it: its id, its state as JSON (empty: none any more),
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
 * An operation that was taken over from a process that is lost, or that does not answer a cancellation. It is
 * ended: as cancelled for `cancel`, else as failed with `error`.
 * @typedef {object} TakenOperation
 * @property {string} id
 * @property {import('../jobs/job-fields.js').JobFields} fields in Redis
 * @property {number} handle of the replica of its log
 * @property {number} skipIds as of `TakenLogs`
 * @property {string} [cancel] the reason
 * @property {{code: string, message: string, type: string}} error
 */

/**
 * `begun`: an attempt runs here from now on. `ended`: it has its terminal event. `dropped` comes in place of
 * `ended`: another process has it. `conflicting`: this process had told an ending of an operation that another
 * process has.
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
 * @property {(operation: any) => void} drop lets go of one that another process has
 * @property {(operation: any) => void} release forgets one that has ended
 * @property {<E extends keyof OwnOperationEvents>(event: E,
 *   listener: (...args: OwnOperationEvents[E]) => void) => unknown} on
 */

export {};
