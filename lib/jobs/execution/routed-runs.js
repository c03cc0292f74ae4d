import { Run, endFailed } from './attempt.js';
import { readFailure } from './failure.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('./failure.js').Failure} Failure */
/** @typedef {import('../../providers/shared/types.js').Provider} Provider */
/** @typedef {import('../../providers/shared/types.js').RoutedCall} RoutedCall */

/** Interval of the checks for the first entry of a trial call; other calls report at their end. */
const TRIAL_POLL_MS = 100;

/**
 * Runs jobs of a provider with several upstreams: after a failure before the first entry it continues at once at
 * the next upstream, as a further attempt. When none is left the job returns to the queue, as `retry.attempts`
 * permits, or ends with the last failure. Main thread only.
 */
export class RoutedRuns {
  #provider;
  #hub;
  #lifecycle;
  #exposeErrors;
  #pump;

  /**
   * @param {object} deps
   * @param {Provider} deps.provider with `route`
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('./lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {boolean} deps.exposeErrors
   * @param {(runs: Run[], provider: Provider, model: string) => Promise<void>} deps.pump moves the text
   *   of one attempt; resolves when the provider has stopped
   */
  constructor({ provider, hub, lifecycle, exposeErrors, pump }) {
    this.#provider = provider;
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    this.#exposeErrors = exposeErrors;
    this.#pump = pump;
  }

  /**
   * Runs attempts of one job until it has ended, or returns to the queue.
   * @param {JobRecord} record
   * @returns {Promise<Failure | undefined>} the failure after which the queue retries it
   */
  async run(record) {
    const failure = await this.#runRound(record);
    if (failure === undefined) record.route = undefined;
    return failure;
  }

  /** @param {JobRecord} record @returns {Promise<Failure | undefined>} */
  async #runRound(record) {
    const { signal } = record.abort;
    record.route ??= /** @type {import('../job.js').Route} */ (
      this.#provider.route?.(record.model)
    );
    const { route } = record;
    route.beginRound();
    /** @type {Failure | undefined} */
    let failure;
    for (;;) {
      // A job without attempts left still tries upstreams that it has not used.
      const again = this.#lifecycle.hasAttemptsLeft(record);
      const call = await route.next(signal, { again });
      if (call === undefined) break;
      if (!this.#lifecycle.beginAttempt(record, call.upstream)) {
        call.end('abandoned');
        return undefined;
      }
      failure = await this.#attempt(record, call);
      if (failure === undefined) return undefined;
    }
    if (signal.aborted) return undefined;
    failure ??= readFailure(route.unavailable(), { exposeErrors: this.#exposeErrors });
    const waitMs = route.waitMs();
    const last = { ...failure, retryAfterMs: waitMs > 0 ? waitMs : undefined };
    if (this.#lifecycle.mayRetry(record, last)) return last;
    endFailed(record, this.#hub, last);
    return undefined;
  }

  /** @type {(record: JobRecord, failure: Failure) => boolean} whether another upstream may repeat the attempt */
  #mayContinue = (record, failure) => {
    const { retryable, elsewhere = retryable } = failure;
    if (elsewhere !== true) return false;
    this.#lifecycle.failAttempt(record, failure);
    return true;
  };

  /**
   * @param {JobRecord} record
   * @param {RoutedCall} call
   * @returns {Promise<Failure | undefined>} failure of an attempt that another upstream may repeat; undefined: the
   *   job has ended
   */
  async #attempt(record, call) {
    const run = new Run({
      record,
      hub: this.#hub,
      limitTokens: !call.provider.enforcesMaxTokens,
      exposeErrors: this.#exposeErrors,
      mayRetry: this.#mayContinue,
    });
    const stopWatching = call.isTrial ? this.#watch(record, call) : () => {};
    try {
      await this.#pump([run], call.provider, call.model);
    } finally {
      stopWatching();
      call.end(outcomeOf(record, run.retryError ?? record.failure));
    }
    return run.retryError;
  }

  /**
   * Reports the first entry of a trial call while the call continues.
   * @param {JobRecord} record
   * @param {RoutedCall} call
   * @returns {() => void}
   */
  #watch(record, call) {
    const timer = setInterval(async () => {
      const state = await this.#hub.snapshot(record.handle, { text: false });
      if ((state?.metrics.tokens ?? 0) > 0) call.onFirstEntry();
    }, TRIAL_POLL_MS);
    return () => clearInterval(timer);
  }
}

/**
 * @param {JobRecord} record
 * @param {Failure | undefined} failure of its attempt
 * @returns {Parameters<RoutedCall['end']>[0]}
 */
function outcomeOf({ abort, final }, failure) {
  if (failure !== undefined) {
    const { wire, retryable, elsewhere = retryable, retryAfterMs } = failure;
    return { code: wire.code, passes: elsewhere === true, retryAfterMs };
  }
  // The signal is aborted by a cancel, and after the end of every job that the hub has ended.
  return abort.aborted && final?.status !== 'completed' ? 'abandoned' : 'answered';
}
