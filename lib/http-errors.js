/**
 * What a refused request looks like, over HTTP and from the JS API: one error class with the wire
 * fields, and the middleware that turns any error into `{"error":{...}}` without telling more
 * about the server's insides than its own errors do.
 */
import { SluiceError } from './errors.js';

/** @type {Record<number, string>} */
const typeOfStatus = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'overloaded_error',
};

/**
 * What an `authenticate` hook may throw, as any error with a `status`.
 * @type {Record<number, string>}
 */
const codeOfStatus = { 401: 'unauthorized', 403: 'forbidden' };

/**
 * A request that is refused. `wireCode` is the code on the wire, `code` the same as `ERR_...`.
 */
export class HttpError extends SluiceError {
  /**
   * @param {number} status
   * @param {object} fields
   * @param {string} fields.message
   * @param {string} fields.code as on the wire, for example `missing_field`
   * @param {string} [fields.type] default: by the status
   * @param {string | null} [fields.param] the field at fault, as in `messages[0].role`
   * @param {Record<string, string>} [fields.headers] sent with the answer
   * @param {string} [fields.jobId] a job that is in the way
   * @param {unknown} [fields.cause]
   */
  constructor(status, { message, code, type, param = null, headers, jobId, cause }) {
    super(`ERR_${code.toUpperCase()}`, message, { cause });
    this.name = 'HttpError';
    this.status = status;
    this.wireCode = code;
    this.type = type ?? typeOfStatus[status] ?? 'invalid_request_error';
    this.param = param;
    this.headers = headers;
    this.jobId = jobId;
  }
}

/**
 * @param {string} code
 * @param {string | null} param
 * @param {string} message
 */
export function badRequest(code, param, message) {
  return new HttpError(400, { code, param, message });
}

/** The same answer for an unknown, a purged and somebody else's job. */
export function jobNotFound(param = 'job_id') {
  return new HttpError(404, {
    code: 'job_not_found',
    param,
    message: 'No such job: it never existed, or its retention is over.',
  });
}

/** @param {import('express').Request} req @internal */
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
 * @internal
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
 * @param {import('./log.js').Logger} log
 * @returns {import('express').ErrorRequestHandler}
 * @internal
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
