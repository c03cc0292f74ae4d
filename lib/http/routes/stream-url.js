/**
 * `POST /v1/jobs/{id}/stream_url` and `POST /v1/stream_url`: a new address for the stream of one job,
 * or of up to 64 on one connection.
 */
import { checkStreamUrlRequest } from '../../jobs/request.js';
import { jobIdOf } from './jobs.js';
import { jobNotFound } from '../../jobs/errors.js';
import { jsonBody } from '../middleware/json-body.js';
import { kInternals } from '../../internal/util/symbols.js';
import { principalOf } from '../middleware/authenticate.js';

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {{one: import('express').RequestHandler, many: import('express').RequestHandler[]}}
 */
export function streamUrlRoutes(gateway) {
  const { jobs, streamUrls } = gateway[kInternals];

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   * @param {string[]} ids which are the caller's
   * @param {{fanIn?: boolean}} [options]
   */
  function answer(req, res, ids, options) {
    const { path, expiresAt } = streamUrls.make(principalOf(req), ids, options);
    res.json({ stream_url: req.baseUrl + path, expires_at: expiresAt });
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  function one(req, res) {
    const id = jobIdOf(req);
    if (jobs.get(id, principalOf(req)) === undefined) throw jobNotFound();
    answer(req, res, [id]);
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  function many(req, res) {
    const ids = checkStreamUrlRequest(req.body);
    const unknown = ids.findIndex((id) => jobs.get(id, principalOf(req)) === undefined);
    if (unknown >= 0) throw jobNotFound(`job_ids[${unknown}]`);
    answer(req, res, ids, { fanIn: true });
  }

  return { one, many: [...jsonBody, many] };
}
