/** The gateway's workflows: `gateway.workflows` and `/v1/workflows`. Main thread. */
import { HttpError } from '../../internal/util/http-error.js';
import { KeyedSemaphore } from '../../internal/util/keyed-semaphore.js';
import { OperationService } from '../operations/service.js';
import { Workflow } from './run.js';
import { pageOfNodes } from './page.js';
import { checkWorkflowRequest } from './schema.js';
import { chooseModel } from '../../jobs/admission/model-selection.js';
import { checkOptions } from '../../internal/util/validate.js';
import { ANONYMOUS } from '../../jobs/policy/config.js';
import { PROMPT_CHARS_HELD_MAX } from './actions.js';
import { wallClock } from '../../internal/time/clock.js';

/** Default of `max_wall_ms`: an hour, for each attempt of a whole workflow. */
const MAX_WALL_MS = 3_600_000;

/**
 * The state of a workflow, as `gateway.workflows` shows it.
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
 * @param {Workflow} workflow
 * @param {{nodes: boolean}} options
 * @returns {WorkflowView}
 */
function describe(workflow, { nodes }) {
  const { operation, metadata } = workflow;
  const { id, status, attempt, createdAtMs, final } = operation;
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
 * @param {import('../operations/service.js').Access} access
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
 * `ERR_GRAPH_DUPLICATE`, `ERR_GRAPH_UNKNOWN` and `ERR_MODEL_NOT_FOUND`. The gateway makes the one
 * instance.
 * @extends {OperationService<import('./schema.js').WorkflowRequest, WorkflowView,
 *   import('../../streams/events.js').WorkflowEvent>}
 */
export class Workflows extends OperationService {
  #operations;

  /**
   * @param {import('../operations/service.js').ServiceParts & {parts: import('../operations/child-jobs.js').ChildJobs,
   *   retryBudget: import('../../jobs/execution/retry-budget.js').RetryBudget}} own
   */
  constructor({ parts, retryBudget, ...service }) {
    const { options } = service;
    const wallMs = wallClock(options.clock);
    const prompts = new KeyedSemaphore(PROMPT_CHARS_HELD_MAX);
    super(service, {
      name: 'workflow',
      maxWallMs: MAX_WALL_MS,
      check: checkWorkflowRequest,
      admit: (request, access) => checkModels(options.provider, request, access),
      begin(operation, request, access) {
        const { reservations } = service;
        const fields = { operation, request, access, options, wallMs };
        const shared = {
          operations: service.operations,
          parts,
          reservations,
          prompts,
          retryBudget,
        };
        const workflow = new Workflow({ ...fields, ...shared });
        operation.data = workflow;
        void workflow.run(workflow.nodes);
      },
      describe: ({ data }, { whole }) => describe(data, { nodes: whole }),
    });
    this.#operations = service.operations;
  }

  /**
   * Like `get`, with the nodes as a page of bounded size.
   * @param {string} id
   * @param {{principal: string, after?: string, limit?: number}} query
   * @returns {WorkflowView & {hasMore: boolean}}
   * @throws {HttpError} 404, and 400 for an unknown `after`
   */
  page(id, { principal, ...query }) {
    /** @type {Workflow} */
    const workflow = this.find(id, principal).data;
    return { ...describe(workflow, { nodes: false }), ...pageOfNodes(workflow.nodes, query) };
  }

  /**
   * @param {string} id
   * @param {string} nodeId
   * @param {string} principal
   * @returns {import('./node-state.js').NodeState}
   * @throws {HttpError} 404
   */
  node(id, nodeId, principal) {
    /** @type {Workflow} */
    const workflow = this.find(id, principal).data;
    const node = workflow.nodes.find((each) => each.id === nodeId);
    if (node !== undefined) return node;
    const message = 'The workflow has no node of this id.';
    throw new HttpError(404, { code: 'node_not_found', param: 'node', message });
  }

  /**
   * Begins the next attempt of an ended workflow. Nodes that did not complete and their dependants
   * run again; completed nodes keep their output.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {WorkflowView}
   * @throws {HttpError} `ERR_WORKFLOW_NOT_FOUND`, `ERR_WORKFLOW_RUNNING`, `ERR_NOTHING_TO_RETRY`,
   *   `ERR_RATE_LIMIT_EXCEEDED`
   */
  retry(id, options) {
    const { principal = ANONYMOUS } = checkOptions('retry', options, ['principal']);
    /** @type {Workflow} */
    const workflow = this.find(id, principal).data;
    this.checkReady();
    if (!workflow.operation.ended) throw conflict('workflow_running', 'The workflow is running.');
    const nodes = workflow.unfinished();
    if (nodes.length === 0) throw conflict('nothing_to_retry', 'Every node has completed.');
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
    return describe(workflow, { nodes: true });
  }
}
