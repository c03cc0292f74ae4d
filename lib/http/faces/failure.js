/** The answer of a face for a job that failed before its first byte was sent. Pure functions. */
import { HttpError } from '../../internal/util/http-error.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/** Refusals of an upstream that are about the request itself: passed to the client unchanged. */
const PASSED_ON = new Set([400, 404, 413, 422]);
const MS_PER_S = 1000;

/** @type {Record<string, number>} statuses of codes of failed jobs; all others are 502 */
const STATUS_OF_CODE = {
  upstream_rate_limited: 429,
  upstream_stalled: 504,
  wall_time_exceeded: 504,
  provider_error: 500,
  overloaded: 503,
  draining: 503,
  server_restarted: 503,
  answer_dropped: 503,
};

/** The client cannot fix these: the server's configuration or the upstream must change. */
const NO_RETRY = { 'x-should-retry': 'false' };

/**
 * @param {number | undefined} waitMs
 * @returns {Record<string, string>}
 */
function retryAfter(waitMs) {
  return { 'Retry-After': String(Math.max(1, Math.ceil((waitMs ?? 0) / MS_PER_S))) };
}

/** @param {string | undefined} reason */
function cancelled(reason) {
  if (reason === 'shutdown') {
    const message = 'The server is shutting down.';
    return new HttpError(503, { code: 'draining', message, headers: retryAfter(undefined) });
  }
  const type = 'cancelled_error';
  return new HttpError(499, { code: 'cancelled', type, message: 'The job was cancelled.' });
}

/**
 * @param {JobRecord} record ended without success
 * @param {JobState} state
 * @returns {HttpError}
 */
export function failureAnswer(record, { error, reason }) {
  if (error === undefined) return cancelled(reason);
  // For a shared answer, the job that calls the upstream has the details.
  return answerFor(error, record.failure ?? record.answer?.failure ?? {});
}

/**
 * @param {{code: string, message: string, type: string}} error in the format of answers
 * @param {Pick<import('../../jobs/execution/failure.js').Failure, 'upstream' | 'retryAfterMs'>} cause
 * @returns {HttpError}
 */
export function answerFor({ code, message, type }, { upstream, retryAfterMs }) {
  if (upstream !== undefined && PASSED_ON.has(upstream.status)) {
    const refusal = new HttpError(upstream.status, {
      message: upstream.message || message,
      type: upstream.type || 'invalid_request_error',
      code: upstream.code || code,
      param: upstream.param || null,
    });
    // An error object without a code stays without one.
    if (upstream.message !== '') refusal.wireCode = upstream.code;
    return refusal;
  }
  const passesBack = upstream?.status === 503 || upstream?.status === 429;
  const status = passesBack ? upstream.status : (STATUS_OF_CODE[code] ?? 502);
  const headers = status === 429 || status === 503 ? retryAfter(retryAfterMs) : NO_RETRY;
  return new HttpError(status, { code, message, type, headers });
}
