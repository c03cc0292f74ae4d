/**
 * Errors between Sluice and a model, with the codes in answers about jobs.
 *
 * A message is short and safe to show to an end user: it contains no address and no key, and from a
 * body only the upstream's error message, truncated. `cause` holds the cause, for logs.
 */
import { SluiceError } from '../../internal/util/errors.js';
import { checkOptions } from '../../internal/util/validate.js';

/**
 * The wire codes, `error.code` of a failed job. `ProviderError.code` is `ERR_` and the same in
 * upper case.
 * @typedef {'upstream_rate_limited' | 'upstream_bad_request' | 'upstream_unauthorized' | 'upstream_unavailable'
 *   | 'upstream_disconnected' | 'upstream_invalid_response' | 'upstream_stalled'
 *   | 'upstream_error' | 'upstream_incomplete' | 'wall_time_exceeded' | 'provider_error'
 *   | 'overloaded'} WireCode
 */

/** @type {Partial<Record<WireCode, string>>} */
const typesOfOthers = {
  wall_time_exceeded: 'timeout_error',
  provider_error: 'provider_error',
  overloaded: 'overloaded_error',
};

/**
 * An upstream's answer other than a success: its status, and the safe parts of its error object.
 * Missing members are empty.
 * @typedef {{status: number, message: string, type: string, code: string, param: string}}
 *   UpstreamRefusal
 */

const DETAILS = Object.freeze(['retryable', 'elsewhere', 'retryAfterMs', 'upstream', 'cause']);

/** A provider's failure. */
export class ProviderError extends SluiceError {
  /**
   * @param {WireCode} wireCode
   * @param {string} message
   * @param {object} [details]
   * @param {boolean} [details.retryable] whether another attempt may help; default false
   * @param {boolean} [details.elsewhere] whether another upstream may help; default as `retryable`
   * @param {number} [details.retryAfterMs] wait requested by the upstream before a retry
   * @param {UpstreamRefusal} [details.upstream] details of the upstream's refusal
   * @param {unknown} [details.cause]
   */
  constructor(wireCode, message, details) {
    const given = checkOptions('ProviderError', details, DETAILS);
    const { retryable = false, elsewhere = retryable, retryAfterMs, upstream, cause } = given;
    super(`ERR_${wireCode.toUpperCase()}`, message, { cause });
    this.name = 'ProviderError';
    /** @type {WireCode} */
    this.wireCode = wireCode;
    /** @type {string} `error.type` in answers */
    this.type = typesOfOthers[wireCode] ?? 'upstream_error';
    /** @type {boolean} */
    this.retryable = retryable;
    /** @type {boolean} */
    this.elsewhere = elsewhere;
    /** @type {number | undefined} */
    this.retryAfterMs = retryAfterMs;
    /** @type {UpstreamRefusal | undefined} */
    this.upstream = upstream;
  }
}

/**
 * A request that the provider cannot express to its model: a 400 on the faces.
 * @param {string} message
 * @param {object} details
 * @param {string} details.code of the error
 * @param {string} details.param the member at fault
 * @param {boolean} [details.elsewhere] whether another upstream may accept it; default false
 */
export function requestRefusal(message, { code, param, elsewhere }) {
  const type = 'invalid_request_error';
  return new ProviderError('upstream_bad_request', message, {
    elsewhere,
    upstream: { status: 400, message, type, code, param },
  });
}

const QUOTED_CHARS_MAX = 200;

/** Clients of the faces react to the whole message of a refusal. */
export const REFUSAL_CHARS_MAX = 2000;

/** Keys by their prefixes, masked ones included, and bearer tokens. */
const KEYS = /\b(?:sk|pk|rk|gsk|xai)[-_][\w.*-]*[\w*]|\bAIza[\w-]{10,}|\bbearer\s+\S+/i;

/** Members of a text that may hold credentials: `api_key=...`, `token: ...`. */
const CREDENTIALS = /\b(?:api[-_]?key|token|password)[=:]\s*\S+/gi;

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
 * An upstream's message made safe to pass on: one short line, without credentials. Messages with a
 * key are not quoted at all.
 * @param {unknown} text
 * @param {readonly string[]} secrets
 * @param {number} [charsMax] default 200
 * @returns {string} empty if there is nothing to quote
 */
export function quoteUpstream(text, secrets, charsMax = QUOTED_CHARS_MAX) {
  if (typeof text !== 'string') return '';
  if (KEYS.test(text) || secrets.some((secret) => text.includes(secret))) return '';
  const line = withoutTrace(text.slice(0, 8 * charsMax))
    .replace(CREDENTIALS, '[redacted]')
    // oxlint-disable-next-line no-control-regex -- it removes control characters
    .replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
  if (line.length <= charsMax) return line;
  return `${line.slice(0, charsMax).replace(/[\ud800-\udbff]$/, '')}...`;
}
