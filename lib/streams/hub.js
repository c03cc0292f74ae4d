import { EventEmitter } from 'node:events';
import native from '../internal/native/addon.js';
import { FlowControl } from './flow-control.js';
import { HubChannels } from './subscriptions.js';
import { EventKind } from '../internal/native/reactor.js';

/** @typedef {import('./types.js').JobState} JobState */
/** @typedef {import('./types.js').TerminalInput} TerminalInput */

/**
 * Events of a hub. `ended` comes once per attempt, before any reader gets the terminal event;
 * `purged` when the log is gone.
 * @typedef {{ended: [handle: number, state: JobState], purged: [handle: number]}} HubEventMap
 */

/** @typedef {EventEmitter<HubEventMap>} HubEvents */

/**
 * The JavaScript side of the native hub: logs by handle, their flow control, their readers.
 *
 * Main thread. Every call is a command that the reactor carries out in order; its results arrive as
 * events. `close()` ends it.
 */
export class JobHub {
  /** @type {HubEvents} */
  events = new EventEmitter();
  #reactor;
  #native;
  #machineId;
  /** Of the jobs that have not ended. */
  #flows;
  /** Of the readers. */
  #channels;
  /** @type {Map<number, (reply: any) => void>} */
  #replies = new Map();
  /** @type {Map<number, (outcome: import('./relay-types.js').RelayOutcome | null) => void>} */
  #relays = new Map();
  /** @type {number[]} jobs of the tokens on their way to the reactor */
  #tokenJobs = [];
  /** @type {string[]} those tokens */
  #tokenTexts = [];
  #nextJob = 1;
  #nextRequest = 1;
  #nextRelay = 1;
  #closed = false;

  /**
   * @param {object} options
   * @param {import('../internal/native/reactor.js').Reactor} options.reactor
   * @param {number} [options.streamCapacity] tokens the slowest reader may be behind
   * @param {number} [options.logBytesMax] text and offsets kept per job
   * @param {number} [options.retentionMs] from a job's ending to its purge
   * @param {number} [options.heartbeatMs] silence before a keep-alive comment
   * @param {number} [options.stallMs] without progress before a reader is cut
   * @param {number} [options.retryMs] reconnection time told to EventSource
   * @param {object} [options.store] the native store that jobs with a record are written to
   */
  constructor({
    reactor,
    streamCapacity = 256,
    logBytesMax = 4 << 20,
    retentionMs = 300_000,
    heartbeatMs = 15_000,
    stallMs = 10_000,
    retryMs = 2000,
    store,
  }) {
    this.#reactor = reactor;
    this.#flows = new FlowControl(streamCapacity);
    this.#machineId = reactor.register((kind, a, b) => this.#onEvent(kind, a, b));
    const options = { streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, retryMs };
    this.#native = new native.JobHub(reactor.native, this.#machineId, options, store);
    this.#channels = new HubChannels(this.#native, reactor);
  }

  /**
   * Whether `relay` works for these jobs: it needs real time, and a libcurl.
   * @param {readonly number[]} _handles
   * @returns {boolean}
   */
  relays(_handles) {
    return !this.#reactor.manual && native.upstreamClient() !== '';
  }

  /** Bytes that the logs of all jobs hold; logs that several jobs share count once. */
  get logBytes() {
    return this.#native.logBytes();
  }

  /** Channels open now. */
  get channelCount() {
    return this.#channels.size;
  }

