/** Errors common to requests for jobs. */
import { HttpError } from '../internal/util/http-error.js';

/** The same answer for an unknown, a purged and another principal's job. */
export function jobNotFound(param = 'job_id') {
  return new HttpError(404, {
    code: 'job_not_found',
    param,
    message: 'No such job: it never existed, or its retention is over.',
  });
}

/** @returns {HttpError} 422 */
export function idempotencyKeyReused() {
  return new HttpError(422, {
    code: 'idempotency_key_reused',
    param: 'Idempotency-Key',
    message: 'This Idempotency-Key was used with another body.',
  });
}

/** @returns {HttpError} 503 while the gateway closes, and afterwards */
export function draining() {
  return new HttpError(503, {
    code: 'draining',
    message: 'The server is shutting down and accepts no new jobs.',
    headers: { 'Retry-After': '1' },
  });
}

/** @returns {HttpError} 503 when the queue has no room */
export function overloaded() {
  return new HttpError(503, {
    code: 'overloaded',
    message: 'The queue is full; try again later.',
    headers: { 'Retry-After': '1' },
  });
}

/**
 * @param {number} waitMs wait until an upstream accepts calls again
 * @returns {HttpError} 503 while every upstream of a model is closed
 */
export function upstreamsUnavailable(waitMs) {
  return new HttpError(503, {
    code: 'upstream_unavailable',
    message: 'Every upstream of this model is closed after failures; try again later.',
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(waitMs / 1000))) },
  });
}

/** @returns {HttpError} 503 while Redis does not answer */
export function redisUnavailable() {
  return new HttpError(503, {
    code: 'storage_unavailable',
    message: 'Redis does not answer; try again later.',
    headers: { 'Retry-After': '1' },
  });
}

/** @returns {HttpError} 503 for a request that waits for a job which continues in another process */
export function jobMoved() {
  return new HttpError(503, {
    code: 'storage_unavailable',
    message: 'Another process has taken the job over; send the request again.',
    headers: { 'Retry-After': '1' },
  });
}

/** @returns {HttpError} 507 while Redis accepts no more data */
export function redisFull() {
  return new HttpError(507, {
    code: 'insufficient_storage',
    type: 'server_error',
    message: 'Redis has no memory left.',
  });
}

/** The conversation of a job has changed since its turn was prepared: prepare it again. */
export class TurnMoved extends Error {}
