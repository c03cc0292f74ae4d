/** Assembles all routes of the HTTP contract. */
import { adminRoutes } from './routes/admin.js';
import { auditRoutes } from './routes/audit.js';
import { chatRoutes } from './faces/chat/routes.js';
import { conversationRoutes } from './routes/conversations.js';
import { crawlRoutes, workflowRoutes } from './routes/operations.js';
import { creditRoutes } from './routes/credits.js';
import { durableRoutes } from './routes/durable.js';
import { embeddingRoutes } from './faces/embeddings/routes.js';
import { healthRoutes } from './routes/health.js';
import { jobRoutes } from './routes/jobs.js';
import { keyRoutes } from './routes/keys.js';
import { kvRoutes } from './routes/kv.js';
import { logRoutes } from './routes/logs.js';
import { messagesRoutes } from './faces/messages/routes.js';
import { modelRoutes } from './routes/models.js';
import { responseRoutes } from './faces/responses/routes.js';
import { streamRoutes } from './routes/streams.js';
import { webhookRoutes } from './routes/webhooks.js';
import { notShared } from '../jobs/errors.js';
import { uiRoutes } from './faces/ui/routes.js';

/**
 * @param {string} what the feature, in the plural
 * @param {import('./router.js').Routes} routes
 * @returns {import('./router.js').Routes} the same paths and methods, which answer 501
 */
function withoutEffect(what, routes) {
  const refuse = () => {
    throw notShared(what);
  };
  const refused = (/** @type {import('./router.js').Methods} */ methods) =>
    Object.fromEntries(
      Object.entries(methods).map(([method, { auth, head }]) => [
        method,
        { handle: refuse, auth, head },
      ]),
    );
  return Object.fromEntries(Object.entries(routes).map(([path, all]) => [path, refused(all)]));
}

/**
 * @param {object} deps
 * @param {Parameters<typeof jobRoutes>[0]} deps.jobs
 * @param {Parameters<typeof streamRoutes>[0]} deps.streams
 * @param {Parameters<typeof chatRoutes>[0] & Parameters<typeof responseRoutes>[0]
 *   & Parameters<typeof uiRoutes>[0] & Parameters<typeof messagesRoutes>[0]} deps.faces
 * @param {Parameters<typeof conversationRoutes>[0]} deps.conversations
 * @param {Parameters<typeof workflowRoutes>[0] & Parameters<typeof crawlRoutes>[0]} deps.operations
 * @param {Parameters<typeof kvRoutes>[0]} deps.kv
 * @param {Parameters<typeof durableRoutes>[0]} deps.durable
 * @param {Parameters<typeof creditRoutes>[0]} deps.credits
 * @param {Parameters<typeof logRoutes>[0]} deps.logs
 * @param {Parameters<typeof embeddingRoutes>[0]} deps.embeddings
 * @param {Parameters<typeof modelRoutes>[0]} deps.models
 * @param {Parameters<typeof webhookRoutes>[0]} deps.webhooks
 * @param {Parameters<typeof auditRoutes>[0]} deps.audit
 * @param {Parameters<typeof keyRoutes>[0]} deps.keys
 * @param {Parameters<typeof adminRoutes>[0]} deps.admin
 * @param {Parameters<typeof healthRoutes>[0]} deps.health
 * @param {boolean} deps.isShared whether the gateway is one of several processes, which share jobs alone
 * @returns {import('./router.js').Routes}
 */
export function contractRoutes(deps) {
  const alone = (/** @type {string} */ what, /** @type {import('./router.js').Routes} */ routes) =>
    deps.isShared ? withoutEffect(what, routes) : routes;
  return {
    ...jobRoutes(deps.jobs),
    ...streamRoutes(deps.streams),
    ...chatRoutes(deps.faces),
    ...responseRoutes(deps.faces),
    ...uiRoutes(deps.faces),
    ...messagesRoutes(deps.faces),
    ...conversationRoutes(deps.conversations),
    ...workflowRoutes(deps.operations),
    ...crawlRoutes(deps.operations),
    ...kvRoutes(deps.kv),
    ...alone('Durable streams', durableRoutes(deps.durable)),
    ...creditRoutes(deps.credits),
    ...logRoutes(deps.logs),
    ...embeddingRoutes(deps.embeddings),
    ...modelRoutes(deps.models),
    ...webhookRoutes(deps.webhooks),
    ...adminRoutes(deps.admin),
    ...auditRoutes(deps.audit),
    ...keyRoutes(deps.keys),
    ...healthRoutes(deps.health),
  };
}
