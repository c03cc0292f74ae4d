/**
 * The readers of a hub: who is connected, and what the reactor says to each.
 *
 * Main thread, for a JobHub, which hands the reactor's events on. `close()` ends it.
 */
import { HubChannel } from './hub-channel.js';

/** @typedef {import('./hub-channel.js').Sink} Sink */

/** See the head of this file. */
export class HubChannels {
  #native;
  #reactor;
  /** @type {Map<number, Sink>} */
  #sinks = new Map();
  /** @type {number[]} channels to acknowledge in one go */
  #acknowledged = [];
  #next = 1;

  /**
   * @param {any} hub the native one
   * @param {import('../internal/native/reactor.js').Reactor} reactor
   */
  constructor(hub, reactor) {
    this.#native = hub;
    this.#reactor = reactor;
  }

  /** Channels open now. */
  get size() {
    return this.#sinks.size;
  }

  /**
   * As `JobHub.openStream`, when the tokens of earlier calls are on their way.
   * @param {import('./hub-channel.js').Member[]} members
   * @param {Sink} sink
   * @param {boolean} fanIn
   * @returns {HubChannel}
   */
  open(members, sink, fanIn) {
    const id = this.#next++;
    this.#sinks.set(id, sink);
    this.#reactor.ref();
    this.#native.attach(
      id,
      sink.onFrames === undefined,
      fanIn,
      members.map(({ handle }) => handle),
      members.map(({ cursor }) => cursor),
    );
    // Not before the caller has its channel: a sink acknowledges by it.
    queueMicrotask(() => this.#reactor.settle());
    return new HubChannel(id, this.#calls);
  }

  /** Readers are told `closed`. */
  close() {
    for (const [id, sink] of this.#sinks) {
      this.#drop(id);
      sink.onEnd('closed');
    }
  }

  /**
   * @param {number} channel
   * @param {boolean} finished
   */
  onOpen(channel, finished) {
    const sink = this.#sinks.get(channel);
    if (finished) this.#drop(channel);
    sink?.onOpen(finished);
  }

  /**
   * @param {number} channel
   * @param {Buffer} frames
   */
  onFrames(channel, frames) {
    this.#sinks.get(channel)?.onFrames?.(frames);
  }

  /**
   * @param {number} channel
   * @param {string[]} events
   */
  onEvents(channel, events) {
    this.#sinks.get(channel)?.onEvents?.(events);
  }

  /**
   * @param {number} channel
   * @param {import('./hub-channel.js').EndReason} reason
   */
  onEnd(channel, reason) {
    const sink = this.#sinks.get(channel);
    if (this.#drop(channel)) sink?.onEnd(reason);
  }

  /** What channels call back; one set for all. */
  #calls = {
    acknowledge: (/** @type {number} */ channel) => this.#acknowledge(channel),
    adopt: (
      /** @type {number} */ channel,
      /** @type {number} */ fd,
      /** @type {Sink | undefined} */ heir,
    ) => {
      if (!this.#sinks.has(channel) || !this.#native.adopt(channel, fd, heir !== undefined)) {
        return false;
      }
      if (heir !== undefined) this.#sinks.set(channel, heir);
      return true;
    },
    reclaim: (/** @type {number} */ channel) => this.#native.reclaim(channel),
    detach: (/** @type {number} */ channel) => {
      if (!this.#drop(channel)) return;
      this.#native.detach(channel);
      this.#reactor.settle();
    },
  };

  /** @param {number} channel */
  #acknowledge(channel) {
    if (!this.#sinks.has(channel)) return;
    // One command for all the channels of one wake-up.
    if (this.#acknowledged.push(channel) > 1) return;
    queueMicrotask(() => {
      const channels = this.#acknowledged;
      this.#acknowledged = [];
      this.#native.acknowledge(channels);
      this.#reactor.settle();
    });
  }

  /** @param {number} channel */
  #drop(channel) {
    if (!this.#sinks.delete(channel)) return false;
    this.#reactor.unref();
    return true;
  }
}
