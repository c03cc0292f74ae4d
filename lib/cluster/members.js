import { EventEmitter } from 'node:events';
import { randomBytes } from 'node:crypto';
import { redisUnavailable } from '../jobs/errors.js';

/** Maximum gap between two answered beats, in intervals; after a longer gap the observer starts over. */
const GAP_INTERVALS = 2.5;
/** Beats per lease. */
export const BEATS_PER_LEASE = 5;

/**
 * The name under which this process is a member. `buried`: Redis has no member of this name any more.
 * @extends {EventEmitter<{buried: []}>}
 */
export class Identity extends EventEmitter {
  /** One that no process had before. */
  name = newName();

  /** Changes the name. */
  renew() {
    this.name = newName();
  }

  /** @param {string} name to which a script has answered `BURIED`; a former one is known to be buried */
  bury(name) {
    if (name === this.name) this.emit('buried');
  }

  /**
   * @param {string} answer of a script
   * @param {string} name with which it was called
   * @throws {import('../internal/util/http-error.js').HttpError} 503 if Redis has no member of this name
   */
  checkMember(answer, name) {
    if (answer !== 'BURIED') return;
    this.bury(name);
    throw redisUnavailable();
  }
}

/** @returns {string} */
const newName = () => `p${randomBytes(9).toString('base64url')}`;

/**
 * The answer to a beat.
 * @typedef {object} Observation
 * @property {string} self name of this process, which is never counted dead
 * @property {[name: string, beat: string][]} beats of all members
 * @property {number} sentMs when this process sent its beat
 * @property {number} answeredMs when the answer came
 */

/**
 * Detects dead processes from the answers to this process's own beats. Pure: times are
 * arguments, in milliseconds of this process's monotonic clock. Redis compares the beat again before
 * it counts a process dead.
 *
 * A process is dead if its beat has not changed for a whole lease in which Redis has answered this
 * process's beats in time. If two answers are more than 2.5 intervals apart, because Redis was away or
 * this process slept, all observations start over. No other clock is involved.
 */
export class Members {
  #leaseMs;
  #gapMs;
  /** @type {Map<string, {beat: string, sinceMs: number}>} by process */
  #seen = new Map();
  #answeredMs = -Infinity;
  #self = '';

  /** @param {{leaseMs: number}} options */
  constructor({ leaseMs }) {
    this.#leaseMs = leaseMs;
    this.#gapMs = (leaseMs / BEATS_PER_LEASE) * GAP_INTERVALS;
  }

  /** The processes of the last answer, this one included. @returns {string[]} */
  get names() {
    return [...this.#seen.keys()];
  }

  /** @param {Observation} observation */
  observe({ self, beats, sentMs, answeredMs }) {
    const isLate = answeredMs - this.#answeredMs > this.#gapMs || answeredMs - sentMs > this.#gapMs;
    this.#answeredMs = answeredMs;
    this.#self = self;
    const before = this.#seen;
    this.#seen = new Map();
    for (const [name, beat] of beats) {
      const known = isLate ? undefined : before.get(name);
      // Redis read the beat before the answer arrived; use the shorter span.
      const sinceMs = known?.beat === beat ? known.sinceMs : answeredMs;
      this.#seen.set(name, { beat, sinceMs });
    }
  }

  /**
   * @param {number} nowMs
   * @returns {{name: string, beat: string}[]} processes that are dead unless their beat has changed since
   *   the last answer
   */
  dead(nowMs) {
    if (nowMs - this.#answeredMs > this.#gapMs) return [];
    return this.#others()
      .filter(([, { sinceMs }]) => nowMs - sinceMs >= this.#leaseMs)
      .map(([name, { beat }]) => ({ name, beat }));
  }

  /** @returns {number} next time at which `dead` may find one; Infinity without other processes */
  get dueMs() {
    return Math.min(...this.#others().map(([, { sinceMs }]) => sinceMs + this.#leaseMs));
  }

  #others() {
    return [...this.#seen].filter(([name]) => name !== this.#self);
  }
}
