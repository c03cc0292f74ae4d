/** `/v1/workflows`: submit, read, list, cancel, retry, and what one node gave. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkNodesQuery, slicesOf, textOf } from '../../services/workflows/page.js';
import { principalOf } from '../middleware/authenticate.js';
import { workRoutes } from './operations.js';

/** @typedef {import('express').RequestHandler} RequestHandler */
/** @typedef {import('express').Request} Request */

/**
 * @param {import('../../services/workflows/service.js').WorkflowView & {hasMore?: boolean}} view
 * @returns {object} as on the wire
 */
function wireWorkflow({ id, createdAt, status, attempt, hasMore, ...rest }) {
  const fields = { workflow_id: id, status, attempt, created_at: createdAt, ...rest };
  return hasMore === undefined ? fields : { ...fields, has_more: hasMore };
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('./operations.js').WorkRoutes & Record<'retry' | 'node' | 'text', RequestHandler>}
 */
export function workflowRoutes({ workflows }) {
  const routes = workRoutes(workflows, 'workflow', wireWorkflow);

  /**
   * Nodes are answered page by page, however much they hold.
   * @param {Request} req
   * @param {{after?: string, limit?: number}} [query]
   */
  const pageOf = (req, query) =>
    wireWorkflow(workflows.page(routes.idOf(req), { ...query, principal: principalOf(req) }));

  /** @param {Request} req */
  const nodeIdOf = ({ params: { node } }) => String(node);

  return {
    ...routes,

    read(req, res) {
      res.json(pageOf(req, checkNodesQuery(req.query)));
    },

    async cancel(req, res) {
      await workflows.cancel(routes.idOf(req), { principal: principalOf(req) });
      res.json(pageOf(req));
    },

    retry(req, res) {
      const { id } = workflows.retry(routes.idOf(req), { principal: principalOf(req) });
      const { stream_url } = routes.streamUrlOf(req, id);
      res.json({ ...pageOf(req), stream_url });
    },

    node(req, res) {
      res.json(workflows.nodeView(routes.idOf(req), nodeIdOf(req), principalOf(req)));
    },

    async text(req, res) {
      const node = workflows.node(routes.idOf(req), nodeIdOf(req), principalOf(req));
      const text = textOf(node, req.query.item);
      // A model's text: nothing may take it for a page.
      res.type('text/plain').set('X-Content-Type-Options', 'nosniff');
      // A client that leaves is no failure.
      await pipeline(Readable.from(slicesOf(text)), res).catch(() => {});
    },
  };
}
