/** `/v1/webhooks/failed`: failed webhooks. For administrators. */
import { checkListQuery } from '../../jobs/request.js';
import { badRequest } from '../../internal/util/http-error.js';
import { sendJson } from '../respond.js';

/** @typedef {import('../router.js').Handle} Handle */

/**
 * @param {import('../../services/webhooks/deliveries.js').FailedWebhook} webhook
 * @returns {object} the body of an answer
 */
function failedToJson({ createdMs, failedMs, ...rest }) {
  return { ...rest, created_at: createdMs / 1000, failed_at: failedMs / 1000 };
}

/**
 * @param {object} deps
 * @param {Pick<import('../../services/webhooks/service.js').Webhooks, 'listFailed' | 'replay'>} deps.webhooks
 * @returns {import('../router.js').Routes}
 */
export function webhookRoutes({ webhooks }) {
  /** @type {Handle} */
  function list(_req, res, { query }) {
    const { status, ...page } = query;
    if (status !== undefined) {
      throw badRequest('invalid_value', 'status', 'status is not a filter here.');
    }
    const { limit, after } = checkListQuery(page);
    const { data, hasMore } = webhooks.listFailed({ limit, after });
    sendJson(res, 200, { data: data.map(failedToJson), has_more: hasMore });
  }

  /** @type {Handle} */
  function replay(_req, res, { params: { id = '' } }) {
    webhooks.replay(id);
    sendJson(res, 202, { id, status: 'pending' });
  }

  return {
    '/v1/webhooks/failed': { GET: { handle: list, auth: 'admin' } },
    '/v1/webhooks/failed/:id/replay': {
      POST: { handle: replay, auth: 'admin', audit: { action: 'webhook.replay' } },
    },
  };
}
