/**
 * Counts the readers of each log: subscribers, and holds of requests that wait for the whole answer. Main
 * thread; used by a JobHub.
 */
export class ReaderCounts {
  /** @type {Map<number, number>} by handle of a log; without zeros */
  #counts = new Map();
  /** @type {Map<number, number[]>} logs by subscriber */
  #ofSubscriber = new Map();
  #onChange;

  /** @param {(handle: number, present: boolean) => void} onChange called for the first and the last reader */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /** @param {number} handle @returns {boolean} whether the log has a reader */
  has(handle) {
    return this.#counts.has(handle);
  }

  /** @param {number} handle */
  add(handle) {
    const count = this.#counts.get(handle) ?? 0;
    this.#counts.set(handle, count + 1);
    if (count === 0) this.#onChange(handle, true);
  }

  /** @param {number} handle of a log passed to `add` before */
  remove(handle) {
    const count = this.#counts.get(handle) ?? 0;
    if (count > 1) {
      this.#counts.set(handle, count - 1);
      return;
    }
    this.#counts.delete(handle);
    if (count === 1) this.#onChange(handle, false);
  }

  /**
   * @param {number} subscriber its number
   * @param {number[]} handles of its logs
   */
  subscribed(subscriber, handles) {
    this.#ofSubscriber.set(subscriber, handles);
    for (const handle of handles) this.add(handle);
  }

  /** @param {number} subscriber an ended subscriber */
  unsubscribed(subscriber) {
    const handles = this.#ofSubscriber.get(subscriber) ?? [];
    this.#ofSubscriber.delete(subscriber);
    for (const handle of handles) this.remove(handle);
  }
}
