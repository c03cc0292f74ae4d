/**
 * The producers' side of the flow control: how many tokens each open job may have been given, and
 * who waits for room. Counts are over all attempts, as the hub's are. Main thread only.
 */

/** One job's. */
class Flow {
  appended = 0;
  /** @type {(() => void) | undefined} */
  wake;
  /** @type {Promise<void> | undefined} */
  opened;

  /** @param {number} window */
  constructor(window) {
    this.window = window;
  }
}

/** The flows of one hub's open jobs. */
export class FlowControl {
  /** @type {Map<number, Flow>} */
  #flows = new Map();
  #window;

  /** @param {number} window tokens that a new job may have without being told */
  constructor(window) {
    this.#window = window;
  }

  /** @param {number} handle */
  add(handle) {
    this.#flows.set(handle, new Flow(this.#window));
  }

  /** @param {number} handle */
  has(handle) {
    return this.#flows.has(handle);
  }

  /** Open jobs. */
  handles() {
    return [...this.#flows.keys()];
  }

  /**
   * One more token of a job that is open.
   * @param {number} handle
   * @returns {boolean} whether there is room for another
   */
  count(handle) {
    const flow = this.#flows.get(handle);
    if (flow === undefined) return false;
    flow.appended += 1;
    return flow.appended < flow.window;
  }

  /**
   * @param {number} handle
   * @returns {Promise<void>} resolves when there is room or the job is gone
   */
  room(handle) {
    const flow = this.#flows.get(handle);
    if (flow === undefined || flow.appended < flow.window) return Promise.resolve();
    flow.opened ??= new Promise((resolve) => {
      flow.wake = resolve;
    });
    return flow.opened;
  }

  /**
   * @param {number} handle
   * @param {number} window tokens it may have been given by now
   */
  move(handle, window) {
    const flow = this.#flows.get(handle);
    if (flow === undefined) return;
    flow.window = window;
    if (flow.appended >= window || flow.wake === undefined) return;
    const wake = flow.wake;
    flow.wake = undefined;
    flow.opened = undefined;
    wake();
  }

  /**
   * The job is gone; who waits for it waits no longer.
   * @param {number} handle
   * @returns {boolean} whether it was open
   */
  drop(handle) {
    const flow = this.#flows.get(handle);
    if (!this.#flows.delete(handle)) return false;
    flow?.wake?.();
    return true;
  }
}
