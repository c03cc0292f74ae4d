/**
 * Checks of a workflow's request, for `POST /v1/workflows` and `gateway.workflows.submit()`: its
 * schema, its graph, and the names in its prompts.
 */
import { TaskGraph } from '../../primitives/scheduling/task-graph.js';
import { badRequest } from '../../internal/util/http-error.js';
import { checkCrawlRequest, crawlProperties } from '../crawls/request.js';
import {
  checkContents,
  checkMetadataSize,
  jobSchema,
  nonEmptyString,
  schemaRefusal,
} from '../../jobs/request.js';
import { pathsOf } from './template.js';
import { templateMessagesSchema } from '../../jobs/messages.js';
import { schemaCheck } from '../../internal/util/request-schema.js';
import { workWallMs } from '../operations/operation.js';

/**
 * One node in a request.
 * @typedef {object} NodeRequest
 * @property {string} id letters, digits, `_` and `-`; at most 64
 * @property {string} [prompt] one of `prompt`, `messages`, `map` and `crawl`
 * @property {{role: 'system' | 'developer' | 'user' | 'assistant', content: string}[]} [messages]
 * @property {{over: string, prompt: string, concurrency?: number}} [map] one prompt per item of the
 *   output of the node `over`; `concurrency` prompts at once, 1 to 100; default 16
 * @property {import('../crawls/request.js').CrawlRequest} [crawl]
 * @property {string[]} [after] ids of the nodes that it waits for
 * @property {string} [model]
 * @property {number} [max_tokens]
 * @property {number} [temperature]
 * @property {string | string[]} [stop]
 * @property {number} [max_wall_ms] of each attempt
 * @property {{attempts?: number, base_ms?: number, cap_ms?: number}} [retry] default: as for jobs,
 *   transient failures only
 * @property {'fail' | 'continue'} [on_failure] default `fail`
 */

/**
 * @typedef {object} WorkflowRequest
 * @property {NodeRequest[]} nodes 1 to 1000
 * @property {number} [concurrency] nodes at once, 1 to 100; default 5
 * @property {Record<string, unknown>} [metadata]
 * @property {'cancel' | 'continue'} [on_disconnect]
 * @property {number} [disconnect_grace_ms]
 * @property {number} [max_wall_ms] of each attempt of the whole; default 3600000, at most a day
 */

export const NODES_MAX = 1000;
const CONCURRENCY_MAX = 100;

/** The placeholder of a map's items; not allowed as a node id. */
const RESERVED_ID = 'item';

const { properties: ofJob } = jobSchema;
const count = (/** @type {number} */ maximum) => ({ type: 'integer', minimum: 1, maximum });
const span = { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 };
const nodeId = {
  type: 'string',
  pattern: '^[A-Za-z0-9_-]{1,64}$',
  description: 'letters, digits, _ and -, at most 64 of them',
};

const nodeSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['id'],
  properties: {
    id: nodeId,
    after: { type: 'array', maxItems: NODES_MAX, items: nonEmptyString },
    prompt: ofJob.prompt,
    messages: templateMessagesSchema,
    map: {
      type: 'object',
      additionalProperties: false,
      required: ['over', 'prompt'],
      properties: { over: { type: 'string' }, prompt: nonEmptyString, concurrency: count(100) },
    },
    crawl: {
      type: 'object',
      additionalProperties: false,
      required: ['start_url'],
      properties: crawlProperties,
    },
    model: ofJob.model,
    max_tokens: ofJob.max_tokens,
    temperature: ofJob.temperature,
    stop: ofJob.stop,
    max_wall_ms: ofJob.max_wall_ms,
    retry: {
      type: 'object',
      additionalProperties: false,
      properties: { attempts: count(10_000), base_ms: span, cap_ms: span },
    },
    on_failure: { enum: ['fail', 'continue'], type: 'string' },
  },
};

const workflowSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['nodes'],
  properties: {
    nodes: { type: 'array', minItems: 1, maxItems: NODES_MAX, items: nodeSchema },
    concurrency: count(CONCURRENCY_MAX),
    metadata: ofJob.metadata,
    on_disconnect: ofJob.on_disconnect,
    disconnect_grace_ms: ofJob.disconnect_grace_ms,
    max_wall_ms: workWallMs,
  },
};

const validate = schemaCheck(workflowSchema);

/** The actions of a node, which has exactly one of them. */
const ACTIONS = /** @type {const} */ (['prompt', 'messages', 'map', 'crawl']);

