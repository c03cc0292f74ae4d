/**
 * A reader's connection to the hub, and what a reader has to be.
 */

/**
 * Where a channel's batches go. One batch is under way at a time: the next comes after
 * `channel.acknowledge()`.
 * @typedef {object} Sink
 * @property {(finished: boolean) => void} onOpen first; `finished`: every cursor was at the end of
 *   its job, nothing else will come
 * @property {(frames: Buffer) => void} [onFrames] SSE frames; the first come after a first
 *   `acknowledge()`, and none at all after a successful `adopt()`
 * @property {(events: string[]) => void} [onEvents] id, type, JSON, id, type, JSON, ...; instead of
 *   frames for a sink without `onFrames`
 * @property {(reason: EndReason) => void} onEnd last
 */

/**
 * `finished`: every terminal event has been taken. `stalled`: no progress for the stall limit.
 * `purged`: the jobs are gone. `gone`: the socket died. `closed`: the hub was closed.
 * @typedef {'finished' | 'stalled' | 'purged' | 'gone' | 'closed'} EndReason
 */

/**
 * @typedef {object} Member
 * @property {number} handle
 * @property {string} cursor the last event id seen; empty for none
 */

/** A reader's connection; made by `JobHub.openStream`. */
export class HubChannel {
  #calls;

  /**
   * @param {number} id
   * @param {object} calls one set for all channels
   * @param {(channel: number) => void} calls.acknowledge
   * @param {(channel: number, fd: number, heir?: Sink) => boolean} calls.adopt
   * @param {(channel: number) => number} calls.reclaim
   * @param {(channel: number) => void} calls.detach
   */
  constructor(id, calls) {
    this.id = id;
    this.#calls = calls;
  }

  /** The batch under way has been dealt with. */
  acknowledge() {
    this.#calls.acknowledge(this.id);
  }

  /**
   * Lets the reactor write the frames to a socket by itself, as HTTP/1.1 chunks. In place of the
   * first `acknowledge()`, when the head of the response has left.
   * @param {number} fd the socket's descriptor; the reactor writes to a duplicate of its own
   * @returns {boolean} false where that cannot be had: frames then come to the sink
   */
  adopt(fd) {
    return this.#calls.adopt(this.id, fd);
  }

  /**
   * The same, and the caller closes `fd`: the reactor ends the response, and notices by itself when
   * the client leaves. Its channel then ends as `gone`; after one that ended as `finished` the
   * connection is there for the next request, to be had by `reclaim()`.
   * @param {number} fd
   * @param {Sink} heir is told from now on, in place of the sink
   * @returns {boolean} as `adopt`
   */
  handOver(fd, heir) {
    return this.#calls.adopt(this.id, fd, heir);
  }

  /**
   * The descriptor of a connection that was handed over, when its channel has finished. It is the
   * caller's to close.
   * @returns {number} -1 when there is none
   */
  reclaim() {
    return this.#calls.reclaim(this.id);
  }

  /** The reader is gone; its sink hears nothing more. */
  detach() {
    this.#calls.detach(this.id);
  }
}
