/** The features that a request may need of a provider. */
import { checkChoice } from '../../internal/util/validate.js';
import { typeError } from '../../internal/util/errors.js';

/**
 * `tools`: tools, calls and their results; `images`, `audio`, `files`: message parts of this kind;
 * `token_prompts`: a prompt as token ids; `choices`: several answers to a request.
 * @typedef {'tools' | 'images' | 'audio' | 'files' | 'token_prompts' | 'choices'} Feature
 */

/** @type {readonly Feature[]} */
export const FEATURES = Object.freeze([
  'tools',
  'images',
  'audio',
  'files',
  'token_prompts',
  'choices',
]);

/** The features of a provider that declares none. @type {readonly Feature[]} */
export const DEFAULT_FEATURES = Object.freeze(['tools', 'images', 'audio', 'files']);

/**
 * @param {unknown} features
 * @returns {readonly Feature[] | undefined} undefined: not declared
 */
export function checkFeatureList(features) {
  if (features === undefined) return undefined;
  if (!Array.isArray(features)) {
    throw typeError(`features takes an array of ${FEATURES.join(', ')}`);
  }
  return features.map((feature) => checkChoice('features', feature, FEATURES));
}