  /**
   * A new job; its wall time begins now.
   * @param {object} options
   * @param {string} options.jobId
   * @param {'cancel' | 'continue'} options.onDisconnect
   * @param {number} options.disconnectGraceMs
   * @param {number} options.maxWallMs
   * @param {number} [options.promptTokens] reported where the provider counts none
   * @param {number} [options.retentionMs] from its ending to its purge; default: the hub's
   * @param {number} [options.near] a job with which it is to share a thread, so that one may
   *   `follow` the other; here all jobs do
   * @param {import('./types.js').JobKind} [options.kind] default `job`
   * @param {import('./types.js').Feed} [options.feed]
   * @param {number} [options.record] its number in the store; default 0: it is not written there
   * @returns {number} its handle
   */
  create({
    jobId,
    onDisconnect,
    disconnectGraceMs,
    maxWallMs,
    promptTokens = 0,
    retentionMs = -1,
    kind = 'job',
    feed,
    record = 0,
  }) {
    const handle = this.#begin();
    this.#native.create(handle, {
      jobId,
      cancelOnDisconnect: onDisconnect === 'cancel',
      disconnectGraceMs,
      maxWallMs,
      promptTokens,
      retentionMs,
      kind,
      record,
      feeds: feed?.into ?? 0,
      // Without its braces: the token joins them.
      feedMembers: feed === undefined ? '' : JSON.stringify(feed.members).slice(1, -1),
    });
    this.#reactor.settle();
    return handle;
  }

  /** @returns {number} the handle of a new job, which has not ended */
  #begin() {
    const handle = this.#nextJob++;
    this.#flows.add(handle);
    this.#reactor.ref();
    return handle;
  }

  /**
   * A job of an earlier process. One without a `terminal` is open, and is to be finished.
   * @param {import('../jobs/storage/rows.js').RestoredJob} job
   * @returns {number} its handle
   */
  restore(job) {
    const handle = this.#begin();
    if (job.terminal !== undefined) this.#dropFlow(handle);
    this.#native.restore(handle, job);
    this.#reactor.settle();
    return handle;
  }

  /** @param {number} handle of a job that is to be written to the store no more */
  unrecord(handle) {
    this.#native.unrecord(handle);
    this.#reactor.settle();
  }

  /**
   * Resolves when all that has happened is in the store, or the store has failed.
   * @returns {Promise<unknown>}
   */
  flush() {
    return this.#ask((request) => this.#native.flush(request));
  }

  /**
   * Resolves once every event that the reactor emitted before this call has been dispatched.
   * @returns {Promise<unknown>}
   */
  barrier() {
    // The reply to a question about any log, known or not, comes after every earlier event.
    return this.snapshot(0, { text: false });
  }

  /** @param {number} handle dispatched for the first time; later calls do nothing */
  start(handle) {
    this.#native.start(handle);
    this.#reactor.settle();
  }

  /** @param {number} handle the next attempt: readers are told to forget the text */
  retry(handle) {
    this.#sendTokens();
    this.#native.retry(handle);
    this.#reactor.settle();
  }

  /**
   * Appends a token; it is dropped when the job has ended.
   * @param {number} handle
   * @param {string} text
   * @returns {boolean} false: the window is closed, wait for `writable` before the next one
   */
  append(handle, text) {
    if (!this.#flows.has(handle)) return false;
    const open = this.#flows.count(handle);
    this.#tokenTexts.push(text);
    // One crossing and one wake-up for the tokens of all jobs in this turn of the event loop.
    // Nothing overtakes them: every other command sends them first.
    if (this.#tokenJobs.push(handle) === 1) {
      if (this.#reactor.manual) this.#sendTokens();
      else setImmediate(() => this.#sendTokens());
    }
    return open;
  }

  /**
   * Appends an event of a type of its own; it counts as a token and is dropped like one. The order
   * of tokens and such events of one job is that of the calls.
   * @param {number} handle
   * @param {string} type one line
   * @param {object} data what it says beside the job's id
   * @returns {boolean} as `append`
   */
  appendEvent(handle, type, data) {
    if (!this.#flows.has(handle)) return false;
    const open = this.#flows.count(handle);
    this.#sendTokens();
    this.#native.appendTyped(handle, type, JSON.stringify(data));
    this.#reactor.settle();
    return open;
  }

  /**
   * Begins the next attempt of a job that has ended and is not purged: it is open again, with a
   * wall time that begins anew.
   * @param {number} handle
   */
  reopen(handle) {
    if (this.#flows.has(handle) || this.#closed) return;
    this.#flows.add(handle);
    this.#reactor.ref();
    this.#native.reopen(handle);
    this.#reactor.settle();
  }

  /**
   * @param {number} handle
   * @returns {Promise<void>} resolves when the window is open or the job has ended
   */
  writable(handle) {
    return this.#flows.room(handle);
  }

  /**
   * @param {number} handle
   * @returns {boolean} whether the job is known here to have ended
   */
  ended(handle) {
    return !this.#flows.has(handle);
  }

  /**
   * Ends a job; the first ending counts, later ones do nothing.
   * @param {number} handle
   * @param {TerminalInput} terminal
   */
  finish(handle, terminal) {
    this.#sendTokens();
    const details = JSON.stringify(terminal.details ?? {});
    this.#native.finish(handle, { ...terminal, details });
    this.#reactor.settle();
  }

  /**
   * Feeds a new job from another one's log: all of the other's current attempt, then what comes,
   * its ending included. The follower has no producer; its own ending ends nothing but itself.
   * @param {number} handle the follower, made `near` the leader
   * @param {number} leader running or ended
   * @returns {Promise<boolean | null>} false when the leader is gone or is no longer whole; null
   *   when the hub was closed before
   */
  follow(handle, leader) {
    return this.#ask((request) => this.#native.follow(handle, leader, request));
  }

  /** @param {number} handle forgotten at once, its readers cut */
  purge(handle) {
    this.#sendTokens();
    this.#native.purge(handle);
    this.#reactor.settle();
  }

  /**
   * Makes an upstream call whose text goes to the jobs' logs on the hub's own thread. An answer
   * that comes to its end ends its job; a job that ends otherwise ends its answer, and the last
   * one the call.
   * @param {import('./relay-types.js').RelayRequest} request
   * @returns {{done: Promise<import('./relay-types.js').RelayOutcome | null>, abort: () => void}} `done` when nothing more will
   *   be said of any of the jobs; null when the hub was closed before. `abort` closes the
   *   connection: answers that have not ended fail
   */
  relay(request) {
    if (this.#closed) return { done: Promise.resolve(null), abort: () => {} };
    const id = this.#nextRelay++;
    this.#reactor.ref();
    /** @type {Promise<import('./relay-types.js').RelayOutcome | null>} */
    const done = new Promise((resolve) => {
      this.#relays.set(id, resolve);
    });
    this.#sendTokens();
    this.#native.relay(id, request);
    return { done, abort: () => this.#native.abortRelay(id) };
  }

  /**
   * The job's state after every earlier call on this hub.
   * @param {number} handle
   * @param {{text?: boolean}} [options] `text: false` leaves the text out; default true
   * @returns {Promise<JobState | null>} null for an unknown or purged job
   */
  snapshot(handle, { text = true } = {}) {
    return this.#ask((request) => this.#native.state(handle, text, request));
  }

  /**
   * @param {(request: number) => void} send a command that is answered by a reply
   * @returns {Promise<any>} the reply; null when there is none
   */
  #ask(send) {
    return new Promise((resolve) => {
      if (this.#closed) {
        resolve(null);
        return;
      }
      const request = this.#nextRequest++;
      this.#replies.set(request, resolve);
      this.#reactor.ref();
      this.#sendTokens();
      send(request);
      this.#reactor.settle();
    });
  }

  /**
   * Connects a reader to the logs of one job or of several. Replay from the cursors and what comes
   * later are one sequence, with nothing lost or doubled in between.
   * @param {import('./hub-channel.js').Member[]} members
   * @param {import('./hub-channel.js').Sink} sink
   * @param {{fanIn?: boolean}} [options] `fanIn`: ids are cursors over the set
   * @returns {import('./hub-channel.js').HubChannel}
   */
  openStream(members, sink, { fanIn = false } = {}) {
    this.#sendTokens();
    return this.#channels.open(members, sink, fanIn);
  }

  /** Forgets everything; readers are told `closed`, waiting producers and snapshots are released. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#channels.close();
    for (const handle of this.#flows.handles()) this.#dropFlow(handle);
    for (const resolve of this.#replies.values()) {
      this.#reactor.unref();
      resolve(null);
    }
    this.#replies.clear();
    for (const id of [...this.#relays.keys()]) this.#onRelayEnd(id, null);
    this.#reactor.unregister(this.#machineId);
    this.#native.close();
  }

  #sendTokens() {
    if (this.#tokenJobs.length === 0 || this.#closed) return;
    const jobs = this.#tokenJobs;
    const texts = this.#tokenTexts;
    this.#tokenJobs = [];
    this.#tokenTexts = [];
    this.#native.append(jobs, texts);
    this.#reactor.settle();
  }

  /** @param {number} handle */
  #dropFlow(handle) {
    if (this.#flows.drop(handle)) this.#reactor.unref();
  }

  /**
   * @param {number} kind
   * @param {any} a
   * @param {any} b
   */
  #onEvent(kind, a, b) {
    switch (kind) {
      case EventKind.JOB_WINDOW:
        this.#flows.move(a, b);
        break;
      case EventKind.JOB_ENDED:
        this.#dropFlow(a);
        this.events.emit('ended', a, JSON.parse(b));
        break;
      case EventKind.JOB_PURGED:
        this.#dropFlow(a);
        this.events.emit('purged', a);
        break;
      case EventKind.CHANNEL_OPEN:
        this.#channels.onOpen(a, b === 1);
        break;
      case EventKind.CHANNEL_FRAMES:
        this.#channels.onFrames(a, b);
        break;
      case EventKind.CHANNEL_EVENTS:
        this.#channels.onEvents(a, b);
        break;
      case EventKind.CHANNEL_END:
        this.#channels.onEnd(a, b);
        break;
      case EventKind.RELAY_END:
        this.#onRelayEnd(a, JSON.parse(b));
        break;
      case EventKind.REPLY: {
        const resolve = this.#replies.get(a);
        if (!this.#replies.delete(a)) break;
        this.#reactor.unref();
        resolve?.(b === '' ? null : JSON.parse(b));
        break;
      }
    }
  }

  /**
   * @param {number} id
   * @param {import('./relay-types.js').RelayOutcome | null} outcome
   */
  #onRelayEnd(id, outcome) {
    const resolve = this.#relays.get(id);
    if (!this.#relays.delete(id)) return;
    this.#reactor.unref();
    resolve?.(outcome);
  }
}
