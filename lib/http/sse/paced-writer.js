import { once } from 'node:events';

/**
 * Writes frames to an event stream at the pace of its socket, with a comment in every long silence.
 * Node writes, and its timers run in real time. Main thread; `stop()` ends it.
 */
export class PacedWriter {
  #res;
  #heartbeatMs;
  #stallMs;
  #gone = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */
  #beat;

  /**
   * @param {import('node:http').ServerResponse} res
   * @param {object} options
   * @param {number} options.heartbeatMs of silence before a comment is sent
   * @param {number} options.stallMs time-out of a full socket
   */
  constructor(res, { heartbeatMs, stallMs }) {
    this.#res = res;
    this.#heartbeatMs = heartbeatMs;
    this.#stallMs = stallMs;
    res.once('close', () => this.#gone.abort());
  }

  /** @returns {AbortSignal} aborted when the client disconnects, and by `stop()` */
  get gone() {
    return this.#gone.signal;
  }

  /** Begins the heartbeat, once the head is written. */
  start() {
    const res = this.#res;
    // A single line end: some clients read an empty line after a comment as an empty message.
    const beat = () => res.writableNeedDrain || res.write(': keep-alive\n');
    this.#beat = setInterval(beat, this.#heartbeatMs);
  }

  /**
   * @param {string} frame
   * @returns {Promise<void>} resolves when the socket accepts more data
   * @throws {Error} AbortError: the client has disconnected, or made no progress for `stallMs`
   */
  async write(frame) {
    const res = this.#res;
    this.#beat?.refresh();
    if (res.write(frame)) return;
    const cut = setTimeout(() => res.destroy(), this.#stallMs).unref();
    await once(res, 'drain', { signal: this.#gone.signal }).finally(() => clearTimeout(cut));
  }

  stop() {
    clearInterval(this.#beat);
    this.#gone.abort();
  }
}
