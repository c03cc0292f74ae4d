import { StopFilter } from '../../providers/shared/stop-filter.js';
import { AnswerEntries } from './answer-entries.js';
import { providerError, readFailure } from './failure.js';
import { tokenLimitOf } from '../checked-request.js';

/** @typedef {import('../../providers/shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('./failure.js').Failure} Failure */
/** @typedef {import('../../streams/types.js').EntryInput} EntryInput */

/**
 * @param {any} usage
 * @returns {ProviderEnd['usage']} undefined if invalid; the hub then counts tokens itself
 */
function checkedUsage(usage) {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage ?? {};
  const counts = [prompt, completion].every((count) => Number.isSafeInteger(count) && count >= 0);
  // A copy, so that the provider's value is read only here.
  return counts ? JSON.parse(JSON.stringify(usage)) : undefined;
}

/** @type {readonly string[]} */
const NO_STOPS = Object.freeze([]);

const REASONS = /** @type {const} */ (['stop', 'length', 'tool_calls', 'content_filter']);

/**
 * @param {unknown} given the reason that a provider returned
 * @param {boolean} hasCalls whether the answer has calls of tools
 * @returns {(typeof REASONS)[number]}
 */
function checkedReason(given, hasCalls) {
  const known = REASONS.find((reason) => reason === given);
  if (known === undefined && given !== undefined && given !== null) {
    const shown = typeof given === 'string' ? `"${given.slice(0, 100)}"` : typeof given;
    throw providerError(
      `The provider returned the reason ${shown}; it must be one of ${REASONS.join(', ')}.`,
    );
  }
  if (known === 'length' || known === 'content_filter') return known;
  return hasCalls ? 'tool_calls' : 'stop';
}

/**
 * @param {string} sequence the stop string that ended the text
 * @returns {{details: object}} the member for the ending
 */
const stoppedAt = (sequence) => ({ details: { stop_sequence: sequence } });

/**
 * One attempt of one job: writes the provider's answer to the job's log and ends the attempt. Main
 * thread only.
 *
 * An attempt ends by `complete`, by `fail`, before a stop string, at the token limit, or with the job
 * (the record's abort signal). It is `done` then, and writes nothing more.
 */
export class Run {
  #isDone = false;
  /** Whether the provider of a batch has sent this request's `end` event. */
  providerEnded = false;
  /** @type {Failure | undefined} set when the attempt failed and may be retried */
  retryError = undefined;
  #hub;
  /** Made for the first value: the answer of a relay passes the hub alone. @type {AnswerEntries | undefined} */
  #entries = undefined;
  /** Entries of any kind, including those that the filter holds back. */
  #tokens = 0;
  /** Whether the log's window was open after the last one. */
  #isOpen = true;
  #tokensMax;
  /** @type {StopFilter | undefined} */
  #filter = undefined;
  #mayRetry;
  #exposeErrors;
  /** @type {(() => void) | undefined} */
  #onDone = undefined;
  /** Ends the wait for the job's own ending. @type {(() => void) | undefined} */
  #release = undefined;

  /**
   * @param {object} options
   * @param {import('../job.js').JobRecord} options.record
   * @param {import('../../streams/hub.js').JobHub} options.hub
   * @param {boolean} options.limitTokens
   * @param {boolean} options.exposeErrors whether clients see the message of any error
   * @param {(record: import('../job.js').JobRecord, failure: Failure) => boolean} options.mayRetry asked when the
   *   attempt failed before its first entry
   */
  constructor({ record, hub, limitTokens, exposeErrors, mayRetry }) {
    this.record = record;
    this.#hub = hub;
    const { request = {} } = record;
    this.#tokensMax = (limitTokens ? tokenLimitOf(request) : undefined) ?? Infinity;
    this.#mayRetry = mayRetry;
    this.#exposeErrors = exposeErrors;
  }

  /** Whether this attempt writes nothing more to the log. */
  get done() {
    return this.#isDone || this.record.abort.aborted;
  }

