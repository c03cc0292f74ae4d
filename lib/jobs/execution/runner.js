import { RelayedRuns } from './relayed-runs.js';
import { Run } from './attempt.js';
import { RoutedRuns } from './routed-runs.js';
import { providerError } from './failure.js';
import { providerRequest } from './provider-request.js';
import { waitAtMost } from '../../internal/time/wait-at-most.js';
import { withSignal } from '../../internal/util/abort.js';

/** @typedef {import('../../providers/shared/types.js').Provider} Provider */
/** @typedef {import('../../providers/shared/types.js').AnswerPiece} AnswerPiece */
/** @typedef {import('../../providers/shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('../../providers/shared/types.js').ProviderRequest} ProviderRequest */

/** @typedef {import('../job.js').JobRecord} JobRecord */

/**
 * The span of a call that the provider does not report itself.
 * @typedef {object} CallSpan
 * @property {<T>(run: () => T) => T} run runs a part of the call in its context
 * @property {(error?: unknown) => void} end call it once
 */

/**
 * Interface of traces for the runner.
 * @typedef {object} CallsPort
 * @property {(records: JobRecord[], provider: Provider, model: string) => CallSpan | undefined} begin
 * @property {(records: JobRecord[], provider: Provider) =>
 *   import('../../providers/shared/types.js').OnCall | undefined} observe for a provider that reports its
 *   calls
 */

/** Time that a provider which ignores its signal may keep its slot after the job has ended. */
const RELEASE_MS = 1000;

/** Waits for a promise or for `open`, whichever comes first; one waiter at a time. */
class Latch {
  opened = false;
  /** @type {(() => void) | undefined} */
  #wake;

  open() {
    this.opened = true;
    this.#wake?.();
  }

  /**
   * @template T
   * @param {T | PromiseLike<T>} promise
   * @returns {Promise<T | undefined>} undefined when the latch opened first; a later rejection of
   *   the promise is then ignored
   */
  race(promise) {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      Promise.resolve(promise).then(resolve, reject);
      if (this.opened) resolve(undefined);
    });
  }
}

/**
 * Stops an iterator and waits for it, up to `RELEASE_MS`: a generator that hangs in an `await` does
 * not react to `return()`.
 * @param {AsyncIterator<unknown>} iterator
 */
async function release(iterator) {
  try {
    await waitAtMost(iterator.return?.(), RELEASE_MS);
  } catch {
    // The job has ended already, so an error of the clean-up is ignored.
  }
}

/**
 * @template T, R
 * @param {AsyncIterable<T, R> | undefined} iterable returned by a provider
 * @returns {AsyncIterator<T, R>}
 */
function start(iterable) {
  const iterator = iterable?.[Symbol.asyncIterator]?.();
  if (iterator === undefined) throw providerError('The provider gave no async iterable.');
  return iterator;
}

/**
 * @param {Run[]} runs
 * @param {unknown} error of all
 */
function failAll(runs, error) {
  for (const run of runs) run.fail(error);
}

/**
 * Moves a provider's answers into the jobs' logs: the `process` function of a gateway's pipeline. Main
 * thread only.
 *
 * A run lasts one attempt and ends by the provider's end, its error, a stop string, the token limit, or
 * by the job's own ending (cancel, wall time, disconnect: the record's abort signal). In each case the
 * iterator is stopped. The slot becomes free once it has stopped, or after `RELEASE_MS` if it does
 * not react.
 */
export class JobRunner {
  #provider;
  #hub;
  #lifecycle;
  #exposeErrors;
  #calls;
  /** @type {RoutedRuns | undefined} for a provider with several upstreams */
  #routed;

  /**
   * @param {object} options
   * @param {Provider} options.provider
   * @param {import('../../streams/hub.js').JobHub} options.hub
   * @param {import('./lifecycle.js').JobLifecycle} options.lifecycle
   * @param {boolean} options.exposeErrors whether clients see the messages of all errors that the
   *   provider throws; false: only of those with a wire code
   * @param {CallsPort} [options.calls] default: no traces
   */
  constructor({ provider, hub, lifecycle, exposeErrors, calls }) {
    this.#calls = calls;
    this.#provider = provider;
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    this.#exposeErrors = exposeErrors;
    if (provider.route === undefined) return;
    const pump = this.#pumpAll.bind(this);
    this.#routed = new RoutedRuns({ provider, hub, lifecycle, exposeErrors, pump });
  }

