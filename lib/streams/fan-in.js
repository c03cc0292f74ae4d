import { EVENT_FIELDS } from './subscriptions.js';

/** @typedef {import('./types.js').SubscriberHandler} SubscriberHandler */
/** @typedef {import('./types.js').EndReason} EndReason */
/** @typedef {import('./types.js').Member} Member */

/**
 * The part of a JobHub used here.
 * @typedef {object} StreamSource
 * @property {(members: Member[], handler: SubscriberHandler) =>
 *   {acknowledge: () => void, detach: () => void}} openStream
 */

/** A client's cursor may be any text, even with line breaks; so only ids are copied into cursors. */
const EVENT_ID = /^\d+-\d+$/;

/** A job of the set, and its unconsumed batch. */
class Source {
  /** @type {string[]} */
  events = [];
  opened = false;
  ended = false;
  /** The batch is in flight. */
  sent = false;
  /** @type {{acknowledge(): void, detach(): void} | undefined} */
  subscriber;

  /** @param {Member} member */
  constructor({ jobId = '', cursor }) {
    this.jobId = jobId;
    /** The last id that was sent; undefined: none. @type {string | undefined} */
    this.position = EVENT_ID.test(cursor) ? cursor : undefined;
  }
}

/**
 * A subscriber to jobs on several shards; implements the interface of `Subscriber`.
 *
 * Within a shard the native hub merges logs by itself. A cursor over a set contains the positions of
 * all its jobs, and no shard has the logs of the others. So each job has its own
 * subscriber, and this class merges their frames and cursors. Main thread only; ends with the last job's
 * terminal event, with `detach()`, or when the client stalls.
 */
export class FanIn {
  /** @type {Source[]} */
  #sources;
  #handler;
  /** The handler's `onOpen` was called. */
  #announced = false;
  /** Whether the handler can take a batch; false before its first `acknowledge()`. */
  #ready = false;
  #preamble;
  #over = false;
  #heartbeatMs;
  /** @type {NodeJS.Timeout | undefined} */
  #heartbeat;

  /**
   * @param {StreamSource} hub
   * @param {Member[]} members with job ids
   * @param {SubscriberHandler} handler with `onFrames`
   * @param {{heartbeatMs: number, retryMs: number}} options
   */
  constructor(hub, members, handler, { heartbeatMs, retryMs }) {
    this.#handler = handler;
    this.#preamble = `retry: ${retryMs}\n`;
    this.#heartbeatMs = heartbeatMs;
    this.#sources = members.map((member) => new Source(member));
    members.forEach(({ handle, cursor }, i) => {
      const source = this.#sources[i];
      source.subscriber = hub.openStream([{ handle, cursor }], {
        onOpen: (finished) => this.#onOpen(source, finished),
        onEvents: (events) => this.#onEvents(source, events),
        onEnd: (reason) => this.#onEnd(source, reason),
      });
    });
  }

  /** Reports the batch in flight as consumed; the first time: the head was sent. */
  acknowledge() {
    if (this.#over || this.#ready) return;
    this.#ready = true;
    for (const source of this.#sources) {
      if (!source.sent) continue;
      source.sent = false;
      source.events = [];
      source.subscriber?.acknowledge();
    }
    this.#rearm();
    this.#send();
  }

  /** Frames of several shards are made here, so no reactor can write them to a socket. */
  attachSocket() {
    return false;
  }

  transferSocket() {
    return false;
  }

  detachSocket() {
    return -1;
  }

  detach() {
    this.#over = true;
    clearTimeout(this.#heartbeat);
    for (const { subscriber } of this.#sources) subscriber?.detach();
  }

  /**
   * @param {Source} source
   * @param {boolean} finished
   */
  #onOpen(source, finished) {
    source.opened = true;
    source.ended = finished;
    this.#announce();
  }

  /** Calls `onOpen` once all jobs have opened. */
  #announce() {
    if (this.#over || this.#announced || !this.#sources.every(({ opened }) => opened)) return;
    this.#announced = true;
    const finished = this.#sources.every(({ ended }) => ended);
    this.#over = finished;
    this.#handler.onOpen(finished);
  }

  /**
   * @param {Source} source
   * @param {string[]} events
   */
  #onEvents(source, events) {
    source.events = events;
    this.#send();
  }

  /**
   * @param {Source} source
   * @param {EndReason} reason
   */
  #onEnd(source, reason) {
    if (this.#over) return;
    source.ended = true;
    if (reason === 'purged') {
      // As in a native fan-in, the set continues without a purged job.
      this.#sources = this.#sources.filter((other) => other !== source);
      if (this.#sources.length > 0) this.#announce();
    }
    if (this.#sources.length === 0) this.#finish('purged');
    else if (reason === 'finished' || reason === 'purged') this.#finishIfDone();
    else this.#finish(reason);
  }

  #finishIfDone() {
    if (this.#ready && this.#sources.every(({ ended, events }) => ended && events.length === 0)) {
      this.#finish('finished');
    }
  }

  /** @param {EndReason} reason */
  #finish(reason) {
    if (this.#over) return;
    this.detach();
    this.#handler.onEnd(reason);
  }

  /** Sends all pending events in one batch. */
  #send() {
    if (!this.#ready || this.#over) return;
    let frames = this.#preamble;
    this.#preamble = '';
    for (const source of this.#sources) {
      if (source.events.length === 0 || source.sent) continue;
      frames += this.#framesOf(source);
      source.sent = true;
    }
    if (frames !== '') this.#give(frames);
    else this.#finishIfDone();
  }

  /** @param {Source} source */
  #framesOf(source) {
    let frames = '';
    for (let i = 0; i < source.events.length; i += EVENT_FIELDS) {
      const [id, type, json] = source.events.slice(i, i + EVENT_FIELDS);
      if (id !== '') {
        source.position = id;
        frames += `id: ${this.#cursor()}\n`;
      }
      frames += `event: ${type}\ndata: ${json}\n\n`;
    }
    return frames;
  }

  #cursor() {
    const seen = this.#sources.filter(({ position }) => position !== undefined);
    return seen.map(({ jobId, position }) => `${jobId}:${position}`).join(',');
  }

  /** @param {string} frames */
  #give(frames) {
    this.#ready = false;
    this.#rearm();
    this.#handler.onFrames?.(Buffer.from(frames));
  }

  /** Silence counts from the last batch sent or acknowledged. */
  #rearm() {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (this.#ready) this.#give(': keep-alive\n');
    }, this.#heartbeatMs);
  }
}
