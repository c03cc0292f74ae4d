/** The gateway's workflows: `gateway.workflows` and `/v1/workflows`. Main thread. */
import { HttpError } from '../../internal/util/http-error.js';
import { KeyedSemaphore } from '../../internal/util/keyed-semaphore.js';
import { OperationService } from '../operations/service.js';
import { operationNotFound } from '../operations/operation.js';
import { Workflow } from './run.js';
import { WorkflowState } from './state.js';
import { chain } from '../operations/directory.js';
import { outputsOfPage, pageOfNodes } from './page.js';
import { totalUsage } from './node-state.js';
import { whenAborted } from '../../internal/util/abort.js';
import { checkWorkflowRequest, savedRequest } from './schema.js';
import { chooseModel } from '../../jobs/admission/model-selection.js';
import { checkOptions } from '../../internal/util/validate.js';
import { ANONYMOUS } from '../../jobs/policy/config.js';
import { PROMPT_CHARS_HELD_MAX } from './actions.js';
import { wallClock } from '../../internal/time/clock.js';

const UNREADABLE = 'The request of the workflow cannot be read in Redis any more.';

/** Default of `max_wall_ms`: an hour, for each attempt of a whole workflow. */
const MAX_WALL_MS = 3_600_000;

/**
 * The state of a workflow in `gateway.workflows`.
 * @typedef {object} WorkflowView
 * @property {string} id
 * @property {'running' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} attempt from 1; each retry of the workflow adds one
 * @property {number} createdAt Unix seconds
 * @property {Record<string, number>} counts nodes by status
 * @property {import('./node-state.js').NodeView[]} [nodes] absent in lists
 * @property {{prompt_tokens: number, completion_tokens: number}} usage
 * @property {{duration_ms: number, events: number}} [metrics] once it has ended
 * @property {{code: string, message: string, type: string}} [error]
 * @property {string} [reason]
 * @property {Record<string, unknown>} [metadata]
 */

/**
 * The part of another process's workflow that appears in lists.
 * @typedef {{counts: () => Record<string, number>, usage: () => WorkflowView['usage']}} Summary
 */
/** @typedef {import('../operations/operation.js').Operation} Operation */
/** @typedef {import('../operations/types.js').SavedOperation} SavedOperation */
/**
 * @template T
 * @typedef {import('../operations/directory.js').Perhaps<T>} Perhaps
 */

/**
 * @param {Operation | SavedOperation} operation
 * @param {{nodes: boolean}} options
 * @returns {WorkflowView}
 */
function describe(operation, { nodes }) {
  const { id, status, attempt, createdAtMs, final, metadata } = operation;
  /** @type {import('./state.js').WorkflowState} */
  const workflow = operation.data;
  return {
    id,
    status: /** @type {WorkflowView['status']} */ (status),
    attempt,
    createdAt: Math.floor(createdAtMs / 1000),
    counts: workflow.counts(),
    ...(nodes && { nodes: workflow.nodes.map((node) => node.describe({ text: true })) }),
    usage: workflow.usage(),
    ...(final && { metrics: final.metrics }),
    ...(final?.error && { error: final.error }),
    ...(final?.reason && { reason: final.reason }),
    ...(metadata && { metadata }),
  };
}

/**
 * @param {'workflow_running' | 'nothing_to_retry'} code
 * @param {string} message
 */
function conflict(code, message) {
  return new HttpError(409, { code, message });
}

/**
 * @param {import('../../jobs/settings.js').Settings['provider']} provider
 * @param {import('./schema.js').WorkflowRequest} request
 * @param {import('../operations/types.js').Access} access
 * @throws {HttpError} naming the node whose model the caller may not use
 */
function checkModels(provider, { nodes }, access) {
  nodes.forEach(({ model, crawl }, i) => {
    if (crawl !== undefined) return;
    try {
      chooseModel(provider, access, model);
    } catch (error) {
      if (error instanceof HttpError) error.param = `nodes[${i}].model`;
      throw error;
    }
  });
}

/**
 * Workflows as operations: graphs of nodes, each a prompt, a prompt per item of a list, or a crawl; see
 * WorkflowRequest for the fields. `submit` also throws `ERR_GRAPH_CYCLE` (with the `path`),
 * `ERR_GRAPH_DUPLICATE`, `ERR_GRAPH_UNKNOWN` and `ERR_MODEL_NOT_FOUND`. The gateway creates one
 * instance.
 * @extends {OperationService<import('./schema.js').WorkflowRequest, WorkflowView,
 *   import('../../streams/events.js').WorkflowEvent>}
 */
