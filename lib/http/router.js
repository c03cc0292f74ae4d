/**
 * The HTTP contract as an Express 5 router. It owns its paths and passes every other one on, so
 * that it can be mounted at the root of somebody else's app.
 */
import { Router } from 'express';
import { accountRoutes } from './routes/accounts.js';
import { administration, authentication } from './middleware/authenticate.js';
import { administrators } from './middleware/require-admin.js';
import { errorMiddleware, methodNotAllowed } from './error-handler.js';
import { bodyRules } from './middleware/request-body.js';
import { cors } from './middleware/cors.js';
import { eventsRoute } from './routes/events.js';
import { health, metrics, readiness } from './routes/health.js';
import { conversationRoutes } from './routes/conversations.js';
import { crawlRoutes } from './routes/crawls.js';
import { jobRoutes } from './routes/jobs.js';
import { listModels } from './routes/models.js';
import { logRoutes } from './routes/logs.js';
import { kInternals } from '../internal/util/symbols.js';
import { kvRoutes } from './routes/kv.js';
import { requestId } from './middleware/request-id.js';
import { streamRoute } from './routes/stream.js';
import { streamUrlRoutes } from './routes/stream-url.js';
import { transferRoutes } from './routes/transfers.js';
import { usageRoute } from './routes/usage.js';
import { workflowRoutes } from './routes/workflows.js';

const kGet = 'GET, HEAD';

/**
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').Router}
 */
