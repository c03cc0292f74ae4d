/**
 * Errors between Sluice and a model, with the codes that jobs report on the wire.
 *
 * A message is short and safe to show to an end user: it contains no address and no key, and of a
 * body only the upstream's error message, truncated. `cause` holds the cause, for logs.
 */
import { SluiceError } from '../../internal/util/errors.js';
import { checkOptions } from '../../internal/util/validate.js';

/**
 * The wire codes, `error.code` of a failed job. `ProviderError.code` is `ERR_` and the same in
 * upper case.
 * @typedef {'upstream_rate_limited' | 'upstream_bad_request' | 'upstream_unavailable'
 *   | 'upstream_disconnected' | 'upstream_invalid_response' | 'upstream_stalled'
 *   | 'upstream_error' | 'upstream_incomplete' | 'upstream_unsupported_output' | 'wall_time_exceeded' | 'provider_error'
 *   | 'overloaded'} WireCode
 */

/** @type {Partial<Record<WireCode, string>>} */
const typesOfOthers = {
  wall_time_exceeded: 'timeout_error',
  provider_error: 'provider_error',
  overloaded: 'overloaded_error',
};

/** A provider's failure. */
export class ProviderError extends SluiceError {
  /**
   * @param {WireCode} wireCode
   * @param {string} message
   * @param {object} [details]
   * @param {boolean} [details.retryable] whether another attempt may help; default false
   * @param {number} [details.retryAfterMs] wait requested by the upstream before a retry
   * @param {unknown} [details.cause]
   */
  constructor(wireCode, message, details) {
    const known = ['retryable', 'retryAfterMs', 'cause'];
    const {
      retryable = false,
      retryAfterMs,
      cause,
    } = checkOptions('ProviderError', details, known);
    super(`ERR_${wireCode.toUpperCase()}`, message, { cause });
    this.name = 'ProviderError';
    /** @type {WireCode} */
    this.wireCode = wireCode;
    /** @type {string} the wire's `error.type` */
    this.type = typesOfOthers[wireCode] ?? 'upstream_error';
    /** @type {boolean} */
    this.retryable = retryable;
    /** @type {number | undefined} */
    this.retryAfterMs = retryAfterMs;
  }
}

const QUOTED_CHARS_MAX = 200;

/** Patterns of credentials: prefixed keys, `api_key=...`, bearer tokens. */
const CREDENTIALS =
  /\b(?:sk|pk|rk|gsk)[-_][\w*-]+|\bAIza[\w-]{10,}|\bbearer\s+\S+|\b(?:api[-_]?key|token|password)[=:]\s*\S+/gi;

/**
 * The text before a stack trace of Python, JavaScript, Java or Go.
 * @param {string} text
 */
function withoutTrace(text) {
  const trace = /Traceback \(most recent call last\)|\n\s+at |\n\s*File "|\ngoroutine \d+/.exec(
    text,
  );
  return trace === null ? text : text.slice(0, trace.index);
}

/**
 * An upstream's message made safe to pass on: one short line, without credentials.
 * @param {unknown} text
 * @param {readonly string[]} secrets
 * @returns {string} empty if there is nothing to quote
 */
export function quoteUpstream(text, secrets) {
  if (typeof text !== 'string') return '';
  let line = withoutTrace(text.slice(0, 8 * QUOTED_CHARS_MAX));
  for (const secret of secrets) line = line.replaceAll(secret, '[redacted]');
  line = line
    .replace(CREDENTIALS, '[redacted]')
    // eslint-disable-next-line no-control-regex -- it removes control characters
    .replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
  if (line.length <= QUOTED_CHARS_MAX) return line;
  return `${line.slice(0, QUOTED_CHARS_MAX).replace(/[\ud800-\udbff]$/, '')}...`;
}
