import { EventEmitter } from 'node:events';
import native from '../internal/native/addon.js';
import { EventKind } from '../internal/native/reactor.js';
import { EntryQueue } from './entry-queue.js';
import { FanIn } from './fan-in.js';
import { FlowControl } from './flow-control.js';
import { NewJobs } from './new-jobs.js';
import { nativeOptions } from './job-options.js';
import { ReaderCounts } from './reader-counts.js';
import { PendingResults } from './pending-results.js';
import { Relays } from './relays.js';
import { Shards } from './shards.js';
import { Subscriptions } from './subscriptions.js';
import { nativeTerminal } from './terminal.js';
import { UnreadFrames } from './unread-frames.js';
import { parseExact } from '../internal/util/exact-json.js';

/** @typedef {import('./types.js').JobState} JobState */
/** @typedef {import('./types.js').TerminalInput} TerminalInput */
/** @typedef {import('../internal/native/relay-types.js').RelayedCall} RelayedCall */

/**
 * Events of a hub. `begun`: once, at the first entry of a job with `announce`; `ended`: once per
 * attempt, before any subscriber receives the terminal event; `purged` after the purge of the log.
 * `readers`, with `countReaders`: when the first reader of a log has connected, and when the last one has left.
 *
 * `ending`, with Redis: a job with `settles` has ended: call `settle`; emitted before `ended`. `state`
 * is the same as for `ended`, with the answer's parts for `settles: 'answer'`.
 *
 * With Redis: `fenced`, the job belongs to another process; it was removed here, its readers were disconnected,
 * and `told` says whether its ending had been published before. Also emitted if `adopt` fails. `dataLoss`: Redis
 * has lost a job of this process; its log is written again once the job is back in Redis. `replicaMissing`:
 * Redis has no such job, or has lost its log. `replicaBroken`: the log cannot be read. In the
 * last two cases the replica was purged.
 * @typedef {{begun: [handle: number], ending: [handle: number, state: JobState], ended: [handle: number, state:
 *   JobState], purged: [handle: number], fenced: [handle: number, told: boolean], readers: [handle: number,
 *   present: boolean], dataLoss: [handle: number], replicaMissing: [handle: number], replicaBroken: [handle:
 *   number, problem: string]}} HubEventMap
 */

/** @typedef {EventEmitter<HubEventMap>} HubEvents */

/** The subscriber of a stream whose handler has received all frames. */
const ENDED = Object.freeze({
  acknowledge() {},
  attachSocket: () => false,
  transferSocket: () => false,
  detachSocket: () => -1,
  detach() {},
});

/**
 * A subscriber to one log or several; a fan-in over several shards never attaches a socket.
 * @typedef {Pick<import('./subscriptions.js').Subscriber, 'acknowledge' | 'attachSocket'
 *   | 'transferSocket' | 'detachSocket' | 'detach'>} StreamSubscriber
 */

/**
 * The JavaScript side of the native hub: logs by handle, their flow control, their subscribers.
 *
 * Main thread. Every call is a command, executed by a reactor in order; its results arrive as
 * events. `close()` ends it.
 *
 * With several reactors, each job lives on one of them, its shard, from creation to purge. Jobs go to
 * the shards in turn, or to the shard of the job that they are created `near`.
 */
export class JobHub {
  /** @type {HubEvents} */
  events = new EventEmitter();
  #reactors;
  /** The reactor that counts pending work of all shards; it keeps the process alive. */
  #reactor;
  #shards;
  #native;
  #machineIds;
  #fanInOptions;
  /** Flow control of the open jobs. */
  #flows;
  #subscriptions;
  /** @type {PendingResults<any>} */
  #replies;
  #relays;
  #entries;
  #newJobs;
  /** Ended jobs to be purged, up to the end of the turn. @type {number[]} */
  #purges = [];
  #unread = new UnreadFrames();
  /** @type {ReaderCounts | undefined} */
  #readers;
  #closed = false;

