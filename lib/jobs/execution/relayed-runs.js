/** @typedef {import('./attempt.js').Run} Run */

/** The jobs of a relayed call, as its provider gets them. It lasts as long as the call. */
export class RelayedRuns {
  #runs;

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {Run[]} runs
   * @param {import('../../providers/shared/types.js').OnCall} [onCall]
   */
  constructor(hub, runs, onCall) {
    this.hub = hub;
    this.onCall = onCall;
    this.#runs = runs;
  }

  get handles() {
    return this.#runs.map(({ record }) => record.handle);
  }

  get siblings() {
    return this.#runs.map(({ record }) => record.siblings);
  }

  get onError() {
    return (/** @type {number} */ index, /** @type {Error} */ error) =>
      this.#runs[index].fail(error);
  }
}
