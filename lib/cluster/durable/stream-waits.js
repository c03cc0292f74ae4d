import { whenAborted } from '../../internal/util/abort.js';

/**
 * Messages of other processes.
 * @typedef {object} Channels
 * @property {(event: 'published', listener: (channel: string) => void) => unknown} on
 * @property {(channel: string) => void} listen
 * @property {(channel: string) => void} unlisten
 */

/**
 * A stream that has waiting readers, or had one a moment ago.
 * @typedef {object} Waited
 * @property {number} tail the end that the waiting readers know
 * @property {Set<() => void>} waiting
 * @property {number} dueMs time of its next check
 * @property {number} stepMs wait before that check
 * @property {number} stepMsMax
 * @property {number} leftMs time at which the last reader left; Infinity: there are readers
 */

/** A stream with a new subscription is checked after this time; each further wait is three times as long, */
const FIRST_MS = 30;
const STEP_FACTOR = 3;
/** up to this, which bounds the delay by a lost message. */
const STEP_MS_MAX = 1000;
/** A time to live is renewed this many times within it. */
const LOOKS_PER_TTL = 4;
/** A subscription without readers is kept for this long. */
const LINGER_MS = 5000;
/** Checks that are due within this time are made together. */
const SLACK_MS = 20;
/** Streams that one script checks. */
const LOOKS_AT_ONCE = 500;

const CHANNEL = /^durable:(\d+)$/;

/**
 * Readers of this process that wait for a change of a stream. A message on the channel of the stream announces a
 * change. Messages may be lost, so each stream is also read once a second, which renews its time to live. Main
 * thread; `close()` ends all waits.
 */
export class StreamWaits {
  #channels;
  #look;
  #nowMs;
  /** @type {Map<number, Waited>} by the id of the stream */
  #all = new Map();
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #timerMs = Infinity;
  #isLooking = false;
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {Channels} deps.channels
   * @param {(ids: number[]) => Promise<(number | undefined)[]>} deps.look resolves with the end positions of
   *   streams; undefined: closed or gone
   * @param {() => number} [deps.nowMs] monotonic; default `performance.now`
   */
  constructor({ channels, look, nowMs = () => performance.now() }) {
    this.#channels = channels;
    this.#look = look;
    this.#nowMs = nowMs;
    channels.on('published', (channel) => {
      const id = CHANNEL.exec(channel)?.[1];
      if (id !== undefined) this.#wake(Number(id));
    });
  }

  /** Whether waits have ended for good. */
  get isClosed() {
    return this.#isClosed;
  }

  /**
   * Begins a wait before the stream is read: a later change ends it.
   * @param {{id: number, ttlMs: number | null}} stream
   * @param {number} tail the last known end of the stream
   * @param {AbortSignal} signal
   * @returns {{changed: Promise<void>, end: () => void}} `changed` resolves at a change, or with the signal, or
   *   at `close()`; `end` cancels the wait
   */
  begin({ id, ttlMs }, tail, signal) {
    const waited = this.#waitedFor(id, ttlMs);
    waited.tail = Math.max(waited.tail, tail);
    let end = () => {};
    /** @type {Promise<void>} */
    const changed = new Promise((resolve) => {
      end = () => {
        release();
        waited.waiting.delete(end);
        if (waited.waiting.size === 0) waited.leftMs = this.#nowMs();
        resolve();
      };
      waited.waiting.add(end);
      const release = whenAborted(signal, () => end());
      if (this.#isClosed || signal.aborted) end();
    });
    return { changed, end };
  }

  /**
   * @param {number} id
   * @param {number | null} ttlMs
   */
  #waitedFor(id, ttlMs) {
    const known = this.#all.get(id);
    if (known !== undefined) {
      known.leftMs = Infinity;
      return known;
    }
    const stepMsMax = Math.min(STEP_MS_MAX, (ttlMs ?? Infinity) / LOOKS_PER_TTL);
    const stepMs = Math.min(FIRST_MS, stepMsMax);
    const dueMs = this.#nowMs() + stepMs;
    /** @type {Waited} */
    const waited = { tail: 0, waiting: new Set(), dueMs, stepMs, stepMsMax, leftMs: Infinity };
    this.#all.set(id, waited);
    this.#channels.listen(`durable:${id}`);
    this.#schedule(dueMs);
    return waited;
  }

  /** @param {number} id of a stream that has changed */
  #wake(id) {
    for (const end of [...(this.#all.get(id)?.waiting ?? [])]) end();
  }

  /** @param {number} dueMs of some stream */
  #schedule(dueMs) {
    if (this.#isClosed || this.#isLooking || dueMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = dueMs;
    this.#timer = setTimeout(() => void this.#lookAtDue(), Math.max(0, dueMs - this.#nowMs()));
    this.#timer.unref();
  }

  async #lookAtDue() {
    this.#timerMs = Infinity;
    this.#isLooking = true;
    const due = this.#due();
    for (let at = 0; at < due.length; at += LOOKS_AT_ONCE) {
      await this.#lookAt(due.slice(at, at + LOOKS_AT_ONCE));
    }
    this.#isLooking = false;
    let dueMs = Infinity;
    for (const waited of this.#all.values()) dueMs = Math.min(dueMs, waited.dueMs);
    this.#schedule(dueMs);
  }

  /** @returns {[id: number, waited: Waited][]} streams that are due now; ends subscriptions without readers */
  #due() {
    const nowMs = this.#nowMs();
    const due = [];
    for (const [id, waited] of this.#all) {
      if (waited.dueMs > nowMs + SLACK_MS) continue;
      if (nowMs - waited.leftMs >= LINGER_MS) {
        this.#all.delete(id);
        this.#channels.unlisten(`durable:${id}`);
        continue;
      }
      waited.stepMs = Math.min(waited.stepMsMax, waited.stepMs * STEP_FACTOR);
      waited.dueMs = nowMs + waited.stepMs;
      if (waited.waiting.size > 0) due.push(/** @type {[number, Waited]} */ ([id, waited]));
    }
    return due;
  }

  /** @param {[id: number, waited: Waited][]} some */
  async #lookAt(some) {
    let tails;
    try {
      tails = await this.#look(some.map(([id]) => id));
    } catch {
      // Redis is away: the readers keep waiting.
      return;
    }
    for (const [i, [id, waited]] of some.entries()) {
      const tail = tails[i];
      if (tail === waited.tail) continue;
      waited.tail = tail ?? waited.tail;
      this.#wake(id);
    }
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const [id] of this.#all) {
      this.#wake(id);
      this.#channels.unlisten(`durable:${id}`);
    }
    this.#all.clear();
  }
}
