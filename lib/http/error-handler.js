/**
 * Turns any error thrown by a route into `{"error": {...}}`, on the paths of Anthropic's API into its
 * error format, without details of the server.
 */
import { HttpError } from '../internal/util/http-error.js';
import { isMessagesPath, messagesError } from './faces/messages/answer.js';
import { sendJson, setHeaders } from './respond.js';
import { setMessagesRequestId } from './middleware/request-id.js';

/**
 * Codes for errors of an `authenticate` hook that have a `status`.
 * @type {Record<number, string>}
 */
const CODE_OF_STATUS = { 401: 'unauthorized', 403: 'forbidden' };

/** Message of a request whose path, head or body cannot be parsed. */
export const UNREADABLE = 'The request could not be read.';

/**
 * @param {string | undefined} method
 * @returns {HttpError}
 */
export function routeNotFound(method) {
  return new HttpError(404, {
    code: 'not_found',
    message: `There is no route for ${method} at this path.`,
  });
}

/**
 * @param {string | undefined} method
 * @param {string} allow value of the `Allow` header
 * @returns {HttpError}
 */
export function methodNotAllowed(method, allow) {
  return new HttpError(405, {
    code: 'method_not_allowed',
    message: `This path allows ${allow}, not ${method}.`,
    headers: { Allow: allow },
  });
}

/**
 * @param {any} error
 * @returns {HttpError} the refusal to send for it
 */
export function toHttpError(error) {
  if (error instanceof HttpError) return error;
  const status = error?.status ?? error?.statusCode;
  if (Number.isInteger(status) && status >= 400 && status < 500) {
    const code = CODE_OF_STATUS[status];
    return new HttpError(code === undefined ? 400 : status, {
      code: code ?? 'invalid_value',
      message: code === undefined ? UNREADABLE : 'Access is denied.',
      cause: error,
    });
  }
  return new HttpError(500, {
    code: 'internal_error',
    message: 'Internal error; search the server log for the request id.',
    cause: error,
  });
}

/**
 * @param {HttpError} error
 * @returns {{error: {message: string, type: string, code: string | null, param: string | null,
 *   job_id?: string}}}
 */
export function errorBody(error) {
  const { message, type, wireCode: code, param, jobId } = error;
  return { error: { message, type, code: code || null, param, ...(jobId && { job_id: jobId }) } };
}

/**
 * Answers a request that failed.
 * @param {unknown} thrown
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {import('../internal/util/logger.js').Logger} log receives errors that are not the
 *   caller's fault
 */
export function sendError(thrown, req, res, log) {
  const error = toHttpError(thrown);
  if (error.wireCode === 'internal_error') {
    const fields = { err: thrown, request_id: res.getHeader('x-request-id'), method: req.method };
    log.error(fields, 'request failed');
  }
  if (res.headersSent) {
    // A regular end would make a truncated body look complete.
    res.destroy();
    return;
  }
  setHeaders(res, error.headers ?? {});
  // OpenAI's clients would retry a conflict.
  if (error.status === 409) res.setHeader('x-should-retry', 'false');
  if (isMessagesPath(req.url)) {
    sendJson(res, error.status, messagesError(error, setMessagesRequestId(res)));
  } else sendJson(res, error.status, errorBody(error));
}