  /**
   * @param {object} options
   * @param {import('../internal/native/reactor.js').Reactor[]} options.reactors at least one; under a
   *   manual clock exactly one
   * @param {number} options.streamCapacity tokens by which the slowest subscriber may lag
   * @param {number} options.logBytesMax text and offsets kept per job
   * @param {number} options.retentionMs from the end of a job to its purge
   * @param {number} options.heartbeatMs silence before a keep-alive comment
   * @param {number} options.stallMs time without progress before a subscriber is disconnected
   * @param {number} options.retryMs the reconnection time that EventSource receives
   * @param {object} [options.store] the native store of jobs with a record
   * @param {import('./redis-link.js').RedisLink} [options.link] link over which jobs with a record are written to
   *   Redis; on the first reactor
   * @param {number} [options.flushMs] minimum time between two writes to Redis; default 10
   * @param {boolean} [options.countReaders] whether it emits `readers`; default false
   */
  constructor({
    reactors,
    streamCapacity,
    logBytesMax,
    retentionMs,
    heartbeatMs,
    stallMs,
    retryMs,
    store,
    link,
    flushMs = 10,
    countReaders = false,
  }) {
    this.#reactors = reactors;
    this.#reactor = reactors[0];
    this.#shards = new Shards(reactors.length);
    this.#replies = new PendingResults(this.#reactor);
    this.#fanInOptions = { heartbeatMs, retryMs };
    this.#flows = new FlowControl(streamCapacity);
    this.#machineIds = reactors.map((reactor) =>
      reactor.register((kind, a, b) => this.#onEvent(kind, a, b)),
    );
    this.#native = new native.JobHub(
      reactors.map((reactor) => reactor.native),
      this.#machineIds,
      { streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, retryMs },
      store,
      link?.native,
      flushMs,
    );
    this.#entries = new EntryQueue(this.#native, this.#reactor);
    this.#newJobs = new NewJobs(this.#native, this.#reactor);
    if (countReaders) {
      this.#readers = new ReaderCounts((handle, present) =>
        this.events.emit('readers', handle, present),
      );
    }
    this.#subscriptions = new Subscriptions(this.#native, this.#reactor, (id) =>
      this.#readers?.unsubscribed(id),
    );
    this.#relays = new Relays(this.#native, this.#reactor, this.#shards);
  }

  /** Whether `relay` is available: it needs real time and libcurl. */
  get makesCalls() {
    return !this.#reactor.manual && native.upstreamClient() !== '';
  }

  /**
   * The shard of a job. The jobs of one upstream call must have the same shard.
   * @param {number} handle
   */
  shardOf(handle) {
    return this.#shards.of(handle);
  }

  /** @param {number} handle @returns {boolean} with `countReaders`, whether the log has a reader */
  hasReader(handle) {
    return this.#readers?.has(handle) === true;
  }

  /** Bytes in the logs of all jobs; a log shared by several jobs counts once. */
  get logBytes() {
    return this.#native.logBytes() + this.#unread.bytes;
  }

  /** Total number of entries appended by providers to the logs of all jobs. */
  get entriesAppended() {
    return this.#native.entriesAppended();
  }

  /** Open subscribers; a fan-in over several shards counts once for each job. */
  get subscriberCount() {
    return this.#subscriptions.size;
  }

  /**
   * A new job; its wall time begins now.
   * @param {import('./job-options.js').JobOptions & {near?: number}} options `near`: a job whose shard it shares,
   *   so that one may `follow` the other, or copy tokens to it
   * @returns {number} its handle
   */
  create(options) {
    const { near } = options;
    const handle = this.#begin(near === undefined ? this.#shards.next() : this.#shards.of(near));
    if (this.#newJobs.add(handle, options)) return handle;
    // It may copy to a new job, or follow it later.
    this.#newJobs.sendAll();
    this.#native.create(handle, nativeOptions(options));
    this.#reactor.settle();
    return handle;
  }

  /**
   * Restores a job of an earlier process. A job without a `terminal` is open, and must be finished.
   * @param {import('./types.js').RestoredJob} job
   * @param {{near?: number}} [where] `near`: a job whose shard it shares
   * @returns {number} its handle
   */
  restore(job, { near } = {}) {
    const handle = this.#begin(near === undefined ? this.#shards.next() : this.#shards.of(near));
    if (job.terminal !== undefined) this.#dropFlow(handle);
    const { jobId, promptTokens, record, whole } = job;
    const options = nativeOptions({
      jobId,
      promptTokens,
      record,
      whole,
      onDisconnect: 'continue',
      disconnectGraceMs: 0,
      maxWallMs: Infinity,
    });
    const terminal = job.terminal && nativeTerminal(job.terminal);
    this.#native.restore(handle, options, { ...job, terminal });
    this.#reactor.settle();
    return handle;
  }

  /**
   * Creates a replica of a log that another process writes to Redis, with its ending and local readers. Emits
   * `ended` and `purged` like other jobs; `purged` 5 s after its last reader while it has not ended, and at once if
   * Redis does not answer. Its subscribers open once the log has been read.
   * @param {import('./types.js').ReplicaOptions} options
   * @returns {number} its handle
   */
  replica({ leaseMs, ageMs = 0, ...options }) {
    const handle = this.#shards.number(0);
    const job = { onDisconnect: /** @type {const} */ ('continue'), disconnectGraceMs: 0 };
    const native_ = nativeOptions({ ...options, ...job, maxWallMs: Infinity });
    this.#native.replicate(handle, native_, leaseMs, ageMs);
    this.#reactor.settle();
    return handle;
  }

  /**
   * Converts a replica to a job of this process, with its log, its readers and its handle: it can then be started,
   * appended to and finished. The native side first reads the log once more.
   * @param {number} handle of an open replica
   * @param {import('./job-options.js').AdoptOptions} options
   * @returns {Promise<import('./types.js').AdoptedJob | null>} null: the job has ended, or is in a later
   *   attempt; `fenced` is emitted
   */
  adopt(handle, { attempt, skipIds = 0, ...options }) {
    if (this.#closed) return Promise.resolve(null);
    this.#flows.add(handle);
    this.#reactor.ref();
    return this.#ask(handle, (request) =>
      this.#native.adopt(handle, nativeOptions(options), attempt, skipIds, request),
    );
  }

  /** @returns {Promise<import('./types.js').ReplicationFigures>} of all shards */
  async replication() {
    const sum = { followed: 0, unsent_tokens: 0, catch_ups: {} };
    const replies = await this.#askAll((request) => this.#native.replication(request));
    for (const each of replies) {
      sum.followed += each?.followed ?? 0;
      sum.unsent_tokens += each?.unsent_tokens ?? 0;
      Object.assign(sum.catch_ups, each?.catch_ups);
    }
    return /** @type {any} */ (sum);
  }

  /** @param {number} shard @returns {number} the handle of a new open job */
  #begin(shard) {
    const handle = this.#shards.number(shard);
    if (this.#closed) return handle;
    this.#flows.add(handle);
    this.#reactor.ref();
    return handle;
  }

  /** @param {number} handle of a job; stops writing it to the store */
  unrecord(handle) {
    this.#newJobs.send(handle);
    this.#native.unrecord(handle);
    this.#reactor.settle();
  }

  /** @param {number} handle of a log that Redis may have lost; writes the missing part, with its ending */
  writeAnew(handle) {
    this.#native.writeAnew(handle);
    this.#reactor.settle();
  }

  /**
   * Resolves once all changes before this call are in the store, or the store has failed.
   * @returns {Promise<unknown>}
   */
  flush() {
    return this.#askAll((request) => this.#native.flush(request));
  }

  /**
   * Resolves once every event that the reactors emitted before this call has been dispatched.
   * @returns {Promise<unknown>}
   */
  barrier() {
    // The reply follows every earlier event, also for an unknown job.
    return this.#askAll((request, shard) => this.#native.state(shard, false, false, request));
  }

  /**
   * Begins the first attempt of a job; later calls do nothing.
   * @param {number} handle
   * @param {object} [members] stored with the attempt in the data file
   */
  start(handle, members) {
    if (members === undefined && this.#newJobs.start(handle)) return;
    this.#newJobs.send(handle);
    this.#native.start(handle, members === undefined ? '' : JSON.stringify(members));
    this.#reactor.settle();
  }

  /**
   * Begins the next attempt of a running job: subscribers discard the text.
   * @param {number} handle
   * @param {object} [members] of `job_retry`, in addition to the attempt; stored like those of `start`
   */
  retry(handle, members) {
    this.#sendAll();
    this.#native.retry(handle, members === undefined ? '' : JSON.stringify(members));
    this.#reactor.settle();
  }

  /**
   * Appends a token; it is dropped when the job has ended.
   * @param {number} handle
   * @param {string} text
   * @returns {boolean} false: the window is closed, await `writable` before the next one
   */
  append(handle, text) {
    if (!this.#flows.has(handle)) return false;
    const open = this.#flows.count(handle);
    if (!this.#newJobs.append(handle, text)) this.#entries.addText(handle, text);
    // Only its reactor moves the window.
    else if (!open) this.#newJobs.send(handle);
    return open;
  }

  /**
   * Appends an entry of any kind; it counts as a token and is dropped like one. Entries of one job
   * keep the order of the calls.
   * @param {number} handle
   * @param {import('./types.js').EntryInput} entry
   * @returns {boolean} see `append`
   * @throws {TypeError} if its kind is unknown
   */
  appendEntry(handle, entry) {
    if (!this.#flows.has(handle)) return false;
    this.#newJobs.send(handle);
    this.#entries.add(handle, entry);
    return this.#flows.count(handle);
  }

  /**
   * Appends an event of the given type; it counts as a token and is dropped like one. Tokens and
   * such events of one job keep the order of the calls.
   * @param {number} handle
   * @param {string} type one line
   * @param {object} data its members in addition to the job's id
   * @returns {boolean} see `append`
   */
  appendEvent(handle, type, data) {
    if (!this.#flows.has(handle)) return false;
    const open = this.#flows.count(handle);
    this.#sendAll();
    this.#native.appendTyped(handle, type, JSON.stringify(data));
    this.#reactor.settle();
    return open;
  }

  /**
   * Begins the next attempt of an ended job before its purge: the job is open again, and its
   * wall time starts again.
   * @param {number} handle
   */
  reopen(handle) {
    if (this.#flows.has(handle) || this.#closed) return;
    this.#sendPurges();
    this.#unread.drop(handle);
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
   * @returns {boolean} whether the job is unknown, or its ending was dispatched
   */
  ended(handle) {
    return !this.#flows.has(handle);
  }

  /**
   * Ends a job; only the first ending has an effect.
   * @param {number} handle
   * @param {TerminalInput} terminal
   */
  finish(handle, terminal) {
    const given = nativeTerminal(terminal);
    const ending = this.#newJobs.finish(handle, given);
    if (ending !== undefined) {
      this.#onEndedAtOnce(handle, ending);
      return;
    }
    this.#entries.send();
    this.#native.finish(handle, given);
    this.#reactor.settle();
  }

  /**
   * Sets the settlement after an `ending` event. It is written to Redis with the ending, once; a further
   * call does nothing.
   * @param {number} handle
   * @param {string} settlement JSON in the format of `finish.lua`
   */
  settle(handle, settlement) {
    this.#native.settle(handle, settlement);
    this.#reactor.settle();
  }

  /**
   * Makes a new job a follower: its log receives all tokens of the source's current attempt, then its
   * further events and its ending. A follower has no producer; its own ending does not affect the
   * source.
   * @param {number} handle the follower, created `near` the source
   * @param {number} source running or ended
   * @returns {Promise<boolean | null>} false if the source is on another shard, unknown or no
   *   longer complete; null if the hub was closed before
   */
  follow(handle, source) {
    if (!this.#shards.shared([handle, source])) return Promise.resolve(false);
    return this.#ask(handle, (request) => this.#native.follow(handle, source, request));
  }

  /**
   * Counts a reader that does not subscribe, such as a request for the whole answer: like a subscriber
   * it prevents the cancellation of the job, but does not slow it.
   * @param {number} handle
   * @returns {() => void} call it once, when the reader has left
   */
  hold(handle) {
    this.#newJobs.send(handle);
    this.#native.hold(handle);
    this.#readers?.add(handle);
    this.#reactor.settle();
    return () => {
      if (this.#closed) return;
      this.#native.release(handle);
      this.#readers?.remove(handle);
      this.#reactor.settle();
    };
  }

  /** @param {number} handle of a job to remove at once; its subscribers are disconnected */
  purge(handle) {
    this.#unread.drop(handle);
    const mayWait = !this.#flows.has(handle) && !this.#reactor.manual;
    const count = this.#purges.push(handle);
    if (!mayWait) {
      this.#sendAll();
      this.#reactor.settle();
    } else if (count === 1) setImmediate(this.#sendPurges);
  }

  #sendPurges = () => {
    if (this.#purges.length === 0) return;
    const handles = this.#purges;
    this.#purges = [];
    this.#native.purge(handles);
    this.#reactor.settleLater();
  };

  /**
   * Removes a job that another process owns or will own: its upstream call ends, its subscribers end as
   * `fenced`, and `fenced` is emitted.
   * @param {number} handle
   */
  fence(handle) {
    this.#unread.drop(handle);
    this.#sendAll();
    this.#native.fence(handle);
    this.#reactor.settle();
  }

  /** Sends the commands that wait for the end of the turn, before one whose effect depends on the order. */
  #sendAll() {
    this.#newJobs.sendAll();
    this.#entries.send();
    this.#sendPurges();
  }

  /**
   * Makes an upstream call; its text goes to the jobs' logs on the reactor. A complete answer
   * ends its job; any other end of a job ends its answer, and the last job ends the call.
   * @param {import('../internal/native/relay-types.js').RelayRequest} request
   * @returns {RelayedCall}
   */
  relay(request) {
    this.#sendAll();
    return this.#relays.start(request);
  }

  /**
   * Like `relay`, for a call made by an HTTP client in JavaScript.
   * @param {import('../internal/native/relay-types.js').RelayTarget} target
   * @param {(answer: import('./fed-call.js').FedCall) => void} feed called at once with the input for the answer;
   *   must not throw
   * @returns {RelayedCall}
   */
  relayFed(target, feed) {
    this.#sendAll();
    return this.#relays.startFed(target, feed);
  }

  /**
   * The job's state after all earlier calls of this hub.
   * @param {number} handle
   * @param {{text?: boolean, items?: boolean}} [options] `text: false` omits the text, reasoning,
   *   refusal and tool calls; default true. `items: true` adds the entries in order; default
   *   false
   * @returns {Promise<JobState | null>} null for an unknown or purged job
   */
  snapshot(handle, { text = true, items = false } = {}) {
    return this.#ask(handle, (request) => this.#native.state(handle, text, items, request));
  }

  /**
   * The readers of a job: for each subscriber the number of unconsumed entries, and whether some are in
   * transit; for a request that waits for the whole answer `lag` is null.
   * @param {number} handle
   * @returns {Promise<{lag: number | null, busy?: boolean}[] | null>} null for an unknown or purged job
   */
  readers(handle) {
    return this.#ask(handle, (request) => this.#native.readers(handle, request));
  }

  /**
   * The whole answer in a job's current log, in the protocol of a face that supports it.
   * @param {number} handle
   * @param {import('./types.js').FaceOptions} face
   * @returns {Promise<any>} null for an unknown or purged job
   */
  answer(handle, face) {
    return this.#ask(handle, (request) => this.#native.wholeAnswer(handle, face, request));
  }

  /**
   * @param {(request: number, shard: number) => void} send sends a command that gets a reply
   * @returns {Promise<any[]>} resolves once every shard has replied, with the replies
   */
  #askAll(send) {
    return Promise.all(
      this.#reactors.map((_, shard) => this.#ask(shard, (request) => send(request, shard))),
    );
  }

  /**
   * @param {number} handle of a job, or the index of its shard
   * @param {(request: number) => void} send sends a command that gets a reply
   * @returns {Promise<any>} the reply; null: no reply
   */
  #ask(handle, send) {
    if (this.#closed) return Promise.resolve(null);
    const request = this.#shards.number(this.#shards.of(handle));
    const reply = this.#replies.add(request);
    this.#sendAll();
    send(request);
    this.#reactor.settle();
    return reply;
  }

  /**
   * Connects a subscriber to the logs of one job or of several. Replay from the cursors and live
   * events form one sequence, without loss or duplicates.
   * @param {import('./types.js').Member[]} members
   * @param {import('./types.js').SubscriberHandler} handler with `onFrames` for several shards
   * @param {{fanIn?: boolean, face?: import('./types.js').FaceOptions, observes?: boolean}} [options]
   *   `fanIn`: ids are cursors over the set; `face`: the protocol of the frames, default: Sluice's own.
   *   With a face the members are the choices of one answer, on one shard, and are read from their
   *   beginning. A handler with `onWhole` may be called before this returns. `observes` (for one job, with
   *   `onEvents`): neither slows the provider nor prevents the cancellation of the job
   * @returns {StreamSubscriber}
   */
  openStream(members, handler, { fanIn = false, face, observes = false } = {}) {
    if (
      members.length === 1 &&
      !fanIn &&
      face === undefined &&
      this.#sendUnread(members[0], handler)
    ) {
      return ENDED;
    }
    this.#sendAll();
    const handles = members.map(({ handle }) => handle);
    if (!this.#shards.shared(handles)) {
      if (face !== undefined) throw new TypeError('the members of a face must be on one shard');
      return new FanIn(this, members, handler, this.#fanInOptions);
    }
    const id = this.#shards.number(this.#shards.of(handles[0]));
    if (!observes) this.#readers?.subscribed(id, handles);
    return this.#subscriptions.open(id, members, handler, { fanIn, face, observes });
  }

  /**
   * @param {import('./types.js').Member} member the only member
   * @param {import('./types.js').SubscriberHandler} handler
   * @returns {boolean} whether the handler has received all frames, which arrived with the ending
   */
  #sendUnread({ handle, cursor }, handler) {
    // Other processes must be informed of readers.
    if (handler.onWhole === undefined || cursor !== '' || this.#readers !== undefined) return false;
    const frames = this.#unread.take(handle);
    if (frames === undefined) return false;
    handler.onWhole(frames);
    return true;
  }

  /**
   * @param {number} handle
   * @param {string | [state: string, frames: string]} ending with the frames of a short log without a reader
   */
  #onEnded(handle, ending) {
    this.#dropFlow(handle);
    const [state, frames = ''] = typeof ending === 'string' ? [ending] : ending;
    if (frames !== '') this.#unread.keep(handle, frames);
    this.events.emit('ended', handle, JSON.parse(state));
  }

  /**
   * @param {number} handle of a job that has ended in this call
   * @param {[state: string, frames: string]} ending
   */
  #onEndedAtOnce(handle, ending) {
    try {
      this.#onEnded(handle, ending);
    } catch (error) {
      // As in the dispatch of other events: an error of a listener is not one of the producer.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Drops all jobs; subscribers end as `closed`, waiting producers and requests are released. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#entries.close();
    this.#subscriptions.close();
    for (const handle of this.#flows.handles()) this.#dropFlow(handle);
    this.#replies.close();
    this.#relays.close();
    this.#reactors.forEach((reactor, shard) => reactor.unregister(this.#machineIds[shard]));
    this.#native.close();
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
      case EventKind.JOB_BEGUN:
        this.events.emit('begun', a);
        break;
      case EventKind.JOB_ENDING:
        this.events.emit('ending', a, JSON.parse(b));
        break;
      case EventKind.JOB_ENDED:
        this.#onEnded(a, b);
        break;
      case EventKind.JOB_PURGED:
        this.#unread.drop(a);
        this.#dropFlow(a);
        this.events.emit('purged', a);
        break;
      case EventKind.JOB_FENCED:
        this.#unread.drop(a);
        this.#dropFlow(a);
        this.events.emit('fenced', a, b === 1);
        break;
      case EventKind.JOB_DATA_LOSS:
        this.events.emit('dataLoss', a);
        break;
      case EventKind.REPLICA_MISSING:
        this.events.emit('replicaMissing', a);
        break;
      case EventKind.REPLICA_BROKEN:
        this.events.emit('replicaBroken', a, b);
        break;
      case EventKind.SUBSCRIBER_OPEN:
        this.#subscriptions.onOpen(a, b === 1);
        break;
      case EventKind.SUBSCRIBER_WHOLE:
        this.#subscriptions.onWhole(a, b);
        break;
      case EventKind.SUBSCRIBER_FRAMES:
        this.#subscriptions.onFrames(a, b);
        break;
      case EventKind.SUBSCRIBER_EVENTS:
        this.#subscriptions.onEvents(a, b);
        break;
      case EventKind.SUBSCRIBER_END:
        this.#subscriptions.onEnd(a, b);
        break;
      case EventKind.RELAY_END:
        this.#relays.onEnd(a, JSON.parse(b));
        break;
      case EventKind.RELAY_TAKEN:
        this.#relays.onTaken(a, b);
        break;
      case EventKind.RELAY_OVER:
        this.#relays.onOver(a);
        break;
      case EventKind.REPLY:
        this.#replies.settle(a, b === '' ? null : parseExact(b));
        break;
    }
  }
}
