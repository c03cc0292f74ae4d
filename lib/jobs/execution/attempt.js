/**
 * One attempt of one job: the text that a provider gives, on its way to the job's log, and how the
 * attempt ends. Main thread only.
 *
 * It ends by `complete`, by `fail`, at the token limit, or by the job's own ending (the record's
 * abort signal); then it is `done`, and adds nothing more.
 */
import { providerError, readFailure } from './failure.js';

/** @typedef {import('../../providers/shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('./failure.js').Failure} Failure */

/**
 * @param {any} usage
 * @returns {ProviderEnd['usage']} undefined, for the hub to count, unless it is what it should be
 */
function checkedUsage(usage) {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
  const counts = [prompt, completion].every((count) => Number.isSafeInteger(count) && count >= 0);
  return counts ? { prompt_tokens: prompt, completion_tokens: completion } : undefined;
}

/** See the head of this file. */
export class Run {
  /** True when this attempt has nothing more to add to the log. */
  done = false;
  /** Whether a batch's provider has said that this request is through. */
  told = false;
  /** @type {Failure | undefined} set when the attempt failed in a way that permits another */
  retryError = undefined;
  #hub;
  #held = '';
  #tokens = 0;
  #tokensMax;
  #mayRetry;
  #exposeErrors;
  #onDone;

  /**
   * @param {object} options
   * @param {import('../job.js').JobRecord} options.record
   * @param {import('../../streams/hub.js').JobHub} options.hub
   * @param {boolean} options.limitTokens
   * @param {boolean} options.exposeErrors whether clients see the message of any error
   * @param {(failure: Failure) => boolean} options.mayRetry asked when the attempt failed before its
   *   first token
   */
  constructor({ record, hub, limitTokens, exposeErrors, mayRetry }) {
    this.record = record;
    this.#hub = hub;
    this.#tokensMax = (limitTokens ? record.request?.max_tokens : undefined) ?? Infinity;
    this.#mayRetry = mayRetry;
    this.#exposeErrors = exposeErrors;
    this.#onDone = () => {};
    if (record.abort.signal.aborted) this.done = true;
    else record.abort.signal.addEventListener('abort', this.#stop, { once: true });
  }

  /** @param {() => void} onDone called once, when `done` becomes true; at once if it is */
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
   * @returns {Promise<void> | undefined} to be awaited before the next chunk is asked for
   */
  push(chunk) {
    if (typeof chunk !== 'string') {
      const kind = chunk === null ? 'null' : typeof chunk;
      throw providerError(`The provider yielded a value of type ${kind} where text belongs.`);
    }
    let text = this.#held + chunk;
    this.#held = '';
    // Half a character has no UTF-8: it waits for its other half.
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

  /** @param {ProviderEnd | undefined} end what the provider said at its end, if anything */
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

  /** @param {unknown} error any value; its getters may throw */
  fail(error) {
    if (this.done) return;
    const failure = readFailure(error, { exposeErrors: this.#exposeErrors });
    if (this.#tokens === 0 && this.#mayRetry(failure)) {
      this.retryError = failure;
      this.#stop();
      return;
    }
    this.record.failure = failure;
    this.#end({ type: 'error', error: failure.wire });
  }

  /** @param {import('../../streams/types.js').TerminalInput} terminal */
  #end(terminal) {
    this.record.providerDone = true;
    this.#hub.finish(this.record.handle, terminal);
    this.#stop();
  }
}
