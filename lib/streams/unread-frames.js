/**
 * The frames of short logs that have ended before a reader came, by handle: what the first reader without a cursor gets.
 * They come with the ending and are kept beside the log, so that a quick job is read without a way to its reactor. Main
 * thread; used by a JobHub.
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
   * Gives the frames to the first reader: few logs have a second one.
   * @param {number} handle
   * @returns {string | undefined} undefined: only the reactor has them
   */
  take(handle) {
    const frames = this.#frames.get(handle);
    if (frames === undefined) return undefined;
    this.#frames.delete(handle);
    this.bytes -= frames.length;
    return frames;
  }

  /** @param {number} handle of a log that continues or was removed */
  drop(handle) {
    this.take(handle);
  }
}
