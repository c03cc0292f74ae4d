/** `/v1/jobs`: submit, read, list, cancel. */
import { jobNotFound } from '../../jobs/errors.js';
import { checkListQuery } from '../../jobs/request.js';
import { kInternals } from '../../internal/util/symbols.js';
import { accessOf, principalOf } from '../middleware/authenticate.js';
import { jsonBody } from '../middleware/json-body.js';
import { rateLimitHeaders } from '../../jobs/rate-limits/headers.js';

/**
 * @param {import('../../jobs/view.js').Job} job
 * @returns {object} as on the wire
 */
function wireJob({ id, createdAt, textTruncated, conversationId, status, model, ...rest }) {
  return {
    job_id: id,
    status,
    model,
    created_at: createdAt,
    ...rest,
    ...(textTruncated && { text_truncated: true }),
    ...(conversationId && { conversation_id: conversationId }),
  };
}

/**
 * Aborted when the client leaves before it was answered.
 * @param {import('express').Response} res
 * @returns {AbortSignal}
 */
function departure(res) {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}

/**
 * @param {import('express').Request} req
 * @returns {string} the `:id` of its path
 */
export function jobIdOf(req) {
  const { id } = req.params;
  if (typeof id !== 'string') throw jobNotFound();
  return id;
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {{create: import('express').RequestHandler[], read: import('express').RequestHandler,
 *   list: import('express').RequestHandler, cancel: import('express').RequestHandler}}
 */
export function jobRoutes(gateway) {
  const { admission, streamUrls } = gateway[kInternals];

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function create(req, res) {
    const signal = departure(res);
    const submission = {
      access: accessOf(req),
      idempotencyKey: req.get('idempotency-key'),
      cacheControl: req.get('cache-control'),
    };
    let outcome;
    try {
      outcome = await admission.submit(req.body, { ...submission, signal });
    } catch (error) {
      // Nobody is left to be told.
      if (signal.aborted) return;
      throw error;
    }
    const { answer, replayed, entries } = outcome;
    const { path } = streamUrls.make(submission.access.principal, [answer.id]);
    res.set(rateLimitHeaders(entries));
    if (replayed) res.set('Idempotency-Replayed', 'true');
    else if (answer.cache) res.set('X-Cache', answer.cache.toUpperCase());
    res
      .status(replayed ? 200 : 201)
      .location(`${req.baseUrl}/v1/jobs/${answer.id}`)
      .json({
        job_id: answer.id,
        status: 'queued',
        stream_url: req.baseUrl + path,
        created_at: answer.createdAt,
      });
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function read(req, res) {
    const job = await gateway.get(jobIdOf(req), { principal: principalOf(req) });
    if (job === undefined) throw jobNotFound();
    res.json(wireJob(job));
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function list(req, res) {
    const query = checkListQuery(req.query);
    const { data, hasMore } = await gateway.list({ ...query, principal: principalOf(req) });
    res.json({ data: data.map(wireJob), has_more: hasMore });
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function cancel(req, res) {
    res.json(wireJob(await gateway.cancel(jobIdOf(req), { principal: principalOf(req) })));
  }

  return { create: [...jsonBody, create], read, list, cancel };
}