  /**
   * Runs one attempt of each job of a batch, or one per upstream.
   * @param {import('../job.js').JobRecord[]} records
   * @returns {Promise<(import('./failure.js').Failure | undefined)[]>} per job: the failure after which
   *   it may be retried
   */
  async run(records) {
    const routed = this.#routed;
    if (routed !== undefined) return Promise.all(records.map((record) => routed.run(record)));
    const runs = records.map((record) =>
      this.#lifecycle.beginAttempt(record) ? this.#begin(record) : undefined,
    );
    const begun = runs.filter((run) => run !== undefined);
    if (begun.length > 0) await this.#pumpAll(begun, this.#provider);
    return runs.map((run) => run?.retryError);
  }

  /**
   * Runs one attempt of a job, or one per upstream.
   * @param {import('../job.js').JobRecord} record
   * @returns {Promise<import('./failure.js').Failure | undefined> | undefined} the failure after which it may
   *   be retried; undefined: the job has ended already
   */
  runOne(record) {
    if (this.#routed !== undefined) return this.#routed.run(record);
    if (!this.#lifecycle.beginAttempt(record)) return undefined;
    const run = this.#begin(record);
    // One promise for both ends: it lasts as long as the stream.
    return this.#pump([run], this.#provider).then(
      () => run.retryError,
      (error) => {
        run.fail(error);
        return run.retryError;
      },
    );
  }

  /** @param {import('../job.js').JobRecord} record */
  #begin(record) {
    return new Run({
      record,
      hub: this.#hub,
      limitTokens: !this.#provider.enforcesMaxTokens,
      exposeErrors: this.#exposeErrors,
      mayRetry: this.#mayRetry,
    });
  }

  /** @type {(record: import('../job.js').JobRecord, failure: import('./failure.js').Failure) => boolean} */
  #mayRetry = (record, failure) => {
    if (!this.#lifecycle.mayRetry(record, failure)) return false;
    this.#lifecycle.failAttempt(record, failure);
    return true;
  };

