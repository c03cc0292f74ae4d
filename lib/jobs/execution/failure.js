/**
 * Errors thrown by providers, read once. A user's provider may throw any value: one without a string form,
 * with getters that throw, or a Proxy. All other files use the plain copy, so that a job ends
 * with any thrown value. Main thread only.
 */
import { inspect } from 'node:util';
import { SluiceError } from '../../internal/util/errors.js';

/**
 * @typedef {object} Failure
 * @property {{code: string, message: string, type: string}} wire the error in the terminal event
 * @property {boolean} [retryable] whether another attempt may help, if the provider said so
 * @property {boolean} [elsewhere] whether another upstream may help, if the provider said so
 * @property {number} [retryAfterMs] milliseconds; the wait that the provider asks for
 * @property {import('../../providers/shared/errors.js').UpstreamRefusal} [upstream] details of the upstream's
 *   refusal
 * @property {Error} [logged] the full error, only for the log; undefined for a typed error, whose
 *   message is in `wire`
 */

const MASKED = "The provider failed; the server's log has the reason.";
const UNREADABLE = 'The provider threw a value that cannot be read.';

/**
 * An error caused by a provider's fault.
 * @param {string} message
 * @param {string} [wireCode]
 */
export function providerError(message, wireCode = 'provider_error') {
  return new SluiceError(`ERR_${wireCode.toUpperCase()}`, message, {
    wireCode,
    type: wireCode === 'provider_error' ? 'provider_error' : 'upstream_error',
  });
}

/**
 * @template T
 * @param {() => T} read accesses the provider's value and may run its code
 * @returns {T | undefined} undefined if it throws
 */
function tryRead(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * @param {any} thrown
 * @returns {string}
 */
function messageOf(thrown) {
  const read = () => (thrown instanceof Error || thrown?.message ? thrown.message : thrown);
  return tryRead(() => String(read())) ?? UNREADABLE;
}

/**
 * @param {any} thrown
 * @param {string} message
 */
function loggedError(thrown, message) {
  const error = new Error(message);
  // Includes causes and further properties, without calling getters.
  error.stack = tryRead(() => inspect(thrown, { customInspect: false })) ?? message;
  return error;
}

/**
 * @param {any} given
 * @returns {import('../../providers/shared/errors.js').UpstreamRefusal | undefined} a plain copy
 */
function refusalIn(given) {
  if (!Number.isInteger(given?.status)) return undefined;
  const text = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : '');
  const { status, message, type, code, param } = given;
  return { status, message: text(message), type: text(type), code: text(code), param: text(param) };
}

/**
 * @param {any} thrown
 * @param {{exposeErrors: boolean}} options `exposeErrors`: whether clients also see the message of an error without
 *   a wire code
 * @returns {Failure}
 */
export function readFailure(thrown, { exposeErrors }) {
  const message = messageOf(thrown);
  const wireCode = tryRead(() => thrown.wireCode);
  const retryable = tryRead(() => thrown.retryable);
  const elsewhere = tryRead(() => thrown.elsewhere);
  const retryAfterMs = tryRead(() => thrown.retryAfterMs);
  const upstream = tryRead(() => refusalIn(thrown.upstream));
  const hints = {
    ...(typeof retryable === 'boolean' && { retryable }),
    ...(typeof elsewhere === 'boolean' && { elsewhere }),
    ...(typeof retryAfterMs === 'number' && retryAfterMs > 0 && { retryAfterMs }),
    ...(upstream !== undefined && { upstream }),
  };
  if (typeof wireCode === 'string') {
    const type = tryRead(() => thrown.type);
    const wire = {
      code: wireCode,
      message,
      type: typeof type === 'string' ? type : 'provider_error',
    };
    return { wire, ...hints };
  }
  const shown = exposeErrors ? message : MASKED;
  return {
    wire: { code: 'provider_error', message: shown, type: 'provider_error' },
    ...hints,
    logged: loggedError(thrown, message),
  };
}
