/** Refuses requests that need a feature which the provider lacks. Pure functions. */
import { DEFAULT_FEATURES } from '../../providers/shared/features.js';
import { badRequest } from '../../internal/util/http-error.js';
import { mediumOf } from '../../providers/shared/messages.js';

/** @typedef {import('../../providers/shared/features.js').Feature} Feature */
/** @typedef {import('../../providers/shared/messages.js').ChatMessage} ChatMessage */
/** @typedef {{feature: Feature, param: string}} Need */

/** @param {unknown} value @returns {boolean} whether it is given, and no empty list */
const isGiven = (value) =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

/**
 * @param {ChatMessage & {function_call?: unknown}} message
 * @param {string} at
 * @returns {Generator<Need, void>}
 */
function* needsOfMessage({ role, content, tool_calls: calls, function_call: call }, at) {
  if (role === 'tool' || role === 'function') yield { feature: 'tools', param: `${at}.role` };
  if (isGiven(calls)) yield { feature: 'tools', param: `${at}.tool_calls` };
  if (isGiven(call)) yield { feature: 'tools', param: `${at}.function_call` };
  if (!Array.isArray(content)) return;
  for (const [i, part] of content.entries()) {
    const feature = mediumOf(part);
    if (feature !== undefined) yield { feature, param: `${at}.content[${i}]` };
  }
}

/**
 * @param {import('../checked-request.js').CheckedRequest} request
 * @returns {Generator<Need, void>}
 */
function* needsOf({ prompt_ids: ids, n = 1, messages = [], passed = {} }) {
  if (n > 1) yield { feature: 'choices', param: 'n' };
  if (ids !== undefined) yield { feature: 'token_prompts', param: 'prompt' };
  for (const name of ['tools', 'functions']) {
    if (isGiven(passed[name])) yield { feature: 'tools', param: name };
  }
  for (const [i, message] of messages.entries()) yield* needsOfMessage(message, `messages[${i}]`);
}

/** What an error calls a feature. @type {Partial<Record<Feature, string>>} */
const NAMES = { token_prompts: 'prompts of token ids', choices: 'several answers' };

/**
 * @param {import('../../providers/shared/types.js').Provider} provider
 * @param {import('../checked-request.js').CheckedRequest} request
 * @throws {import('../../internal/util/http-error.js').HttpError} 400 `unsupported_feature`, naming
 *   the field
 */
export function checkFeatures({ name, features = DEFAULT_FEATURES }, request) {
  for (const { feature, param } of needsOf(request)) {
    if (features.includes(feature)) continue;
    const message = `The provider ${name} does not take ${NAMES[feature] ?? feature}; ${param} needs them.`;
    throw badRequest('unsupported_feature', param, message);
  }
}
