/** Makes a provider from a plain `async function*(request, {signal})` that yields an answer. */
import { SluiceError } from '../internal/util/errors.js';
import { checkFeatureList } from './shared/features.js';
import { checkFunction, checkOptions, checkString } from '../internal/util/validate.js';

/**
 * @typedef {(request: import('./shared/types.js').ProviderRequest, options: {signal: AbortSignal}) =>
 *   AsyncIterable<import('./shared/types.js').AnswerPiece,
 *   import('./shared/types.js').ProviderEnd | undefined | void>} Generator
 */

/**
 * @param {Generator} generate yields text, or pieces of other kinds; may return its end ({reason, usage})
 * @param {{name?: string, model?: string, features?: string[]}} [options] `model`: name in /v1/models
 *   and in jobs; default: the function's name. `features`: see `Provider`; default: the function's
 *   property of that name
 * @returns {import('./shared/types.js').Provider}
 */
export function fromFunction(generate, options) {
  checkFunction('provider', generate);
  const given = checkOptions('options', options, ['name', 'model', 'features']);
  const name = checkString('name', given.name ?? 'function');
  const model = checkString('model', given.model ?? (generate.name || 'function'));
  const own = /** @type {{features?: unknown}} */ (/** @type {unknown} */ (generate)).features;
  const features = checkFeatureList(given.features ?? own);
  return {
    name,
    ...(features && { features }),
    models: [{ id: model }],
    // The function interprets the model's name.
    takesAnyModel: true,
    takesBatches: false,
    enforcesMaxTokens: false,
    generate(request, callOptions) {
      // Returned unchanged: the consumer stops pulling on an abort even if the function ignores its
      // signal, and a wrapper would cost more than everything else per token.
      const iterable = generate(request, callOptions);
      if (typeof iterable?.[Symbol.asyncIterator] === 'function') return iterable;
      throw new SluiceError(
        'ERR_PROVIDER_ERROR',
        'The provider function takes (request, {signal}) and returns an async iterable of text:' +
          ' write it as async function*.',
        { wireCode: 'provider_error', type: 'provider_error' },
      );
    },
  };
}
