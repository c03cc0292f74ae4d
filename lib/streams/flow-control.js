/** The flow control of one open job. */
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

/**
 * The producers' side of the flow control of a hub: the window of each open job, and the producers
 * that wait for it. Counts include all attempts, as the hub's do. Main thread only.
 */
export class FlowControl {
  /** @type {Map<number, Flow>} */
  #flows = new Map();
  #window;

  /** @param {number} window tokens, for a new job */
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

  /** @returns {number[]} windows of the open jobs */
  handles() {
    return [...this.#flows.keys()];
  }

  /**
   * Counts one more token of an open job.
   * @param {number} handle
   * @returns {boolean} whether the window has room for another
   */
  count(handle) {
    const flow = this.#flows.get(handle);
    if (flow === undefined) return false;
    flow.appended += 1;
    return flow.appended < flow.window;
  }

  /**
   * @param {number} handle
   * @returns {Promise<void>} resolves when the window has room, or the job is not open
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
   * @param {number} window in tokens, counted from the first
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
   * Removes a job, and releases its producer.
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
