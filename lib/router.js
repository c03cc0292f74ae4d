/**
 * The HTTP contract as an Express 5 router. It owns its paths and passes every other one on, so
 * that it can be mounted at the root of somebody else's app.
 */
import { Router } from 'express';
import { authentication } from './auth.js';
import { errorMiddleware, methodNotAllowed } from './http-errors.js';
import { eventsRoute } from './routes/events.js';
import { health, metrics, readiness } from './routes/health.js';
import { jobRoutes } from './routes/jobs.js';
import { listModels } from './routes/models.js';
import { kInternals } from './symbols.js';
import { requestId } from './request-id.js';
import { streamRoute } from './routes/stream.js';

const kGet = 'GET, HEAD';

/**
 * @param {import('./gateway.js').Gateway} gateway
 * @returns {import('express').Router}
 */
export function createRouter(gateway) {
  const { log, options, checkOpen } = gateway[kInternals];
  const router = Router({ caseSensitive: true });
  const jobs = jobRoutes(gateway);

  // Answers are about a moment: nobody may keep them.
  /** @type {import('express').RequestHandler} */
  const unstored = (_req, res, next) => {
    res.set('Cache-Control', 'no-store');
    next();
  };
  // An app of somebody else's may outlive the gateway.
  /** @type {import('express').RequestHandler} */
  const open = (_req, _res, next) => {
    checkOpen();
    next();
  };
  const authenticated = [open, authentication(options.authenticate)];
  /** @param {string} path */
  const route = (path) => router.route(path).all(requestId, unstored);

  route('/v1/jobs')
    .get(authenticated, jobs.list)
    .post(authenticated, ...jobs.create)
    .all(methodNotAllowed('GET, HEAD, POST'));
  route('/v1/jobs/:id').get(authenticated, jobs.read).all(methodNotAllowed(kGet));
  route('/v1/jobs/:id/cancel').post(authenticated, jobs.cancel).all(methodNotAllowed('POST'));
  route('/v1/stream')
    .head(methodNotAllowed('GET'))
    .get(authenticated, streamRoute(gateway))
    .all(methodNotAllowed('GET'));
  route('/v1/events')
    .head(methodNotAllowed('GET'))
    .get(authenticated, eventsRoute(gateway))
    .all(methodNotAllowed('GET'));
  route('/v1/models').get(authenticated, listModels(gateway)).all(methodNotAllowed(kGet));
  route('/healthz').get(health).all(methodNotAllowed(kGet));
  route('/readyz').get(readiness(gateway)).all(methodNotAllowed(kGet));
  route('/metrics').get(metrics(gateway)).all(methodNotAllowed(kGet));
  router.use(errorMiddleware(log));
  return router;
}
