import { writeStreamHead } from './head.js';

/**
 * Streams errors as server-sent events: the ring's entries after the cursor, then live ones.
 *
 * Node writes it, and its timers run in real time. The socket sets the pace; a `gap` announces
 * entries that the ring has dropped meanwhile. Ends with the response, or by `end()`.
 */
export class ErrorStream {
  #res;
  #ring;
  #next;
  #heartbeatMs;
  #stallMs;
  /** Whether the socket's buffer is full. */
  #full = false;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /**
   * @param {import('node:http').ServerResponse} res without anything written
   * @param {object} options
   * @param {import('../../services/error-logs/ring-buffer.js').ErrorRing} options.ring
   * @param {string} options.cursor empty for none
   * @param {number} options.heartbeatMs
   * @param {number} options.stallMs
   * @param {number} options.reconnectMs
   * @param {(stream: ErrorStream) => void} options.onClosed
   */
  constructor(res, { ring, cursor, heartbeatMs, stallMs, reconnectMs, onClosed }) {
    this.#res = res;
    this.#ring = ring;
    this.#heartbeatMs = heartbeatMs;
    this.#stallMs = stallMs;
    const { next, gap } = ring.resume(cursor);
    this.#next = next;
    res.once('close', () => {
      clearTimeout(this.#timer);
      onClosed(this);
    });
    writeStreamHead(res);
    this.#write(`retry: ${reconnectMs}\n`);
    if (gap) this.#writeGap(cursor);
    this.pump();
  }

  /** Writes entries until the socket's buffer is full. */
  pump() {
    while (!this.#full && !this.#res.destroyed && !this.#res.writableEnded) {
      if (this.#next < this.#ring.earliest) {
        this.#writeGap(null);
        this.#next = this.#ring.earliest;
      }
      const entry = this.#ring.at(this.#next);
      if (entry === undefined) return;
      this.#next += 1;
      this.#write(`id: ${entry.id}\nevent: log_error\ndata: ${entry.json}\n\n`);
    }
  }

  /** Ends the response. The client has `stallMs` to read what was written. */
  end() {
    if (!this.#full) this.#cutLater();
    this.#res.end();
  }

  #cutLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#res.destroy(), this.#stallMs).unref();
  }

  #beatLater() {
    clearTimeout(this.#timer);
    // A single line end: some clients read an empty line after a comment as an empty message.
    this.#timer = setTimeout(() => this.#write(': keep-alive\n'), this.#heartbeatMs).unref();
  }

  /** @param {string | null} requested */
  #writeGap(requested) {
    const data = JSON.stringify({ requested, ...this.#ring.bounds });
    this.#write(`event: gap\ndata: ${data}\n\n`);
  }

  /** @param {string} frame */
  #write(frame) {
    if (this.#res.write(frame)) {
      this.#beatLater();
      return;
    }
    this.#full = true;
    // A client that stops reading may resume later; until then it must not hold memory.
    this.#cutLater();
    this.#res.once('drain', () => {
      this.#full = false;
      if (this.#res.writableEnded) return;
      this.#beatLater();
      this.pump();
    });
  }
}