  /**
   * @param {() => void} onDone called once, when `done` becomes true; immediately if it is already
   */
  whenDone(onDone) {
    if (this.done) {
      onDone();
      return;
    }
    this.#onDone = onDone;
    this.#release = this.record.abort.whenAborted(() => this.#stop());
  }

  #stop() {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#release?.();
    this.#onDone?.();
  }

  get #answerEntries() {
    return (this.#entries ??= new AnswerEntries((entry) => this.#append(entry)));
  }

  /** @returns {StopFilter} the one for the text after the last entry of another kind */
  get #stopFilter() {
    const { stop } = this.record.request ?? {};
    return (this.#filter ??= new StopFilter(stop === undefined ? NO_STOPS : [stop].flat()));
  }

  /**
   * Writes one yielded value, or holds it until its tool call or character is complete.
   * @param {unknown} value
   * @returns {Promise<void> | undefined} await it before requesting the next value
   */
  push(value) {
    this.#isOpen = true;
    this.#answerEntries.push(value);
    return this.done || this.#isOpen ? undefined : this.#hub.writable(this.record.handle);
  }

  /** @param {EntryInput} entry */
  #append(entry) {
    if (this.done) return;
    this.#tokens += 1;
    if (entry.kind === 'text') this.#write(this.#stopFilter.push(entry.text), entry.aux);
    else {
      this.#flush();
      this.#isOpen = this.#hub.appendEntry(this.record.handle, entry);
    }
    const stopSequence = this.#filter?.stopSequence;
    if (stopSequence !== undefined) {
      const reason = checkedReason('stop', this.#answerEntries.hasCalls);
      this.#end({ type: 'complete', reason, ...stoppedAt(stopSequence) });
    } else if (this.#tokens === this.#tokensMax) {
      this.#answerEntries.endCall();
      this.#flush();
      this.#end({ type: 'complete', reason: 'length' });
    }
  }

  /**
   * @param {string} text
   * @param {string} [logprobs] as JSON
   */
  #write(text, logprobs) {
    const { handle } = this.record;
    if (logprobs !== undefined) {
      this.#isOpen = this.#hub.appendEntry(handle, { kind: 'text', text, aux: logprobs });
    } else if (text !== '') this.#isOpen = this.#hub.append(handle, text);
  }

  /** Writes held text that looked like the start of a stop string; no other entry can continue it. */
  #flush() {
    const text = this.#filter?.flush() ?? '';
    if (text === '') return;
    this.#filter = undefined;
    this.#write(text);
  }

  /** @param {ProviderEnd | undefined} end the provider's return value, if any */
  complete(end) {
    if (this.done) return;
    const usage = checkedUsage(end?.usage);
    this.#answerEntries.end();
    const reason = checkedReason(end?.reason, this.#answerEntries.hasCalls);
    // The last entry may have been the last one that the limit permits.
    if (this.done) return;
    this.#flush();
    const { rawReason, stopSequence } = end ?? {};
    /** @type {import('../../streams/types.js').TerminalInput} */
    const terminal = { type: 'complete', reason, usage };
    if (typeof rawReason === 'string') terminal.rawReason = rawReason;
    if (typeof stopSequence === 'string' && reason === 'stop') {
      Object.assign(terminal, stoppedAt(stopSequence));
    }
    this.#end(terminal);
  }

  /** @param {unknown} error any value; its getters may throw */
  fail(error) {
    if (this.done) return;
    const failure = readFailure(error, { exposeErrors: this.#exposeErrors });
    if (this.#tokens === 0 && this.#mayRetry(this.record, failure)) {
      this.retryError = failure;
      this.#stop();
      return;
    }
    this.record.failWith(failure);
    this.#flush();
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
 * Ends a job without a running attempt.
 * @param {import('../job.js').JobRecord} record
 * @param {import('../../streams/hub.js').JobHub} hub
 * @param {Failure} failure
 */
export function endFailed(record, hub, failure) {
  if (record.abort.aborted) return;
  record.failWith(failure);
  record.providerDone = true;
  hub.finish(record.handle, { type: 'error', error: failure.wire });
}
