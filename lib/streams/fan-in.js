/**
 * One stream of jobs that live on several reactors.
 *
 * Within a reactor the native hub merges by itself; a cursor over the set needs somebody who knows
 * all positions, and no reactor sees the others' logs. So each job is read on its own, and merged
 * here: same frames, same cursors, by way of the main thread. Main thread only; ends with the last
 * job's terminal event, with `detach()`, or when the reader stalls.
 */

/** @typedef {import('./hub-channel.js').Sink} Sink */
/** @typedef {import('./hub-channel.js').EndReason} EndReason */

/**
 * @typedef {object} FanInMember
 * @property {import('./hub.js').JobHub} hub
 * @property {number} handle on that hub
 * @property {string} jobId
 * @property {string} cursor the last event id seen; empty for none
 */

const kFieldsPerEvent = 3; // id, type, JSON

/** What may stand in a cursor over the set; a client's own may be anything, line breaks included. */
const kEventId = /^\d+-\d+$/;

/** A job of the set, and the batch of it that has not left yet. */
class Source {
  /** @type {string[]} */
  events = [];
  opened = false;
  ended = false;
  /** The batch is with the reader. */
  sent = false;
  /** @type {import('./hub-channel.js').HubChannel | undefined} */
  channel;

  /** @param {FanInMember} member */
  constructor({ jobId, cursor }) {
    this.jobId = jobId;
    /** Where the reader is; undefined while it has seen nothing. @type {string | undefined} */
    this.position = kEventId.test(cursor) ? cursor : undefined;
  }
}

/** Has the face of a `HubChannel`. See the head of this file. */
export class FanIn {
  /** @type {Source[]} */
  #sources;
  #sink;
  /** The sink has been told that the stream is open. */
  #announced = false;
  /** The reader can take a batch; not before its first `acknowledge()`. */
  #ready = false;
  #preamble;
  #over = false;
  #heartbeatMs;
  /** @type {NodeJS.Timeout | undefined} */
  #heartbeat;

  /**
   * @param {FanInMember[]} members
   * @param {Sink} sink takes frames
   * @param {{heartbeatMs: number, retryMs: number}} options
   */
  constructor(members, sink, { heartbeatMs, retryMs }) {
    this.#sink = sink;
    this.#preamble = `retry: ${retryMs}\n\n`;
    this.#heartbeatMs = heartbeatMs;
    this.#sources = members.map((member) => new Source(member));
    members.forEach(({ hub, handle, cursor }, i) => {
      const source = this.#sources[i];
      source.channel = hub.openStream([{ handle, cursor }], {
        onOpen: (finished) => this.#onOpen(source, finished),
        onEvents: (events) => this.#onEvents(source, events),
        onEnd: (reason) => this.#onEnd(source, reason),
      });
    });
  }

  /** The batch under way has been dealt with; the first time: the head has left. */
  acknowledge() {
    if (this.#over || this.#ready) return;
    this.#ready = true;
    for (const source of this.#sources) {
      if (!source.sent) continue;
      source.sent = false;
      source.events = [];
      source.channel?.acknowledge();
    }
    this.#rearm();
    this.#send();
  }

  /** The frames are made here, so there is no descriptor to write them to. */
  adopt() {
    return false;
  }

  handOver() {
    return false;
  }

  reclaim() {
    return -1;
  }

  detach() {
    this.#over = true;
    clearTimeout(this.#heartbeat);
    for (const { channel } of this.#sources) channel?.detach();
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

  /** Says that the stream is open when that is known of each job. */
  #announce() {
    if (this.#over || this.#announced || !this.#sources.every(({ opened }) => opened)) return;
    this.#announced = true;
    const finished = this.#sources.every(({ ended }) => ended);
    this.#over = finished;
    this.#sink.onOpen(finished);
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
      // As in one hub: the set goes on without a job that is gone.
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
    this.#sink.onEnd(reason);
  }

  /** Gives the reader everything that has come, in one batch. */
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
    for (let i = 0; i < source.events.length; i += kFieldsPerEvent) {
      const [id, type, json] = source.events.slice(i, i + kFieldsPerEvent);
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
    this.#sink.onFrames?.(Buffer.from(frames));
  }

  /** Silence is counted from the last batch, given or taken. */
  #rearm() {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (this.#ready) this.#give(': keep-alive\n');
    }, this.#heartbeatMs);
  }
}
