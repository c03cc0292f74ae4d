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
    /** @type {string | undefined} the refused field of the request */
    this.param = details.param;
    /** @type {number | undefined} wait before the next attempt, requested by the server */
    this.retryAfterMs = details.retryAfterMs;
    /** @type {string | undefined} */
    this.jobId = details.jobId;
  }
}
