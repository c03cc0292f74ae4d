/** The errors that requests for jobs share. */
import { HttpError } from '../internal/util/http-error.js';

/** The same answer for an unknown, a purged and somebody else's job. */
export function jobNotFound(param = 'job_id') {
  return new HttpError(404, {
    code: 'job_not_found',
    param,
    message: 'No such job: it never existed, or its retention is over.',
  });
}

/** @returns {HttpError} for whoever comes while, or after, the gateway closes */
export function draining() {
  return new HttpError(503, {
    code: 'draining',
    message: 'The server is shutting down and takes no new jobs.',
    headers: { 'Retry-After': '1' },
  });
}

/** @returns {HttpError} for whom there is no room */
export function overloaded() {
  return new HttpError(503, {
    code: 'overloaded',
    message: 'The queue is full; try again later.',
    headers: { 'Retry-After': '1' },
  });
}
