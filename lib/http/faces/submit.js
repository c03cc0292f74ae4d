/** Finds or creates the job of a face's request: a retry joins, any other request is submitted. */
import { departureOf } from '../departure.js';
import { idempotencyKeyOf } from '../routes/jobs.js';
import { rateLimitHeaders } from '../../jobs/rate-limits/headers.js';
import { setHeaders, setUpstream } from '../respond.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** Time within which a client may retry. */
export const RETRY_GRACE_MS = 2000;

/**
 * The job that a retry joins: the client sends a retry count and no key.
 * @param {import('./calls.js').FaceCalls} calls
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {string} principal
 * @param {import('./orphans.js').FaceRequest} request
 * @returns {Promise<JobRecord | undefined>}
 */
export async function joinOrphan(calls, req, res, principal, request) {
  const count = Number(req.headers['x-stainless-retry-count']);
  if (!(count >= 1) || idempotencyKeyOf(req) !== undefined) return undefined;
  const orphan = await calls.orphans.take(principal, request);
  if (orphan !== undefined) res.setHeader('Idempotency-Replayed', 'true');
  return orphan;
}

/**
 * Submits a request, and sets the headers of its answer about the admission.
 * @param {import('../../jobs/admission/admission.js').Admission} admission
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {import('../../jobs/admission/types.js').InterpretedSubmission} submission without a
 *   signal; default of key and cache control: those of the request
 * @param {string} [conversationParam] the body's member that names the conversation
 * @returns {Promise<{record: JobRecord, replayed: boolean} | undefined>} `replayed`: the job of a known
 *   key; undefined: the client has disconnected
 * @throws {import('../../internal/util/http-error.js').HttpError}
 */
export async function submitFaced(
  admission,
  req,
  res,
  submission,
  conversationParam = 'sluice.conversation_id',
) {
  const signal = departureOf(res);
  try {
    const { record, replayed, entries } = await admission.submitInterpreted({
      idempotencyKey: idempotencyKeyOf(req),
      cacheControl: req.headers['cache-control'],
      ...submission,
      signal,
    });
    setHeaders(res, rateLimitHeaders(entries));
    if (replayed) res.setHeader('Idempotency-Replayed', 'true');
    else if (record.cache) res.setHeader('X-Cache', record.cache.toUpperCase());
    return { record, replayed };
  } catch (/** @type {any} */ error) {
    if (signal.aborted) return undefined;
    if (error?.param === 'conversation_id') error.param = conversationParam;
    throw error;
  }
}

/**
 * Waits until an answer may begin.
 * @param {import('./calls.js').FaceCall} call
 * @param {boolean} stream whether it is streamed
 * @param {() => void} onReady called before the answer, also before that of a failed job
 * @returns {Promise<import('../../streams/types.js').JobState[] | undefined>} the states of all
 *   choices; empty for a stream; undefined: the client has disconnected
 * @throws {import('../../internal/util/http-error.js').HttpError} if a job has failed
 */
export async function ready(call, stream, onReady) {
  try {
    if (!stream) return await call.states();
    return (await call.beginning()) ? [] : undefined;
  } finally {
    onReady();
  }
}

/**
 * Sets the headers of an answer that is about to be sent.
 * @param {ServerResponse} res
 * @param {number} startedAt by `performance.now()`
 * @param {JobRecord} record
 */
export function setFaceHeaders(res, startedAt, record) {
  if (res.headersSent) return;
  res.setHeader('openai-processing-ms', String(Math.round(performance.now() - startedAt)));
  res.setHeader('x-sluice-job-id', record.id);
  setUpstream(res, record);
}
