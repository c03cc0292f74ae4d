/**
 * The JavaScript side of the reactors: dispatches their events, and keeps the process alive.
 *
 * `sharedReactor()` runs in real time on a separate thread, `manualReactor(clock)` inline under
 * a ManualClock. Each environment (worker thread) has its own.
 */
import native from './addon.js';
import { nativeNumbers } from './numbers.js';
import { SCHEDULE } from '../util/symbols.js';

/** The kinds of events; native/addon/napi/event_queue.h describes them. */
export const EventKind = nativeNumbers('enums.EventKind', [
  'PIPELINE_ACCEPTED',
  'PIPELINE_DISPATCH',
  'PIPELINE_REMOVED',
  'PIPELINE_CLOSED',
  'JOB_WINDOW',
  'JOB_BEGUN',
  'JOB_ENDING',
  'JOB_ENDED',
  'JOB_PURGED',
  'JOB_FENCED',
  'JOB_DATA_LOSS',
  'REPLICA_MISSING',
  'REPLICA_BROKEN',
  'SUBSCRIBER_OPEN',
  'SUBSCRIBER_FRAMES',
  'SUBSCRIBER_WHOLE',
  'SUBSCRIBER_EVENTS',
  'SUBSCRIBER_END',
  'RELAY_END',
  'RELAY_TAKEN',
  'RELAY_OVER',
  'REPLY',
  'STORE_WRITTEN',
  'GRAPH_STARTED',
  'GRAPH_RETRYING',
  'GRAPH_COMPLETED',
  'GRAPH_FAILED',
  'GRAPH_SKIPPED',
  'GRAPH_ENDED',
  'REDIS_STATE',
  'REDIS_BEAT',
  'REDIS_SERVER',
  'REDIS_SUBSCRIBED',
  'REDIS_MESSAGE',
]);

/** Values to an event in the flat array: kind, target, a, b. */
const STRIDE = 4;

let nextMachineId = 1;

/**
 * @typedef {(kind: number, a: any, b: any) => void} MachineHandler
 */

/**
 * One native reactor and the machines that live on it. A machine (pipeline, hub) registers a handler,
 * which is called with each of its events.
 */
export class Reactor {
  /** @type {Map<number, MachineHandler>} */
  #machines = new Map();
  #refs = 0;
  #settling = false;

  /** @param {import('../time/clock.js').ManualClock} [clock] absent: real time */
  constructor(clock) {
    /** Under a ManualClock: every effect happens within the call that causes it. */
    this.manual = clock !== undefined;
    /** The native object, an argument of the native classes' constructors. */
    this.native = this.manual
      ? new native.Reactor()
      : new native.Reactor((/** @type {any[]} */ events) => this.#dispatch(events));
    // The clock may have been moved already.
    if (clock !== undefined) this.native.advanceTo(clock.nowNs());
    clock?.[SCHEDULE]({
      nextDeadlineNs: () => this.native.nextDeadline(),
      advanceTo: (/** @type {bigint} */ ns) => {
        this.native.advanceTo(ns);
        this.settle();
      },
    });
  }

  /**
   * @param {MachineHandler} handler called on the main thread for each event of this machine
   * @returns {number} the target that the native machine puts into its events
   */
  register(handler) {
    const id = nextMachineId++;
    this.#machines.set(id, handler);
    return id;
  }

  /** @param {number} id */
  unregister(id) {
    this.#machines.delete(id);
  }

  /**
   * Call it after every native call. Manual time: dispatches the events of the call before
   * it returns. Real time: wakes the reactors at the end of this turn of the event loop, once for all of
   * its calls; the event queue wakes JavaScript.
   */
  settle() {
    if (!this.manual) {
      wakeAtEndOfTurn();
      return;
    }
    if (this.#settling) return;
    this.#settling = true;
    try {
      for (;;) {
        const events = this.native.drain();
        if (events.length === 0) return;
        this.#dispatch(events);
      }
    } finally {
      this.#settling = false;
    }
  }

  /**
   * Like `settle`, for a command whose effect nothing waits for: in real time it may stay in the queue of its reactor
   * until one that is waited for follows, or many of its kind have come, or for `LATER_MS`.
   */
  settleLater() {
    if (this.manual) this.settle();
    else wakeLater();
  }

  /** Wakes the real-time reactors now, for the calls of the last callback of a turn. */
  wake() {
    if (!this.manual) wakeAll();
  }

  /** Counts one more unit of work that keeps the process alive. */
  ref() {
    if (this.#refs++ === 0) this.native.ref();
  }

  /** The end of such a unit. */
  unref() {
    if (--this.#refs === 0) this.native.unref();
  }

  /** @param {any[]} events */
  #dispatch(events) {
    for (let i = 0; i < events.length; i += STRIDE) {
      const handler = this.#machines.get(events[i + 1]);
      if (handler === undefined) continue;
      try {
        handler(events[i], events[i + 2], events[i + 3]);
      } catch (error) {
        // An error in one handler must not drop the events of other machines.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** @type {Reactor[]} */
const shared = [];
let wakesLater = false;

/** Longest wait of commands that nothing waits for, and how many may wait. */
const LATER_MS = 20;
const LATER_MAX = 64;
let laterCount = 0;
/** @type {NodeJS.Timeout | undefined} */
let laterTimer;

function wakeLater() {
  laterCount += 1;
  if (laterCount === LATER_MAX) wakeAtEndOfTurn();
  laterTimer ??= setTimeout(() => {
    laterTimer = undefined;
    if (laterCount > 0) wakeAll();
  }, LATER_MS).unref();
}

function wakeAll() {
  laterCount = 0;
  for (const reactor of shared) reactor.native.wake();
}

function wakeAtEndOfTurn() {
  if (wakesLater) return;
  wakesLater = true;
  setImmediate(() => {
    wakesLater = false;
    wakeAll();
  });
}

/**
 * The first `count` real-time reactors of this environment, each started on first use. They keep
 * the process alive only while a `ref()` is held.
 * @param {number} count
 * @returns {Reactor[]}
 */
export function sharedReactors(count) {
  while (shared.length < count) shared.push(new Reactor());
  return shared.slice(0, count);
}

/**
 * The first real-time reactor.
 * @returns {Reactor}
 */
export function sharedReactor() {
  return sharedReactors(1)[0];
}

/** @type {WeakMap<object, Reactor>} */
const manual = new WeakMap();

/**
 * The reactor of a ManualClock: all machines with this clock share one order of events.
 * @param {import('../time/clock.js').ManualClock} clock
 * @returns {Reactor}
 */
export function manualReactor(clock) {
  let reactor = manual.get(clock);
  if (reactor === undefined) {
    reactor = new Reactor(clock);
    manual.set(clock, reactor);
  }
  return reactor;
}
