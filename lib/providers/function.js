/**
 * Makes a provider of a plain `async function*(request, {signal})` that yields text.
 */
import { SluiceError } from '../internal/util/errors.js';
import { checkFunction, checkOptions, checkString } from '../internal/util/validate.js';

/**
 * @typedef {(request: import('./shared/types.js').ProviderRequest, options: {signal: AbortSignal}) =>
 *   AsyncIterable<string, import('./shared/types.js').ProviderEnd | undefined | void>} Generator
 */

/**
 * @param {Generator} generate yields text; what it returns may say how it ended ({reason, usage})
 * @param {{name?: string, model?: string}} [options] `model` is what /v1/models lists and jobs
 *   carry; by default the function's own name
 * @returns {import('./shared/types.js').Provider}
 */
export function fromFunction(generate, options) {
  checkFunction('provider', generate);
  const given = checkOptions('options', options, ['name', 'model']);
  const name = checkString('name', given.name ?? 'function');
  const model = checkString('model', given.model ?? (generate.name || 'function'));
  return {
    name,
    models: [{ id: model }],
    // What a model's name means is the function's business.
    takesAnyModel: true,
    takesBatches: false,
    enforcesMaxTokens: false,
    generate(request, { signal }) {
      // Handed on as it is: whoever pulls it stops at an abort by himself, also when the function
      // never looks at its signal, and a layer in between would cost more than all the rest.
      const iterable = generate(request, { signal });
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
