/** `/v1/jobs`: submit, read, list, cancel. */
import { jobNotFound } from '../../jobs/errors.js';
import { AbortState } from '../../internal/util/abort.js';
import { abortOnDeparture } from '../departure.js';
import { checkListQuery } from '../../jobs/request.js';
import { rateLimitHeaders } from '../../jobs/rate-limits/headers.js';
import { sendJson, sendNoContent, setHeaders, setUpstream } from '../respond.js';

/**
 * @param {import('../../jobs/view.js').Job} job
 * @returns {object} the body of an answer
 */
export function jobToJson({
  id,
  createdAt,
  textTruncated,
  conversationId,
  stopSequence,
  toolCalls,
  status,
  model,
  ...rest
}) {
  return {
    job_id: id,
    status,
    model,
    created_at: createdAt,
    ...rest,
    ...(toolCalls && { tool_calls: toolCalls }),
    ...(textTruncated && { text_truncated: true }),
    ...(stopSequence !== undefined && { stop_sequence: stopSequence }),
    ...(conversationId && { conversation_id: conversationId }),
  };
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @returns {string | undefined}
 */
export function idempotencyKeyOf({ headers }) {
  // Node joins repeated headers of this name with a comma: the result is refused as an invalid key.
  return /** @type {string | undefined} */ (headers['idempotency-key']);
}

/**
 * Port for reading, listing and cancelling jobs, implemented by `Gateway`.
 * @typedef {object} JobsPort
 * @property {(id: string, options: {principal: string}) =>
 *   Promise<import('../../jobs/view.js').Job | undefined>} get
 * @property {(query: any) => Promise<{data: import('../../jobs/view.js').Job[], hasMore: boolean}>} list
 * @property {(id: string, options: {principal: string}) =>
 *   Promise<import('../../jobs/view.js').Job>} cancel
 * @property {(id: string, options: {principal: string}) => Promise<void>} delete
 * @property {(principal: string) => Promise<void>} erasePrincipal
 */

/**
 * @param {object} deps
 * @param {JobsPort} deps.jobs
 * @param {import('../../jobs/admission/admission.js').Admission} deps.admission
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} deps.streamUrls
 * @returns {import('../router.js').Routes}
 */
export function jobRoutes({ jobs, admission, streamUrls }) {
  /** @type {import('../router.js').Handle} */
  function create(req, res, context) {
    const signal = new AbortState();
    const submission = {
      access: context.access,
      idempotencyKey: idempotencyKeyOf(req),
      cacheControl: req.headers['cache-control'],
      signal,
    };
    const submitted = admission.admit(context.body, submission);
    if (!(submitted instanceof Promise)) {
      sendCreated(res, context, submitted);
      return undefined;
    }
    // Until here nothing could happen to the connection.
    abortOnDeparture(res, signal);
    return submitted.then(
      (made) => sendCreated(res, context, made),
      (error) => {
        // The client has disconnected: send no answer.
        if (!signal.aborted) throw error;
      },
    );
  }

  /**
   * @param {import('node:http').ServerResponse} res
   * @param {import('../router.js').Context} context
   * @param {import('../../jobs/admission/types.js').SubmittedJob} submitted
   */
  function sendCreated(res, { access, baseUrl }, { answer, replayed, entries }) {
    const path = streamUrls.make(access.principal, [answer.id]);
    setHeaders(res, rateLimitHeaders(entries));
    if (replayed) res.setHeader('Idempotency-Replayed', 'true');
    else if (answer.cache) res.setHeader('X-Cache', answer.cache.toUpperCase());
    res.setHeader('Location', `${baseUrl}/v1/jobs/${answer.id}`);
    sendJson(res, replayed ? 200 : 201, {
      job_id: answer.id,
      status: 'queued',
      stream_url: baseUrl + path,
      created_at: answer.createdAt,
    });
  }

  /** @type {import('../router.js').Handle} */
  async function read(_req, res, { params: { id = '' }, access: { principal } }) {
    const job = await jobs.get(id, { principal });
    if (job === undefined) throw jobNotFound();
    setUpstream(res, job);
    sendJson(res, 200, jobToJson(job));
  }

  /** @type {import('../router.js').Handle} */
  async function list(_req, res, { query, access: { principal } }) {
    const { data, hasMore } = await jobs.list({ ...checkListQuery(query), principal });
    sendJson(res, 200, { data: data.map(jobToJson), has_more: hasMore });
  }

  /** @type {import('../router.js').Handle} */
  async function cancel(_req, res, { params: { id = '' }, access: { principal } }) {
    const job = await jobs.cancel(id, { principal });
    setUpstream(res, job);
    sendJson(res, 200, jobToJson(job));
  }

  /** @type {import('../router.js').Handle} */
  async function remove(_req, res, { params: { id = '' }, access: { principal } }) {
    await jobs.delete(id, { principal });
    sendNoContent(res);
  }

  /** @type {import('../router.js').Handle} */
  async function removePrincipal(_req, res, { params: { id = '' } }) {
    await jobs.erasePrincipal(id);
    sendNoContent(res);
  }

  return {
    '/v1/jobs': { GET: { handle: list }, POST: { handle: create, body: 'exact-json' } },
    '/v1/jobs/:id': {
      GET: { handle: read },
      DELETE: { handle: remove, audit: { action: 'job.delete', erases: true } },
    },
    '/v1/jobs/:id/cancel': { POST: { handle: cancel, audit: { action: 'job.cancel' } } },
    '/v1/principals/:id': {
      DELETE: {
        handle: removePrincipal,
        auth: 'admin',
        audit: { action: 'principal.erase', erases: true },
      },
    },
  };
}