  /**
   * Like `#pump`; an error fails all runs.
   * @param {Run[]} runs
   * @param {Provider} provider
   * @param {string} [model]
   */
  #pumpAll(runs, provider, model) {
    return this.#pump(runs, provider, model).catch((error) => failAll(runs, error));
  }

  /**
   * @param {Run[]} runs
   * @param {Provider} provider
   * @param {string} [model] the upstream's name of their model; default: the jobs' own
   * @returns {Promise<void>} resolves when the provider has stopped; rejects with an error of its `relay`, which
   *   concerns all runs
   */
  #pump(runs, provider, model) {
    const requests = runs.map(({ record }) => providerRequest(record, model));
    const records = runs.map(({ record }) => record);
    const onCall = provider.reportsCalls ? this.#calls?.observe(records, provider) : undefined;
    if (provider.relay !== undefined) return this.#relay(runs, provider, requests, onCall);
    const span = provider.reportsCalls
      ? undefined
      : this.#calls?.begin(records, provider, requests[0].model);
    const done = provider.takesBatches
      ? this.#pumpBatch(runs, provider, requests, span)
      : this.#pumpOne(runs[0], provider, requests[0], { span, onCall });
    if (span === undefined) return done;
    return done.finally(() => span.end(runs.map(failureOf).find(Boolean)));
  }

  /**
   * The hub fetches the text itself and stops when a job has ended. This method ends or retries
   * failed attempts.
   * @param {Run[]} runs
   * @param {Provider} provider
   * @param {ProviderRequest[]} requests
   * @param {import('../../providers/shared/types.js').OnCall} [onCall]
   * @returns {Promise<void>} see `#pump`
   */
  #relay(runs, provider, requests, onCall) {
    // No async function: its frame would last as long as the stream.
    try {
      const to = new RelayedRuns(this.#hub, runs, onCall);
      return Promise.resolve(provider.relay?.(requests, to));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Pulls one job's answer. In plain callbacks: this runs once per token, and `await` would take
   * several promises where one does.
   * @param {Run} run
   * @param {Provider} provider
   * @param {ProviderRequest} request
   * @param {{span?: CallSpan, onCall?: import('../../providers/shared/types.js').OnCall}} trace
   * @returns {Promise<void>} resolves when the provider has stopped
   */
  #pumpOne(run, provider, request, { span, onCall }) {
    const within = span?.run ?? directly;
    return new Promise((resolve) => {
      /** @type {AsyncIterator<AnswerPiece, ProviderEnd | undefined | void> | undefined} */
      let iterator;
      const fail = (/** @type {unknown} */ error) => run.fail(error);
      const take = (
        /** @type {IteratorResult<AnswerPiece, ProviderEnd | undefined | void>} */ step,
      ) => {
        if (run.done) return;
        try {
          if (step.done) {
            // The iterator has already stopped.
            iterator = undefined;
            run.complete(step.value || undefined);
            return;
          }
          const wait = run.push(step.value);
          if (wait === undefined) pull();
          else wait.then(pull);
        } catch (error) {
          run.fail(error);
        }
      };
      const pull = () => {
        if (run.done || iterator === undefined) return;
        try {
          // `resolve` returns a promise unchanged, and accepts iterators that return plain results.
          const own = iterator;
          // Without a span no closure is made per token.
          const step = span === undefined ? own.next() : span.run(() => own.next());
          Promise.resolve(step).then(take, fail);
        } catch (error) {
          run.fail(error);
        }
      };
      run.whenDone(() => resolve(iterator && release(iterator)));
      if (run.done) return;
      try {
        // Created on demand, not for a provider that ignores its signal.
        const options = withSignal(onCall === undefined ? {} : { onCall }, run.record.abort);
        iterator = within(() => start(provider.generate?.(request, options)));
      } catch (error) {
        run.fail(error);
      }
      // The provider may have ended the job while `start` ran.
      if (run.done && iterator !== undefined) void release(iterator);
      pull();
    });
  }

  /**
   * @param {Run[]} runs
   * @param {Provider} provider
   * @param {ProviderRequest[]} requests
   * @param {CallSpan} [span]
   */
  async #pumpBatch(runs, provider, requests, span) {
    const within = span?.run ?? directly;
    const latch = new Latch();
    const controller = new AbortController();
    let live = runs.length;
    for (const run of runs) {
      run.whenDone(() => {
        live -= 1;
        // After its last `end` event a provider is about to return by itself, and may keep its
        // connection for the next batch.
        if (live > 0 || run.providerEnded) return;
        latch.open();
        controller.abort();
      });
    }
    /** @type {AsyncIterator<any> | undefined} */
    let iterator;
    try {
      const { signal } = controller;
      const own = within(() => start(provider.generateBatch?.(requests, { signal })));
      iterator = own;
      while (live > 0) {
        const step = await latch.race(within(() => own.next()));
        if (step === undefined || live === 0) break;
        if (step.done) {
          throw providerError('The provider ended before this request did.', 'upstream_incomplete');
        }
        const wait = deliver(runs, step.value);
        if (wait !== undefined) await wait;
      }
      if (!latch.opened) await waitAtMost(iterator.next(), RELEASE_MS);
    } catch (error) {
      failAll(runs, error);
    }
    if (iterator !== undefined) await release(iterator);
  }
}

/** @template T @param {() => T} run @returns {T} */
const directly = (run) => run();

/** @param {Run} run @returns {{code: string, message: string} | undefined} why its attempt failed */
function failureOf({ retryError, record }) {
  return (retryError ?? record.ownFailure)?.wire;
}

/**
 * @param {Run[]} runs
 * @param {any} event one of generateBatch's
 */
function deliver(runs, event) {
  const index = event?.index;
  const run = runs[index];
  if (run === undefined) {
    throw providerError(`The provider answered a request ${index} that it was not given.`);
  }
  return run.done ? undefined : deliverTo(run, event);
}

/**
 * Delivers one event. A bad event fails its own request only, not the batch.
 * @param {Run} run
 * @param {any} event
 */
function deliverTo(run, event) {
  try {
    const { index: _index, error, end, ...value } = event;
    run.providerEnded = error !== undefined || end !== undefined;
    if (!run.providerEnded) return run.push(value);
    if (error !== undefined) run.fail(error);
    else run.complete(end);
  } catch (error) {
    run.providerEnded = false;
    run.fail(error);
  } finally {
    // At its limit, or failed: the provider may drop this sequence while the others go on.
    if (run.done && !run.providerEnded) run.record.abort.abort();
  }
  return undefined;
}
