/** `/healthz`, `/readyz` and `/metrics`. */
import { send, sendJson } from '../respond.js';

/** @typedef {import('../router.js').Handle} Handle */

/**
 * @param {object} deps
 * @param {() => boolean} deps.ready whether new jobs are accepted
 * @param {() => boolean} deps.writable whether they can be written to the data file, if there is
 *   one
 * @param {{text: () => Promise<string>, registry: {contentType: string}}} deps.metrics
 * @returns {import('../router.js').Routes}
 */
export function healthRoutes({ ready, writable, metrics }) {
  /** @type {Handle} */
  const live = (_req, res) => sendJson(res, 200, { status: 'ok' });

  /** @type {Handle} */
  const readiness = (_req, res) => {
    if (!writable()) sendJson(res, 503, { status: 'storage_unavailable' });
    else if (ready()) sendJson(res, 200, { status: 'ready' });
    else sendJson(res, 503, { status: 'draining' });
  };

  /** @type {Handle} */
  const scrape = async (_req, res) => {
    send(res, 200, await metrics.text(), metrics.registry.contentType);
  };

  return {
    '/healthz': { GET: { handle: live, auth: 'none' } },
    '/readyz': { GET: { handle: readiness, auth: 'none' } },
    '/metrics': { GET: { handle: scrape, auth: 'metrics' } },
  };
}