/**
 * @param {NodeRequest} node
 * @param {string} at `nodes[2]`
 */
function checkAction(node, at) {
  const given = ACTIONS.filter((action) => node[action] !== undefined);
  if (given.length === 0) {
    const message = `${at} needs one of ${ACTIONS.join(', ')}.`;
    throw badRequest('missing_field', `${at}.prompt`, message);
  }
  if (given.length > 1) {
    const message = `${given.slice(0, 2).join(' and ')} exclude each other.`;
    throw badRequest('invalid_value', `${at}.${given[1]}`, message);
  }
  if (node.id === RESERVED_ID) {
    throw badRequest('invalid_value', `${at}.id`, `${at}.id may not be ${RESERVED_ID}.`);
  }
  if (node.crawl !== undefined) checkCrawlRequest(node.crawl, `${at}.crawl.`);
}

/**
 * @param {NodeRequest} node
 * @param {string} template
 * @param {string} at its field
 * @param {(path: string) => boolean} [permits] further paths
 */
function checkTemplate({ after = [] }, template, at, permits = () => false) {
  const known = new Set(after);
  for (const path of new Set(pathsOf(template))) {
    if (permits(path)) continue;
    const [id, field, ...rest] = path.split('.');
    if (field === 'text' && rest.length === 0 && known.has(id)) continue;
    const problem =
      field === 'text' && rest.length === 0
        ? `and ${id.slice(0, 64)} is not in its after`
        : 'which is not of the form {{node.text}}';
    throw badRequest('invalid_value', at, `${at} names {{${path.slice(0, 80)}}}, ${problem}.`);
  }
}

/**
 * @param {NodeRequest} node
 * @param {string} at
 */
function checkTemplates(node, at) {
  const { prompt, messages = [], map, after = [] } = node;
  if (prompt !== undefined) checkTemplate(node, prompt, `${at}.prompt`);
  messages.forEach(({ content }, i) => {
    checkTemplate(node, content, `${at}.messages[${i}].content`);
  });
  if (map === undefined) return;
  if (!after.includes(map.over)) {
    const message = `${at}.map.over must be one of the nodes in ${at}.after.`;
    throw badRequest('invalid_value', `${at}.map.over`, message);
  }
  checkTemplate(node, map.prompt, `${at}.map.prompt`, (path) => /^item(\.[\w-]+)?$/.test(path));
}

/** @param {NodeRequest[]} nodes */
function checkGraph(nodes) {
  const graph = new TaskGraph();
  for (const { id, after } of nodes) graph.add(id, { after, run: () => {} });
  try {
    graph.check();
  } catch (/** @type {any} */ error) {
    const { code, message, node, dependency } = error;
    const last = nodes.findLastIndex(({ id }) => id === node);
    /** @type {Record<string, string>} */
    const params = {
      ERR_GRAPH_CYCLE: 'nodes',
      ERR_GRAPH_DUPLICATE: `nodes[${last}].id`,
      ERR_GRAPH_UNKNOWN: `nodes[${last}].after[${nodes[last]?.after?.indexOf(dependency)}]`,
    };
    if (params[code] === undefined) throw error;
    const wireCode = code.slice('ERR_'.length).toLowerCase();
    throw Object.assign(badRequest(wireCode, params[code], `${message}.`), { path: error.path });
  }
}

/**
 * @param {unknown} body parsed JSON
 * @returns {WorkflowRequest} the same object
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, naming the field in `param`
 */
export function checkWorkflowRequest(body) {
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  const request = /** @type {WorkflowRequest} */ (body);
  checkContents(request);
  checkMetadataSize(request.metadata);
  request.nodes.forEach((node, i) => checkAction(node, `nodes[${i}]`));
  checkGraph(request.nodes);
  request.nodes.forEach((node, i) => checkTemplates(node, `nodes[${i}]`));
  return request;
}

/**
 * @param {any} request of a workflow in Redis
 * @returns {WorkflowRequest} the same object; without nodes if it is no request of a workflow
 */
export function savedRequest(request) {
  const nodes = Array.isArray(request?.nodes) ? request.nodes : [];
  const isNode = (/** @type {any} */ node) =>
    typeof node?.id === 'string' && (node.after === undefined || Array.isArray(node.after));
  return nodes.length > 0 && nodes.every(isNode) ? request : { nodes: [] };
}
