/**
 * Several hubs, each on a reactor of its own, behind the face of one. A job lives on one of them
 * from its making to its purge; jobs are dealt out in turn, but for those that are to be `near`
 * another. Main thread only.
 *
 * A handle says where its job is: `local * N + index of the hub`.
 */
import { EventEmitter } from 'node:events';
import { FanIn } from './fan-in.js';
import { JobHub } from './hub.js';

/** @typedef {ConstructorParameters<typeof JobHub>[0]} JobHubOptions */

/**
 * One hub, or a set of them for several reactors.
 * @param {import('../internal/native/reactor.js').Reactor[]} reactors at least one
 * @param {Omit<JobHubOptions, 'reactor'>} options
 * @returns {JobHub}
 */
export function createHub(reactors, options) {
  if (reactors.length === 1) return new JobHub({ ...options, reactor: reactors[0] });
  return /** @type {JobHub} */ (/** @type {unknown} */ (new HubSet(reactors, options)));
}

/** Has the methods of a `JobHub`; see there. */
class HubSet {
  /** @type {import('./hub.js').HubEvents} */
  events = new EventEmitter();
  #hubs;
  #next = 0;
  #options;
  /** @type {Map<number, string>} ids of the jobs that are known, for cursors over a set */
  #ids = new Map();

  /**
   * @param {import('../internal/native/reactor.js').Reactor[]} reactors
   * @param {Omit<JobHubOptions, 'reactor'>} options
   */
  constructor(reactors, options) {
    this.#options = { heartbeatMs: 15_000, retryMs: 2000, ...options };
    this.#hubs = reactors.map((reactor) => new JobHub({ ...options, reactor }));
    this.#hubs.forEach((hub, i) => {
      hub.events.on('ended', (handle, state) => {
        this.events.emit('ended', this.#global(handle, i), state);
      });
      hub.events.on('purged', (handle) => {
        const global = this.#global(handle, i);
        this.#ids.delete(global);
        this.events.emit('purged', global);
      });
    });
  }

  barrier() {
    return Promise.all(this.#hubs.map((hub) => hub.barrier()));
  }

  get logBytes() {
    return this.#hubs.reduce((sum, hub) => sum + hub.logBytes, 0);
  }

  get channelCount() {
    return this.#hubs.reduce((sum, hub) => sum + hub.channelCount, 0);
  }

  /** @param {Parameters<JobHub['create']>[0]} options */
  create(options) {
    const { near } = options;
    const i = near === undefined ? this.#next : near % this.#hubs.length;
    if (near === undefined) this.#next = (i + 1) % this.#hubs.length;
    const { feed } = options;
    const local = feed && { ...feed, into: this.#local(feed.into) };
    const handle = this.#global(this.#hubs[i].create({ ...options, feed: local }), i);
    this.#ids.set(handle, options.jobId);
    return handle;
  }

  /** @param {Parameters<JobHub['restore']>[0]} job */
  restore(job) {
    const i = this.#next;
    this.#next = (i + 1) % this.#hubs.length;
    const handle = this.#global(this.#hubs[i].restore(job), i);
    this.#ids.set(handle, job.jobId);
    return handle;
  }

  flush() {
    return Promise.all(this.#hubs.map((hub) => hub.flush()));
  }

  /** @param {number} handle */
  unrecord(handle) {
    this.#hub(handle).unrecord(this.#local(handle));
  }

  /** @param {number} handle */
  start(handle) {
    this.#hub(handle).start(this.#local(handle));
  }

  /** @param {number} handle */
  retry(handle) {
    this.#hub(handle).retry(this.#local(handle));
  }

  /**
   * @param {number} handle
   * @param {string} text
   */
  append(handle, text) {
    return this.#hub(handle).append(this.#local(handle), text);
  }

  /**
   * @param {number} handle
   * @param {string} type
   * @param {object} data
   */
  appendEvent(handle, type, data) {
    return this.#hub(handle).appendEvent(this.#local(handle), type, data);
  }

  /** @param {number} handle */
  reopen(handle) {
    this.#hub(handle).reopen(this.#local(handle));
  }

  /** @param {number} handle */
  writable(handle) {
    return this.#hub(handle).writable(this.#local(handle));
  }

  /** @param {number} handle */
  ended(handle) {
    return this.#hub(handle).ended(this.#local(handle));
  }

  /**
   * @param {number} handle
   * @param {import('./types.js').TerminalInput} terminal
   */
  finish(handle, terminal) {
    this.#hub(handle).finish(this.#local(handle), terminal);
  }

  /**
   * @param {number} handle
   * @param {number} leader refused when it lives on another reactor
   */
  follow(handle, leader) {
    if (this.#hub(handle) !== this.#hub(leader)) return Promise.resolve(false);
    return this.#hub(handle).follow(this.#local(handle), this.#local(leader));
  }

  /** @param {number} handle */
  purge(handle) {
    this.#hub(handle).purge(this.#local(handle));
  }

  /** @param {readonly number[]} handles one call's jobs: they have to share a reactor */
  relays(handles) {
    const hub = this.#hub(handles[0]);
    return handles.every((handle) => this.#hub(handle) === hub) && hub.relays(handles);
  }

  /** @param {import('./relay-types.js').RelayRequest} request */
  relay(request) {
    const { jobs } = request;
    const local = jobs.map((handle) => this.#local(handle));
    return this.#hub(jobs[0]).relay({ ...request, jobs: local });
  }

  /**
   * @param {number} handle
   * @param {{text?: boolean}} [options]
   */
  snapshot(handle, options) {
    return this.#hub(handle).snapshot(this.#local(handle), options);
  }

  /**
   * @param {import('./hub-channel.js').Member[]} members
   * @param {import('./hub-channel.js').Sink} sink
   * @param {{fanIn?: boolean}} [options]
   */
  openStream(members, sink, options) {
    const hub = this.#hub(members[0].handle);
    if (members.every(({ handle }) => this.#hub(handle) === hub)) {
      const local = members.map(({ handle, cursor }) => ({ handle: this.#local(handle), cursor }));
      return hub.openStream(local, sink, options);
    }
    const spread = members.map(({ handle, cursor }) => ({
      hub: this.#hub(handle),
      handle: this.#local(handle),
      jobId: this.#ids.get(handle) ?? '',
      cursor,
    }));
    return new FanIn(spread, sink, this.#options);
  }

  close() {
    for (const hub of this.#hubs) hub.close();
  }

  /**
   * @param {number} local
   * @param {number} index
   */
  #global(local, index) {
    return local * this.#hubs.length + index;
  }

  /** @param {number} handle */
  #hub(handle) {
    return this.#hubs[handle % this.#hubs.length];
  }

  /** @param {number} handle */
  #local(handle) {
    return Math.floor(handle / this.#hubs.length);
  }
}
