/**
 * The error class of the browser client. The client shares no code with the server's package, so that
 * a page can load it without a build step.
 */

/**
 * All errors that the client throws or reports. Match on `code`, never on `message`.
 *
 * `code` is a code of the server (`job_not_found`, `invalid_value`, `overloaded`, a job's error code
 * such as `upstream_stalled`), or one of the client's: `network_error`, `invalid_response`,
 * `http_<status>`, `connection_failed`, `client_closed`, `job_cancelled`, `aborted`,
 * `eventsource_missing`, `fetch_missing`.
 */
export class SluiceClientError extends Error {
  /**
   * @param {string} code stable
   * @param {string} message for humans
   * @param {{status?: number, type?: string, param?: string, retryAfterMs?: number,
   *   jobId?: string, cause?: unknown}} [details] `status` is the HTTP status, if any
   */
  constructor(code, message, details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'SluiceClientError';
    /** @type {string} */
    this.code = code;
    /** @type {number | undefined} */
    this.status = details.status;
    /** @type {string | undefined} */
    this.type = details.type;
    /** @type {string | undefined} the field of the request that was refused */
    this.param = details.param;
    /** @type {number | undefined} how long the server asks to wait before the next try */
    this.retryAfterMs = details.retryAfterMs;
    /** @type {string | undefined} */
    this.jobId = details.jobId;
  }
}
