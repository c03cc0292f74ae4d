/** The request that a provider receives for a job. Pure functions. */
import { tokenLimitOf } from '../checked-request.js';
import { withSignal } from '../../internal/util/abort.js';

/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */

/** @param {CheckedRequest} request */
function bodyOf({ passed, stop, max_tokens: older, max_completion_tokens: newer }) {
  const body = /** @type {Record<string, unknown>} */ ({ ...passed });
  // In the caller's form: a string stays a string.
  if (stop !== undefined) body.stop = stop;
  // The limit then has its newer name.
  if (older !== undefined && newer !== undefined) body.max_tokens = older;
  return body;
}

/**
 * @param {import('../job.js').JobRecord} record of a job that has not ended
 * @param {string} [model] the upstream's name of the model; default: the job's
 * @returns {import('../../providers/shared/types.js').ProviderRequest}
 */
export function providerRequest(record, model = record.model) {
  const request = /** @type {CheckedRequest} */ (record.request);
  const asked = {
    id: record.id,
    prompt: request.prompt,
    promptIds: request.prompt_ids,
    messages: request.messages,
    model,
    maxTokens: tokenLimitOf(request),
    limitName: request.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens',
    temperature: request.temperature,
    stop: request.stop === undefined ? undefined : [request.stop].flat().filter(Boolean),
    n: request.n,
    metadata: request.metadata,
    body: bodyOf(request),
  };
  if (request.history !== undefined) {
    Object.assign(asked, { history: request.messages?.slice(...request.history) });
  }
  return /** @type {any} */ (withSignal(asked, record.abort));
}