export class Workflows extends OperationService {
  #operations;
  #shared;
  #access;
  /**
   * @type {(operation: Operation, fields: {request: any, access: any, saved?: Record<string, string>}) => Workflow}
   */
  #workflowOf;

  /**
   * @param {import('../operations/types.js').ServiceParts & {parts: import('../operations/child-jobs.js').ChildJobs,
   *   retryBudget: import('../../jobs/execution/retry-budget.js').RetryBudget}} own
   */
  constructor({ parts, retryBudget, ...service }) {
    const { options } = service;
    const wallMs = wallClock(options.clock);
    const prompts = new KeyedSemaphore(PROMPT_CHARS_HELD_MAX);
    const { operations } = service;
    const reservations = service.shared?.reservations ?? service.reservations;
    const deps = { operations, parts, reservations, prompts, retryBudget, options, wallMs };
    super(service, {
      name: 'workflow',
      maxWallMs: MAX_WALL_MS,
      check: checkWorkflowRequest,
      admit: (request, access) => checkModels(options.provider, request, access),
      prepare(operation, request, access) {
        operation.data = new Workflow({ operation, request, access, ...deps });
      },
      run({ data }) {
        void data.run(data.nodes);
      },
      describe: (operation, { whole }) => describe(operation, { nodes: whole }),
      restore: (operation, { nodes, snapshot }) => {
        if (nodes === undefined) return summaryOf(snapshot);
        if ('body' in operation) return restoredHere(operation, nodes, wallMs);
        return new WorkflowState(savedRequest(operation.request), nodes);
      },
    });
    this.#operations = operations;
    this.#shared = service.shared;
    this.#access = service.access;
    this.#workflowOf = (operation, fields) => new Workflow({ operation, ...fields, ...deps });
  }

  /**
   * Loads the outputs of all nodes.
   * @param {Operation | SavedOperation} operation
   * @returns {Perhaps<void>}
   */
  loaded(operation) {
    return this.#load(operation, operation.data.nodes);
  }

