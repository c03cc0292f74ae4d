/** `/v1/workflows` and `/v1/crawls`: what is the same for works of every kind. */
import { accessOf, principalOf } from '../middleware/authenticate.js';
import { jsonBody } from '../middleware/json-body.js';
import { rateLimitHeaders } from '../../jobs/rate-limits/headers.js';
import { workNotFound } from '../../services/operations/operations.js';

/** @typedef {import('express').RequestHandler} RequestHandler */
/** @typedef {import('express').Request} Request */

/**
 * @typedef {{create: RequestHandler[], idOf: (req: Request) => string,
 *   streamUrlOf: (req: Request, id: string) => {stream_url: string, expires_at: number | null}} &
 *   Record<'read' | 'list' | 'cancel' | 'stream_url', RequestHandler>} WorkRoutes
 */

/**
 * @template V
 * @param {import('../../services/operations/service.js').WorkService<any, V>} service
 * @param {import('../../services/operations/operations.js').WorkKind} kind
 * @param {(view: V) => object} wire a view as it is on the wire
 * @returns {WorkRoutes}
 */
export function workRoutes(service, kind, wire) {
  /**
   * @param {Request} req
   * @returns {string} the `:id` of its path
   */
  const idOf = (req) => {
    const { id } = req.params;
    if (typeof id !== 'string') throw workNotFound(kind);
    return id;
  };

  /**
   * @param {Request} req
   * @param {string} id
   */
  const streamUrlOf = (req, id) => {
    const { path, expiresAt } = service.streamUrl(principalOf(req), id);
    return { stream_url: req.baseUrl + path, expires_at: expiresAt };
  };

  /** @type {RequestHandler} */
  const create = async (req, res) => {
    const access = accessOf(req);
    const idempotencyKey = req.get('idempotency-key');
    const outcome = await service.admit(req.body, { access, idempotencyKey });
    const { answer, replayed, entries } = outcome;
    if (replayed) res.set('Idempotency-Replayed', 'true');
    res.set(rateLimitHeaders(entries));
    res
      .status(replayed ? 200 : 201)
      .location(`${req.baseUrl}/v1/${kind}s/${answer.id}`)
      .json({
        [`${kind}_id`]: answer.id,
        status: 'running',
        stream_url: streamUrlOf(req, answer.id).stream_url,
        created_at: answer.createdAt,
      });
  };

  return {
    idOf,
    streamUrlOf,
    create: [...jsonBody, create],

    read(req, res) {
      const view = service.get(idOf(req), { principal: principalOf(req) });
      if (view === undefined) throw workNotFound(kind);
      res.json(wire(view));
    },

    list(req, res) {
      const { limit, after, status } = /** @type {Record<string, any>} */ (req.query);
      const query = { limit, after, status, principal: principalOf(req) };
      const { data, hasMore } = service.list(query);
      res.json({ data: data.map(wire), has_more: hasMore });
    },

    async cancel(req, res) {
      const view = await service.cancel(idOf(req), { principal: principalOf(req) });
      res.json(wire(view));
    },

    stream_url(req, res) {
      const id = idOf(req);
      const principal = principalOf(req);
      if (service.get(id, { principal }) === undefined) throw workNotFound(kind);
      res.json(streamUrlOf(req, id));
    },
  };
}
