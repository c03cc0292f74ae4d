/** @typedef {import('./repository.js').Delivery} Delivery */

/** Attempts at once, in all and at one receiver: a slow receiver must not hold up the others. */
const RUNNING_MAX = 32;
export const RUNNING_PER_RECEIVER_MAX = 4;

/** @typedef {{ready: Set<Delivery>, running: number}} Receiver */

/**
 * Starts each attempt when it is due, with bounded numbers at once, in turn among the receivers. Main
 * thread; `close()` ends it.
 */
export class DeliveryQueue {
  #deadlines;
  #unixMs;
  #attempt;
  /** Waits until deliveries are due. @type {Map<Delivery, () => void>} */
  #waiting = new Map();
  /** By origin. @type {Map<string, Receiver>} */
  #receivers = new Map();
  /** Origins where an attempt may start, the longest waiting first. @type {Set<string>} */
  #startable = new Set();
  #running = 0;
  #closed = false;
  /** @type {(() => void) | undefined} */
  #onIdle;

  /**
   * @param {object} deps
   * @param {import('../../internal/time/timers.js').Deadlines} deps.deadlines
   * @param {() => number} deps.unixMs
   * @param {(delivery: Delivery) => Promise<void>} deps.attempt must not reject
   */
  constructor({ deadlines, unixMs, attempt }) {
    this.#deadlines = deadlines;
    this.#unixMs = unixMs;
    this.#attempt = attempt;
  }

  /** @param {Delivery} delivery attempted at its `dueMs` */
  add(delivery) {
    if (this.#closed) return;
    const waitMs = delivery.head.dueMs - this.#unixMs();
    if (waitMs <= 0) {
      this.#ready(delivery);
      return;
    }
    const onDue = () => {
      this.#waiting.delete(delivery);
      // A long wait comes in pieces.
      this.add(delivery);
    };
    this.#waiting.set(delivery, this.#deadlines.start(waitMs, onDue, { background: true }));
  }

  /** @param {Delivery} delivery that is not attempted any more; a running attempt goes on */
  remove(delivery) {
    this.#waiting.get(delivery)?.();
    this.#waiting.delete(delivery);
    this.#receivers.get(originOf(delivery))?.ready.delete(delivery);
  }

  /** Forgets the deliveries that wait for their time; due ones are still attempted. */
  stopWaiting() {
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }

  /** @returns {Promise<void>} resolves when no attempt is running or due */
  idle() {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#tellIdle();
    });
  }

  /** Starts no further attempts. */
  close() {
    this.#closed = true;
    this.stopWaiting();
    for (const { ready } of this.#receivers.values()) ready.clear();
    this.#startable.clear();
  }

  /** @param {Delivery} delivery */
  #ready(delivery) {
    const origin = originOf(delivery);
    let receiver = this.#receivers.get(origin);
    if (receiver === undefined) {
      receiver = { ready: new Set(), running: 0 };
      this.#receivers.set(origin, receiver);
    }
    receiver.ready.add(delivery);
    if (receiver.running < RUNNING_PER_RECEIVER_MAX) this.#startable.add(origin);
    this.#start();
  }

  #start() {
    for (const origin of this.#startable) {
      if (this.#running >= RUNNING_MAX) return;
      const receiver = /** @type {Receiver} */ (this.#receivers.get(origin));
      const [delivery] = receiver.ready;
      // It goes to the end of the set, and the loop meets it again there.
      this.#startable.delete(origin);
      if (delivery === undefined) continue;
      receiver.ready.delete(delivery);
      receiver.running += 1;
      this.#running += 1;
      if (receiver.ready.size > 0 && receiver.running < RUNNING_PER_RECEIVER_MAX) {
        this.#startable.add(origin);
      }
      void this.#attempt(delivery).then(() => this.#onEnded(origin, receiver));
    }
  }

  /**
   * @param {string} origin
   * @param {Receiver} receiver
   */
  #onEnded(origin, receiver) {
    receiver.running -= 1;
    this.#running -= 1;
    if (receiver.ready.size > 0) this.#startable.add(origin);
    else if (receiver.running === 0) this.#receivers.delete(origin);
    if (!this.#closed) this.#start();
    this.#tellIdle();
  }

  #tellIdle() {
    const due = [...this.#receivers.values()].some(({ ready }) => ready.size > 0);
    if (this.#running === 0 && !due) this.#onIdle?.();
  }
}

/** @param {Delivery} delivery @returns {string} */
function originOf({ head }) {
  return new URL(head.url).origin;
}
