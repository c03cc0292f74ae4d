/**
 * Assembles all routes of the HTTP contract. The routes of jobs and streams are loaded with the gateway, those of
 * other features by the first request for one of their paths.
 */
import { healthRoutes } from './routes/health.js';
import { jobRoutes } from './routes/jobs.js';
import { streamRoutes } from './routes/streams.js';
import { later } from '../internal/util/packages.js';

/** @typedef {import('./router.js').Methods} Methods */
/** @typedef {import('./router.js').Routes} Routes */
/** @typedef {{[path: string]: () => Promise<Methods>}} LaterRoutes */

/**
 * @template Deps
 * @param {string[]} paths all paths of the module
 * @param {() => Promise<(deps: Deps) => Routes>} importMaker imports the module
 * @returns {(deps: Deps | (() => Promise<Deps>)) => LaterRoutes} dependencies that are also loaded later are
 *   passed as a function
 */
function routesLater(paths, importMaker) {
  const load = later(importMaker);
  return (deps) => {
    /** @type {Routes | undefined} */
    let routes;
    /** @param {string} path */
    const methodsOf = async (path) => {
      const make = await load();
      const given = typeof deps === 'function' ? await /** @type {any} */ (deps)() : deps;
      routes ??= make(given);
      return /** @type {Methods} */ (routes[path]);
    };
    return Object.fromEntries(paths.map((path) => [path, () => methodsOf(path)]));
  };
}

const chatRoutes = routesLater(
  ['/v1/chat/completions', '/v1/chat/completions/:id', '/v1/completions'],
  async () => (await import('./faces/chat/routes.js')).chatRoutes,
);
const responseRoutes = routesLater(
  [
    '/v1/responses',
    '/v1/responses/:id',
    '/v1/responses/:id/cancel',
    '/v1/responses/:id/input_items',
  ],
  async () => (await import('./faces/responses/routes.js')).responseRoutes,
);
const uiRoutes = routesLater(
  ['/v1/ui/chat', '/v1/ui/chat/:id/stream', '/v1/ui/chat/:id/stop'],
  async () => (await import('./faces/ui/routes.js')).uiRoutes,
);
const messagesRoutes = routesLater(
  ['/v1/messages', '/v1/messages/count_tokens'],
  async () => (await import('./faces/messages/routes.js')).messagesRoutes,
);
const embeddingRoutes = routesLater(
  ['/v1/embeddings'],
  async () => (await import('./faces/embeddings/routes.js')).embeddingRoutes,
);
const conversationRoutes = routesLater(
  ['/v1/conversations', '/v1/conversations/:id', '/v1/conversations/:id/fork'],
  async () => (await import('./routes/conversations.js')).conversationRoutes,
);
const workflowRoutes = routesLater(
  [
    '/v1/workflows',
    '/v1/workflows/:id',
    '/v1/workflows/:id/cancel',
    '/v1/workflows/:id/stream_url',
    '/v1/workflows/:id/retry',
    '/v1/workflows/:id/nodes/:node',
    '/v1/workflows/:id/nodes/:node/text',
  ],
  async () => (await import('./routes/operations.js')).workflowRoutes,
);
const crawlRoutes = routesLater(
  ['/v1/crawls', '/v1/crawls/:id', '/v1/crawls/:id/cancel', '/v1/crawls/:id/stream_url'],
  async () => (await import('./routes/operations.js')).crawlRoutes,
);
const kvRoutes = routesLater(
  ['/v1/kv', '/v1/kv/', '/v1/kv/*', '/v1/kv/txn'],
  async () => (await import('./routes/kv.js')).kvRoutes,
);
const durableRoutes = routesLater(
  ['/v1/durable/*'],
  async () => (await import('./routes/durable.js')).durableRoutes,
);
const creditRoutes = routesLater(
  [
    '/v1/accounts/:id',
    '/v1/accounts/:id/events',
    '/v1/accounts/:id/close',
    '/v1/transfers/linked',
    '/v1/transfers',
    '/v1/transfers/:id/reverse',
    '/v1/usage',
  ],
  async () => (await import('./routes/credits.js')).creditRoutes,
);
const logRoutes = routesLater(
  ['/v1/logs', '/v1/logs/top-errors', '/v1/logs/errors'],
  async () => (await import('./routes/logs.js')).logRoutes,
);
const modelRoutes = routesLater(
  ['/v1/models', '/v1/models/*'],
  async () => (await import('./routes/models.js')).modelRoutes,
);
const webhookRoutes = routesLater(
  ['/v1/webhooks/failed', '/v1/webhooks/failed/:id/replay'],
  async () => (await import('./routes/webhooks.js')).webhookRoutes,
);
const adminRoutes = routesLater(
  [
    '/v1/admin/events',
    '/v1/admin/jobs',
    '/v1/admin/jobs/:id',
    '/v1/admin/jobs/:id/events',
    '/v1/admin/jobs/:id/cancel',
    '/v1/admin/workflows/:id',
    '/v1/admin/conversations',
  ],
  async () => (await import('./routes/admin.js')).adminRoutes,
);
const auditRoutes = routesLater(
  ['/v1/audit'],
  async () => (await import('./routes/audit.js')).auditRoutes,
);
const keyRoutes = routesLater(
  [
    '/v1/keys',
    '/v1/keys/:id',
    '/v1/keys/:id/rotate',
    '/v1/keys/:id/retire',
    '/v1/keys/:id/disable',
    '/v1/keys/:id/enable',
  ],
  async () => (await import('./routes/keys.js')).keyRoutes,
);

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
 * @returns {Routes}
 */
export function contractRoutes(deps) {
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
    ...durableRoutes(deps.durable),
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
