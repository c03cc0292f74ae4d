import { ProviderError } from '../shared/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../shared/types.js').Route} Route */
/** @typedef {import('../shared/types.js').RoutedCall} RoutedCall */
/** @typedef {import('./model-table.js').Served<import('./upstream.js').Upstream>} ServedHere */

/** Treated like a 503 of an upstream, so that clients of all endpoints receive a 503. */
const UNAVAILABLE = Object.freeze({ status: 503, message: '', type: '', code: '', param: '' });

/**
 * Port to the upstreams of a RouteProvider for a job.
 * @typedef {object} Upstreams
 * @property {(model: string) => ServedHere[][]} candidates upstreams of the model, then of each fallback
 * @property {(served: ServedHere) => RoutedCall} begin begins a call at an upstream with room
 * @property {(tryAgain: () => void) => () => void} onRoom registers a callback for possible room at an upstream,
 *   until the returned function is called
 * @property {(model: string) => number} unavailableMs milliseconds until an upstream admits a call
 * @property {(model: string) => boolean} serves
 */

/**
 * @param {ServedHere} served
 * @returns {string} equal for identical calls
 */
function keyOf({ upstream, model }) {
  return JSON.stringify([upstream.name, model]);
}

/**
 * The route of one job through the upstreams of a RouteProvider. Lives as long as the job.
 * @implements {Route}
 */
export class JobRoute {
  #upstreams;
  #model;
  /** Calls of the job. @type {Set<string>} */
  #tried = new Set();
  /** Calls of this round. @type {Set<string>} */
  #triedNow = new Set();
  /** Upstreams that have failed in this round. @type {Set<string>} */
  #failed = new Set();

  /**
   * @param {Upstreams} upstreams
   * @param {string} model from the job
   */
  constructor(upstreams, model) {
    this.#upstreams = upstreams;
    this.#model = model;
  }

  beginRound() {
    this.#triedNow.clear();
    this.#failed.clear();
  }

  /**
   * @param {AbortSignal} signal
   * @param {{again: boolean}} options
   * @returns {Promise<RoutedCall | undefined>}
   */
  next(signal, { again }) {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve(undefined);
        return;
      }
      let release = () => {};
      const attempt = () => {
        const choice = this.#choose(again);
        if (choice === 'wait') return false;
        release();
        resolve(choice && this.#begin(choice));
        return true;
      };
      if (attempt()) return;
      const leave = this.#upstreams.onRoom(attempt);
      const forget = whenAborted(signal, () => {
        leave();
        resolve(undefined);
      });
      release = () => {
        leave();
        forget();
      };
    });
  }

  /** @returns {number} milliseconds until one of the upstreams admits a call */
  waitMs() {
    return this.#upstreams.unavailableMs(this.#model);
  }

  unavailable() {
    if (!this.#upstreams.serves(this.#model)) {
      return new ProviderError('upstream_unavailable', 'No upstream serves this model any more');
    }
    return new ProviderError(
      'upstream_unavailable',
      'Every upstream of this model is closed after failures',
      { retryable: true, retryAfterMs: this.waitMs(), upstream: UNAVAILABLE },
    );
  }

  /** @param {ServedHere} served */
  #begin(served) {
    const key = keyOf(served);
    this.#tried.add(key);
    this.#triedNow.add(key);
    this.#failed.add(served.upstream.name);
    return this.#upstreams.begin(served);
  }

  /**
   * @param {boolean} again
   * @returns {ServedHere | 'wait' | undefined}
   */
  #choose(again) {
    const tried = again ? this.#triedNow : this.#tried;
    for (const stage of this.#upstreams.candidates(this.#model)) {
      const open = stage.filter((one) => !tried.has(keyOf(one)) && one.upstream.waitMs === 0);
      const ready = open.filter(({ upstream }) => upstream.hasRoom);
      if (ready.length > 0) return this.#best(ready);
      if (open.length > 0) return 'wait';
    }
    return undefined;
  }

  /** @param {ServedHere[]} ready at least one */
  #best(ready) {
    const hasFailed = (/** @type {ServedHere} */ { upstream }) =>
      Number(this.#failed.has(upstream.name));
    return ready.reduce((best, one) => {
      const order =
        hasFailed(one) - hasFailed(best) ||
        one.rank - best.rank ||
        one.upstream.load - best.upstream.load ||
        one.upstream.pass - best.upstream.pass;
      return order < 0 ? one : best;
    });
  }
}
