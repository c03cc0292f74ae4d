/**
 * What a refused request looks like, over HTTP and from the JS API: one error class with the wire
 * fields, and the middleware that turns any error into `{"error":{...}}` without telling more
 * about the server's insides than its own errors do.
 */
import { HttpError } from '../internal/util/http-error.js';

/**
 * What an `authenticate` hook may throw, as any error with a `status`.
 * @type {Record<number, string>}
 */
const codeOfStatus = { 401: 'unauthorized', 403: 'forbidden' };

/** @param {import('express').Request} req */
export function routeNotFound(req) {
  return new HttpError(404, {
    code: 'not_found',
    message: `Nothing answers ${req.method} at this path.`,
  });
}

/**
 * A handler for the methods that a path does not take.
 * @param {string} allow value of the `Allow` header
 * @returns {import('express').RequestHandler}
 */
export function methodNotAllowed(allow) {
  return (req) => {
    throw new HttpError(405, {
      code: 'method_not_allowed',
      message: `This path takes ${allow}, not ${req.method}.`,
      headers: { Allow: allow },
    });
  };
}

/** The errors of Express's own body reader, by their `type`. */
const bodyErrors = new Map([
  ['entity.parse.failed', { status: 400, code: 'invalid_json', message: 'The body is not JSON.' }],
  ['entity.too.large', { status: 413, code: 'body_too_large', message: 'The body is too large.' }],
  [
    'charset.unsupported',
    { status: 415, code: 'unsupported_media_type', message: 'The body must be UTF-8.' },
  ],
  [
    'encoding.unsupported',
    {
      status: 415,
      code: 'unsupported_media_type',
      message: 'This content encoding is not supported.',
    },
  ],
]);

/**
 * Whatever was thrown, as the refusal that may be shown.
 * @param {any} error
 * @returns {HttpError}
 */
function toHttpError(error) {
  if (error instanceof HttpError) return error;
  const body = bodyErrors.get(error?.type);
  if (body !== undefined) {
    const { status, ...fields } = body;
    if (Number.isInteger(error.limit)) fields.message = `The body is over ${error.limit} bytes.`;
    return new HttpError(status, { ...fields, cause: error });
  }
  // Express and its parsers mark what is the client's fault (a bad %-escape, a body cut short).
  const status = error?.status ?? error?.statusCode;
  if (Number.isInteger(status) && status >= 400 && status < 500) {
    const code = codeOfStatus[status];
    return new HttpError(code === undefined ? 400 : status, {
      code: code ?? 'invalid_value',
      message: code === undefined ? 'The request could not be read.' : 'Access is denied.',
      cause: error,
    });
  }
  return new HttpError(500, {
    code: 'internal_error',
    message: 'Something went wrong on our side; the request id finds it in the log.',
    cause: error,
  });
}

/**
 * @param {HttpError} error
 * @returns {{error: {message: string, type: string, code: string, param: string | null,
 *   job_id?: string}}}
 */
export function errorBody(error) {
  const { message, type, wireCode: code, param, jobId } = error;
  return { error: { message, type, code, param, ...(jobId && { job_id: jobId }) } };
}

/**
 * The one error handler of the router and the stand-alone server.
 * @param {import('../internal/util/logger.js').Logger} log
 * @returns {import('express').ErrorRequestHandler}
 */
export function errorMiddleware(log) {
  return (thrown, req, res, next) => {
    const error = toHttpError(thrown);
    if (error.status >= 500 && error.wireCode === 'internal_error') {
      log.error(
        { err: thrown, request_id: res.get('x-request-id'), method: req.method },
        'request failed',
      );
    }
    // Headers are out: the only honest thing left is to cut the connection, which Express does.
    if (res.headersSent) return next(thrown);
    res.set(error.headers ?? {});
    const body = Buffer.from(JSON.stringify(errorBody(error)));
    // Not by `res.json`, which adds an entity tag: that of a refusal is nothing to come back with.
    res.status(error.status).type('json').set('Content-Length', String(body.length)).end(body);
  };
}