  /**
   * @param {Operation | SavedOperation} operation
   * @param {import('./node-state.js').NodeState[]} nodes of the workflow
   * @returns {Perhaps<void>} resolves once their outputs are loaded
   */
  #load({ id }, nodes) {
    const unloaded = nodes.filter(({ isUnloaded }) => isUnloaded);
    if (unloaded.length === 0 || this.#shared === undefined) return;
    const names = unloaded.map((node) => node.id);
    return this.#shared.writes.outputs(id, names).then((outputs) => {
      for (const node of unloaded) {
        const output = outputs.get(node.id);
        if (output !== undefined) node.load(output);
      }
    });
  }

  /**
   * Like `get`, with the nodes as a page of bounded size.
   * @param {string} id
   * @param {{principal: string, after?: string, limit?: number}} query
   * @returns {Perhaps<WorkflowView & {hasMore: boolean}>} a promise with `redis`
   * @throws {HttpError} 404, and 400 for an unknown `after`
   */
  page(id, { principal, ...query }) {
    return chain(this.find(id, principal), (operation) => this.pageOf(operation, query));
  }

  /**
   * @param {Operation | SavedOperation} operation
   * @param {{after?: string, limit?: number}} [query]
   * @returns {Perhaps<WorkflowView & {hasMore: boolean}>} a promise if outputs are in Redis
   * @throws {HttpError} 400 for an unknown `after`
   */
  pageOf(operation, query) {
    const { nodes } = /** @type {WorkflowState} */ (operation.data);
    return chain(this.#load(operation, outputsOfPage(nodes, query)), () => ({
      ...describe(operation, { nodes: false }),
      ...pageOfNodes(nodes, query),
    }));
  }

  /**
   * @param {string} id
   * @param {string} nodeId
   * @param {string} principal
   * @returns {Perhaps<import('./node-state.js').NodeState>} with its output; a promise with `redis`
   * @throws {HttpError} 404
   */
  node(id, nodeId, principal) {
    return chain(this.find(id, principal), (operation) => {
      const node = /** @type {WorkflowState} */ (operation.data).node(nodeId);
      if (node !== undefined) return chain(this.#load(operation, [node]), () => node);
      const message = 'The workflow has no node of this id.';
      throw new HttpError(404, { code: 'node_not_found', param: 'node', message });
    });
  }

  /**
   * Begins the next attempt of an ended workflow. Nodes that did not complete and their dependants
   * run again; completed nodes keep their output.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Perhaps<WorkflowView>} a promise with `redis`: it then runs in this process
   * @throws {HttpError} `ERR_WORKFLOW_NOT_FOUND`, `ERR_WORKFLOW_RUNNING`, `ERR_NOTHING_TO_RETRY`,
   *   `ERR_RATE_LIMIT_EXCEEDED`
   */
  retry(id, options) {
    const { principal = ANONYMOUS } = checkOptions('retry', options, ['principal']);
    return chain(this.retryAs(id, this.#access.of(principal)), (operation) =>
      describe(operation, { nodes: true }),
    );
  }

  /**
   * See `retry`.
   * @param {string} id
   * @param {import('../operations/types.js').Access} access of the caller
   * @returns {Perhaps<Operation>}
   */
  retryAs(id, access) {
    return chain(this.find(id, access.principal), (operation) => {
      this.checkReady();
      if (!operation.ended) throw running();
      const state = /** @type {WorkflowState} */ (operation.data);
      if (state.nodes.length === 0) throw conflict('nothing_to_retry', UNREADABLE);
      const nodes = state.unfinished();
      if (nodes.length === 0) throw conflict('nothing_to_retry', 'Every node has completed.');
      if (this.#shared !== undefined) return this.#retryShared(operation, access);
      return this.#retryHere(operation.data, nodes);
    });
  }

  /**
   * @param {Workflow} workflow
   * @param {import('./node-state.js').NodeState[]} nodes
   * @returns {Operation}
   */
  #retryHere(workflow, nodes) {
    const reservation = this.reserve(workflow.access);
    try {
      this.#operations.reopen(workflow.operation);
    } catch (error) {
      reservation.release();
      throw error;
    }
    workflow.operation.reservation = reservation;
    for (const node of nodes) node.reset();
    void workflow.run(nodes);
    return workflow.operation;
  }

  /**
   * Begins the next attempt in this process, after an attempt in any process.
   * @param {Operation | SavedOperation} ended
   * @param {import('../operations/types.js').Access} access
   * @returns {Promise<Operation>}
   */
  async #retryShared(ended, access) {
    const { writes, remote } = /** @type {import('../operations/types.js').SharedServiceParts} */ (
      this.#shared
    );
    const { id, principal, createdAtMs } = ended;
    const request = savedRequest('body' in ended ? ended.body : ended.request);
    const past = { id, createdAtMs, attempt: ended.attempt + 1 };
    const policy = this.policyOf(request);
    const operation = this.#operations.prepare('workflow', principal, policy, past);
    operation.body = request;
    operation.metadata = request.metadata;
    const saved = await writes.nodes(id);
    const workflow = this.#workflowOf(operation, { request, access, saved });
    operation.data = workflow;
    await this.loaded(operation);
    // A completed node whose output is gone runs again.
    for (const node of workflow.nodes) if (node.isUnloaded) node.reset();
    const nodes = workflow.unfinished();
    for (const node of nodes) {
      node.reset();
      workflow.touch(node, { output: true });
    }
    const parts = this.partsOf(operation, access);
    operation.asked = JSON.stringify(parts.asked);
    const outcome = await remote.reopen(/** @type {any} */ (ended), {
      parts,
      limits: operation.limits,
      snapshot: operation.snapshot,
      changes: workflow.takeChanges(),
      begin: async (handle) => {
        await this.#operations.continue(operation, handle);
        void workflow.run(nodes);
      },
    });
    if (outcome === 'GONE') throw operationNotFound('workflow');
    if (outcome === 'MOVED') throw running();
    return operation;
  }
}

/** @param {any} snapshot result of `WorkflowState.summary` @returns {Summary} */
function summaryOf({ counts = {}, usage = totalUsage([]) }) {
  return { counts: () => counts, usage: () => usage };
}

/**
 * A workflow taken over to be ended: its nodes end with it.
 * @param {Operation} operation
 * @param {Record<string, string>} nodes
 * @param {() => number} wallMs
 */
function restoredHere(operation, nodes, wallMs) {
  operation.body = savedRequest(operation.body);
  const state = new WorkflowState(operation.body, nodes);
  whenAborted(operation.signal, () => state.cancel(state.nodes, wallMs()));
  return state;
}

function running() {
  return conflict('workflow_running', 'The workflow is running.');
}