export function createRouter(gateway) {
  const { access, log, options, memory, streamUrls, checkOpen } = gateway[kInternals];
  const router = Router({ caseSensitive: true });
  const jobs = jobRoutes(gateway);
  const streamUrl = streamUrlRoutes(gateway);
  const workflows = workflowRoutes(gateway);
  const crawls = crawlRoutes(gateway);
  const logs = logRoutes(gateway);
  const kv = kvRoutes(gateway);
  const conversations = conversationRoutes(gateway);
  const accounts = accountRoutes(gateway);
  const transfers = transferRoutes(gateway);

  // Answers are about a moment: nobody may keep them. Addresses of streams hold tokens: no link
  // may hand them on.
  /** @type {import('express').RequestHandler} */
  const unstored = (_req, res, next) => {
    res.set({ 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
    next();
  };
  // An app of somebody else's may outlive the gateway.
  /** @type {import('express').RequestHandler} */
  const open = (_req, _res, next) => {
    checkOpen();
    next();
  };
  const authenticate = authentication(access, options.authenticate);
  const authenticated = [open, authenticate];
  const streaming = [open, authentication(access, options.authenticate, streamUrls)];
  const crossOrigin = cors(() => access.corsOrigins);
  const { maxBodyBytes: maxBytes, bodyIdleMs: idleMs } = options;
  const bodies = bodyRules({ maxBytes, idleMs, memory });
  /** @param {string} path */
  const route = (path) => router.route(path).all(requestId, crossOrigin, unstored, bodies);

  route('/v1/jobs')
    .get(authenticated, jobs.list)
    .post(authenticated, ...jobs.create)
    .all(methodNotAllowed('GET, HEAD, POST'));
  route('/v1/jobs/:id').get(authenticated, jobs.read).all(methodNotAllowed(kGet));
  route('/v1/jobs/:id/cancel').post(authenticated, jobs.cancel).all(methodNotAllowed('POST'));
  route('/v1/jobs/:id/stream_url').post(authenticated, streamUrl.one).all(methodNotAllowed('POST'));
  route('/v1/stream_url')
    .post(authenticated, ...streamUrl.many)
    .all(methodNotAllowed('POST'));
  route('/v1/conversations')
    .get(authenticated, conversations.list)
    .post(authenticated, ...conversations.create)
    .all(methodNotAllowed('GET, HEAD, POST'));
  route('/v1/conversations/:id')
    .get(authenticated, conversations.read)
    .delete(authenticated, conversations.remove)
    .all(methodNotAllowed('GET, HEAD, DELETE'));
  route('/v1/conversations/:id/fork')
    .post(authenticated, ...conversations.fork)
    .all(methodNotAllowed('POST'));
  route('/v1/workflows')
    .get(authenticated, workflows.list)
    .post(authenticated, ...workflows.create)
    .all(methodNotAllowed('GET, HEAD, POST'));
  route('/v1/workflows/:id').get(authenticated, workflows.read).all(methodNotAllowed(kGet));
  route('/v1/workflows/:id/nodes/:node')
    .get(authenticated, workflows.node)
    .all(methodNotAllowed(kGet));
  route('/v1/workflows/:id/nodes/:node/text')
    .get(authenticated, workflows.text)
    .all(methodNotAllowed(kGet));
  for (const action of /** @type {const} */ (['cancel', 'retry', 'stream_url'])) {
    route(`/v1/workflows/:id/${action}`)
      .post(authenticated, workflows[action])
      .all(methodNotAllowed('POST'));
  }
  route('/v1/crawls')
    .get(authenticated, crawls.list)
    .post(authenticated, ...crawls.create)
    .all(methodNotAllowed('GET, HEAD, POST'));
  route('/v1/crawls/:id').get(authenticated, crawls.read).all(methodNotAllowed(kGet));
  for (const action of /** @type {const} */ (['cancel', 'stream_url'])) {
    route(`/v1/crawls/:id/${action}`)
      .post(authenticated, crawls[action])
      .all(methodNotAllowed('POST'));
  }
  route('/v1/kv').get(authenticated, kv.list).all(methodNotAllowed(kGet));
  // Of the methods that a key takes, POST is none: so `txn` may be a key, too.
  route('/v1/kv/txn').post(authenticated, ...kv.txn);
  route('/v1/kv/*key')
    .get(authenticated, kv.read)
    .put(authenticated, ...kv.write)
    .delete(authenticated, kv.remove)
    .all(methodNotAllowed('GET, HEAD, PUT, DELETE'));
  route('/v1/stream')
    .head(methodNotAllowed('GET'))
    .get(streaming, streamRoute(gateway))
    .all(methodNotAllowed('GET'));
  route('/v1/events')
    .head(methodNotAllowed('GET'))
    .get(streaming, eventsRoute(gateway))
    .all(methodNotAllowed('GET'));
  const administrated = [...authenticated, administrators(gateway[kInternals]).only];
  route('/v1/accounts/:id').get(authenticated, accounts.read).all(methodNotAllowed(kGet));
  route('/v1/accounts/:id/events').get(authenticated, accounts.events).all(methodNotAllowed(kGet));
  route('/v1/transfers')
    .post(administrated, ...transfers.create)
    .all(methodNotAllowed('POST'));
  route('/v1/transfers/:id/reverse')
    .post(administrated, ...transfers.reverse)
    .all(methodNotAllowed('POST'));
  route('/v1/usage').get(authenticated, usageRoute(gateway)).all(methodNotAllowed(kGet));
  route('/v1/logs').post(administrated, logs.send).all(methodNotAllowed('POST'));
  route('/v1/logs/top-errors').get(administrated, logs.topErrors).all(methodNotAllowed(kGet));
  route('/v1/logs/errors')
    .head(methodNotAllowed('GET'))
    .get(administrated, logs.errors)
    .all(methodNotAllowed('GET'));
  route('/v1/models').get(authenticated, listModels(gateway)).all(methodNotAllowed(kGet));
  route('/healthz').get(health).all(methodNotAllowed(kGet));
  route('/readyz').get(readiness(gateway)).all(methodNotAllowed(kGet));
  route('/metrics')
    .get(administration(access, authenticate), metrics(gateway))
    .all(methodNotAllowed(kGet));
  router.use(errorMiddleware(log));
  return router;
}
