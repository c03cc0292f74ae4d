/**
 * Makes a provider of a plain `async function*(request, {signal})` that yields text.
 */
import { abortReason, SluiceError } from '../errors.js';
import { linkSignals } from './link-signals.js';
import { checkFunction, checkOptions, checkString } from '../validate.js';

/** @typedef {import('./types.js').ProviderEnd} ProviderEnd */

/**
 * @typedef {(request: import('./types.js').ProviderRequest, options: {signal: AbortSignal}) =>
 *   AsyncIterable<string>} Generator
 */

/**
 * @param {Generator} generate yields text; what it returns may say how it ended ({reason, usage})
 * @param {{name?: string, model?: string}} [options] `model` is what /v1/models lists and jobs
 *   carry; by default the function's own name
 * @returns {import('./types.js').Provider}
 */
export function fromFunction(generate, options) {
  checkFunction('provider', generate);
  const given = checkOptions('options', options);
  const name = checkString('name', given.name ?? 'function');
  const model = checkString('model', given.model ?? (generate.name || 'function'));
  const closing = new AbortController();
  return {
    name,
    models: [{ id: model }],
    takesBatches: false,
    enforcesMaxTokens: false,
    generate(request, { signal }) {
      return new Guarded(generate, request, [signal, closing.signal]);
    },
    async close() {
      closing.abort();
    },
  };
}

/**
 * The user's iterator, made to obey: an abort settles a pending next() at once, even when the
 * function never looks at its signal, and the function is told to return as soon as it can.
 * @implements {AsyncIterator<string, ProviderEnd | undefined>}
 */
class Guarded {
  /** @type {AsyncIterator<string, ProviderEnd | undefined> | undefined} */
  #inner;
  #start;
  #link;

  /**
   * @param {Generator} generate
   * @param {import('./types.js').ProviderRequest} request
   * @param {AbortSignal[]} signals
   */
  constructor(generate, request, signals) {
    this.#link = linkSignals(signals);
    const { signal } = this.#link;
    this.#start = () => {
      const iterable = generate(request, { signal });
      if (typeof iterable?.[Symbol.asyncIterator] !== 'function') {
        throw new SluiceError(
          'ERR_PROVIDER_ERROR',
          'The provider function takes (request, {signal}) and returns an async iterable of text:' +
            ' write it as async function*.',
          { wireCode: 'provider_error', type: 'provider_error' },
        );
      }
      return iterable[Symbol.asyncIterator]();
    };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<string, ProviderEnd | undefined>>} */
  next() {
    return new Promise((resolve, reject) => {
      const { signal } = this.#link;
      if (signal.aborted) return reject(abortReason(signal));
      const onAbort = () => {
        reject(abortReason(signal));
        void this.return();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#step()
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  async #step() {
    this.#inner ??= this.#start();
    const step = await this.#inner.next();
    if (step.done) this.#link.unlink();
    return step;
  }

  /** @returns {Promise<IteratorResult<string, ProviderEnd | undefined>>} */
  async return() {
    this.#link.abort();
    try {
      await this.#inner?.return?.();
    } catch {
      // The request is over; what the function's clean-up throws concerns nobody.
    }
    return { done: true, value: undefined };
  }
}
