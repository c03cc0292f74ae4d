import { StopFilter } from '../../providers/shared/stop-filter.js';
import { providerError, readFailure } from './failure.js';
import { tokenLimitOf } from '../checked-request.js';

/** @typedef {import('../../providers/shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('./failure.js').Failure} Failure */

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
 * An attempt ends by `complete`, by `fail`, before a stop string, at the token limit, or with the job
 * (the record's abort signal). It is `done` then, and writes nothing more.
 */
export class Run {
  /** True when this attempt writes nothing more to the log. */
  done = false;
  /** Whether the provider of a batch has sent this request's `end` event. */
  told = false;
  /** @type {Failure | undefined} set when the attempt failed and may be retried */
  retryError = undefined;
  #hub;
  #held = '';
  /** Chunks of the provider, including those that the filter holds back. */
  #tokens = 0;
  #tokensMax;
  #filter;
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
    const { request = {} } = record;
    this.#tokensMax = (limitTokens ? tokenLimitOf(request) : undefined) ?? Infinity;
    this.#filter = new StopFilter([request.stop ?? []].flat());
    this.#mayRetry = mayRetry;
    this.#exposeErrors = exposeErrors;
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
    const open = this.#write(this.#filter.push(text));
    if (this.#filter.stopped) {
      this.#end({ type: 'complete', reason: 'stop' });
      return undefined;
    }
    if (this.#tokens >= this.#tokensMax) {
      this.#write(this.#filter.flush());
      this.#end({ type: 'complete', reason: 'length' });
      return undefined;
    }
    return open ? undefined : this.#hub.writable(this.record.handle);
  }

  /**
   * @param {string} text
   * @returns {boolean} whether the log accepts more at once
   */
  #write(text) {
    return text === '' || this.#hub.append(this.record.handle, text);
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
    this.#write(this.#filter.flush());
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
    this.record.ownFailure = failure;
    this.#write(this.#filter.flush());
    this.#end({ type: 'error', error: failure.wire });
  }

  /** @param {import('../../streams/types.js').TerminalInput} terminal */
  #end(terminal) {
    this.record.providerDone = true;
    this.#hub.finish(this.record.handle, terminal);
    this.#stop();
  }
}

/**
 * Ends a job that no attempt is running for.
 * @param {import('../job.js').JobRecord} record
 * @param {import('../../streams/hub.js').JobHub} hub
 * @param {Failure} failure
 */
export function endFailed(record, hub, failure) {
  if (record.abort.signal.aborted) return;
  record.ownFailure = failure;
  record.providerDone = true;
  hub.finish(record.handle, { type: 'error', error: failure.wire });
}
