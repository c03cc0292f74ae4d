/** The gateway's workflows: `gateway.workflows` and `/v1/workflows`. Main thread. */
import { HttpError } from '../../internal/util/http-error.js';
import { WorkService } from '../operations/service.js';
import { Workflow } from './run.js';
import { checkWorkflowRequest } from './schema.js';
import { chooseModel } from '../../jobs/admission/model-selection.js';
import { checkOptions } from '../../internal/util/validate.js';
import { kAnonymous } from '../../jobs/policy/config.js';
import { wallClock } from '../../internal/time/clock.js';

/** Default of `max_wall_ms`: an hour, for each attempt of a whole workflow. */
const kMaxWallMs = 3_600_000;

/**
 * The state of a workflow, as `gateway.workflows` shows it.
 * @typedef {object} WorkflowView
 * @property {string} id
 * @property {'running' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} attempt from 1; each retry of the workflow adds one
 * @property {number} createdAt Unix seconds
 * @property {Record<string, number>} counts nodes by status
 * @property {any[]} [nodes] each `{id, type, status, after, attempts, text?, items?, usage?, error?,
 *   reason?, started_at?, ended_at?, duration_ms?}`; absent in lists
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
  const { work, metadata } = workflow;
  const { id, status, attempt, createdAtMs, final } = work;
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
 * @throws {HttpError} naming the node whose model it may not use
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
 * @extends {WorkService<import('./schema.js').WorkflowRequest, WorkflowView>}
 */
export class Workflows extends WorkService {
  #works;

  /** @param {import('../operations/service.js').ServiceParts & {parts: import('../operations/child-jobs.js').Parts}} own */
  constructor({ parts, ...service }) {
    const { options } = service;
    const wallMs = wallClock(options.clock);
    super(service, {
      name: 'workflow',
      maxWallMs: kMaxWallMs,
      check: checkWorkflowRequest,
      admit: (request, access) => checkModels(options.provider, request, access),
      begin(work, request, access) {
        const workflow = new Workflow({ work, request, access, parts, options, wallMs });
        work.data = workflow;
        void workflow.run(workflow.nodes);
      },
      describe: ({ data }, { whole }) => describe(data, { nodes: whole }),
    });
    this.#works = service.works;
  }

  /**
   * Begins the next attempt of a workflow that has ended: what did not complete and what hangs on
   * that runs again, what completed stays.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {WorkflowView}
   * @throws {HttpError} `ERR_WORKFLOW_NOT_FOUND`, `ERR_WORKFLOW_RUNNING`, `ERR_NOTHING_TO_RETRY`
   */
  retry(id, options) {
    const { principal = kAnonymous } = checkOptions('retry', options, ['principal']);
    /** @type {Workflow} */
    const workflow = this.find(id, principal).data;
    this.checkReady();
    if (!workflow.work.ended) throw conflict('workflow_running', 'The workflow is running.');
    const nodes = workflow.unfinished();
    if (nodes.length === 0) throw conflict('nothing_to_retry', 'Every node has completed.');
    this.#works.reopen(workflow.work);
    for (const node of nodes) node.reset();
    void workflow.run(nodes);
    return describe(workflow, { nodes: true });
  }
}
