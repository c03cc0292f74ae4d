/** @typedef {import('./types.js').SubscriberHandler} SubscriberHandler */

/** Strings per event in `onEvents`: id, type, JSON. */
export const EVENT_FIELDS = 3;

/** One client's connection to the logs of a hub; `JobHub.openStream` creates it. */
export class Subscriber {
  #subscriptions;

  /**
   * @param {number} id
   * @param {Subscriptions} subscriptions
   */
  constructor(id, subscriptions) {
    this.id = id;
    this.#subscriptions = subscriptions;
  }

  /** Reports the batch in flight as consumed. */
  acknowledge() {
    this.#subscriptions.acknowledge(this.id);
  }

  /**
   * Lets the reactor write the frames to a socket, as HTTP/1.1 chunks. Replaces the first
   * `acknowledge()`, when the head of the response was sent.
   * @param {number} fd the socket's descriptor; the reactor writes to a duplicate
   * @returns {boolean} false if the reactor cannot: frames are passed to the handler
   */
  attachSocket(fd) {
    return this.#subscriptions.attachSocket(this.id, fd);
  }

  /**
   * Like `attachSocket`, but the caller closes `fd`: the reactor ends the response, and detects
   * when the client leaves. The subscriber then ends as `gone`; after its end as `finished` the
   * connection can be used for the next request, see `detachSocket()`.
   * @param {number} fd
   * @param {SubscriberHandler} successor replaces the handler
   * @param {string} [head] of the response, in Latin-1, which the reactor sends with the first frames; only
   *   without a face, whose first frames may take long. Default: already sent
   * @returns {boolean} see `attachSocket`
   */
  transferSocket(fd, successor, head) {
    return this.#subscriptions.attachSocket(this.id, fd, successor, head);
  }

  /**
   * Takes back the descriptor of a transferred connection after the end as `finished`. The caller
   * closes it.
   * @returns {number} -1: none
   */
  detachSocket() {
    return this.#subscriptions.detachSocket(this.id);
  }

  /** Ends the connection; the handler gets no more calls. */
  detach() {
    this.#subscriptions.detach(this.id);
  }
}

/**
 * The subscribers of a hub: dispatches the reactor's events to their handlers.
 *
 * Main thread; used by a JobHub, which passes the events on. Ends with `close()`.
 */
export class Subscriptions {
  #native;
  #reactor;
  #onDropped;
  /** @type {Map<number, SubscriberHandler>} */
  #handlers = new Map();
  /** @type {number[]} subscribers of the next acknowledgement */
  #acknowledged = [];

  /**
   * @param {any} hub the native one
   * @param {import('../internal/native/reactor.js').Reactor} reactor
   * @param {(id: number) => void} [onDropped] called once for each subscriber, when it has ended
   */
  constructor(hub, reactor, onDropped) {
    this.#native = hub;
    this.#reactor = reactor;
    this.#onDropped = onDropped;
  }

  /** Open subscribers. */
  get size() {
    return this.#handlers.size;
  }

  /**
   * See `JobHub.openStream`.
   * @param {number} id new
   * @param {import('./types.js').Member[]} members
   * @param {SubscriberHandler} handler
   * @param {{fanIn?: boolean, face?: import('./types.js').FaceOptions, observes?: boolean}} how
   * @returns {Subscriber}
   */
  open(id, members, handler, { fanIn = false, face, observes = false }) {
    this.#handlers.set(id, handler);
    this.#reactor.ref();
    const inEvents = observes ? 'observe' : 'events';
    const mode = handler.onFrames === undefined ? inEvents : 'frames';
    this.#native.attach(id, mode, fanIn, members, face, handler.onWhole !== undefined);
    // Deferred until the caller has received its subscriber, which handlers need to acknowledge.
    queueMicrotask(() => this.#reactor.settle());
    return new Subscriber(id, this);
  }

  /** Ends every subscriber as `closed`. */
  close() {
    for (const [id, handler] of this.#handlers) {
      this.#drop(id);
      handler.onEnd('closed');
    }
  }

  /**
   * @param {number} id
   * @param {boolean} finished
   */
  onOpen(id, finished) {
    const handler = this.#handlers.get(id);
    if (finished) this.#drop(id);
    handler?.onOpen(finished);
  }

  /**
   * @param {number} id
   * @param {string} frames
   */
  onWhole(id, frames) {
    const handler = this.#handlers.get(id);
    if (this.#drop(id)) handler?.onWhole?.(frames);
  }

  /**
   * @param {number} id
   * @param {Buffer} frames
   */
  onFrames(id, frames) {
    this.#handlers.get(id)?.onFrames?.(frames);
  }

  /**
   * @param {number} id
   * @param {string[]} events
   */
  onEvents(id, events) {
    this.#handlers.get(id)?.onEvents?.(events);
  }

  /**
   * @param {number} id
   * @param {import('./types.js').EndReason} reason
   */
  onEnd(id, reason) {
    const handler = this.#handlers.get(id);
    if (this.#drop(id)) handler?.onEnd(reason);
  }

  /** @param {number} id */
  acknowledge(id) {
    if (!this.#handlers.has(id)) return;
    // One command for all subscribers of a turn.
    if (this.#acknowledged.push(id) > 1) return;
    queueMicrotask(() => {
      const ids = this.#acknowledged;
      this.#acknowledged = [];
      this.#native.acknowledge(ids);
      this.#reactor.settle();
    });
  }

  /**
   * @param {number} id
   * @param {number} fd
   * @param {SubscriberHandler} [successor] if given, only the reactor uses the connection
   * @param {string} [head] of `transferSocket`
   */
  attachSocket(id, fd, successor, head = '') {
    const sole = successor !== undefined;
    if (!this.#handlers.has(id) || !this.#native.attachSocket(id, fd, sole, head)) return false;
    if (sole) this.#handlers.set(id, successor);
    this.#reactor.settle();
    return true;
  }

  /** @param {number} id @returns {number} */
  detachSocket(id) {
    return this.#native.detachSocket(id);
  }

  /** @param {number} id */
  detach(id) {
    if (!this.#drop(id)) return;
    this.#native.detach(id);
    this.#reactor.settle();
  }

  /** @param {number} id @returns {boolean} whether it was open */
  #drop(id) {
    if (!this.#handlers.delete(id)) return false;
    this.#reactor.unref();
    this.#onDropped?.(id);
    return true;
  }
}
