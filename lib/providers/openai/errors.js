/**
 * How each way in which an upstream call can fail is told: the same words whichever client made
 * the call.
 */
import { ProviderError, quoteUpstream } from '../shared/errors.js';
import { parseRetryAfterMs } from '../../internal/util/retry-after.js';

/** @typedef {Record<string, string | string[] | undefined>} Headers */

/** @param {string} what */
export function invalidResponse(what) {
  return new ProviderError('upstream_invalid_response', `The upstream sent ${what}`);
}

/** @param {unknown} [cause] */
export function protocolError(cause) {
  return new ProviderError(
    'upstream_invalid_response',
    'The upstream does not speak HTTP properly',
    { cause },
  );
}

/**
 * Whether another attempt may help is for the caller to know: not once text has come.
 * @param {unknown} [cause]
 */
export function disconnectedError(cause) {
  return new ProviderError('upstream_disconnected', 'The upstream broke off its answer', {
    cause,
    retryable: true,
  });
}

/**
 * @param {string} code the system's name of the error; may be empty
 * @param {unknown} [cause]
 */
export function unreachableError(code, cause) {
  return new ProviderError(
    'upstream_unavailable',
    `The upstream cannot be reached${code ? ` (${code})` : ''}`,
    { cause, retryable: true },
  );
}

/** @param {number} idleMs */
export function stalledError(idleMs) {
  return new ProviderError('upstream_stalled', `The upstream was silent for ${idleMs} ms`, {
    retryable: true,
  });
}

export function incompleteError() {
  return new ProviderError(
    'upstream_incomplete',
    'The upstream ended its answer without a finish reason',
  );
}

/**
 * The type of what is no event stream.
 * @param {string} contentType
 * @param {readonly string[]} secrets never quoted
 */
export function contentTypeError(contentType, secrets) {
  return invalidResponse(`${quoteUpstream(contentType, secrets)} in place of an event stream`);
}

/**
 * An error object inside an answer.
 * @param {unknown} message
 * @param {unknown} code
 * @param {readonly string[]} secrets never quoted
 */
export function reportedError(message, code, secrets) {
  const said = quoteUpstream(message, secrets) || quoteUpstream(code, secrets);
  return new ProviderError(
    'upstream_error',
    said ? `The upstream reported: ${said}` : 'The upstream reported an error',
  );
}

/**
 * The message of an error body: `{"error": {"message"}}`, `{"error": "..."}` or `{"message"}`.
 * @param {string} body
 */
function messageOf(body) {
  try {
    const json = JSON.parse(body);
    return json?.error?.message ?? json?.error ?? json?.message ?? json?.detail;
  } catch {
    return undefined;
  }
}

/**
 * The error for a status that is no success.
 * @param {number} status
 * @param {Headers} headers
 * @param {string} body as far as it was read
 * @param {readonly string[]} secrets never quoted
 */
export function statusError(status, headers, body, secrets) {
  const retryAfterMs = parseRetryAfterMs(headers);
  const message = quoteUpstream(messageOf(body), secrets);
  const said = message ? `: ${message}` : '';
  if (status === 429) {
    return new ProviderError(
      'upstream_rate_limited',
      `The upstream limits the rate of requests (429)${said}`,
      { retryable: true, retryAfterMs },
    );
  }
  if (status >= 500) {
    return new ProviderError('upstream_unavailable', `The upstream failed with status ${status}`, {
      retryable: true,
      retryAfterMs,
    });
  }
  if (status === 401 || status === 403) {
    // Its message may well repeat the key.
    return new ProviderError(
      'upstream_bad_request',
      `The upstream refused the credentials (${status})`,
    );
  }
  if (status >= 400) {
    return new ProviderError(
      'upstream_bad_request',
      `The upstream refused the request (${status})${said}`,
    );
  }
  return new ProviderError(
    'upstream_invalid_response',
    `The upstream answered with status ${status}`,
  );
}

/**
 * Whether an answer refuses the request because it asks for token counts.
 * @param {string} refusal the body of a 400 or 422
 */
export function refusesUsage(refusal) {
  return /stream_options|include_usage/.test(refusal);
}

/**
 * A call's failure as that of one of its answers: once text has gone out, another attempt would
 * repeat it.
 * @param {ProviderError} failure
 * @param {number} delivered pieces of text that have gone out
 */
export function errorForAnswer(failure, delivered) {
  return new ProviderError(failure.wireCode, failure.message, {
    retryable: failure.retryable && delivered === 0,
    retryAfterMs: failure.retryAfterMs,
    cause: failure.cause,
  });
}
