import { WAITING_MAX } from './turn-queue.js';
import { abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../internal/util/abort.js').Abortable} Abortable */

/**
 * The turns that wait for one conversation.
 * @typedef {object} Line
 * @property {string} name
 * @property {Place[]} places first come, first served; none only at its end
 * @property {string | undefined} job of the turn that they wait for, as far as it is known
 * @property {() => void} unwatch
 */

/** A place in a line. Its wait ends by an abort of its signal, by its time, or by `close()` of the lines. */
class Place {
  /** Whether it is about to take the turn, so that it does not count as waiting. */
  isTaking = false;
  /** The reason for which its wait has ended. @type {{reason: unknown} | undefined} */
  #over;
  #isWoken = false;
  /** @type {() => void} */
  #resume = () => {};
  #release;
  #timer;

  /**
   * @param {Line} line
   * @param {{signal?: Abortable, waitMs: number, late: (job: string | undefined) => unknown}} how
   */
  constructor(line, { signal, waitMs, late }) {
    this.line = line;
    this.#release = whenAborted(signal, () =>
      this.end(abortReason(/** @type {{reason?: any}} */ (signal))),
    );
    this.#timer = setTimeout(() => this.end(late(line.job)), waitMs);
  }

  /** Has it look anew, also if it does not wait at the moment. */
  wake() {
    this.#isWoken = true;
    this.#resume();
  }

  /** @param {unknown} reason */
  end(reason) {
    this.#over ??= { reason };
    this.wake();
  }

  /** Resolves once it is the first of its line; rejects when its wait ends. */
  async first() {
    while (this.line.places[0] !== this) await this.pause();
    if (this.#over !== undefined) throw this.#over.reason;
  }

  /**
   * Resolves when it is woken, or has been since the last time; rejects when its wait ends.
   * @param {number} [ms] at the latest after these milliseconds; default: none
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

  /** Its wait is over. */
  settle() {
    clearTimeout(this.#timer);
    this.#release();
  }
}

/** @typedef {InstanceType<typeof Place>} PlaceInLine */

/**
 * Lines of turns that wait for their conversation in a deployment, one per conversation and principal: the
 * first of each line tries to take the turn. Main thread.
 */
export class TurnLines {
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #count = 0;
  #maxQueued;
  #waitMs;

  /** @param {{maxQueued: number, queueWaitMs: number}} limits */
  constructor({ maxQueued, queueWaitMs }) {
    this.#maxQueued = maxQueued;
    this.#waitMs = queueWaitMs;
  }

  /**
   * @param {string} name of a line
   * @returns {{job: string | undefined} | undefined} that line, if it is full
   */
  full(name) {
    const line = this.#lines.get(name);
    if (this.#count >= WAITING_MAX) return { job: line?.job };
    const waiting = line?.places.filter(({ isTaking }) => !isTaking) ?? [];
    return waiting.length >= this.#maxQueued ? line : undefined;
  }

  /**
   * @param {string} name
   * @param {object} how
   * @param {Abortable} [how.signal] not aborted yet
   * @param {(job: string | undefined) => unknown} how.late makes the reason after a time-out
   * @param {(wake: () => void) => () => void} how.watch begins to tell the line that the turn may be free;
   *   gives a function that ends it
   * @returns {Place} at its end
   */
  join(name, { signal, late, watch }) {
    let line = this.#lines.get(name);
    if (line === undefined) {
      /** @type {Line} */
      const made = { name, places: [], job: undefined, unwatch: () => {} };
      made.unwatch = watch(() => made.places[0]?.wake());
      this.#lines.set(name, made);
      line = made;
    }
    const place = new Place(line, { signal, waitMs: this.#waitMs, late });
    line.places.push(place);
    this.#count += 1;
    return place;
  }

  /** @param {Place} place that has its turn, or has given up */
  leave(place) {
    const { line } = place;
    place.settle();
    line.places.splice(line.places.indexOf(place), 1);
    this.#count -= 1;
    if (line.places.length > 0) {
      line.places[0].wake();
      return;
    }
    this.#lines.delete(line.name);
    line.unwatch();
  }

  /** @param {() => unknown} reason makes the reason for which each wait ends */
  close(reason) {
    for (const { places } of this.#lines.values()) {
      for (const place of places) place.end(reason());
    }
  }
}
