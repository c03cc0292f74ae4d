/**
 * The frames of short logs that have ended before a reader came, by handle: the frames for a reader without a
 * cursor. They arrive with the ending and are stored here, so that a short job can be read without its reactor.
 * Main thread; used by a JobHub.
 */
export class UnreadFrames {
  /** @type {Map<number, string>} */
  #frames = new Map();
  /** Characters of all frames, counted as bytes. */
  bytes = 0;

  /**
   * @param {number} handle of a log that has ended
   * @param {string} frames
   */
  keep(handle, frames) {
    this.#frames.set(handle, frames);
    this.bytes += frames.length;
  }

  /**
   * @param {number} handle
   * @returns {string | undefined} undefined: only the reactor has them
   */
  of(handle) {
    return this.#frames.get(handle);
  }

  /** @param {number} handle of a log that continues or was removed */
  drop(handle) {
    const frames = this.#frames.get(handle);
    if (frames === undefined) return;
    this.#frames.delete(handle);
    this.bytes -= frames.length;
  }
}
