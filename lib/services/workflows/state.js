import { NodeState, totalUsage } from './node-state.js';

/** @typedef {import('../../cluster/operations/own-operations.js').NodeChange} NodeChange */
/** @typedef {import('../../cluster/operations/own-operations.js').OperationWork} OperationWork */

/**
 * The state of a workflow: its nodes in the order of the request, and the changes that are not
 * written to Redis yet. Main thread.
 * @implements {OperationWork}
 */
export class WorkflowState {
  /** @type {Map<string, NodeState>} */
  #nodes;
  /** Changed nodes, and whether their outputs have changed. @type {Map<string, boolean>} */
  #changed = new Map();

  /**
   * @param {import('./schema.js').WorkflowRequest} request
   * @param {Record<string, string>} [saved] states of its nodes, results of `takeChanges`; default: none has
   *   begun. A node whose state cannot be read has not begun
   */
  constructor(request, saved = {}) {
    this.request = request;
    this.metadata = request.metadata;
    this.#nodes = new Map(
      request.nodes.map((node) => [node.id, NodeState.from(node, saved[node.id])]),
    );
  }

  /** @returns {NodeState[]} in the order of their definition */
  get nodes() {
    return [...this.#nodes.values()];
  }

  /**
   * @param {string} id
   * @returns {NodeState | undefined}
   */
  node(id) {
    return this.#nodes.get(id);
  }

  /** @returns {Record<string, number>} number of nodes by status; statuses without nodes are absent */
  counts() {
    /** @type {Record<string, number>} */
    const counts = {};
    for (const { status } of this.#nodes.values()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  usage() {
    return totalUsage(this.nodes.map(({ usage }) => usage));
  }

  summary() {
    return { counts: this.counts(), usage: this.usage() };
  }

  /**
   * The nodes that another attempt runs once the operation has ended: nodes that did not complete,
   * and their dependants.
   * @returns {NodeState[]}
   */
  unfinished() {
    const again = new Set(this.nodes.filter(({ status }) => status !== 'completed'));
    /** @type {Map<string, NodeState[]>} */
    const dependants = new Map(this.nodes.map(({ id }) => [id, []]));
    for (const node of this.nodes) {
      for (const id of node.after) dependants.get(id)?.push(node);
    }
    // Iteration over a set also visits the elements added meanwhile.
    for (const { id } of again) for (const node of dependants.get(id) ?? []) again.add(node);
    return this.nodes.filter((node) => again.has(node));
  }

  /**
   * Ends nodes that have not ended, because the workflow has.
   * @param {NodeState[]} nodes
   * @param {number} nowMs Unix time
   */
  cancel(nodes, nowMs) {
    for (const node of nodes) {
      if (!['pending', 'running', 'retrying'].includes(node.status)) continue;
      node.end('cancelled', nowMs);
      this.touch(node);
    }
  }

  /**
   * Marks a node as changed.
   * @param {NodeState} node
   * @param {{output?: boolean}} [what] `output`: its output has changed as well
   */
  touch({ id }, { output = false } = {}) {
    this.#changed.set(id, output || this.#changed.get(id) === true);
  }

  touchAll() {
    for (const node of this.nodes) if (node.hasBegun) this.touch(node, { output: node.isGiven });
  }

  /** @returns {NodeChange[]} */
  takeChanges() {
    const changes = [...this.#changed].map(([id, output]) => this.#changeOf(id, output));
    this.#changed.clear();
    return changes;
  }

  /**
   * @param {string} id
   * @param {boolean} withOutput
   * @returns {NodeChange}
   */
  #changeOf(id, withOutput) {
    const node = /** @type {NodeState} */ (this.#nodes.get(id));
    const state = node.hasBegun ? node.toJson() : '';
    return [id, state, withOutput ? (node.outputJson() ?? '-') : ''];
  }

  /** @param {NodeChange[]} changes */
  giveBack(changes) {
    for (const [id, , output] of changes) {
      const node = /** @type {NodeState} */ (this.#nodes.get(id));
      this.touch(node, { output: output !== '' });
    }
  }
}
