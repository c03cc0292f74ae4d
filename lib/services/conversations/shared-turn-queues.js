import { WAITING_MAX } from './turn-queue.js';
import { abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../internal/util/abort.js').Abortable} Abortable */

/**
 * The turns that wait for one conversation.
 * @typedef {object} Queue
 * @property {string} name
 * @property {Place[]} places in order of arrival; empty only at its end
 * @property {() => void} unwatch
 */

/** A place in a queue. Its wait ends when its signal aborts, it times out, or `close()` of the queues is called. */
class Place {
  /** Whether it is about to take the turn, and no longer counts as waiting. */
  isTaking = false;
  /** The reason why its wait has ended. @type {{reason: unknown} | undefined} */
  #over;
  #isWoken = false;
  /** @type {() => void} */
  #resume = () => {};
  #release;
  #timer;

  /**
   * @param {Queue} queue
   * @param {{signal?: Abortable, waitMs: number, late: () => unknown}} options
   */
  constructor(queue, { signal, waitMs, late }) {
    this.queue = queue;
    this.#release = whenAborted(signal, () =>
      this.end(abortReason(/** @type {{reason?: any}} */ (signal))),
    );
    this.#timer = setTimeout(() => this.end(late()), waitMs);
  }

  /** Makes the place check its turn again; if it is not waiting, it checks before its next pause. */
  wake() {
    this.#isWoken = true;
    this.#resume();
  }

  /** @param {unknown} reason */
  end(reason) {
    this.#over ??= { reason };
    this.wake();
  }

  /** Resolves once it is the first of its queue; rejects when its wait ends. */
  async first() {
    while (this.queue.places[0] !== this) await this.pause();
    if (this.#over !== undefined) throw this.#over.reason;
  }

  /**
   * Resolves at `wake()`, or at once if it was called since the last pause; rejects when the wait
   * ends.
   * @param {number} [ms] the longest pause; default: unlimited
   */
  async pause(ms) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    if (!this.#isWoken && this.#over === undefined) {
      await new Promise((resolve) => {
        this.#resume = () => resolve(undefined);
        if (ms !== undefined) timer = setTimeout(resolve, ms);
      });
    }
    clearTimeout(timer);
    this.#resume = () => {};
    this.#isWoken = false;
    if (this.#over !== undefined) throw this.#over.reason;
  }

  /** Frees its timer and listener. */
  settle() {
    clearTimeout(this.#timer);
    this.#release();
  }
}

/** @typedef {InstanceType<typeof Place>} QueuePlace */

/**
 * Queues of turns that wait for their conversation in a deployment, one FIFO queue per conversation and
 * principal. The first of each queue tries to take the turn in Redis. Main thread.
 */
export class SharedTurnQueues {
  /** @type {Map<string, Queue>} */
  #queues = new Map();
  #count = 0;
  #maxQueued;
  #waitMs;

  /** @param {{maxQueued: number, queueWaitMs: number}} limits */
  constructor({ maxQueued, queueWaitMs }) {
    this.#maxQueued = maxQueued;
    this.#waitMs = queueWaitMs;
  }

  /** @param {string} name of a queue @returns {boolean} whether it is full */
  full(name) {
    const waiting = this.#queues.get(name)?.places.filter(({ isTaking }) => !isTaking) ?? [];
    return waiting.length >= this.#maxQueued || this.#count >= WAITING_MAX;
  }

  /**
   * @param {string} name
   * @param {object} options
   * @param {Abortable} [options.signal] not aborted yet
   * @param {() => unknown} options.late creates the rejection reason after a time-out
   * @param {(wake: () => void) => () => void} options.watch calls `wake` whenever the turn may be free;
   *   returns a function that ends the watch
   * @returns {Place} a place at the end of the queue
   */
  join(name, { signal, late, watch }) {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      /** @type {Queue} */
      const made = { name, places: [], unwatch: () => {} };
      made.unwatch = watch(() => made.places[0]?.wake());
      this.#queues.set(name, made);
      queue = made;
    }
    const place = new Place(queue, { signal, waitMs: this.#waitMs, late });
    queue.places.push(place);
    this.#count += 1;
    return place;
  }

  /** @param {Place} place a place that has its turn, or whose wait has ended */
  leave(place) {
    const { queue } = place;
    place.settle();
    queue.places.splice(queue.places.indexOf(place), 1);
    this.#count -= 1;
    if (queue.places.length > 0) {
      queue.places[0].wake();
      return;
    }
    this.#queues.delete(queue.name);
    queue.unwatch();
  }

  /** @param {() => unknown} reason creates the rejection reason of each waiting turn */
  close(reason) {
    for (const { places } of this.#queues.values()) {
      for (const place of places) place.end(reason());
    }
  }
}
