/**
 * The error class of refused requests: thrown by the JS API, answered as `{"error": {...}}` by the
 * HTTP handler. Any thread.
 */
import { SluiceError } from './errors.js';
import { checkOptions } from './validate.js';

const FIELDS = ['message', 'code', 'type', 'param', 'headers', 'jobId', 'cause'];

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
 * A refused request. `wireCode` is the code in answers, empty: none; `code` is the same as
 * `ERR_...`.
 */
export class HttpError extends SluiceError {
  /**
   * @param {number} status
   * @param {object} fields
   * @param {string} fields.message
   * @param {string} fields.code code in answers, for example `missing_field`
   * @param {string} [fields.type] default: by the status
   * @param {string | null} [fields.param] the invalid field, for example `messages[0].role`
   * @param {Record<string, string>} [fields.headers] sent with the answer
   * @param {string} [fields.jobId] the conflicting job
   * @param {unknown} [fields.cause]
   */
  constructor(status, fields) {
    const { message, code, type, param = null, headers, jobId, cause } = fields;
    checkOptions('HttpError', fields, FIELDS);
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
