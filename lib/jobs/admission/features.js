/** Refuses requests that need a feature which the provider lacks. Pure functions. */
import { DEFAULT_FEATURES } from '../../providers/shared/features.js';
import { badRequest } from '../../internal/util/http-error.js';
import { mediumOf } from '../../providers/shared/messages.js';

/** @typedef {import('../../providers/shared/features.js').Feature} Feature */
/** @typedef {import('../../providers/shared/messages.js').ChatMessage} ChatMessage */

/** @param {unknown} value @returns {boolean} whether the value is given, and not an empty list */
const isGiven = (value) =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);

/**
 * @param {ChatMessage & {function_call?: unknown}} message
 * @param {string} at
 * @param {(feature: Feature, param: string) => void} need called for each
 */
function needsOfMessage({ role, content, tool_calls: calls, function_call: call }, at, need) {
  if (role === 'tool' || role === 'function') need('tools', `${at}.role`);
  if (isGiven(calls)) need('tools', `${at}.tool_calls`);
  if (isGiven(call)) need('tools', `${at}.function_call`);
  if (!Array.isArray(content)) return;
  for (const [i, part] of content.entries()) {
    const feature = mediumOf(part);
    if (feature !== undefined) need(feature, `${at}.content[${i}]`);
  }
}

/**
 * @param {import('../checked-request.js').CheckedRequest} request
 * @param {(feature: Feature, param: string) => void} need called for each
 */
function needsOf({ prompt_ids: ids, n = 1, messages, passed }, need) {
  if (n > 1) need('choices', 'n');
  if (ids !== undefined) need('token_prompts', 'prompt');
  if (passed !== undefined) {
    if (isGiven(passed.tools)) need('tools', 'tools');
    if (isGiven(passed.functions)) need('tools', 'functions');
  }
  messages?.forEach((message, i) => needsOfMessage(message, `messages[${i}]`, need));
}

/** Names of features in errors. @type {Partial<Record<Feature, string>>} */
const NAMES = { token_prompts: 'prompts of token ids', choices: 'several answers' };

/**
 * @param {import('../../providers/shared/types.js').Provider} provider
 * @param {import('../checked-request.js').CheckedRequest} request
 * @throws {import('../../internal/util/http-error.js').HttpError} 400 `unsupported_feature`, naming
 *   the field
 */
export function checkFeatures({ name, features = DEFAULT_FEATURES }, request) {
  needsOf(request, (feature, param) => {
    if (features.includes(feature)) return;
    const message = `The provider ${name} does not take ${NAMES[feature] ?? feature}; ${param} needs them.`;
    throw badRequest('unsupported_feature', param, message);
  });
}
