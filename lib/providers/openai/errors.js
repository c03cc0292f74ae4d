/** Errors of failed upstream calls, with the same messages for both clients. */
import { ProviderError, REFUSAL_CHARS_MAX, quoteUpstream } from '../shared/errors.js';
import { parseRetryAfterMs } from '../../internal/util/retry-after.js';

/** @typedef {Record<string, string | string[] | undefined>} Headers */

/** @param {string} fault */
export function invalidResponse(fault) {
  return new ProviderError('upstream_invalid_response', `The upstream sent ${fault}`);
}

/** @param {unknown} [cause] */
export function protocolError(cause) {
  return new ProviderError('upstream_invalid_response', 'The upstream sent invalid HTTP', {
    cause,
  });
}

/**
 * The caller decides whether a retry may help: not after text was received.
 * @param {unknown} [cause]
 */
export function disconnectedError(cause) {
  return new ProviderError(
    'upstream_disconnected',
    'The upstream closed the connection during its answer',
    {
      cause,
      retryable: true,
    },
  );
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

/**
 * Retryable if empty: an answer that ends before its first text is a transient failure.
 * @param {boolean} isEmpty false: data other than an answer was received
 */
export function incompleteError(isEmpty) {
  return new ProviderError(
    'upstream_incomplete',
    'The upstream ended its answer without a finish reason',
    { retryable: isEmpty },
  );
}

/**
 * A retry would return the same number.
 * @param {string} given for example "1 of 3"
 */
export function choicesError(given) {
  return new ProviderError(
    'upstream_incomplete',
    `The upstream returned ${given} choices: it does not support n for this model`,
  );
}

/**
 * @param {string} encoding of the body
 * @param {readonly string[]} secrets values that are never quoted
 */
export function encodingError(encoding, secrets) {
  return invalidResponse(
    `a body encoded as ${quoteUpstream(encoding, secrets)}, though identity was asked for`,
  );
}

/**
 * A finish reason other than success.
 * @param {string} reason
 * @param {readonly string[]} secrets values that are never quoted
 */
export function finishError(reason, secrets) {
  return new ProviderError(
    'upstream_error',
    `The upstream ended its answer with the finish reason "${quoteUpstream(reason, secrets)}"`,
    { retryable: /^insufficient_system_resource$/i.test(reason) },
  );
}

/**
 * Error for a content type other than an event stream.
 * @param {string} contentType
 * @param {readonly string[]} secrets values that are never quoted
 */
export function contentTypeError(contentType, secrets) {
  return invalidResponse(`${quoteUpstream(contentType, secrets)} in place of an event stream`);
}

/** Statuses of transient failures. */
const PASSING_STATUSES = new Set([408, 409, 425, 429]);

/** @param {number} status */
function isPassing(status) {
  return PASSING_STATUSES.has(status) || (status >= 500 && status < 600);
}

const PASSING_TYPES =
  /overloaded|rate.?limit|too.?many.?requests|resource.?exhausted|unavailable|time.?out|server.?error/i;

/** Types and codes of refused credentials. */
const REFUSED_TYPES = /authentication_error|permission_error|invalid_api_key|unauthorized/i;

/** Types and codes for requests that no upstream accepts. */
const REQUEST_TYPES =
  /invalid_request|invalid_argument|not_found|context_length|content_filter|content_policy|too_large/i;

/**
 * An error object inside an answer. Unless it blames the request, another upstream may
 * answer it.
 * @param {{message: unknown, code: unknown, type: unknown}} error
 * @param {readonly string[]} secrets values that are never quoted
 */
export function reportedError({ message, code, type }, secrets) {
  const reported = [message, code, type].map((text) => quoteUpstream(text, secrets)).find(Boolean);
  const named = `${code} ${type}`;
  const status = Number(code);
  if (status === 401 || status === 403 || REFUSED_TYPES.test(named)) {
    return unauthorizedError('in its answer');
  }
  const retryable = isPassing(status) || PASSING_TYPES.test(named);
  const isRefusal = (status >= 400 && status < 500) || REQUEST_TYPES.test(named);
  return new ProviderError(
    'upstream_error',
    reported ? `The upstream reported: ${reported}` : 'The upstream reported an error',
    { retryable, elsewhere: retryable || !isRefusal },
  );
}

/**
 * The message of the upstream is not quoted, because it may repeat the key.
 * @param {string} where
 */
function unauthorizedError(where) {
  return new ProviderError(
    'upstream_unauthorized',
    `The upstream refused the gateway's credentials ${where}`,
  );
}

/**
 * @param {any} json
 * @returns {unknown} the message in one of the shapes that servers are known to send
 */
function messageIn(json) {
  if (Array.isArray(json)) return messageIn(json[0]);
  const { error, errors, message, detail, msg } = json ?? {};
  const candidates = [
    error?.message,
    error,
    message,
    detail?.[0]?.msg,
    detail,
    errors?.[0]?.message,
    errors?.[0],
    msg,
  ];
  return candidates.find((candidate) => typeof candidate === 'string' && candidate !== '');
}

/**
 * The message of an error body: an object, an array of one (Gemini), or a line of plain text.
 * @param {string} body the part that was read
 */
function messageOf(body) {
  try {
    return messageIn(JSON.parse(body));
  } catch {
    // HTML pages and truncated bodies contain no usable message.
    return /^\s*[<{[]/.test(body) ? undefined : body;
  }
}

/**
 * The target of a redirect, without its query, which may hold credentials.
 * @param {string | undefined} location
 */
function redirectTarget(location) {
  if (location === undefined) return '';
  return location.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//');
}

/**
 * Details of an upstream's refusal, for clients that react to it.
 * @param {number} status
 * @param {string} body the part that was read
 * @param {readonly string[]} secrets values that are never quoted
 * @returns {import('../shared/errors.js').UpstreamRefusal}
 */
function saidBy(status, body, secrets) {
  const quote = (/** @type {unknown} */ text) => quoteUpstream(text, secrets, REFUSAL_CHARS_MAX);
  // A message about credentials may repeat them.
  if (status === 401 || status === 403) {
    return { status, message: '', type: '', code: '', param: '' };
  }
  const { type, code, param } = errorObjectOf(body);
  return {
    status,
    message: quote(messageOf(body)),
    type: quote(type),
    code: quote(typeof code === 'number' ? String(code) : code),
    param: quote(param),
  };
}

/**
 * @param {string} body
 * @returns {Record<string, unknown>} its error object; empty without one
 */
function errorObjectOf(body) {
  try {
    const json = JSON.parse(body);
    const { error } = (Array.isArray(json) ? json[0] : json) ?? {};
    return typeof error === 'object' && error !== null ? error : (json ?? {});
  } catch {
    return {};
  }
}

/**
 * The error for a status other than success, with the upstream's own words.
 * @param {number} status
 * @param {Headers} headers
 * @param {string} body the part that was read
 * @param {readonly string[]} secrets values that are never quoted
 */
export function statusError(status, headers, body, secrets) {
  const error = errorOfStatus(status, headers, body, secrets);
  error.upstream = saidBy(status, body, secrets);
  return error;
}

/**
 * @param {number} status
 * @param {Headers} headers
 * @param {string} body
 * @param {readonly string[]} secrets
 */
function errorOfStatus(status, headers, body, secrets) {
  const retryAfterMs = parseRetryAfterMs(headers);
  const message = quoteUpstream(messageOf(body), secrets);
  const detail = message ? `: ${message}` : '';
  if (status === 429) {
    return new ProviderError(
      'upstream_rate_limited',
      `The upstream limits the rate of requests (429)${detail}`,
      { retryable: true, retryAfterMs },
    );
  }
  if (status >= 500) {
    return new ProviderError(
      'upstream_unavailable',
      `The upstream failed with status ${status}${detail}`,
      { retryable: true, retryAfterMs },
    );
  }
  if (status === 401 || status === 403) {
    return unauthorizedError(`(${status})`);
  }
  if (status >= 400) {
    return new ProviderError(
      'upstream_bad_request',
      `The upstream refused the request (${status})${detail}`,
      { retryable: isPassing(status), retryAfterMs },
    );
  }
  if (status >= 300 && status !== 304) {
    const target = quoteUpstream(redirectTarget(single(headers.location)), secrets);
    return new ProviderError(
      'upstream_invalid_response',
      `The upstream redirects (status ${status})${target ? ` to ${target}` : ''}: redirects are not followed`,
    );
  }
  return new ProviderError(
    'upstream_invalid_response',
    `The upstream answered with status ${status}`,
  );
}

/** @param {string | string[] | undefined} header */
function single(header) {
  return Array.isArray(header) ? header[0] : header;
}

/**
 * The member of a request named in its refusal.
 * @template {string} T
 * @param {string} refusal the body of a 400 or 422
 * @param {readonly T[]} members members that may be omitted
 * @returns {T | undefined}
 */
export function refusedMember(refusal, members) {
  if (refusal === '') return undefined;
  // A refusal of `include_usage` concerns the whole of `stream_options`.
  const text = refusal.replaceAll('include_usage', 'stream_options');
  /** @param {string} member */
  const at = (member) => {
    const found = new RegExp(`(?<![a-z_])${member}(?![a-z_])`).exec(text);
    return found === null ? Infinity : found.index;
  };
  const [first] = [...members].sort((a, b) => at(a) - at(b));
  return first !== undefined && at(first) < Infinity ? first : undefined;
}

/**
 * Converts a call's failure to that of one answer: not retryable once text was sent, because a
 * retry would repeat it.
 * @param {ProviderError} failure
 * @param {number} delivered pieces of text sent
 */
export function errorForAnswer(failure, delivered) {
  return new ProviderError(failure.wireCode, failure.message, {
    retryable: failure.retryable && delivered === 0,
    elsewhere: failure.elsewhere && delivered === 0,
    retryAfterMs: failure.retryAfterMs,
    upstream: failure.upstream,
    cause: failure.cause,
  });
}
