/** `GET /healthz`, `/readyz` and `/metrics`: for those who run the server. */
import { kInternals } from '../../internal/util/symbols.js';

/**
 * Liveness: the process answers.
 * @param {import('express').Request} _req
 * @param {import('express').Response} res
 */
export function health(_req, res) {
  res.json({ status: 'ok' });
}

/**
 * Readiness: new jobs are taken.
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function readiness(gateway) {
  return (_req, res) => {
    if (gateway.ready()) res.json({ status: 'ready' });
    else res.status(503).json({ status: 'draining' });
  };
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler} Prometheus text
 */
export function metrics(gateway) {
  const { registry } = gateway[kInternals].metrics;
  return async (_req, res) => {
    const text = await registry.metrics();
    res.set('Content-Type', registry.contentType).send(text);
  };
}
