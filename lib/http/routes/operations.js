/** `/v1/workflows` and `/v1/crawls`. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkNodesQuery, nodeView, slicesOf, textOf } from '../../services/workflows/page.js';
import { idempotencyKeyOf } from './jobs.js';
import { rateLimitHeaders } from '../../jobs/rate-limits/headers.js';
import { sendJson, setHeaders } from '../respond.js';
import { operationNotFound } from '../../services/operations/operation.js';

/** @typedef {import('../router.js').Context} Context */
/** @typedef {import('../router.js').Handle} Handle */

/**
 * @param {import('../../services/workflows/service.js').WorkflowView & {hasMore?: boolean}} view
 * @returns {object} the body of an answer
 */
export function workflowToJson({ id, createdAt, status, attempt, hasMore, ...rest }) {
  const fields = { workflow_id: id, status, attempt, created_at: createdAt, ...rest };
  return hasMore === undefined ? fields : { ...fields, has_more: hasMore };
}

/**
 * @param {import('../../services/crawls/service.js').CrawlView} view
 * @returns {object} the body of an answer
 */
export function crawlToJson({ id, status, startUrl, createdAt, counts, ...rest }) {
  return {
    crawl_id: id,
    status,
    start_url: startUrl,
    created_at: createdAt,
    ...counts,
    ...rest,
  };
}

/**
 * Routes common to all kinds of operations.
 * @template V
 * @param {import('../../services/operations/service.js').OperationService<any, V, any>} service
 * @param {import('../../services/operations/operation.js').OperationKind} kind
 * @param {(view: V) => object} toJson
 * @returns {{routes: import('../router.js').Routes,
 *   streamUrlOf: (context: Context, id: string, operation?: {purgeDueMs: number}) =>
 *     {stream_url: string, expires_at: number | null}}}
 */
function operationRoutes(service, kind, toJson) {
  /** @param {Context} context @param {string} id @param {{purgeDueMs: number}} [operation] */
  const streamUrlOf = ({ baseUrl, access: { principal } }, id, operation) => {
    const { path, expiresAt } = service.streamUrl(principal, id, operation);
    return { stream_url: baseUrl + path, expires_at: expiresAt };
  };

  /** @type {Handle} */
  const create = async (req, res, context) => {
    const { access, baseUrl, body } = context;
    const idempotencyKey = idempotencyKeyOf(req);
    const outcome = await service.admit(body, { access, idempotencyKey });
    const { answer, replayed, entries } = outcome;
    if (replayed) res.setHeader('Idempotency-Replayed', 'true');
    setHeaders(res, rateLimitHeaders(entries));
    res.setHeader('Location', `${baseUrl}/v1/${kind}s/${answer.id}`);
    sendJson(res, replayed ? 200 : 201, {
      [`${kind}_id`]: answer.id,
      status: 'running',
      stream_url: streamUrlOf(context, answer.id).stream_url,
      created_at: answer.createdAt,
    });
  };

  /** @type {Handle} */
  const read = async (_req, res, { params: { id = '' }, access: { principal } }) => {
    const view = await service.get(id, { principal });
    if (view === undefined) throw operationNotFound(kind);
    sendJson(res, 200, toJson(view));
  };

  /** @type {Handle} */
  const list = async (_req, res, { query, access: { principal } }) => {
    const { limit, after, status } = /** @type {Record<string, any>} */ (query);
    const { data, hasMore } = await service.list({ limit, after, status, principal });
    sendJson(res, 200, { data: data.map(toJson), has_more: hasMore });
  };

  /** @type {Handle} */
  const cancel = async (_req, res, { params: { id = '' }, access: { principal } }) => {
    sendJson(res, 200, toJson(await service.cancel(id, { principal })));
  };

  /** @type {Handle} */
  const signUrl = async (_req, res, context) => {
    const { id = '' } = context.params;
    const operation = await service.find(id, context.access.principal);
    sendJson(res, 200, streamUrlOf(context, id, operation));
  };

  const base = `/v1/${kind}s`;
  return {
    streamUrlOf,
    routes: {
      [base]: { GET: { handle: list }, POST: { handle: create, body: 'json' } },
      [`${base}/:id`]: { GET: { handle: read } },
      [`${base}/:id/cancel`]: { POST: { handle: cancel, audit: { action: `${kind}.cancel` } } },
      [`${base}/:id/stream_url`]: { POST: { handle: signUrl } },
    },
  };
}

/**
 * @param {{workflows: import('../../services/workflows/service.js').Workflows}} deps
 * @returns {import('../router.js').Routes}
 */
export function workflowRoutes({ workflows }) {
  const { routes, streamUrlOf } = operationRoutes(workflows, 'workflow', workflowToJson);

  /**
   * A page of nodes, of bounded size.
   * @param {Context} context
   * @param {{after?: string, limit?: number}} [query]
   */
  const pageOf = async ({ params: { id = '' }, access: { principal } }, query) =>
    workflowToJson(await workflows.page(id, { ...query, principal }));

  /** @type {Handle} */
  async function read(_req, res, context) {
    sendJson(res, 200, await pageOf(context, checkNodesQuery(context.query)));
  }

  /** @type {Handle} */
  async function cancel(_req, res, context) {
    const { params, access } = context;
    await workflows.cancel(params.id ?? '', { principal: access.principal });
    sendJson(res, 200, await pageOf(context));
  }

  /** @type {Handle} */
  async function retry(_req, res, context) {
    const { params, access } = context;
    const operation = await workflows.retryAs(params.id ?? '', access);
    const { stream_url } = streamUrlOf(context, operation.id);
    sendJson(res, 200, { ...workflowToJson(await workflows.pageOf(operation)), stream_url });
  }

  /** @param {Context} context */
  const nodeOf = ({ params: { id = '', node = '' }, access: { principal } }) =>
    workflows.node(id, node, principal);

  /** @type {Handle} */
  async function readNode(_req, res, context) {
    sendJson(res, 200, nodeView(await nodeOf(context)));
  }

  /** @type {Handle} */
  async function readText(req, res, context) {
    const text = textOf(await nodeOf(context), context.query.item);
    res.setHeader('Content-Type', 'text/plain; charset=utf-8');
    // A model's text must not be rendered as a page.
    res.setHeader('X-Content-Type-Options', 'nosniff');
    if (req.method === 'HEAD') res.end();
    // A disconnect of the client is not an error.
    else await pipeline(Readable.from(slicesOf(text)), res).catch(() => {});
  }

  const one = '/v1/workflows/:id';
  return {
    ...routes,
    [one]: { GET: { handle: read } },
    [`${one}/cancel`]: { POST: { handle: cancel, audit: { action: 'workflow.cancel' } } },
    [`${one}/retry`]: { POST: { handle: retry } },
    [`${one}/nodes/:node`]: { GET: { handle: readNode } },
    [`${one}/nodes/:node/text`]: { GET: { handle: readText } },
  };
}

/**
 * @param {{crawls: import('../../services/crawls/service.js').Crawls}} deps
 * @returns {import('../router.js').Routes}
 */
export function crawlRoutes({ crawls }) {
  return operationRoutes(crawls, 'crawl', crawlToJson).routes;
}
