import { SseResponse } from '../sse/response.js';
import { jobMoved, jobNotFound, overloaded } from '../../jobs/errors.js';
import { failureAnswer } from './failure.js';
import { setUpstream } from '../respond.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** @typedef {import('./orphans.js').FaceRequest} FaceRequest */

/**
 * Events of jobs, like those of a JobLifecycle.
 * @typedef {{on: (event: 'begun' | 'ended' | 'purged' | 'dropped',
 *   listener: (record: JobRecord) => void) => unknown}} JobEvents
 */

/**
 * The connections of a job.
 * @typedef {object} JobCalls
 * @property {number} calls open calls
 * @property {boolean} answered whether one call has sent the complete answer
 * @property {FaceRequest} [request] a request that a retry may repeat
 */

/**
 * The HTTP calls of faces that wait for jobs: each counts as a reader of its job from the start,
 * waits for the first entry or the end, and streams or answers. Main thread; lives as long as its hub.
 */
export class FaceCalls {
  #hub;
  #egress;
  #moves;
  #open;
  #headHoldMs;
  /** @type {Map<JobRecord, Set<() => void>>} calls to wake when a job has begun or ended */
  #waiting = new Map();
  /** @type {WeakMap<JobRecord, JobCalls>} */
  #counts = new WeakMap();
  /**
   * Places among the open streams, held by responses that do not stream yet. @type {WeakMap<ServerResponse, () =>
   * void>}
   */
  #places = new WeakMap();
  /** Jobs whose ending this process will not receive. @type {WeakSet<JobRecord>} */
  #lost = new WeakSet();
  #orphans;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {JobEvents[]} deps.events of the jobs
   * @param {import('../sse/open-streams.js').OpenStreams} deps.open
   * @param {import('./orphans.js').OrphansPort} deps.orphans
   * @param {{egress: import('../sse/response.js').EgressMode, headHoldMs: number,
   *   redis?: object}} deps.options
   */
  constructor({ hub, events, open, orphans, options }) {
    this.#orphans = orphans;
    this.#hub = hub;
    this.#open = open;
    this.#egress = options.egress;
    this.#moves = options.redis !== undefined;
    this.#headHoldMs = options.headHoldMs;
    const wake = (/** @type {JobRecord} */ record) => this.#wake(record);
    for (const source of events) {
      source.on('begun', wake);
      source.on('ended', wake);
      source.on('purged', (record) => {
        orphans.delete(record);
        if (!record.ended) this.#lost.add(record);
        wake(record);
      });
      source.on('dropped', (record) => {
        this.#lost.add(record);
        wake(record);
      });
    }
  }

  /**
   * @param {JobRecord} record
   * @returns {boolean} whether this process will not receive its ending
   */
  isLost(record) {
    return this.#lost.has(record);
  }

  get orphans() {
    return this.#orphans;
  }

  get hub() {
    return this.#hub;
  }

  get egress() {
    return this.#egress;
  }

  get moves() {
    return this.#moves;
  }

  get headHoldMs() {
    return this.#headHoldMs;
  }

  /**
   * Wraps a handler whose responses take places. A place is freed when its stream or its response has closed, or
   * when the handler ends without a stream, because the client may never read the answer to a refused request.
   * @param {import('../router.js').Handle} handle
   * @returns {import('../router.js').Handle}
   */
  withPlaces(handle) {
    return async (req, res, context) => {
      try {
        await handle(req, res, context);
      } finally {
        this.placeOf(res)();
      }
    };
  }

