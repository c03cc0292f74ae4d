/** `/v1/workflows`: submit, read, list, cancel, retry. */
import { principalOf } from '../middleware/authenticate.js';
import { workRoutes } from './operations.js';

/**
 * @param {import('../../services/workflows/service.js').WorkflowView} view
 * @returns {object} as on the wire
 */
function wireWorkflow({ id, createdAt, status, attempt, ...rest }) {
  return { workflow_id: id, status, attempt, created_at: createdAt, ...rest };
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('./operations.js').WorkRoutes & {retry: import('express').RequestHandler}}
 */
export function workflowRoutes({ workflows }) {
  const routes = workRoutes(workflows, 'workflow', wireWorkflow);
  return {
    ...routes,

    retry(req, res) {
      const view = workflows.retry(routes.idOf(req), { principal: principalOf(req) });
      const { stream_url } = routes.streamUrlOf(req, view.id);
      res.json({ ...wireWorkflow(view), stream_url });
    },
  };
}
