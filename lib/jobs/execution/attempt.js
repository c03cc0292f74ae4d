import { SluiceError } from '../../internal/util/errors.js';

/** @typedef {import('../../providers/shared/types.js').ProviderEnd} ProviderEnd */

/**
 * An error made by a provider.
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
 * The error of a terminal event. A provider's typed errors keep their code; an error thrown by a
 * user's generator becomes a `provider_error` with its message.
 * @param {any} error
 * @returns {{code: string, message: string, type: string}}
 */
function wireError(error) {
  const message = error instanceof Error || error?.message ? String(error.message) : String(error);
  if (typeof error?.wireCode === 'string') {
    return { code: error.wireCode, message, type: error.type ?? 'provider_error' };
  }
  return { code: 'provider_error', message, type: 'provider_error' };
}

/**
 * @param {any} usage
 * @returns {ProviderEnd['usage']} undefined if invalid; the hub then counts tokens itself
 */
function checkedUsage(usage) {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
  const counts = [prompt, completion].every((count) => Number.isSafeInteger(count) && count >= 0);
  return counts ? { prompt_tokens: prompt, completion_tokens: completion } : undefined;
}

/**
 * One attempt of one job: writes the provider's text to the job's log and ends the attempt. Main
 * thread only.
 *
 * An attempt ends by `complete`, by `fail`, at the token limit, or with the job (the record's abort
 * signal). It is `done` then, and writes nothing more.
 */
export class Run {
  /** True when this attempt writes nothing more to the log. */
  done = false;
  /** Whether the provider of a batch has sent this request's `end` event. */
  told = false;
  /** @type {unknown} set when the attempt failed and may be retried */
  retryError = undefined;
  #hub;
  #held = '';
  #tokens = 0;
  #tokensMax;
  #mayRetry;
  #onDone;

  /**
   * @param {object} options
   * @param {import('../job.js').JobRecord} options.record
   * @param {import('../../streams/hub.js').JobHub} options.hub
   * @param {boolean} options.limitTokens
   * @param {(error: unknown) => boolean} options.mayRetry asked when the attempt failed before its
   *   first token
   */
  constructor({ record, hub, limitTokens, mayRetry }) {
    this.record = record;
    this.#hub = hub;
    this.#tokensMax = (limitTokens ? record.request?.max_tokens : undefined) ?? Infinity;
    this.#mayRetry = mayRetry;
    this.#onDone = () => {};
    if (record.abort.signal.aborted) this.done = true;
    else record.abort.signal.addEventListener('abort', this.#stop, { once: true });
  }

  /**
   * @param {() => void} onDone called once, when `done` becomes true; immediately if it is already
   */
  whenDone(onDone) {
    this.#onDone = onDone;
    if (this.done) onDone();
  }

  #stop = () => {
    if (this.done) return;
    this.done = true;
    this.record.abort.signal.removeEventListener('abort', this.#stop);
    this.#onDone();
  };

  /**
   * Appends one chunk.
   * @param {unknown} chunk
   * @returns {Promise<void> | undefined} await it before requesting the next chunk
   */
  push(chunk) {
    if (typeof chunk !== 'string') {
      const kind = chunk === null ? 'null' : typeof chunk;
      throw providerError(`The provider yielded a value of type ${kind} where text belongs.`);
    }
    let text = this.#held + chunk;
    this.#held = '';
    // A lone surrogate has no UTF-8 encoding, so it waits for its other half.
    const last = text.charCodeAt(text.length - 1);
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#held = text.slice(-1);
      text = text.slice(0, -1);
    }
    return text === '' ? undefined : this.#append(text);
  }

  /** @param {string} text */
  #append(text) {
    this.#tokens += 1;
    const open = this.#hub.append(this.record.handle, text);
    if (this.#tokens >= this.#tokensMax) {
      this.#end({ type: 'complete', reason: 'length' });
      return undefined;
    }
    return open ? undefined : this.#hub.writable(this.record.handle);
  }

  /** @param {ProviderEnd | undefined} end the provider's return value, if any */
  complete(end) {
    if (this.done) return;
    if (this.#held !== '') {
      const text = this.#held;
      this.#held = '';
      this.#append(text);
      if (this.done) return;
    }
    const reason = end?.reason === 'length' ? 'length' : 'stop';
    this.#end({ type: 'complete', reason, usage: checkedUsage(end?.usage) });
  }

  /** @param {unknown} error */
  fail(error) {
    if (this.done) return;
    if (this.#tokens === 0 && this.#mayRetry(error)) {
      this.retryError = error;
      this.#stop();
      return;
    }
    this.record.failure = error;
    this.#end({ type: 'error', error: wireError(error) });
  }

  /** @param {import('../../streams/types.js').TerminalInput} terminal */
  #end(terminal) {
    this.record.providerDone = true;
    this.#hub.finish(this.record.handle, terminal);
    this.#stop();
  }
}
