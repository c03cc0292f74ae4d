/**
 * From a hub's channel to a browser's socket.
 *
 * An egress is a hub sink (`onOpen`, `onFrames`, `onEnd`) that owns a response. This one goes
 * through Node: frames leave by `res.write`, and the next batch is asked for when Node has taken
 * this one, so a socket that fills up holds back its job's provider. Main thread.
 */

/** Status, headers and TCP options of every stream: ready for browsers, proxies and nginx. */
const kStreamHeaders = Object.freeze({
  'Content-Type': 'text/event-stream',
  // no-transform keeps compression away: it would hold tokens back until its window is full.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
});

/**
 * Sends the head of an event stream.
 * @param {import('node:http').ServerResponse} res
 */
export function writeStreamHead(res) {
  // HTTP/2 has no Connection header, and Node refuses it there.
  if (res.req.httpVersionMajor < 2) res.setHeader('Connection', 'keep-alive');
  res.writeHead(200, kStreamHeaders);
  res.flushHeaders();
  // Tokens are small and must not wait for each other (Nagle).
  res.socket?.setNoDelay?.(true);
}

/** Streams one channel into one response; the channel ends with whichever ends first. */
export class NodeEgress {
  #res;
  /** @type {{acknowledge(): void, detach(): void} | undefined} */
  #channel;
  #gone = false;

  /** @param {import('node:http').ServerResponse} res with nothing written yet */
  constructor(res) {
    this.#res = res;
    // 'close' comes after every ending: finished, client gone, socket destroyed.
    res.once('close', () => {
      this.#gone = true;
      this.#channel?.detach();
    });
  }

  /**
   * @param {import('./job-hub.js').JobHub} hub
   * @param {import('./job-hub.js').Member[]} members
   * @param {{fanIn?: boolean}} [options]
   */
  connect(hub, members, options) {
    this.#channel = hub.openStream(members, this, options);
    if (this.#gone) this.#channel.detach();
  }

  /** @param {boolean} finished */
  onOpen(finished) {
    if (!finished) {
      writeStreamHead(this.#res);
      return;
    }
    // 204 tells an EventSource to stop reconnecting: it has had everything.
    this.#res.writeHead(204, { 'Cache-Control': 'no-cache' }).end();
  }

  /** @param {Buffer} frames */
  onFrames(frames) {
    if (this.#gone) return;
    const taken = () => this.#channel?.acknowledge();
    if (this.#res.write(frames)) taken();
    else this.#res.once('drain', taken);
  }

  /** @param {'finished' | 'stalled' | 'purged' | 'closed'} reason */
  onEnd(reason) {
    if (this.#gone) return;
    // Anything but a terminal event must not look like a proper end: cut, so that the client comes
    // back and resumes or learns that the job is gone.
    if (reason === 'finished') this.#res.end();
    else this.#res.destroy();
  }
}
