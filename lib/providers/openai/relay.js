/** Chooses the client of the OpenAI provider's calls, and maps outcomes of calls to errors. */
import { SluiceError } from '../../internal/util/errors.js';
import native from '../../internal/native/addon.js';
import {
  choicesError,
  contentTypeError,
  disconnectedError,
  encodingError,
  errorForAnswer,
  finishError,
  incompleteError,
  invalidResponse,
  protocolError,
  reportedError,
  stalledError,
  statusError,
  unreachableError,
} from './errors.js';

/** @typedef {import('../../internal/native/relay-types.js').RelayOutcome} RelayOutcome */
/** @typedef {import('../shared/errors.js').ProviderError} ProviderError */

/**
 * Whether the hub should make the calls if it can.
 * @param {'auto' | 'native' | 'undici'} client
 * @param {URL} origin of the upstream
 */
export function choosesNative(client, origin) {
  if (client === 'undici') return false;
  const available = native.upstreamClient() !== '';
  if (client === 'native') {
    if (available) return true;
    throw new SluiceError(
      'ERR_NO_NATIVE_CLIENT',
      'client "native" needs libcurl 7.62 or later on this machine (on Debian: libcurl4);' +
        ' "auto" uses Node without it',
    );
  }
  // Certificates configured for Node must apply to these calls too.
  const { NODE_EXTRA_CA_CERTS, NODE_TLS_REJECT_UNAUTHORIZED } = process.env;
  const trustsByNode = NODE_EXTRA_CA_CERTS || NODE_TLS_REJECT_UNAUTHORIZED === '0';
  return available && !(origin.protocol === 'https:' && trustsByNode);
}

/**
 * @param {RelayOutcome} outcome
 * @param {{idleMs: number, secrets: readonly string[]}} call
 * @returns {ProviderError}
 */
function failureOf(outcome, { idleMs, secrets }) {
  const { failure, status, text, code } = outcome;
  const cause = code === '' ? undefined : Object.assign(new Error(code), { code });
  switch (failure) {
    case 'status': {
      const { retry_after: after, retry_after_ms: afterMs } = outcome;
      const headers = {
        'retry-after': after || undefined,
        'retry-after-ms': afterMs || undefined,
        location: outcome.location || undefined,
      };
      return statusError(status, headers, text, secrets);
    }
    case 'content_type':
      return contentTypeError(text, secrets);
    case 'invalid':
      return invalidResponse(text);
    case 'reported':
      return reportedError({ message: text, code, type: outcome.type }, secrets);
    case 'encoding':
      return encodingError(text, secrets);
    case 'finish':
      return finishError(text, secrets);
    case 'stalled':
      return stalledError(idleMs);
    case 'unreachable':
      return unreachableError(code, cause);
    case 'disconnected':
      return disconnectedError(cause);
    case 'protocol':
      return protocolError(cause);
    case 'choices':
      return choicesError(text);
    default:
      return incompleteError(text === '');
  }
}

/**
 * Errors of a relayed call's answers.
 * @param {RelayOutcome} outcome
 * @param {{idleMs: number, secrets: readonly string[]}} call
 * @returns {(ProviderError | undefined)[]} by index; undefined for a successful answer
 */
export function relayErrors(outcome, call) {
  if (outcome.failure === 'none') return [];
  const failure = failureOf(outcome, call);
  return outcome.failed.map((delivered) =>
    delivered === null ? undefined : errorForAnswer(failure, delivered),
  );
}

/**
 * The upstream's message about a request refused as malformed; empty for other outcomes.
 * @param {RelayOutcome} outcome
 */
export function refusalOf({ failure, status, body_whole: isWhole, text }) {
  return failure === 'status' && isWhole && (status === 400 || status === 422) ? text : '';
}
