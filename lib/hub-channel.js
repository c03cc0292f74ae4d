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
  /** @type {(channel: number) => void} */
  #acknowledge;
  #adopt;
  #detach;

  /**
   * @param {number} id
   * @param {object} calls
   * @param {(channel: number) => void} calls.acknowledge
   * @param {(channel: number, fd: number) => boolean} calls.adopt
   * @param {(channel: number) => void} calls.detach
   */
  constructor(id, { acknowledge, adopt, detach }) {
    this.id = id;
    this.#acknowledge = acknowledge;
    this.#adopt = adopt;
    this.#detach = detach;
  }

  /** The batch under way has been dealt with. */
  acknowledge() {
    this.#acknowledge(this.id);
  }

  /**
   * Lets the reactor write the frames to a socket by itself, as HTTP/1.1 chunks. In place of the
   * first `acknowledge()`, when the head of the response has left.
   * @param {number} fd the socket's descriptor; the reactor writes to a duplicate of its own
   * @returns {boolean} false where that cannot be had: frames then come to the sink
   */
  adopt(fd) {
    return this.#adopt(this.id, fd);
  }

  /** The reader is gone; its sink hears nothing more. */
  detach() {
    this.#detach(this.id);
  }
}