  /**
   * Takes a place among the open streams for a response that will be a stream, even while its head is held. For
   * handlers in `withPlaces`.
   * @param {ServerResponse} res with nothing written yet
   * @param {string} principal
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 if there is no place
   */
  takePlace(res, principal) {
    if (!this.#open.hasRoom(principal)) throw overloaded();
    // The client has disconnected.
    if (res.destroyed) return;
    const close = this.#open.open(principal);
    this.#places.set(res, close);
    res.once('close', () => {
      if (this.#places.delete(res)) close();
    });
  }

  /**
   * @param {ServerResponse} res
   * @returns {() => void} frees its place, if any; call it once
   */
  placeOf(res) {
    const close = this.#places.get(res) ?? (() => {});
    this.#places.delete(res);
    return close;
  }

  /**
   * Connects a response to the jobs of its answer.
   * @param {ServerResponse} res with nothing written yet
   * @param {JobRecord[]} records of its answers, at least one
   * @param {FaceRequest} [request] the request that a retry may repeat; default: the request of the job's other
   *   calls
   * @param {(complete: boolean) => void} [onLeft] called once, when its connection has ended;
   *   `complete`: the complete answer was sent
   * @returns {FaceCall}
   */
  join(res, records, request, onLeft) {
    const [record] = records;
    this.#orphans.delete(record);
    const counts = this.#counts.get(record) ?? { calls: 0, answered: false };
    counts.calls += 1;
    counts.request ??= request;
    this.#counts.set(record, counts);
    return new FaceCall(this, res, records, (complete) => {
      counts.calls -= 1;
      counts.answered ||= complete;
      onLeft?.(complete);
      if (counts.answered || counts.calls > 0 || counts.request === undefined) return;
      this.#orphans.add(record, counts.request);
    });
  }

  /**
   * @param {JobRecord} record
   * @param {() => void} wake called at its next event
   * @returns {() => void} stops waiting
   */
  whenChanged(record, wake) {
    const waiting = this.#waiting.get(record) ?? new Set();
    this.#waiting.set(record, waiting.add(wake));
    return () => {
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(record);
    };
  }

  /** @param {JobRecord} record */
  #wake(record) {
    for (const wake of this.#waiting.get(record) ?? []) wake();
  }
}

/** One response that waits for jobs. Ends with its connection. */
export class FaceCall {
  #calls;
  #res;
  #records;
  #onLeft;
  #streams = false;
  /** @type {(() => void)[]} */
  #holds;
  #left = false;
  #wake = () => {};

  /**
   * @param {FaceCalls} calls
   * @param {ServerResponse} res
   * @param {JobRecord[]} records
   * @param {(complete: boolean) => void} onLeft
   */
  constructor(calls, res, records, onLeft) {
    this.#calls = calls;
    this.#res = res;
    this.#records = records;
    this.#onLeft = onLeft;
    this.#holds = records.map(({ handle }) => calls.hub.hold(handle));
    res.once('close', () => {
      if (!this.#streams) this.#leave(res.writableFinished);
    });
    if (res.destroyed) this.#leave(false);
  }

  /** @param {boolean} complete whether the client has received the whole answer */
  #leave(complete) {
    if (this.#left) return;
    this.#left = true;
    this.#release();
    this.#onLeft(complete);
    this.#wake();
  }

  #release() {
    for (const release of this.#holds.splice(0)) release();
  }

  /**
   * @param {() => boolean} reached
   * @param {number} [holdMs] longest wait; default: none
   * @returns {Promise<boolean>} false: the client has disconnected
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 if a job has moved
   */
  async #until(reached, holdMs) {
    let late = false;
    const onLate = () => {
      late = true;
      this.#wake();
    };
    const timer = holdMs === undefined ? undefined : setTimeout(onLate, holdMs);
    const forget = this.#records.map((record) =>
      this.#calls.whenChanged(record, () => this.#wake()),
    );
    const lost = () => this.#records.some((record) => this.#calls.isLost(record));
    while (!this.#left && !late && !reached() && !lost()) {
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
    clearTimeout(timer);
    for (const stop of forget) stop();
    if (!reached() && lost()) throw jobMoved();
    if (!this.#res.headersSent) setUpstream(this.#res, this.#records[0]);
    return !this.#left;
  }

  /**
   * Waits until the head of a stream may be sent: a job has its first entry or has succeeded, or
   * `headHoldMs` have passed.
   * @returns {Promise<boolean>} false: the client has disconnected
   * @throws {import('../../internal/util/http-error.js').HttpError} if a job failed before its
   *   first entry
   */
  async beginning() {
    const failed = () =>
      this.#records.find((each) => each.ended && !each.begun && !isComplete(each));
    const begun = () => this.#records.some((each) => each.begun || each.ended);
    const present = await this.#until(begun, this.#calls.headHoldMs);
    const record = failed();
    if (present && record !== undefined) throw failureAnswer(record, record.final);
    return present;
  }

  /**
   * Waits for the ends of all jobs.
   * @returns {Promise<boolean>} false: the client has disconnected
   * @throws {import('../../internal/util/http-error.js').HttpError} if a job has failed
   */
  async ending() {
    const failed = () => this.#records.find((each) => each.ended && !isComplete(each));
    const ended = () => failed() !== undefined || this.#records.every((each) => each.ended);
    if (!(await this.#until(ended))) return false;
    const record = failed();
    if (record !== undefined) throw failureAnswer(record, record.final);
    return true;
  }

  /**
   * Like `ending`.
   * @returns {Promise<JobState[] | undefined>} the states of all answers, with items; undefined: the
   *   client has disconnected
   */
  async states() {
    if (!(await this.ending())) return undefined;
    const states = await Promise.all(
      this.#handles().map((handle) => this.#calls.hub.snapshot(handle, { items: true })),
    );
    if (states.includes(null)) throw jobNotFound();
    return /** @type {JobState[]} */ (states);
  }

  /** The logs of all choices, in the order of their indices. */
  #handles() {
    return this.#records.flatMap(({ handle, siblings }) => [handle, ...siblings]);
  }

  /**
   * Streams the jobs' logs as frames of a face, until their end. The response has taken its place.
   * @param {import('../../streams/types.js').FaceOptions} face
   */
  stream(face) {
    this.#streams = true;
    const { hub, egress: mode, moves } = this.#calls;
    const members = this.#handles().map((handle) => ({ handle, cursor: '' }));
    const closed = this.#calls.placeOf(this.#res);
    const onClosed = (/** @type {boolean} */ complete) => {
      closed();
      this.#leave(complete);
    };
    new SseResponse(this.#res, { mode, moves, onClosed }).connect(hub, members, { face });
    // From here on the stream counts as the reader.
    this.#release();
  }
}

/** @param {JobRecord} record ended */
const isComplete = ({ final }) => final.status === 'completed';
